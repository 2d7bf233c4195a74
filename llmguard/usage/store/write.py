"""Rows into the ledger: each exactly once, with its roll-up, in one transaction.

A row has the key (call_id, attempt_no). One that is there already changes nothing, unless it is `unknown` and the new
one is a real end: then it takes its place, and the roll-up changes by the difference.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from operator import itemgetter
from typing import Any

from sqlalchemy import JSON, Connection, Engine, and_, select, text

from llmguard.usage.limits.counting import Change, Place
from llmguard.usage.limits.counting import settled as settled_claims
from llmguard.usage.rows import amended, chosen, settled
from llmguard.usage.store.counters import change_counters
from llmguard.usage.store.rollup import Sums, add_row, roll_up
from llmguard.usage.store.tables import Money, usage_logs

Row = dict[str, Any]
_MOST_AMENDED = 500
_MOST_VARIABLES = 30_000  # SQLite takes 32,766 in one statement, PostgreSQL 65,535
_COLUMNS = tuple(column.name for column in usage_logs.columns)
_NOTHING: dict[str, Any] = dict.fromkeys(_COLUMNS)
_values_of = itemgetter(*_COLUMNS)
_JSON = tuple(column.name for column in usage_logs.columns if isinstance(column.type, JSON))
_MONEY = tuple(column.name for column in usage_logs.columns if isinstance(column.type, Money))
_NANO = 1_000_000_000
_WITHOUT_OFFSET = len("2026-01-01 00:00:00.000000")
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
        changes: dict[Place, Change] = {}
        for batch in _batches(unique):
            changed += _write(connection, batch, sums, changes)
        _amend(connection, [each for each in later if "settles" not in each], sums)
        _settle(connection, [each for each in later if "settles" in each], sums)
        roll_up(connection, sums)
        change_counters(connection, changes)  # last: running calls wait for these
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


def _write(connection: Connection, rows: list[Row], sums: Sums, changes: dict[Place, Change]) -> int:
    named = [_named(row) for row in rows]
    claims = {row["id"]: row.pop("limits") for row in named if "limits" in row}
    inserted = _insert_new(connection, named)
    there = []
    for row in named:
        if row["id"] in inserted:
            add_row(sums, row, 1)
            if row["id"] in claims:
                _add_changes(changes, settled_claims(claims[row["id"]], row, None))
        else:
            there.append(row)
    return len(inserted) + _replace_unknown(connection, there, sums, claims, changes)


def _add_changes(changes: dict[Place, Change], more: dict[Place, Change]) -> None:
    for place, change in more.items():
        before = changes.get(place)
        if before is None:
            changes[place] = change
        else:
            changes[place] = Change(
                before.used + change.used,
                before.over + change.over,
                before.calls + change.calls,
                before.unpriced + change.unpriced,
                before.end if change.end is None else change.end,
            )


def _replace_unknown(
    connection: Connection, rows: list[Row], sums: Sums, claims: dict[str, Any], changes: dict[Place, Change]
) -> int:
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
            add_row(sums, old, -1)
            add_row(sums, row, 1)
            if row["id"] in claims:
                _add_changes(changes, settled_claims(claims[row["id"]], row, old))
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
        add_row(sums, old, -1)
        add_row(sums, new, 1)
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
    in_utc = moment if moment.tzinfo is timezone.utc else moment.astimezone(timezone.utc)
    values["created_at"] = in_utc.isoformat(" ", "microseconds")[:_WITHOUT_OFFSET]
    for name in _MONEY:
        if values[name] is not None:
            values[name] = round(values[name] * _NANO)
    for name in _JSON:
        if values[name] is not None:
            values[name] = json.dumps(values[name])
    bound: tuple[Any, ...] = _values_of(values)
    return bound


def _as_json(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _named(row: Row) -> Row:
    """A row with its key; one without a word on its price would be taken for one that somebody else has inserted."""
    attempt = row.get("attempt_no") or 0
    identity = row["call_id"] if not attempt else f"{row['call_id']}:{attempt}"
    return {**row, "attempt_no": attempt, "id": identity, "price_status": row.get("price_status") or "unknown"}


def _present(connection: Connection, call_ids: list[str]) -> dict[tuple[str, int], Row]:
    """The rows that are there already; those that are unknown are locked."""
    found = connection.execute(select(usage_logs).where(usage_logs.c.call_id.in_(call_ids)).with_for_update())
    return {(row["call_id"], row["attempt_no"]): dict(row) for row in found.mappings()}
