"""What a call costs: exact decimals, from the counts of its row and the prices of its day."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from llmguard.usage.prices import own
from llmguard.usage.prices.aliases import REGIONS
from llmguard.usage.prices.catalog import Catalog, Rates, in_force

_MILLION = Decimal(1_000_000)
_PLACES = Decimal("1E-9")
_NONE = Decimal(0)


class Cost(NamedTuple):
    """Dollars, to nine places.

    Attributes:
        input: of the request, its cached part included.
        output: of the answer.
        total: of both, and of the request itself where there is a price for that.
        approximate: it was made with a stated discount, not with a price.
        version: of the prices that it was made with.
    """

    input: Decimal
    output: Decimal
    total: Decimal
    approximate: bool = False
    version: str = ""


class Counts(NamedTuple):
    """Tokens of a call: `prompt` includes `cache_read` and `cache_write`, that includes `cache_write_1h`, and
    `completion` includes `reasoning`. `details` are those of `Tokens`. `request` is the input of one request, where the
    counts are those of several: a price may depend on it."""

    prompt: int
    completion: int
    cache_read: int = 0
    cache_write: int = 0
    cache_write_1h: int = 0
    reasoning: int = 0
    details: Mapping[str, int] = MappingProxyType({})
    request: int | None = None

    @property
    def size(self) -> int:
        """What decides the price, where that depends on the size of a request."""
        return self.prompt if self.request is None else self.request


def cost_of(
    provider: str,
    model: str,
    moment: datetime,
    counts: Counts,
    tier: str = "",
    catalog: Catalog | None = None,
    *,
    region: str = "",
    asked: str | None = None,
) -> Cost | None:
    """What a call costs, None when its price is not known.

    Tokens that have no price of their own (cache reads, say) cost what the others do. Where a price depends on the size
    of the request, the whole request has the price of its size.

    Args:
        provider: as llmguard or LiteLLM names it.
        model: as the request or the response names it.
        moment: of the call, aware.
        counts: its tokens.
        tier: of the service ("batch", "flex", "priority"), "" for the usual one.
        catalog: of list prices; by default that in force, and before it what somebody really pays (`own`).
        asked: how the request named the model, where `model` is the response's word: a price of one's own is of that.
        region: that the inference was kept in ("us"), "" for any.
    """
    at = moment if moment.tzinfo is timezone.utc else moment.astimezone(timezone.utc)
    mine = own.current().find_any(provider, (asked, model), at) if catalog is None else None
    catalog = catalog or in_force()
    version = catalog.version_of(provider, model)
    if mine is not None and mine.rates:
        batch = catalog.batch_of(provider) if tier == "batch" else None
        rates: Rates | None = Rates(dict(mine.rates), batch)
        version = mine.version
    else:
        minute = at.strftime("%H:%M") if catalog.is_timed(provider, model) else ""
        rates = catalog.rates(provider, model, at.date().isoformat(), minute, tier)
    if rates is None:
        return None
    into = _input(rates.prices, counts)
    out = _output(rates.prices, counts)
    factor = rates.factor
    surcharge = REGIONS.get((provider, region))
    if surcharge is not None:
        factor = Decimal(surcharge) * (1 if factor is None else factor)
    if factor is not None:
        into, out = into * factor, out * factor
    off = Decimal(1)
    if mine is not None and mine.discount is not None:
        off = 1 - mine.discount / 100
        into, out, version = into * off, out * off, f"{version} less {mine.discount.normalize():f} % ({mine.version})"
    into, out = (into / _MILLION).quantize(_PLACES), (out / _MILLION).quantize(_PLACES)
    total = into + out
    for name, key in (("web_searches", "s"), ("file_searches", "f")):
        searches = counts.details.get(name, 0)
        if searches and key in rates.prices:
            total = (total + off * Decimal(rates.prices[key]) * searches / 1000).quantize(_PLACES)
    if "q" in rates.prices:
        total = (total + off * Decimal(rates.prices["q"]) / 1000).quantize(_PLACES)
    return Cost(into, out, total, factor is not None, version)


_KINDS = (("audio", "a"), ("image", "m"), ("video", "v"))


def _apart(prices: dict[str, Any], counts: Counts, side: str, most: int) -> tuple[Decimal, int, int]:
    """(cost, number, how many of them were cached) of the tokens of a side that have a price of their own by what they
    are of."""
    total, number, cached = _NONE, 0, 0
    for kind, letter in _KINDS:
        given = min(counts.details.get(f"{kind}_{side}_tokens", 0), most - number)
        if not given or side[0] + letter not in prices:
            continue
        number += given
        if side == "input":
            read = min(counts.details.get(f"{kind}_cache_read_tokens", 0), given)
            price = next((prices[key] for key in (f"r{letter}", "r") if key in prices), prices[f"i{letter}"])
            total += _rate(price, counts.size) * read
            cached, given = cached + read, given - read
        total += _rate(prices[side[0] + letter], counts.size) * given
    return total, number, cached


def _input(prices: dict[str, Any], counts: Counts) -> Decimal:
    if counts.details:
        apart, number, cached = _apart(prices, counts, "input", counts.prompt)
        read = max(0, counts.cache_read - cached)
        rest = counts._replace(details={}, prompt=counts.prompt - number, cache_read=read, request=counts.size)
        return apart + _input(prices, rest)
    if not counts.cache_read and not counts.cache_write:
        return _rate(prices["i"], counts.size) * counts.prompt if "i" in prices else _NONE
    total = _NONE
    read = min(counts.cache_read, counts.prompt)
    plain, write = counts.prompt, min(counts.cache_write, counts.prompt - read)
    if "h" in prices:
        hour = min(counts.cache_write_1h, write)
        total += _rate(prices["h"], counts.size) * hour
        plain, write = plain - hour, write - hour
    for key, number in (("r", read), ("w", write)):
        if key in prices:
            total += _rate(prices[key], counts.size) * number
            plain -= number
    return total + (_rate(prices["i"], counts.size) * plain if "i" in prices else 0)


def _output(prices: dict[str, Any], counts: Counts) -> Decimal:
    total, shown = _NONE, counts.completion
    if counts.details:
        total, number, _ = _apart(prices, counts, "output", shown)
        shown -= number
    if "n" in prices:
        hidden = min(counts.reasoning, counts.completion)
        total += _rate(prices["n"], counts.size) * hidden
        shown -= hidden
    return total + (_rate(prices["o"], counts.size) * shown if "o" in prices else 0)


def _rate(price: Any, prompt: int) -> Decimal:
    """The price for a request of so many input tokens."""
    if isinstance(price, list):
        base, *tiers = price
        return Decimal(next((above for start, above in reversed(tiers) if prompt > start), base))
    return Decimal(price)
