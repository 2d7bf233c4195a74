"""Taking over the calls of an older tracker: in pieces, each with its sums and its mark in one transaction."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Engine, text

from llmguard.errors import LLMGuardError
from llmguard.usage.store.older.found import OldTable
from llmguard.usage.store.older.mapping import expressions, quoted
from llmguard.usage.store.tables import GRAIN, SITE_GRAIN, SUMS

PIECE = 10_000  # rows of one transaction


class TakeOverError(LLMGuardError):
    """What was taken over is not what was there."""


def statements(table: OldTable, source: str, dialect: str, piece: str = "TRUE") -> list[str]:
    """The statements that take over the rows of a piece of an old table: their sums by hour and by site, and they.

    Args:
        table: of calls or reports.
        source: where it lies, quoted.
        dialect: "postgresql" or "sqlite".
        piece: condition on its row `o`.
    """
    made = expressions(table, "o", dialect)
    fresh = f"FROM {source} o WHERE {piece} AND NOT EXISTS (SELECT 1 FROM llm_usage_logs l WHERE l.id = {made['id']})"
    rows = f"(SELECT {', '.join(f'{value} AS {quoted(name)}' for name, value in made.items())} {fresh}) AS m"
    sums = [
        _adding(target, grain, made, rows, dialect)
        for target, grain in (("llm_usage_hourly", GRAIN), ("llm_usage_hourly_sites", SITE_GRAIN))
    ]
    names, values = ", ".join(map(quoted, made)), ", ".join(made.values())
    return [*sums, f"INSERT INTO llm_usage_logs ({names}) SELECT {values} {fresh}"]


def _adding(target: str, grain: tuple[str, ...], made: dict[str, str], rows: str, dialect: str) -> str:
    hour = (
        "strftime('%Y-%m-%d %H:00:00.000000', m.created_at)"
        if dialect == "sqlite"
        else "date_trunc('hour', m.created_at, 'UTC')"
    )
    keys = [
        f"COALESCE(m.{quoted(name)}, {0 if name == 'code_line' else chr(39) * 2})"
        if name in made
        else ("0" if name == "code_line" else "''")
        for name in grain[1:]
    ]
    cost = "m.total_cost" if "total_cost" in made else "NULL"
    amounts = {
        "calls": "COUNT(*)",
        "errors": "SUM(CASE WHEN m.status IN ('error', 'timeout') THEN 1 ELSE 0 END)",
        "unknown_calls": "SUM(CASE WHEN m.status = 'unknown' THEN 1 ELSE 0 END)",
        "unpriced_calls": f"SUM(CASE WHEN {cost} IS NULL THEN 1 ELSE 0 END)",
        "estimated_calls": "0",
        "estimated_cost": "0",
        "total_cost": f"COALESCE(SUM({cost}), 0)" if "total_cost" in made else "0",
        **{
            name: f"COALESCE(SUM(m.{column}), 0)" if column in made else "0"
            for name, column in (
                ("tokens", "tokens_used"),
                *((each, each) for each in ("prompt_tokens", "completion_tokens", "duration_ms")),
            )
        },
    }
    groups = ", ".join(str(number + 1) for number in range(len(grain)))
    changes = ", ".join(f"{each} = {target}.{each} + excluded.{each}" for each in SUMS)
    return (
        f"INSERT INTO {target} ({', '.join((*grain, *SUMS))}) "
        f"SELECT {', '.join((hour, *keys, *(amounts[each] for each in SUMS)))} FROM {rows} WHERE TRUE "
        f"GROUP BY {groups} ORDER BY {groups} ON CONFLICT ({', '.join(grain)}) DO UPDATE SET {changes}"
    )


def take_over(engine: Engine, table: OldTable, source: str) -> int:
    """Take over what is left of an old table; how many rows came.

    Raises:
        SQLAlchemyError: the database refused; what was taken is marked, and the rest is taken next time.
    """
    dialect = engine.dialect.name
    key, kind = ("o.rowid", "INTEGER") if dialect == "sqlite" else ("o.id", _type_of_id(table))
    came = 0
    while True:
        with engine.connect().execution_options(llmguard_write=True) as connection, connection.begin():
            taken = _take_piece(connection, table, source, key, kind)
            if taken is None:
                return came
            came += taken


def _take_piece(connection: Connection, table: OldTable, source: str, key: str, kind: str) -> int | None:
    place = {"place": table.place}
    mark = connection.execute(
        text(f"SELECT last_id FROM llmguard_adoption WHERE place = :place{_lock(connection)}"), place
    )
    after = mark.scalar_one()
    behind = f"{key} > CAST(:after AS {kind})" if after is not None else "TRUE"
    values: dict[str, Any] = {} if after is None else {"after": after}
    last = connection.execute(
        text(
            f"SELECT CAST(max_id AS TEXT) FROM (SELECT {key} AS max_id FROM {source} o WHERE {behind} "
            f"ORDER BY {key} LIMIT {PIECE}) AS piece ORDER BY max_id DESC LIMIT 1"
        ),
        values,
    ).scalar()
    if last is None:
        return None
    values["last"] = last
    *sums, rows = statements(table, source, connection.dialect.name, f"{behind} AND {key} <= CAST(:last AS {kind})")
    with _TakingOver(connection):
        for statement in sums:
            connection.execute(text(statement), values)
        count = connection.execute(text(rows), values).rowcount
    connection.execute(
        text("UPDATE llmguard_adoption SET last_id = :last, rows_taken = rows_taken + :count WHERE place = :place"),
        {"last": last, "count": count, **place},
    )
    return count


def _lock(connection: Connection) -> str:
    return " FOR UPDATE" if connection.dialect.name == "postgresql" else ""


class _TakingOver:
    """While rows come as they are, with their sums, the ledger's triggers leave them alone."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._trigger = ""

    def __enter__(self) -> None:
        if self._connection.dialect.name == "postgresql":
            self._connection.execute(text("SET LOCAL llmguard.takes_over = 'on'"))
            return
        find = "SELECT sql FROM sqlite_master WHERE name = 'llmguard_fill_in'"
        self._trigger = self._connection.exec_driver_sql(find).scalar_one()
        self._connection.exec_driver_sql("DROP TRIGGER llmguard_fill_in")

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if self._trigger and kind is None:
            self._connection.exec_driver_sql(self._trigger)


def finish(connection: Connection, table: OldTable, source: str) -> None:
    """Compare an old table with what came of it, and note that it is done.

    Raises:
        TakeOverError: the ledger does not hold what the table holds.
    """
    identity = expressions(table, "o", connection.dialect.name)["id"]
    there, missing = connection.execute(
        text(
            f"SELECT COUNT(*), SUM(CASE WHEN l.id IS NULL THEN 1 ELSE 0 END) FROM {source} o "
            f"LEFT JOIN llm_usage_logs l ON l.id = {identity}"
        )
    ).one()
    if missing:
        raise TakeOverError(f"{missing:,} of {there:,} rows of {table.place} did not come into the ledger")
    connection.execute(
        text("UPDATE llmguard_adoption SET state = 'done', rows_there = :there WHERE place = :place"),
        {"place": table.place, "there": there},
    )


def _type_of_id(table: OldTable) -> str:
    return next(column.type for column in table.columns if column.name == "id")
