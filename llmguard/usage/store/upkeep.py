"""Deleting old calls, erasing or anonymising a user, and what a database wants to be told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, delete, func, insert, select, text, update

from llmguard.usage.limits.limit import EACH
from llmguard.usage.store.older.adopt import marks, split
from llmguard.usage.store.rollup import Sums, add_row, roll_up, rows_since
from llmguard.usage.store.tables import (
    rate_limit_counters,
    rate_limits,
    stops,
    usage_hourly,
    usage_logs,
    usage_repricings,
    usage_retention,
)

_PIECE = 1000
#: Columns that say who somebody is, or what he wrote.
_PERSONAL = (
    *("username", "ip_address", "user_agent", "request_id", "flow_id", "error_message"),
    *("metadata", "request_data", "response_data"),
)


def prune(engine: Engine, before: datetime, *, dry_run: bool = False) -> int:
    """Delete the calls of before a moment, piece by piece; how many. Their sums stay, and are not made anew from then
    on.

    Args:
        engine: of the ledger.
        before: taken down to a whole hour (UTC), of which sums are kept.
        dry_run: nothing is deleted.

    Raises:
        SQLAlchemyError: the database does not answer; what was deleted is noted.
    """
    moment = min(before, datetime.now(timezone.utc)).astimezone(timezone.utc)
    moment = moment.replace(minute=0, second=0, microsecond=0)
    old = usage_logs.c.created_at < moment
    if dry_run:
        with engine.connect() as connection:
            return int(connection.execute(select(func.count()).select_from(usage_logs).where(old)).scalar_one())
    with _writing(engine) as connection:
        if rows_since(connection) < moment:  # noted first: what breaks off must not take sums with it
            connection.execute(insert(usage_retention).values(rows_since=moment, noted_at=datetime.now(timezone.utc)))
    return _in_pieces(engine, old)


def _in_pieces(engine: Engine, condition: Any) -> int:
    total = 0
    piece = select(usage_logs.c.id).where(condition).order_by(usage_logs.c.created_at).limit(_PIECE)
    while True:
        with _writing(engine) as connection:
            ids = list(connection.execute(piece).scalars())
            if ids:
                connection.execute(delete(usage_repricings).where(usage_repricings.c.usage_id.in_(ids)))
                total += connection.execute(delete(usage_logs).where(usage_logs.c.id.in_(ids))).rowcount
        if not ids:
            return total


class Erased(NamedTuple):
    """What was found of a user: calls, sums by hour, limits and stops, and rows of older tables that were set aside."""

    calls: int
    sums: int
    limits: int
    set_aside: int = 0


def found_of(engine: Engine, user: str) -> Erased:
    """What the ledger holds of a user.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    with engine.connect() as connection:
        numbers = [
            connection.execute(select(func.count()).select_from(table).where(table.c.user_id == user)).scalar_one()
            for table in (usage_logs, usage_hourly, rate_limits, stops)
        ]
        older = sum(
            connection.execute(text(f"SELECT count(*) FROM {place} WHERE {_THEIRS}"), {"user": user}).scalar_one()
            for place in _older(connection)
        )
    return Erased(numbers[0], numbers[1], numbers[2] + numbers[3], older)


_THEIRS = "CAST(user_id AS TEXT) = :user"


def _older(connection: Connection) -> list[str]:
    """Tables of an older tracker that were set aside, and are still there: they hold users too."""
    places = [(split(lies_in), lies_in) for _, kind, lies_in, _ in marks(connection) if kind in _OF_USERS]
    return [
        lies_in
        for (schema, name), lies_in in places
        if connection.dialect.has_table(connection, name, schema=schema or None)
    ]


_OF_USERS = ("calls", "reports", "limits")


def _older_gone(connection: Connection, user: str) -> int:
    return sum(
        connection.execute(text(f"DELETE FROM {place} WHERE {_THEIRS}"), {"user": user}).rowcount
        for place in _older(connection)
    )


def erase(engine: Engine, user: str) -> Erased:
    """Delete all that the ledger holds of a user: calls, sums by hour, limits, and his rows in older tables that were
    set aside. The sums by call site lose what the
    calls that are there added to them.

    Raises:
        SQLAlchemyError: the database does not answer; what was deleted is gone, and the rest is deleted next time.
    """
    calls = 0
    mine = select(usage_logs).where(usage_logs.c.user_id == user).order_by(usage_logs.c.id).limit(_PIECE)
    while True:
        with _writing(engine) as connection:
            rows = [dict(row) for row in connection.execute(mine.with_for_update()).mappings()]
            _take_away(connection, rows)
        if not rows:
            break
        calls += len(rows)
    with _writing(engine) as connection:
        sums = connection.execute(delete(usage_hourly).where(usage_hourly.c.user_id == user)).rowcount
        return Erased(calls, sums, _limits_gone(connection, user), _older_gone(connection, user))


def _take_away(connection: Connection, rows: list[dict[str, Any]]) -> None:
    if not rows:
        return
    sums: Sums = ({}, {})
    for row in rows:
        add_row(sums, row, -1)
    roll_up(connection, sums)
    ids = [row["id"] for row in rows]
    connection.execute(delete(usage_repricings).where(usage_repricings.c.usage_id.in_(ids)))
    connection.execute(delete(usage_logs).where(usage_logs.c.id.in_(ids)))


def anonymise(engine: Engine, user: str) -> tuple[str, Erased]:
    """Put a name that says nothing in the place of a user, and forget what tells who he was; what he spent stays.

    Returns:
        The name, and what bears it now.

    Raises:
        SQLAlchemyError: the database does not answer; the next try gives the rest another name.
    """
    name = f"anonymous-{uuid.uuid4().hex[:12]}"
    calls = 0
    mine = select(usage_logs.c.id).where(usage_logs.c.user_id == user).limit(_PIECE)
    while True:
        with _writing(engine) as connection:
            ids = list(connection.execute(mine).scalars())
            if ids:
                blank = {usage_logs.c[each]: None for each in _PERSONAL}
                changed = update(usage_logs).where(usage_logs.c.id.in_(ids))
                connection.execute(changed.values({**blank, usage_logs.c.user_id: name}))
        if not ids:
            break
        calls += len(ids)
    with _writing(engine) as connection:
        sums = connection.execute(
            update(usage_hourly).where(usage_hourly.c.user_id == user).values(user_id=name)
        ).rowcount
        return name, Erased(calls, sums, _limits_gone(connection, user), _older_gone(connection, user))


def _limits_gone(connection: Connection, user: str) -> int:
    number = 0
    for table in (rate_limits, stops) if user != EACH else ():  # those are of each user, not of one of that name
        number += connection.execute(delete(table).where(table.c.user_id == user)).rowcount
    part = json.dumps(["user_id", user], separators=(",", ":"))
    place = func.instr if connection.dialect.name == "sqlite" else func.strpos  # LIKE is blind to case in SQLite
    connection.execute(delete(rate_limit_counters).where(place(rate_limit_counters.c.limit_key, part) > 0))
    return number


def _writing(engine: Engine) -> Any:
    return engine.execution_options(llmguard_write=True).begin()


def advice(engine: Engine) -> Iterator[str]:
    """What would make the database smaller or faster, with the command.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            size, free, page = (
                int(connection.exec_driver_sql(f"PRAGMA {name}").scalar_one())
                for name in ("page_count", "freelist_count", "page_size")
            )
            if free * 4 > size and free * page > _WORTH:
                room = f"{free * page:,} of its {size * page:,} bytes are free"
                yield f"{room}: VACUUM (sqlite3 FILE VACUUM) gives them back"
            return
        rows = connection.execute(text(_DEAD), {"least": 10_000}).all()
    for name, dead, live in rows:
        yield f"{dead:,} dead rows beside {live:,} in {name}: VACUUM (ANALYZE) {name}, or look why autovacuum does not"


_WORTH = 10_000_000  # bytes
_DEAD = (
    "SELECT relname, n_dead_tup, n_live_tup FROM pg_stat_user_tables WHERE schemaname = current_schema() "
    "AND relname LIKE 'llm\\_%' AND n_dead_tup > :least AND n_dead_tup * 5 > n_live_tup ORDER BY 1"
)
