"""Back to what an older tracker had: its tables go to their places, with the calls that came since."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, text

from llmguard.errors import LLMGuardError
from llmguard.usage.store.older import layouts
from llmguard.usage.store.older.adopt import marks, noted_table, run, split
from llmguard.usage.store.older.found import OldTable, readers
from llmguard.usage.store.older.mapping import quoted
from llmguard.usage.store.older.postgresql import function_of
from llmguard.usage.store.older.put_back import put_back


def restore(connection: Connection, downgrade: Callable[[], None], *, without_new: bool = False) -> int:
    """Put everything back, in the caller's transaction; how many calls of the ledger went into the older tables.

    Args:
        connection: of the ledger, in a transaction.
        downgrade: takes the ledger's own tables away.
        without_new: what fits no older table is given up.

    Raises:
        LLMGuardError: calls, prices or limits would be lost.
        SQLAlchemyError: the database refused.
    """
    noted = marks(connection)
    tables = [(mark, noted_table(connection, mark)) for mark in noted]
    if connection.dialect.name != "sqlite":
        _refuse_readers(connection, tables)
    put = put_back(connection, [(mark[2], mark[3], table) for mark, table in tables], without_new=without_new)
    is_sqlite = connection.dialect.name == "sqlite"
    run(connection, _views_gone_sqlite(connection, noted) if is_sqlite else _views_gone(connection, tables))
    downgrade()
    run(connection, _moved_back_sqlite(connection) if is_sqlite else _moved_back(connection, noted))
    return put


def _refuse_readers(connection: Connection, tables: list[tuple[tuple[str, str, str, str], OldTable]]) -> None:
    """Nobody's own views read what goes.

    Raises:
        LLMGuardError: some do.
    """
    here = connection.execute(text("SELECT current_schema()")).scalar() or ""
    places = [(here, list(_OURS)), *((table.schema, [table.name]) for _, table in tables)]
    names = {reader for schema, each in places for reader in readers(connection, schema, each)}
    names -= {f"{quoted(schema)}.{quoted(name)}" for schema, each in places for name in each}
    mine = {name for _, each in places for name in each} | {*layouts.DAILY, *layouts.VIEWS}
    strange = sorted(name for name in names if name.rpartition(".")[2].strip('"') not in mine)
    if strange:
        raise LLMGuardError(f"views read what would go: drop {', '.join(strange)} first, and make them anew afterwards")


_OURS = ("llm_usage_logs", "llm_usage_hourly", "llm_usage_daily_summary", "llm_model_pricing", "llm_rate_limits")


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
    statements.append("DROP FUNCTION IF EXISTS llmguard_json(text)")
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
