"""What this process knows of prices: the list in force, and one's own in the configuration and in the database."""

from __future__ import annotations

import logging
import os
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

from llmguard.errors import ConfigError, LLMGuardError
from llmguard.usage.prices import catalog, own
from llmguard.usage.prices.catalog import Catalog, parsed
from llmguard.usage.prices.cost import Counts, cost_of
from llmguard.usage.prices.own import Book, OwnPrice
from llmguard.usage.settings import UsageSettings, data_directory

if TYPE_CHECKING:
    from llmguard.config.prices import PriceRow

LOG = logging.getLogger("llmguard.usage")
_KEYS = {"input": "i", "output": "o", "cache-read": "r", "cache-write": "w"}
_read: tuple[str, float] | None = None
_said: set[str] = set()


class PriceListError(LLMGuardError):
    """A price list cannot be used; it says which, and why."""


def list_file() -> str:
    """The file of the list that somebody has adopted: LLMGUARD_PRICE_LIST, else in the user's data directory."""
    return os.environ.get("LLMGUARD_PRICE_LIST") or os.path.join(data_directory(), "prices.json")


def read_list(text: str, name: str) -> Catalog:
    """A price list out of its text.

    Raises:
        PriceListError: it is none, or has holes.
    """
    try:
        document = parsed(text)
        catalog.check(document)
        found = Catalog(document)
        _try(found)
    except Exception as error:  # noqa: BLE001  (it is somebody's file: whatever is wrong with it is said of it)
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise PriceListError(f"{name} is no price list of llmguard: {what}") from None
    return found


def _try(found: Catalog) -> None:
    """Price a call of each model, so that no list makes a call fail, cost less than nothing, or more than there is."""
    now, counts = datetime.now(timezone.utc), Counts(1000, 1000, 100, 100, 50, 10)
    for provider, row in found.providers.items():
        for model in row["models"]:
            for tier in ("", "batch", "flex", "priority"):
                cost = cost_of(provider, model, now, counts, tier, found)
                if cost is not None and not 0 <= min(cost.input, cost.output, cost.total) <= cost.total < _MOST:
                    raise ValueError(
                        f"{provider}/{model} costs {cost.total} dollars for 2,000 tokens ({tier or 'usual'})"
                    )


_MOST = 1_000  # dollars for 2,000 tokens: more is a slip


def use_adopted_list() -> str:
    """Let the adopted list count, where there is one; what is wrong with it, "" for nothing."""
    global _read
    path = list_file()
    try:
        changed = (path, os.stat(path).st_mtime)
    except OSError as error:
        before, _read = _read, None
        if before is not None:
            catalog.adopt(None)
        if os.environ.get("LLMGUARD_PRICE_LIST"):
            return f"LLMGUARD_PRICE_LIST: {path} cannot be read: {error.strerror}; the bundled prices count"
        return ""
    if changed == _read:
        return ""
    try:
        with open(path, encoding="utf-8") as file:
            catalog.adopt(read_list(file.read(), path))
    except (OSError, UnicodeDecodeError, PriceListError) as error:
        _read = None
        catalog.adopt(None)
        return f"{error}; the bundled prices count"
    _read = changed
    return ""


def refresh(settings: UsageSettings, engine: Any, *, say: bool = True) -> list[str]:
    """Learn what is known of prices now. What cannot be used is left out.

    Args:
        settings: whose project's configuration is read.
        engine: of the ledger; None reads no prices from there.
        say: say what is wrong in the log, once.

    Returns:
        What is wrong.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    problems = [problem] if (problem := use_adopted_list()) else []
    prices: list[OwnPrice] = []
    try:
        prices += [of_row(row) for row in _configured(settings.project_root)]
    except (ConfigError, OSError) as error:
        problems.append(f"prices of the configuration are not used: {error}")
    if engine is not None:
        from llmguard.usage.store.pricing import own_prices

        prices += own_prices(engine)
    book = Book(prices)
    if book != own.current():
        own.use(book)
    for each in problems:
        if say and each not in _said:
            _said.add(each)
            LOG.warning("%s", each)
    return problems


def of_row(row: PriceRow) -> OwnPrice:
    """A price out of the configuration."""
    rates = tuple((_KEYS[name], value) for name, value in row.rates)
    source = row.source or "configuration"
    return OwnPrice(row.provider, row.model, rates, row.discount, _start(row.since), _start(row.until), source)


def _start(day: date | None) -> datetime | None:
    return None if day is None else datetime(day.year, day.month, day.day, tzinfo=timezone.utc)


def _configured(root: str) -> tuple[PriceRow, ...]:
    from llmguard.config.files import settings_of
    from llmguard.config.folders import file_in

    path = file_in(root) if root else ""
    if not path:
        return ()
    changed = (path, os.stat(path).st_mtime)
    if changed not in _configurations:
        _configurations.clear()
        _configurations[changed] = settings_of(path).prices
    return _configurations[changed]


_configurations: dict[tuple[str, float], tuple[PriceRow, ...]] = {}
