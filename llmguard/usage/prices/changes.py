"""What another price list says differently."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from llmguard.usage.prices.catalog import Catalog

#: Key of a price -> what people call it.
NAMES = {
    "i": "input",
    "o": "output",
    "r": "cache read",
    "w": "cache write",
    "h": "cache write (1 h)",
    "n": "reasoning",
    "q": "1,000 requests",
    "s": "1,000 web searches",
    "f": "1,000 file searches",
    "ia": "audio input",
    "oa": "audio output",
    "ra": "audio cache read",
    "im": "image input",
    "om": "image output",
    "rm": "image cache read",
    "iv": "video input",
    "ov": "video output",
}


class Change(NamedTuple):
    """A model whose prices differ: dollars per million tokens by what they are of; None where a list has no model."""

    provider: str
    model: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None


def changes(before: Catalog, after: Catalog) -> Iterator[Change]:
    """The models whose prices of today differ, by provider and name."""
    for provider in sorted({*before.providers, *after.providers}):
        rows = [each.providers.get(provider, {}).get("models", {}) for each in (before, after)]
        for model in sorted({*rows[0], *rows[1]}):
            old, new = (
                today(catalog, provider, model) if model in models else None
                for catalog, models in zip((before, after), rows, strict=True)
            )
            if old != new:
                yield Change(provider, model, old, new)


def today(catalog: Catalog, provider: str, model: str) -> dict[str, Any] | None:
    """The prices of a model today; {} for one that is free, None for one that is not priced by tokens."""
    now = datetime.now(timezone.utc)
    rates = catalog.rates(provider, model, now.date().isoformat(), now.strftime("%H:%M"), "")
    return None if rates is None else rates.prices


def words(prices: dict[str, Any] | None) -> str:
    """Prices for people: "input 2.5, output 10"."""
    if prices is None:
        return "none"
    shown = [f"{NAMES[key]} {_amount(prices[key])}" for key in NAMES if key in prices]
    return ", ".join(shown) or "free"


def _amount(price: Any) -> str:
    if not isinstance(price, list):
        return f"{price.normalize():f}"
    base, *tiers = price
    return f"{base.normalize():f}" + "".join(
        f" (above {int(start):,}: {above.normalize():f})" for start, above in tiers
    )
