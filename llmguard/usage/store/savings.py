"""What caching saved: what calls would have cost without it, less what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timezone, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlalchemy import Engine, or_, select

from llmguard.usage.prices import RECKONED, priced_again
from llmguard.usage.store.query import Period, conditions_of
from llmguard.usage.store.tables import usage_logs
from llmguard.usage.store.totals import Key, key_of, row_columns


def savings(
    engine: Engine, by: Sequence[str], period: Period, filters: dict[str, str], zone: tzinfo = timezone.utc
) -> dict[Key, Decimal]:
    """Dollars that caching saved by dimensions, below 0 where writing the cache cost more than reading it saved.

    Both sides are reckoned by what is known of prices now. Blocks of several requests are left out: nobody kept how
    much of each was cached. An answer that came whole out of a cache here saved what it would have cost then.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    logs = usage_logs.c
    cached = or_(logs.cache_read_tokens > 0, logs.cache_write_tokens > 0) & logs.price_status.in_(RECKONED)
    hit = logs.usage_details["saved_cost"].as_string().is_not(None)
    statement = select(
        usage_logs, *(column.label(f"by_{column.name}") for column in row_columns(by, engine.dialect.name))
    )
    statement = statement.where(*conditions_of(period, filters), or_(cached, hit))
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
    if "saved_cost" in details:
        return _amount(details["saved_cost"])
    with_cache = priced_again(row)
    plain = {name: value for name, value in details.items() if not name.endswith("_cache_read_tokens")}
    without = priced_again(
        row, cache_read_tokens=0, cache_write_tokens=0, cache_write_1h_tokens=None, usage_details=plain
    )
    if with_cache is None or without is None:
        return None
    costs = (without["total_cost"], with_cache["total_cost"])
    return None if None in costs else costs[0] - costs[1]


def _amount(text: Any) -> Decimal | None:
    try:
        amount = Decimal(str(text))
    except InvalidOperation:
        return None
    return amount if amount.is_finite() else None
