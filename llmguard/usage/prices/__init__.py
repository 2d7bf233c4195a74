"""Prices: a dated snapshot of what models cost, what somebody really pays, and the cost of a row by them.

Nothing is fetched unless somebody asks for it.

`snapshot.json` is made by `generate` from genai-prices (https://github.com/pydantic/genai-prices), and where that has
no prices of a provider, from LiteLLM's table; it says its version and date, and each priced row keeps them as
`price_version`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from llmguard.providers.index import maker_of
from llmguard.usage.prices.catalog import Catalog, bundled, in_force
from llmguard.usage.prices.cost import Cost, Counts, cost_of

__all__ = ["Cost", "Counts", "bundled", "cost_of", "in_force", "priced"]


#: What only a price depends on: it is kept in the details of the row, for those who price it anew.
FOR_A_PRICE = ("cache_write_1h_tokens", "request_tokens", "inference_geo")


def priced(row: dict[str, Any], data: dict[str, Any], catalog: Catalog | None = None) -> dict[str, Any]:
    """The row with its cost: NULL, never 0, when it is not known.

    `price_status` says why: priced; estimated (its tokens are); approximate (by a stated discount); given (by who made
    the call); no_usage (its tokens are not known); unknown (its model has no price in the snapshot).

    Args:
        row: columns of `llm_usage_logs`; it is changed.
        data: the line that it was made from, which may hold `given_cost`, `service_tier`, `inference_geo`,
            `cache_write_1h_tokens`, `request_tokens` (the input of one request, when the counts are those of several)
            and `parts`: the requests of a block, each with such fields of its own. They are priced each by itself.
            `saved` has the counts of an answer that came out of a cache: what it saved is kept in the details.
        catalog: of list prices; by default that in force, and before it what somebody really pays.
    """
    row["cost_currency"] = "USD"
    parts = data.get("parts")
    kept = {name: data[name] for name in FOR_A_PRICE if data.get(name)}
    if isinstance(parts, list) and len(parts) > 1:
        kept["requests"] = len(parts)
    inner = parts if isinstance(parts, list) and all(isinstance(part, dict) for part in parts) else []
    kept.update(_saved(row, [each for each in (data, *inner) if isinstance(each.get("saved"), dict)], catalog))
    if kept:
        row["usage_details"] = {**(row.get("usage_details") or {}), **kept}
    if inner:
        return _summed(row, [_priced({**_named_by(row), **part}, part, catalog) for part in inner])
    return _priced(row, data, catalog)


#: What pricing writes into a row.
COSTS = ("input_cost", "output_cost", "total_cost", "price_status", "price_version")
#: Statuses of costs that were reckoned here, not given.
RECKONED = ("priced", "estimated", "approximate")


def priced_again(row: dict[str, Any], catalog: Catalog | None = None, **changes: Any) -> dict[str, Any] | None:
    """A row of the ledger with its cost by what is known of prices now, None for one of several requests: each of
    these had a price of its own.

    Args:
        row: all its columns; it stays as it is.
        catalog: as of `priced`.
        changes: to what is priced: columns, and names of `FOR_A_PRICE`.
    """
    details = row["usage_details"] if isinstance(row["usage_details"], dict) else {}
    if int(details.get("requests") or 1) > 1:
        return None
    kept = {name: details.get(name) for name in FOR_A_PRICE}
    data = {"service_tier": row["service_tier"], "usage_details": details, **kept, **changes}
    columns = {name: value for name, value in changes.items() if name in row}
    return priced({**row, **dict.fromkeys(COSTS), **columns}, data, catalog)


def _named_by(row: dict[str, Any]) -> dict[str, Any]:
    """What a request in a block takes from it where it does not say."""
    return {name: row.get(name) for name in ("provider", "model", "created_at", "operation")}


def _saved(row: dict[str, Any], hits: list[dict[str, Any]], catalog: Catalog | None) -> dict[str, Any]:
    """What answers out of a cache have saved: `saved_tokens`, and `saved_cost` (US dollars, as a text that is exact)
    where the price of all of them is known."""
    tokens, costs = 0, []
    for hit in hits:
        counts = {name: count for name, count in hit["saved"].items() if name in _COUNTS and _is_count(count)}
        told = {name: hit.get(name) for name in ("response_model", "service_tier", "inference_geo")}
        named = {name: hit.get(name) or row.get(name) for name in ("provider", "model")}
        asked = _priced({**_named_by(row), **named, **told, **counts}, {**told, **hit["saved"]}, catalog)
        tokens += counts.get("tokens_used", 0)
        costs.append(asked.get("total_cost"))
    if not hits:
        return {}
    known = [cost for cost in costs if cost is not None]
    return {"saved_tokens": tokens, **({"saved_cost": str(sum(known, Decimal(0)))} if len(known) == len(hits) else {})}


_COUNTS = frozenset(
    ("prompt_tokens", "completion_tokens", "tokens_used", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**12


_WORST_FIRST = ("no_usage", "unknown", "estimated", "approximate", "given", "priced")


def _summed(row: dict[str, Any], parts: list[dict[str, Any]]) -> dict[str, Any]:
    """The cost of a block: the sum of its requests, unknown when one of them is."""
    statuses = {part["price_status"] for part in parts}
    row["price_status"] = next(status for status in _WORST_FIRST if status in statuses)
    if all(part.get("total_cost") is not None for part in parts):
        row["total_cost"] = sum((part["total_cost"] for part in parts), Decimal(0))
        for name in ("input_cost", "output_cost"):
            if all(part.get(name) is not None for part in parts):
                row[name] = sum((part[name] for part in parts), Decimal(0))
        if any("price_version" in part for part in parts):
            row["price_version"] = "; ".join(
                dict.fromkeys(part["price_version"] for part in parts if "price_version" in part)
            )
    return row


def _priced(row: dict[str, Any], data: dict[str, Any], catalog: Catalog | None) -> dict[str, Any]:
    prompt, completion = row.get("prompt_tokens"), row.get("completion_tokens")
    given = data.get("given_cost")
    if not isinstance(given, (int, float)) or not 0 <= given < 10**9:
        given = None
    if given is not None and (data.get("metadata") or {}).get("cache_hit"):
        return _given(row, given)
    if completion is None and (row.get("operation") == "embeddings" or _is_whole(row)):
        completion = 0
    if prompt is None or completion is None:
        row["price_status"] = "no_usage"
        return row
    get, request = row.get, data.get("request_tokens")
    counts = Counts(
        prompt,
        completion,
        get("cache_read_tokens") or 0,
        get("cache_write_tokens") or 0,
        int(data.get("cache_write_1h_tokens") or 0),
        get("reasoning_tokens") or 0,
        _details(data.get("usage_details")),
        request if isinstance(request, int) else None,
    )
    tier, region = str(data.get("service_tier") or ""), str(data.get("inference_geo") or "")
    for name in (row.get("response_model"), row.get("model")):
        maker = None if row.get("provider") or not name else maker_of(name)
        provider = row.get("provider") or (maker.name if maker is not None else "")
        cost = None
        if name and provider:
            asked = row.get("model")
            cost = cost_of(provider, name, row["created_at"], counts, tier, catalog, region=region, asked=asked)
        if cost is not None:
            status = "estimated" if row.get("usage_source") == "estimated" else "priced"
            row.update(input_cost=cost.input, output_cost=cost.output, total_cost=cost.total)
            row.update(price_status="approximate" if cost.approximate else status, price_version=cost.version)
            return row
    if given is not None:
        return _given(row, given)
    row["price_status"] = "unknown"
    return row


def _details(given: Any) -> dict[str, int]:
    if not isinstance(given, dict):
        return {}
    return {name: number for name, number in given.items() if isinstance(number, int) and 0 < number < 10**12}


def _given(row: dict[str, Any], given: Any) -> dict[str, Any]:
    row.update(total_cost=Decimal(repr(float(given))).quantize(Decimal("1E-9")), price_status="given")
    return row


def _is_whole(row: dict[str, Any]) -> bool:
    """Whether a count without an output is one of a call that has none: the provider's total is its input."""
    return row.get("usage_source") in ("provider", "caller") and row.get("tokens_used") == row.get("prompt_tokens")
