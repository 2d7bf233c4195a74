"""What another price list says differently."""

from __future__ import annotations

import json
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
    """What two lists say differently of a model: its prices in words, "" where a list does not have it.

    Attributes:
        provider: whose.
        model: its name in the list; "*" for what holds for all models of the provider, and for its names.
        before: in the first list.
        after: in the second.
    """

    provider: str
    model: str
    before: str
    after: str


def changes(before: Catalog, after: Catalog) -> Iterator[Change]:
    """What two lists say differently, by provider and name: prices of today, of other days and tiers, names that a
    model answers to, batch discounts, and names of providers."""
    both = (before, after)
    for provider in sorted({*before.providers, *after.providers}):
        texts = [_of_provider(catalog, provider) for catalog in both]
        if texts[0] != texts[1]:
            yield Change(provider, "*", *texts)
        rows = [each.providers.get(provider, {}).get("models", {}) for each in both]
        for model in sorted({*rows[0], *rows[1]}):
            if rows[0].get(model) == rows[1].get(model):
                continue
            old, new = (
                _of_model(catalog, provider, model) if model in models else ""
                for catalog, models in zip(both, rows, strict=True)
            )
            if old == new:
                old, new = (
                    f"{text}; matches {_names(models[model])}" for text, models in zip((old, new), rows, strict=True)
                )
            yield Change(provider, model, old, new)


def _of_provider(catalog: Catalog, provider: str) -> str:
    if provider not in catalog.providers:
        return ""
    batch = catalog.batch_of(provider)
    names = catalog.names_of(provider)
    said = [f"batch requests cost {batch} of the price"] if batch is not None else []
    return "; ".join([*said, f"also named {', '.join(names)}"] if names else said)


def _of_model(catalog: Catalog, provider: str, model: str) -> str:
    """The prices of a model in words: those of today, then those of other days and tiers."""
    row = catalog.providers[provider]["models"][model]
    texts = [words(today(catalog, provider, model))]
    dated = row.get("p") if {"m", "p"} & row.keys() else None
    if isinstance(dated, list):
        texts += [f"from {when or 'the beginning'}: {words(prices)}" for when, prices in dated]
    for needs, when, prices in row.get("v", ()):
        of = ", ".join(str(each) for each in needs.values())
        texts.append(f"{of}{f' from {when}' if when else ''}: {words(prices)}")
    return "; ".join(texts)


def _names(row: Any) -> str:
    return json.dumps(row.get("m", []), default=str)


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
