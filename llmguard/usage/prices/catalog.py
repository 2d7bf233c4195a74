"""The price snapshot, and which of its prices a model has at a time."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import date
from decimal import Decimal
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

#: `claude-x-20251211` is `claude-x-2025-12-11` to some.
_DATED = re.compile(r"-(20\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)")
_TESTS: dict[str, Callable[[str, str], Any]] = {
    "=": str.__eq__,
    "^": str.startswith,
    "$": str.endswith,
    "*": str.__contains__,
    "~": lambda text, pattern: re.search(pattern, text),
}


class Found(NamedTuple):
    """A model of the snapshot.

    Attributes:
        provider: its provider in the snapshot.
        row: its prices, as `generate` writes them.
        own: whether the provider has it itself, not one that it falls back to.
    """

    provider: str
    row: dict[str, Any]
    own: bool


class Rates(NamedTuple):
    """Prices of a model at a time, in dollars per million tokens.

    Attributes:
        prices: i input, o output, r cache reads, w cache writes, h cache writes of an hour, n reasoning; ia, im, iv,
            oa, om, ov input and output of audio, images and video; q per thousand requests, s per thousand web
            searches; a number, or `[price, [start, price], ...]` by the size of the input.
        factor: what a batch costs of it, when the snapshot has no prices of their own for batches.
    """

    prices: dict[str, Any]
    factor: Decimal | None


class Catalog:
    """Prices of models.

    Args:
        document: the snapshot, numbers as decimals.
    """

    def __init__(self, document: dict[str, Any]) -> None:
        self.version = f"{str(document['source']).partition(' (')[0]}, {document['date']}"
        self._document = document
        self._providers: dict[str, Any] = document["providers"]
        self._index = {name: _indexed(row["models"]) for name, row in self._providers.items()}
        self.find = lru_cache(8192)(self._find)
        self.rates = lru_cache(8192)(self._rates)
        self.is_timed = lru_cache(8192)(self._is_timed)

    def provider(self, name: str) -> str | None:
        """The snapshot's provider for a name, None when it has none.

        >>> bundled().provider("vertex_ai")
        'google'
        """
        name = name.strip().lower()
        for spelled in (name, name.replace("-", "_"), name.replace("_", "-")):
            if spelled in self._document["aliases"]:
                known: str | None = self._document["aliases"][spelled]
                return known
            if spelled in self._providers:
                return spelled
        matching = (key for key, row in self._providers.items() if _matches(row.get("names", ()), name))
        return next(matching, None)

    def version_of(self, name: str, model: str) -> str:
        """What the price of a model is from, and of which day."""
        found = self.find(name, model)
        source = self._providers[found.provider].get("source") if found is not None else None
        return str(source) if source else self.version

    def batch_of(self, name: str) -> Decimal | None:
        """What a batch costs of the usual price at a provider, None where nobody says."""
        factor = self._document["batch"].get(self.provider(name))
        return None if factor is None else Decimal(factor)

    def names_of(self, provider: str) -> list[str]:
        """What a provider of the snapshot is called beside its name, and whose models it has too."""
        row = self._providers.get(provider, {})
        given = [name for name, known in self._document["aliases"].items() if known == provider]
        return sorted(given) + [str(clause) for clause in (*row.get("names", ()), *row.get("fallback", ()))]

    @property
    def providers(self) -> dict[str, Any]:
        """Name of a provider -> its row: `models`, by name, with their prices."""
        return self._providers

    @cached_property
    def sizes(self) -> list[int]:
        """Numbers of input tokens of a request, ascending, above which the price of some model is another one."""
        found: set[int] = set()
        stack: list[Any] = [self._document]
        while stack:
            item = stack.pop()
            if isinstance(item, dict):
                stack.extend(item.values())
            elif isinstance(item, list):
                if len(item) > 1 and isinstance(item[0], Decimal) and all(isinstance(each, list) for each in item[1:]):
                    found.update(int(start) for start, _ in item[1:])
                else:
                    stack.extend(item)
        return sorted(found)

    def _find(self, name: str, model: str) -> Found | None:
        provider, model = self.provider(name), model.lower()
        head, _, rest = model.partition("/")
        if name.lower() == "huggingface" and rest:  # huggingface/<host>/<organisation>/<model>
            provider, model = f"huggingface_{head}", rest
        if provider not in self._providers or provider is None:
            return None
        names = [model] + ([rest] if rest and self.provider(head) == provider else [])
        dated = [other for each in names if (other := _DATED.sub(r"-\1-\2-\3", each)) != each]
        for spelled in names + dated:
            for place in (provider, *self._providers[provider].get("fallback", ())):
                row = self._own(place, spelled)
                if row is not None:
                    return Found(provider, row, place == provider)
        return None

    def _own(self, provider: str, model: str) -> dict[str, Any] | None:
        """The first model in the order of the snapshot that a name matches."""
        if provider not in self._index:
            return None
        exact, others, rows = self._index[provider]
        best = exact.get(model, len(rows))
        for number, clause in others:
            if number >= best:
                break
            if _matches([clause], model):
                best = number
                break
        return rows[best] if best < len(rows) else None

    def _is_timed(self, name: str, model: str) -> bool:
        """Whether a model's prices depend on the time of the day."""
        found = self.find(name, model)
        prices = found.row.get("p") if found else None
        return isinstance(prices, list) and any(len(when) == 11 for when, _ in prices)

    def _rates(self, name: str, model: str, day: str, minute: str, tier: str) -> Rates | None:
        """Prices at a day (UTC, `YYYY-MM-DD`) and minute (`HH:MM`) for a tier ("" for the usual one, "batch", ...)."""
        found = self.find(name, model)
        if found is None:
            return None
        prices = found.row.get("p") if {"m", "p"} & found.row.keys() else found.row
        if isinstance(prices, list):
            holding = (each for when, each in reversed(prices) if _holds(when, day, minute))
            prices = next(holding, prices[0][1])
        if prices is None:
            return None  # by seconds of sound, characters or pages: not by tokens
        context = {("processing", "batch")} if tier == "batch" else set()
        context |= {("service_tier", tier)} if tier else set()
        context |= {("speed", "fast")} if tier == "fast" else set()
        special: dict[str, Any] = {}
        is_batch = tier == "batch"
        for needs, when, each in found.row.get("v", ()) if found.own else ():
            if _holds(when, day, minute) and needs.items() <= context:
                special = {**each, **special}  # the first that fits wins, price by price
                is_batch = is_batch and "processing" not in needs
        factor = self._document["batch"].get(found.provider) if is_batch else None
        return Rates({**prices, **special}, None if factor is None else Decimal(factor))


@lru_cache(maxsize=1)
def bundled() -> Catalog:
    """The snapshot that came with this version."""
    return Catalog(parsed(files(__package__).joinpath("snapshot.json").read_text(encoding="utf-8")))


def parsed(text: str) -> dict[str, Any]:
    """A snapshot with its numbers as decimals.

    Raises:
        ValueError: it is no JSON object.
    """
    document = json.loads(text, parse_float=Decimal, parse_int=Decimal)
    if not isinstance(document, dict):
        raise ValueError("it is no JSON object")
    return document


def check(document: dict[str, Any]) -> None:
    """Look whether a snapshot has all that is needed, and no price that is none.

    Raises:
        ValueError: it has not; it says where.
    """
    for name, kind in (("date", str), ("source", str), ("aliases", dict), ("batch", dict), ("providers", dict)):
        if not isinstance(document.get(name), kind):
            raise ValueError(f"{name} is missing")
    if document.get("format") != 1:
        raise ValueError(f"its format is {document.get('format')}, not 1")
    if not document["providers"]:
        raise ValueError("it has no providers")
    for name, row in document["providers"].items():
        if not isinstance(row, dict) or not isinstance(row.get("models"), dict):
            raise ValueError(f"the provider {name} has no models")
        for model, prices in row["models"].items():
            if not isinstance(prices, dict):
                raise ValueError(f"{name}/{model} has no prices")
            for found in _amounts_of(prices):
                if not isinstance(found, Decimal) or not found.is_finite() or not 0 <= found <= _MOST:
                    raise ValueError(f"{name}/{model} has a price that is none: {found!r}")
            _check_clauses(f"{name}/{model}", prices.get("m", []))
        _check_clauses(f"the provider {name}", row.get("names", []))
    for alias, name in document["aliases"].items():
        if name is not None and name not in document["providers"]:
            raise ValueError(f"the alias {alias} is of the provider {name}, which it does not have")
    Catalog(document)


_MOST = 1_000_000  # dollars per million tokens: more is a slip
_DAY = re.compile(r"(\d{4}-\d\d-\d\d|\d\d:\d\d-\d\d:\d\d)?")


def _check_clauses(of: str, clauses: Any) -> None:
    """Every clause is a test and a text, and what is a pattern is one.

    Raises:
        ValueError: one is none.
    """
    if not isinstance(clauses, list):
        raise ValueError(f"{of} has names that are none: {clauses!r}")
    for clause in clauses:
        if isinstance(clause, list):
            _check_clauses(of, clause)
        elif not isinstance(clause, str) or clause[:1] not in _TESTS:
            raise ValueError(f"{of} has a name that is none: {clause!r}")
        elif clause[0] == "~":
            try:
                re.compile(clause[1:])
            except re.error as error:
                raise ValueError(f"{of} has a pattern that is none: {clause!r} ({error})") from None


def _amounts_of(row: dict[str, Any]) -> Iterator[Any]:
    """Every amount of a model: of its days, and of its tiers."""
    yield from _amounts(row.get("p") if {"m", "p"} & row.keys() else row)
    for each in row.get("v", ()) if {"m", "p"} & row.keys() else ():
        if not isinstance(each, list) or len(each) != 3 or not isinstance(each[0], dict):
            yield f"{each} is no tier"
        else:
            yield from _amounts([each[1:]])


def _amounts(prices: Any) -> Iterator[Any]:
    """Every amount in the prices of a model."""
    if prices is None:
        return
    if isinstance(prices, list):  # [[when, prices], ...]
        for each in prices:
            if not isinstance(each, list) or len(each) != 2 or not _is_day(each[0]):
                yield f"{each} has no day and no prices"
            else:
                yield from _amounts(each[1])
        return
    if not isinstance(prices, dict):
        yield prices
        return
    for price in prices.values():
        if isinstance(price, list):
            base, *tiers = price or [None]
            yield base
            for tier in tiers:
                yield from tier if isinstance(tier, list) and len(tier) == 2 else [tier]
        else:
            yield price


def _is_day(when: Any) -> bool:
    if not isinstance(when, str) or not _DAY.fullmatch(when):
        return False
    try:
        return len(when) != 10 or bool(date.fromisoformat(when))
    except ValueError:
        return False


def in_force() -> Catalog:
    """The list prices that count: those that somebody has adopted (`llmguard prices update`), else the bundled ones."""
    return _adopted or bundled()


def adopt(catalog: Catalog | None) -> None:
    """Let these list prices count in this process; None for the bundled ones."""
    global _adopted
    _adopted = catalog


_adopted: Catalog | None = None


def _indexed(models: dict[str, Any]) -> tuple[dict[str, int], list[tuple[int, Any]], list[Any]]:
    exact: dict[str, int] = {}
    others = []
    for number, (name, row) in enumerate(models.items()):
        for clause in row.get("m") or ["=" + name.lower()]:
            if clause[0] == "=":
                exact.setdefault(clause[1:], number)
            else:
                others.append((number, clause))
    return exact, others, list(models.values())


def _matches(clauses: Any, text: str) -> bool:
    """Whether any clause matches; of a list inside, all must, and of a list in that, any."""
    return any(
        _TESTS[clause[0]](text, clause[1:])
        if isinstance(clause, str)
        else all(_matches([part] if isinstance(part, str) else part, text) for part in clause)
        for clause in clauses
    )


def _holds(when: str, day: str, minute: str) -> bool:
    if len(when) != 11:
        return when <= day
    start, _, end = when.partition("-")
    return start <= minute < end if start <= end else minute >= start or minute < end
