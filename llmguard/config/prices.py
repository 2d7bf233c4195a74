"""What somebody really pays: rows of `[[tool.llmguard.prices]]`."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any, NamedTuple

from llmguard.config import keys
from llmguard.errors import ConfigError

if TYPE_CHECKING:
    from llmguard.config.files import Layer

PRICE_KEYS = (
    *("provider", "model", "input", "output", "cache-read", "cache-write", "discount", "from", "to", "source"),
)
_RATES = ("input", "output", "cache-read", "cache-write")
_MOST = 1_000_000  # dollars per million tokens: more is a slip


class PriceRow(NamedTuple):
    """A price of one's own, or a discount on the list price.

    Attributes:
        provider: as the ledger names it.
        model: as requests name it; "*" for all of the provider, or a glob.
        rates: "input", "output", "cache-read", "cache-write" -> dollars per million tokens; empty for a discount.
        discount: per cent off the list price.
        since: first day (UTC) it holds, None for always.
        until: first day it does not hold any more.
        source: where it is from: "contract 4711".
    """

    provider: str
    model: str = "*"
    rates: tuple[tuple[str, Decimal], ...] = ()
    discount: Decimal | None = None
    since: date | None = None
    until: date | None = None
    source: str = ""


def prices(layer: Layer, value: Any) -> tuple[PriceRow, ...]:
    """The rows of `[[tool.llmguard.prices]]`.

    Raises:
        ConfigError: a row is of no use; the key in it says which, counted from 1.
    """
    from llmguard.config.rows import needed, rows_of

    found = []
    for where, row in rows_of(layer, "prices", value, PRICE_KEYS):
        provider = keys.string(layer, f"{where}.provider", needed(layer, where, row, "provider"))
        model = keys.string(layer, f"{where}.model", row.get("model", "*"))
        rates = tuple((key, _amount(layer, f"{where}.{key}", row[key], _MOST)) for key in _RATES if key in row)
        discount = _amount(layer, f"{where}.discount", row["discount"], 100) if "discount" in row else None
        since, until = (_day(layer, f"{where}.{key}", row[key]) if key in row else None for key in ("from", "to"))
        source = keys.string(layer, f"{where}.source", row.get("source", ""))
        if bool(rates) == (discount is not None):
            raise ConfigError(layer.source, where, "needs either prices (input, output, ...) or a discount")
        for key in ("input", "output"):
            if rates and key not in dict(rates):  # what has no price would cost nothing
                raise ConfigError(layer.source, f"{where}.{key}", "is missing: dollars per million tokens, 0 for none")
        if since and until and since >= until:
            raise ConfigError(layer.source, f"{where}.to", f"{until} is not after {since}")
        found.append(PriceRow(provider.lower(), model.lower(), rates, discount, since, until, source))
    return tuple(found)


def _amount(layer: Layer, key: str, value: Any, most: int) -> Decimal:
    text = str(value).strip().removesuffix("%").strip() if key.endswith("discount") else str(value)
    try:
        amount = Decimal(text) if not isinstance(value, bool) else Decimal(-1)
    except InvalidOperation:
        amount = Decimal(-1)
    if not amount.is_finite() or not 0 <= amount <= most:
        raise ConfigError(layer.source, key, f"must be a number from 0 to {most:,}, not {value!r}")
    return amount


def _day(layer: Layer, key: str, value: Any) -> date:
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        return date.fromisoformat(str(value))
    except ValueError:
        raise ConfigError(layer.source, key, f"must be a day such as 2026-11-01, not {value!r}") from None
