"""The roll-ups: sums by hour, kept in the transaction that writes the rows, so that pages over millions of rows answer
from them."""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from functools import lru_cache
from operator import add, sub
from typing import Any

from sqlalchemy import Connection, Engine, Table, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from llmguard.usage.store.tables import (
    GRAIN,
    MONEY_SUMS,
    SITE_GRAIN,
    SUMS,
    usage_hourly,
    usage_hourly_sites,
    usage_logs,
    usage_retention,
)

Row = dict[str, Any]
#: For each roll-up: key -> what is added to its row.
Sums = tuple[dict[tuple[Any, ...], list[Any]], dict[tuple[Any, ...], list[Any]]]
_ZERO = [Decimal(0) if name in MONEY_SUMS else 0 for name in SUMS]
#: Roll-up, and the columns that make its key.
_ROLLUPS = ((usage_hourly, GRAIN), (usage_hourly_sites, SITE_GRAIN))


def keys_of(row: Row) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """The keys of the roll-up rows that a row belongs to, in the order of `GRAIN` and of `SITE_GRAIN`."""
    get = row.get
    hour = row["created_at"].replace(minute=0, second=0, microsecond=0)
    tenant, environment = get("tenant") or "", get("environment") or ""
    rest = (get("service_name") or "", get("feature_context") or "", get("provider") or "", get("model") or "")
    return (
        (hour, tenant, environment, get("user_id") or "", *rest),
        (
            *(hour, tenant, environment, *rest),
            *(get("code_file") or "", get("code_function") or "", get("code_line") or 0, get("code_blob") or ""),
        ),
    )


def amounts_of(row: Row) -> tuple[Any, ...]:
    """What a row adds to its roll-up rows, in the order of `SUMS`."""
    status = row["status"]
    get = row.get
    cost = get("total_cost")
    estimated = cost is not None and is_estimated(row)
    return (
        1,
        int(status in ("error", "timeout")),
        int(status == "unknown"),
        int(cost is None),
        int(estimated),
        get("tokens_used") or 0,
        get("prompt_tokens") or 0,
        get("completion_tokens") or 0,
        get("duration_ms") or 0,
        cost or 0,
        cost if estimated else 0,
    )


def is_estimated(row: Row) -> bool:
    """Whether the cost of a row, if it has one, is an estimate: of its tokens, or by a stated discount."""
    return row.get("usage_source") == "estimated" or row.get("price_status") in ("estimated", "approximate")


def add_row(sums: Sums, row: Row, sign: int) -> None:
    """Add a row to sums, or take it away (-1)."""
    amounts = amounts_of(row)
    change = add if sign > 0 else sub
    for kept, key in zip(sums, keys_of(row), strict=True):
        kept[key] = list(map(change, kept.get(key) or _ZERO, amounts))


def roll_up(connection: Connection, sums: Sums) -> None:
    """Add to the roll-ups."""
    for (table, grain), kept in zip(_ROLLUPS, sums, strict=True):
        names = (*grain, *SUMS)
        rows = [dict(zip(names, (*key, *total), strict=True)) for key, total in sorted(kept.items()) if any(total)]
        if rows:
            connection.execute(_upsert(connection.dialect.name, table), rows)


@lru_cache(maxsize=4)
def _upsert(dialect: str, table: Table) -> Any:
    """The statement that adds to roll-up rows; made once, for SQLAlchemy to compile it once."""
    statement = (sqlite.insert if dialect == "sqlite" else postgresql.insert)(table)
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={name: table.c[name] + statement.excluded[name] for name in SUMS},
    )


def differences(engine: Engine) -> list[dict[str, Any]]:
    """Roll-up rows whose sums are not those of the rows; empty when all agree.

    Returns:
        For each: `table`, the columns of its key, and `column: (roll-up, rows)` for what differs.
    """
    # All questions must see one state of a ledger that is being written.
    level = {"isolation_level": "REPEATABLE READ"} if engine.dialect.name == "postgresql" else {}
    found: list[dict[str, Any]] = []
    with engine.connect().execution_options(**level) as connection, connection.begin():
        since = rows_since(connection)
        true = _summed(connection, since)
        for (table, grain), sums in zip(_ROLLUPS, true, strict=True):
            kept = {
                tuple(row[name] for name in grain): [row[name] for name in SUMS]
                for row in connection.execute(select(table).where(table.c.hour >= since)).mappings()
            }
            for key in sorted({*kept, *sums}):
                ours, theirs = kept.get(key, _ZERO), sums.get(key, _ZERO)
                wrong = {name: (a, b) for name, a, b in zip(SUMS, ours, theirs, strict=True) if a != b}
                if wrong:
                    found.append({"table": table.name, **dict(zip(grain, key, strict=True)), **wrong})
    return found


def recompute(engine: Engine) -> int:
    """Write the roll-ups anew from the rows, in one transaction; the number of rows of the one by user."""
    with engine.connect().execution_options(llmguard_write=True) as connection, connection.begin():
        since = rows_since(connection)
        for table, _ in _ROLLUPS:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))
            connection.execute(table.delete().where(table.c.hour >= since))
        roll_up(connection, _summed(connection, since))
        return connection.execute(select(func.count()).select_from(usage_hourly)).scalar_one()


def rows_since(connection: Connection) -> datetime:
    """Since when the rows are there. The sums of before are all that is left of theirs, and stay as they are."""
    found = connection.execute(select(func.max(usage_retention.c.rows_since))).scalar()
    return found or _ALWAYS


_ALWAYS = datetime(1, 1, 2, tzinfo=timezone.utc)


def _summed(connection: Connection, since: datetime) -> Sums:
    """What all rows add up to."""
    sums: Sums = ({}, {})
    needed = [usage_logs.c[name] for name in (*_ROLLED, "created_at")]
    statement = select(*needed).where(usage_logs.c.created_at >= since)
    for row in connection.execute(statement, execution_options={"yield_per": 5000}).mappings():
        add_row(sums, dict(row), 1)
    return sums


_ROLLED = (
    *dict.fromkeys((*GRAIN[1:], *SITE_GRAIN[1:])),
    *("status", "tokens_used", "prompt_tokens", "completion_tokens", "duration_ms", "total_cost", "usage_source"),
    "price_status",
)
