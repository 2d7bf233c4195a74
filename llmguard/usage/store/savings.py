"""What caching saved: what calls would have cost without it, less what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timezone, tzinfo
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, or_, select

from llmguard.usage.prices import FOR_A_PRICE, priced
from llmguard.usage.store.query import Period, conditions_of
from llmguard.usage.store.tables import usage_logs
from llmguard.usage.store.totals import Key, key_of, row_columns

_COSTS = ("input_cost", "output_cost", "total_cost", "price_status", "price_version")
_PRICED = ("priced", "estimated", "approximate")
_UNCACHED = {"cache_read_tokens": 0, "cache_write_tokens": 0}


def savings(
    engine: Engine, by: Sequence[str], period: Period, filters: dict[str, str], zone: tzinfo = timezone.utc
) -> dict[Key, Decimal]:
    """Dollars that caching saved by dimensions, below 0 where writing the cache cost more than reading it saved.

    Both sides are reckoned by what is known of prices now. Blocks of several requests are left out: nobody kept how
    much of each was cached.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    logs = usage_logs.c
    cached = or_(logs.cache_read_tokens > 0, logs.cache_write_tokens > 0)
    statement = select(usage_logs, *(column.label(f"by_{column.name}") for column in row_columns(by)))
    statement = statement.where(*conditions_of(period, filters), cached, logs.price_status.in_(_PRICED))
    found: dict[Key, Decimal] = {}
    with engine.connect() as connection:
        for each in connection.execute(statement, execution_options={"yield_per": 1000}).mappings():
            row = dict(each)
            saved = _saved(row)
            if saved is not None:
                key = key_of(by, {name.removeprefix("by_"): row[name] for name in row if name.startswith("by_")}, zone)
                found[key] = found.get(key, Decimal(0)) + saved
    return found


def _saved(row: dict[str, Any]) -> Decimal | None:
    details = row["usage_details"] if isinstance(row["usage_details"], dict) else {}
    if int(details.get("requests") or 1) > 1:
        return None
    data = {"service_tier": row["service_tier"], "usage_details": details}
    data |= {name: details.get(name) for name in FOR_A_PRICE}
    blank = {**row, **dict.fromkeys(_COSTS)}
    with_cache = priced(dict(blank), data)["total_cost"]
    without = priced({**blank, **_UNCACHED}, {**data, "cache_write_1h_tokens": None})["total_cost"]
    return None if with_cache is None or without is None else without - with_cache
