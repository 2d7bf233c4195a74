"""The statements with which SQLite sets older tables aside and puts views in their places, and what undoes them."""

from __future__ import annotations

from sqlalchemy import Connection

from llmguard.usage.store.older.found import Found, OldTable
from llmguard.usage.store.older.limits import defaults, limits
from llmguard.usage.store.older.mapping import expressions, mark, quoted, shown

MARKS = """CREATE TABLE IF NOT EXISTS llmguard_adoption (
  place text PRIMARY KEY, kind text NOT NULL, lies_in text NOT NULL, state text NOT NULL, last_id text,
  rows_taken bigint NOT NULL DEFAULT 0, rows_there bigint NOT NULL DEFAULT 0,
  noted_at text NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')
)"""
UNDO = "CREATE TABLE IF NOT EXISTS llmguard_adoption_undo (number integer PRIMARY KEY, statement text NOT NULL)"
_PREFIX = "before_llmguard_"


def where(table: OldTable) -> str:
    """Where an old table lies once it is set aside."""
    return quoted(table.name if table.layout.is_kept else _PREFIX + table.name)


def set_aside(connection: Connection, found: Found) -> list[str]:
    """Statements that make room. Indexes and triggers have names of the whole database: they go, and are noted, as the
    views are, with what makes them anew."""
    moved = [table for table in found.tables if not table.layout.is_kept]
    names = {table.name for table in moved}
    gone = [
        (kind, name, sql)
        for kind, name, on, sql in connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_master")
        if sql and ((kind in ("index", "trigger") and on in names) or (kind == "view" and name in found.daily))
    ]
    statements = [MARKS, UNDO]
    statements += [f"DROP {kind.upper()} {quoted(name)}" for kind, name, _ in sorted(gone, reverse=True)]
    statements += [f"ALTER TABLE {quoted(table.name)} RENAME TO {where(table)}" for table in moved]
    undo = [f"ALTER TABLE {where(table)} RENAME TO {quoted(table.name)}" for table in moved]
    undo += [sql for _, _, sql in sorted(gone)]
    for each in undo:
        text = each.replace("'", "''")
        statements.append(f"INSERT INTO llmguard_adoption_undo (statement) VALUES ('{text}')")
    return statements


def replace(found: Found) -> list[str]:
    """Statements that fill the old places once the ledger's tables are there."""
    statements = []
    for table in found.tables:
        source, kind = where(table), table.layout.kind
        statements.append(mark(table, source, "copying" if kind == "calls" else "done"))
        if kind == "defaults":
            statements.append(defaults(table, source))
        elif kind == "limits":
            statements += limits(table, source)
        elif table.name != "llm_usage_logs":
            statements += _view(table)
    if found.daily.get("groq_usage_daily_summary") == "v":
        statements.append("CREATE VIEW groq_usage_daily_summary AS SELECT * FROM llm_usage_daily_summary")
    return statements


def _view(table: OldTable) -> list[str]:
    name = quoted(table.name)
    columns = [f"{shown(table, each, 'sqlite')} AS {quoted(each.name)}" for each in table.columns]
    made = expressions(table, "NEW", "sqlite", from_view=True)
    made["id"] = made["call_id"] = "COALESCE(CAST(NEW.id AS TEXT), lower(hex(randomblob(16))))"
    names, values = ", ".join(map(quoted, made)), ", ".join(made.values())
    return [
        f"CREATE VIEW {name} AS SELECT {', '.join(columns)} FROM llm_usage_logs l",
        f"CREATE TRIGGER llmguard_through_{table.name} INSTEAD OF INSERT ON {name} BEGIN "
        f"INSERT INTO llm_usage_logs ({names}) VALUES ({values}); END",
    ]
