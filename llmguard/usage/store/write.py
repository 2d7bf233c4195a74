"""Rows into the ledger: each exactly once, with its roll-up, in one transaction.

A row has the key (call_id, attempt_no). One that is there already changes nothing, unless it is `unknown` and the new
one is a real end: then it takes its place, and the roll-up changes by the difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from decimal import Decimal
from functools import lru_cache
from operator import add, itemgetter, sub
from typing import Any

from sqlalchemy import JSON, Connection, Engine, Table, and_, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from llmguard.usage.rows import amended, chosen, settled
from llmguard.usage.store.tables import (
    GRAIN,
    MONEY_SUMS,
    SITE_GRAIN,
    SUMS,
    Money,
    usage_hourly,
    usage_hourly_sites,
    usage_logs,
)

Row = dict[str, Any]
#: For each roll-up: key -> what is added to its row.
Sums = tuple[dict[tuple[Any, ...], list[Any]], dict[tuple[Any, ...], list[Any]]]
_MOST_AMENDED = 500
_MOST_VARIABLES = 30_000  # SQLite takes 32,766 in one statement, PostgreSQL 65,535
_COLUMNS = tuple(column.name for column in usage_logs.columns)
_NOTHING: dict[str, Any] = dict.fromkeys(_COLUMNS)
_values_of = itemgetter(*_COLUMNS)
_JSON = tuple(column.name for column in usage_logs.columns if isinstance(column.type, JSON))
_MONEY = tuple(column.name for column in usage_logs.columns if isinstance(column.type, Money))
_NANO = 1_000_000_000
_ZERO = [Decimal(0) if name in MONEY_SUMS else 0 for name in SUMS]
#: Roll-up, and the columns that make its key.
_ROLLUPS = ((usage_hourly, GRAIN), (usage_hourly_sites, SITE_GRAIN))
_NAMES = ", ".join(f'"{name}"' for name in _COLUMNS)
_SQLITE_INSERT = (
    f"INSERT INTO llm_usage_logs ({_NAMES}) VALUES ({', '.join('?' * len(_COLUMNS))}) ON CONFLICT DO NOTHING"
)
#: One parameter for all rows: thousands of placeholders take longer to compile than to insert.
_POSTGRESQL_INSERT = text(
    f"INSERT INTO llm_usage_logs ({_NAMES}) SELECT {_NAMES} "
    "FROM json_populate_recordset(NULL::llm_usage_logs, CAST(:rows AS json)) "
    "ON CONFLICT (call_id, attempt_no) DO NOTHING RETURNING id"
)


def write_rows(engine: Engine, rows: Iterable[Row], amendments: Iterable[Row] = ()) -> int:
    """Write rows, what is amended, and the roll-ups in one transaction.

    Args:
        engine: of the ledger.
        rows: columns of `llm_usage_logs`; missing ones are NULL. Of several with one key, the first real end counts.
        amendments: see `amended`; one of a row that is not there is passed over.

    Returns:
        How many rows are new, or took the place of an unknown one.

    Raises:
        SQLAlchemyError: the database refused; nothing was written.
    """
    unique, later = _unique(rows), list(amendments)
    if not unique and not later:
        return 0
    with engine.connect().execution_options(llmguard_write=True) as connection, connection.begin():
        changed = 0
        sums: Sums = ({}, {})
        for batch in _batches(unique):
            changed += _write(connection, batch, sums)
        _amend(connection, [each for each in later if "settles" not in each], sums)
        _settle(connection, [each for each in later if "settles" in each], sums)
        _roll_up(connection, sums)
    return changed


def _unique(rows: Iterable[Row]) -> list[Row]:
    """One row for each key, in the order of keys: every writer then locks in the same order."""
    found: dict[tuple[str, int], Row] = {}
    for row in rows:
        key = (row["call_id"], row.get("attempt_no") or 0)
        if key not in found or found[key]["status"] == "unknown":
            found[key] = row
    return [found[key] for key in sorted(found)]


def _batches(rows: list[Row]) -> Iterable[list[Row]]:
    size = _MOST_VARIABLES // len(_COLUMNS)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _write(connection: Connection, rows: list[Row], sums: Sums) -> int:
    named = [_named(row) for row in rows]
    inserted = _insert_new(connection, named)
    there = []
    for row in named:
        if row["id"] in inserted:
            _add(sums, row, 1)
        else:
            there.append(row)
    return len(inserted) + _replace_unknown(connection, there, sums)


def _replace_unknown(connection: Connection, rows: list[Row], sums: Sums) -> int:
    """Put real ends in the place of rows that are unknown; how many."""
    ends = [row for row in rows if row["status"] != "unknown"]
    before = _present(connection, [row["call_id"] for row in ends]) if ends else {}
    changed = 0
    for row in ends:
        old = before.get((row["call_id"], row["attempt_no"]))
        if old is None or old["status"] != "unknown":
            continue
        key = and_(usage_logs.c.call_id == row["call_id"], usage_logs.c.attempt_no == row["attempt_no"])
        statement = usage_logs.update().where(key, usage_logs.c.status == "unknown").values({**_NOTHING, **row})
        if connection.execute(statement).rowcount:
            _add(sums, old, -1)
            _add(sums, row, 1)
            changed += 1
    return changed


def _amend(connection: Connection, amendments: list[Row], sums: Sums) -> None:
    for start in range(0, len(amendments), _MOST_AMENDED):
        batch = amendments[start : start + _MOST_AMENDED]
        present = _present(connection, [each["call_id"] for each in batch])
        for each in batch:
            key = (each["call_id"], each["attempt_no"])
            old = present.get(key)
            if old is not None:
                present[key] = _changed(connection, old, amended(old, each), sums)


def _settle(connection: Connection, settlements: list[Row], sums: Sums) -> None:
    for each in settlements:
        same = select(usage_logs).where(usage_logs.c.provider_response_id == each["settles"])
        found = connection.execute(same.order_by(usage_logs.c.created_at, usage_logs.c.id).limit(20).with_for_update())
        old = chosen([dict(row) for row in found.mappings()])
        if old is not None:
            _changed(connection, old, settled(old, each), sums)


def _changed(connection: Connection, old: Row, new: Row, sums: Sums) -> Row:
    """Write what is new in a row, and its difference to the roll-ups."""
    changes = {name: value for name, value in new.items() if value != old[name]}
    if changes:
        connection.execute(usage_logs.update().where(usage_logs.c.id == old["id"]).values(changes))
        _add(sums, old, -1)
        _add(sums, new, 1)
    return new


def _insert_new(connection: Connection, rows: list[Row]) -> set[str]:
    """Insert the rows that are not there; the ids of those that really were inserted.

    In SQLite the transaction has the database for itself. In PostgreSQL another process may be writing the same row (a
    segment adopted twice), so what counts is what the statement returns.
    """
    if connection.dialect.name != "sqlite":
        sent = json.dumps(rows, default=_as_json)
        return set(connection.execute(_POSTGRESQL_INSERT, {"rows": sent}).scalars())
    connection.exec_driver_sql("SAVEPOINT batch")
    done = connection.exec_driver_sql(_SQLITE_INSERT, [_bound(row) for row in rows])
    if done.rowcount == len(rows):
        connection.exec_driver_sql("RELEASE batch")
        return {row["id"] for row in rows}
    # Some are there already: which ones, SQLite does not say of many at once.
    connection.exec_driver_sql("ROLLBACK TO batch")
    connection.exec_driver_sql("RELEASE batch")
    before = _present(connection, [row["call_id"] for row in rows])
    fresh = [row for row in rows if (row["call_id"], row["attempt_no"]) not in before]
    if fresh:
        connection.exec_driver_sql(_SQLITE_INSERT, [_bound(row) for row in fresh])
    return {row["id"] for row in fresh}


def _bound(row: Row) -> tuple[Any, ...]:
    """The values of a row as SQLite keeps them: what the types in `tables` make of them, in a fraction of the time."""
    values = {**_NOTHING, **row}
    moment: datetime = values["created_at"]
    values["created_at"] = moment.astimezone(timezone.utc).replace(tzinfo=None).isoformat(" ", "microseconds")
    for name in _MONEY:
        if values[name] is not None:
            values[name] = int((values[name] * _NANO).to_integral_value())
    for name in _JSON:
        if values[name] is not None:
            values[name] = json.dumps(values[name])
    bound: tuple[Any, ...] = _values_of(values)
    return bound


def _as_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _named(row: Row) -> Row:
    """A row with its key."""
    attempt = row.get("attempt_no") or 0
    identity = row["call_id"] if not attempt else f"{row['call_id']}:{attempt}"
    return {**row, "attempt_no": attempt, "id": identity}


def _present(connection: Connection, call_ids: list[str]) -> dict[tuple[str, int], Row]:
    """The rows that are there already; those that are unknown are locked."""
    found = connection.execute(select(usage_logs).where(usage_logs.c.call_id.in_(call_ids)).with_for_update())
    return {(row["call_id"], row["attempt_no"]): dict(row) for row in found.mappings()}


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


def _add(sums: Sums, row: Row, sign: int) -> None:
    amounts = amounts_of(row)
    for kept, key in zip(sums, keys_of(row), strict=True):
        kept[key] = list(map(add if sign > 0 else sub, kept.get(key) or _ZERO, amounts))


def _roll_up(connection: Connection, sums: Sums) -> None:
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
        true = _summed(connection)
        for (table, grain), sums in zip(_ROLLUPS, true, strict=True):
            kept = {
                tuple(row[name] for name in grain): [row[name] for name in SUMS]
                for row in connection.execute(select(table)).mappings()
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
        for table, _ in _ROLLUPS:
            if connection.dialect.name == "postgresql":
                connection.execute(text(f"LOCK TABLE {table.name} IN EXCLUSIVE MODE"))
            connection.execute(table.delete())
        _roll_up(connection, _summed(connection))
        return connection.execute(select(func.count()).select_from(usage_hourly)).scalar_one()


def _summed(connection: Connection) -> Sums:
    """What all rows add up to."""
    sums: Sums = ({}, {})
    needed = [usage_logs.c[name] for name in (*_ROLLED, "created_at")]
    for row in connection.execute(select(*needed), execution_options={"yield_per": 5000}).mappings():
        _add(sums, dict(row), 1)
    return sums


_ROLLED = (
    *dict.fromkeys((*GRAIN[1:], *SITE_GRAIN[1:])),
    *("status", "tokens_used", "prompt_tokens", "completion_tokens", "duration_ms", "total_cost", "usage_source"),
    "price_status",
)
