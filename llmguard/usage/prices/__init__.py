"""Prices: a dated snapshot of what models cost, and the cost of a row by it. Nothing is fetched.

`snapshot.json` is made by `generate` from genai-prices (https://github.com/pydantic/genai-prices); it says its version
and date, and each priced row keeps them as `price_version`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from llmguard.usage.prices.catalog import bundled
from llmguard.usage.prices.cost import Cost, Counts, cost_of

__all__ = ["Cost", "Counts", "bundled", "cost_of", "priced"]


def priced(row: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
    """The row with its cost: NULL, never 0, when it is not known.

    `price_status` says why: priced; approximate (by a stated discount); given (by who made the call); no_usage (its
    tokens are not known); unknown (its model has no price in the snapshot).

    Args:
        row: columns of `llm_usage_logs`; it is changed.
        data: the line that it was made from, which may hold `given_cost`, `service_tier`, `cache_write_1h_tokens`.
    """
    row["cost_currency"] = "USD"
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
    get = row.get
    counts = Counts(
        prompt,
        completion,
        get("cache_read_tokens") or 0,
        get("cache_write_tokens") or 0,
        int(data.get("cache_write_1h_tokens") or 0),
        get("reasoning_tokens") or 0,
    )
    tier = str(data.get("service_tier") or "")
    names = [name for name in (row.get("response_model"), row.get("model")) if name and row.get("provider")]
    for name in names:
        cost = cost_of(row["provider"], name, row["created_at"], counts, tier)
        if cost is not None:
            row.update(input_cost=cost.input, output_cost=cost.output, total_cost=cost.total)
            row.update(price_status="approximate" if cost.approximate else "priced", price_version=bundled().version)
            return row
    if given is not None:
        return _given(row, given)
    row["price_status"] = "unknown"
    return row


def _given(row: dict[str, Any], given: Any) -> dict[str, Any]:
    row.update(total_cost=Decimal(repr(float(given))).quantize(Decimal("1E-9")), price_status="given")
    return row


def _is_whole(row: dict[str, Any]) -> bool:
    """Whether a count without an output is one of a call that has none: the provider's total is its input."""
    return row.get("usage_source") in ("provider", "caller") and row.get("tokens_used") == row.get("prompt_tokens")
