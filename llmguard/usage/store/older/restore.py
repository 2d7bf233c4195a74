"""Back to what an older tracker had: its tables go to their places, with the calls that came since."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text

from llmguard.errors import LLMGuardError
from llmguard.usage.store.older import layouts
from llmguard.usage.store.older.adopt import marks, noted_table, run, split
from llmguard.usage.store.older.found import OldColumn, OldTable
from llmguard.usage.store.older.mapping import quoted, shown
from llmguard.usage.store.older.postgresql import function_of

_MOST = 2_147_483_647


def restore(connection: Connection, downgrade: Callable[[], None], *, without_new: bool = False) -> int:
    """Put everything back, in the caller's transaction; how many calls of the ledger went into the older tables.

    Args:
        connection: of the ledger, in a transaction.
        downgrade: takes the ledger's own tables away.
        without_new: calls that fit no older table are given up.

    Raises:
        LLMGuardError: calls would be lost.
        SQLAlchemyError: the database refused.
    """
    noted = marks(connection)
    tables = [(mark, noted_table(connection, mark)) for mark in noted]
    put = _put_back(connection, tables, without_new=without_new)
    is_sqlite = connection.dialect.name == "sqlite"
    run(connection, _views_gone_sqlite(connection, noted) if is_sqlite else _views_gone(connection, tables))
    downgrade()
    run(connection, _moved_back_sqlite(connection) if is_sqlite else _moved_back(connection, noted))
    return put


def _put_back(
    connection: Connection, tables: list[tuple[tuple[str, str, str, str], OldTable]], *, without_new: bool
) -> int:
    calls = [(mark[2], table) for mark, table in tables if mark[1] in ("calls", "reports")]
    known = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {source} o WHERE CAST(o.id AS TEXT) = l.id)" for source, _ in calls
    )
    new = connection.execute(text(f"SELECT count(*) FROM llm_usage_logs l WHERE {known}")).scalar_one() if calls else 0
    if not new:
        return 0
    source, table = calls[0]
    dialect = connection.dialect.name
    values = {column.name: _back(table, column, dialect) for column in table.columns}
    fits = [f"{values[column.name]} IS NOT NULL" for column in table.columns if column.is_required]
    fits += [
        f"({values[name]} IS NULL OR EXISTS (SELECT 1 FROM {other} f WHERE f.{quoted(key)} = {values[name]}))"
        for name, other, key in _references(connection, source)
    ]
    names = ", ".join(map(quoted, values))
    statement = (
        f"INSERT INTO {source} ({names}) SELECT {', '.join(values.values())} FROM llm_usage_logs l WHERE {known}"
    )
    put = connection.execute(text(" AND ".join((statement, *fits)))).rowcount
    if put < new and not without_new:
        raise LLMGuardError(
            f"{new - put:,} calls that were recorded since do not fit {table.place} and would be lost: save them "
            "(llmguard usage export FILE), then downgrade with --without-new-calls"
        )
    return int(put)


def _back(table: OldTable, column: OldColumn, dialect: str) -> str:
    value = shown(table, column, dialect)
    if dialect == "sqlite":
        return value
    if column.name == "id" and column.type == "uuid":
        return f"COALESCE({value}, gen_random_uuid())"
    head, _, length = column.type.partition("(")
    if head == "character varying" and length:
        return f"LEFT({value}, {length.rstrip(')')})"
    if column.type == "integer" and "CASE" not in value and value != "NULL":
        return f"CASE WHEN {value} <= {_MOST} THEN CAST({value} AS integer) END"
    return value


def _references(connection: Connection, source: str) -> list[tuple[str, str, str]]:
    """(column, table that it refers to, column of that) of a table in PostgreSQL."""
    if connection.dialect.name == "sqlite":
        return []
    statement = (
        "SELECT a.attname, c.confrelid::regclass::text, f.attname FROM pg_constraint c "
        "JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] "
        "JOIN pg_attribute f ON f.attrelid = c.confrelid AND f.attnum = c.confkey[1] "
        "WHERE c.conrelid = to_regclass(:source) AND c.contype = 'f' AND array_length(c.conkey, 1) = 1"
    )
    rows = connection.execute(text(statement), {"source": source}).all()
    return [(row[0], row[1], row[2]) for row in rows]


def _views_gone(connection: Connection, tables: list[tuple[tuple[str, str, str, str], OldTable]]) -> list[str]:
    statements = []
    for (_, kind, _, _), table in tables:
        if kind in ("reports", "pricing", "summaries") or (kind == "calls" and table.name != "llm_usage_logs"):
            statements.append(f"DROP VIEW {quoted(table.schema)}.{quoted(table.name)}")
            statements.append(f"DROP FUNCTION IF EXISTS {function_of(table)}()")
        if kind == "summaries":
            statements.append("DROP TABLE llm_usage_summary_before")
    kinds = connection.execute(
        text(
            "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = current_schema() AND c.relkind = 'm' AND c.relname = ANY(:names)"
        ),
        {"names": list(layouts.DAILY)},
    )
    materialized = list(kinds.scalars())
    aside = sorted(
        {split(source)[0] for (place, _, source, _), _ in tables if split(source)[0] != place.rpartition(".")[0]}
    )
    set_aside = [row[0] for each in aside for row in connection.execute(text(_FUNCTIONS), {"schema": each}).all()]
    if "refresh_groq_usage_summary" in set_aside:  # the one that stands in its place
        statements.append("DROP FUNCTION IF EXISTS refresh_groq_usage_summary()")
    views = [
        row[0]
        for each in aside
        for row in connection.execute(text(_RELATIONS), {"schema": each}).all()
        if row[1] == "v"
    ]
    if "groq_usage_daily_summary" in views:
        statements.append("DROP VIEW IF EXISTS groq_usage_daily_summary")
    if not materialized:
        return statements
    statements += [f"DROP MATERIALIZED VIEW {quoted(name)}" for name in materialized]
    statements.append("DROP FUNCTION refresh_llm_usage_summary()")
    statements.append("ALTER FUNCTION llmguard_refresh_sums() RENAME TO refresh_llm_usage_summary")
    if "llm_usage_daily_summary" in materialized:  # what takes the tables away looks for a view
        statements.append("CREATE VIEW llm_usage_daily_summary AS SELECT 1 AS nothing")
    return statements


def _moved_back(connection: Connection, noted: list[tuple[str, str, str, str]]) -> list[str]:
    """Everything in the schemas that hold what was set aside goes back, and they go."""
    aside: dict[str, str] = {}
    for place, _, source, _ in noted:
        schema, home = split(source)[0], place.rpartition(".")[0]
        if schema != home:
            aside[schema] = home
    statements = []
    for schema, home in aside.items():
        values = {"schema": schema}
        for name, kind in connection.execute(text(_RELATIONS), values).all():
            what = {"m": "MATERIALIZED VIEW", "v": "VIEW"}.get(kind, "TABLE")
            statements.append(f"ALTER {what} {quoted(schema)}.{quoted(name)} SET SCHEMA {quoted(home)}")
        for (name,) in connection.execute(text(_FUNCTIONS), values).all():
            statements.append(f"ALTER FUNCTION {quoted(schema)}.{quoted(name)}() SET SCHEMA {quoted(home)}")
        statements.append(f"DROP SCHEMA {quoted(schema)}")
    return [*statements, "DROP TABLE llmguard_adoption"]


_RELATIONS = (
    "SELECT c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = :schema AND c.relkind IN ('r', 'p', 'm', 'v') ORDER BY 2, 1"
)
_FUNCTIONS = (
    "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
    "WHERE n.nspname = :schema AND p.pronargs = 0 ORDER BY 1"
)


def _views_gone_sqlite(connection: Connection, noted: list[tuple[str, str, str, str]]) -> list[str]:
    there = {row[0]: row[1] for row in connection.exec_driver_sql("SELECT name, type FROM sqlite_master").all()}
    names = [place for place, kind, _, _ in noted if kind == "calls" and there.get(place) == "view"]
    names += [name for name in ("groq_usage_daily_summary",) if there.get(name) == "view"]
    return [f"DROP VIEW {quoted(name)}" for name in names]


def _moved_back_sqlite(connection: Connection) -> list[str]:
    undo = connection.exec_driver_sql("SELECT statement FROM llmguard_adoption_undo ORDER BY number").scalars()
    return [*undo, "DROP TABLE llmguard_adoption_undo", "DROP TABLE llmguard_adoption"]
