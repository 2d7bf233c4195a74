"""What would stop an upgrade halfway, looked for before anything moves."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from llmguard.errors import LLMGuardError
from llmguard.usage.store.engine import one_line
from llmguard.usage.store.older.found import Found, OldTable
from llmguard.usage.store.older.layouts import OTHER_SCHEMA, OURS, TOUCHING, VIEWS
from llmguard.usage.store.older.mapping import expressions, place_of, quoted
from llmguard.usage.store.tables import metadata

#: Names of a database that tables, views, indexes and functions of the ledger need.
NAMES = frozenset(
    {
        *metadata.tables,
        *VIEWS,
        *(str(index.name) for table in metadata.tables.values() for index in table.indexes),
        *("refresh_llm_usage_summary", TOUCHING),
    }
)


def refuse_strangers(connection: Connection, found: Found) -> None:
    """Names that the ledger needs are free, or will be.

    Raises:
        LLMGuardError: one is taken by what is of no tracker that is known.
    """
    moving = {table.name for table in found.tables if table.schema == found.schema and not table.layout.is_kept}
    moving |= {name for name, kind in found.daily.items() if kind in "mv"} | set(found.functions)
    for name, kind, of in _there(connection, found.schema):
        if name.lower() not in NAMES or of in moving:
            continue
        where = f"{found.schema}.{name}" if found.schema else name
        advice = "rename it, or keep the ledger elsewhere: LLMGUARD_DATABASE_SCHEMA"
        if found.schema == OTHER_SCHEMA:
            advice = f"keep the ledger in another schema than {OTHER_SCHEMA}, whose tables are taken over from there"
        elif not found.schema:
            advice = "rename it, or keep the ledger in another file: LLMGUARD_DATABASE_URL"
        what = kind if of == name else f"{kind} of {of}"
        if kind == "table" and name.lower() in OURS:
            what = "neither a table of llmguard nor of a tracker that it knows"
        raise LLMGuardError(f"{where} is {what}, and in the way: {advice}")


def _there(connection: Connection, schema: str) -> list[tuple[str, str, str]]:
    """(name, kind, of which table) of what a schema holds."""
    if connection.dialect.name == "sqlite":
        rows: Any = connection.exec_driver_sql(
            "SELECT name, type, CASE WHEN type = 'index' THEN tbl_name ELSE name END FROM sqlite_master "
            "WHERE type IN ('table', 'view', 'index') ORDER BY type DESC, name"
        )
    else:
        rows = connection.execute(text(_RELATIONS), {"schema": schema})
    return [(row[0], row[1], row[2]) for row in rows]


_RELATIONS = """SELECT c.relname, CASE c.relkind WHEN 'i' THEN 'index' WHEN 'I' THEN 'index' WHEN 'S' THEN 'sequence'
    WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view' WHEN 'c' THEN 'type' ELSE 'table' END AS kind,
  COALESCE(t.relname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_index i ON i.indexrelid = c.oid
LEFT JOIN pg_class t ON t.oid = i.indrelid WHERE n.nspname = :schema
UNION ALL SELECT p.proname, 'function', p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = :schema AND p.pronargs = 0 ORDER BY kind DESC, 1"""


def refuse_without_rights(connection: Connection, found: Found, aside: dict[str, str]) -> None:
    """Who upgrades may set the older tables aside.

    Args:
        connection: to PostgreSQL.
        found: what is to be set aside.
        aside: schema -> the schema that its tables go into.

    Raises:
        LLMGuardError: he may not; it says what an owner or an administrator has to grant.
    """
    missing = []
    schemas = set(connection.execute(text("SELECT nspname FROM pg_namespace")).scalars())
    me, database, may_create = connection.execute(
        text("SELECT current_user, current_database(), has_database_privilege(current_database(), 'CREATE')")
    ).one()
    if not may_create and not set(aside.values()) <= schemas:
        missing.append(f"GRANT CREATE ON DATABASE {quoted(database)} TO {quoted(me)}")
    for schema in sorted({found.schema, *aside} & schemas):
        right = connection.execute(text("SELECT has_schema_privilege(:schema, 'CREATE')"), {"schema": schema})
        if not right.scalar():
            missing.append(f"GRANT CREATE ON SCHEMA {quoted(schema)} TO {quoted(me)}")
    strange = [
        name
        for schema, name in [
            *((table.schema, table.name) for table in found.tables if not table.layout.is_kept),
            *((found.schema, name) for name in found.daily),
        ]
        if not connection.execute(text(_OWNED), {"schema": schema, "name": name}).scalar()
    ]
    functions = {"schema": found.schema, "names": list(found.functions)}
    strange += [f"{name}()" for name in connection.execute(text(_FOREIGN_FUNCTIONS), functions).scalars()]
    if strange:
        missing.append(f"let {quoted(me)} own {', '.join(strange)}, or upgrade as a role that does")
    hidden = [
        table.place
        for table in found.tables
        if connection.execute(text(_HIDDEN), {"schema": table.schema, "name": table.name}).scalar()
    ]
    if hidden:
        missing.append(f"ALTER ROLE {quoted(me)} BYPASSRLS, for policies hide rows of {', '.join(hidden)}")
    if missing:
        raise LLMGuardError(f"{me} may not take over the older tables: {'; '.join(missing)}")


_OWNED = (
    "SELECT pg_has_role(c.relowner, 'USAGE') FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = :schema AND c.relname = :name"
)
_HIDDEN = (
    "SELECT row_security_active(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = :schema AND c.relname = :name"
)
_FOREIGN_FUNCTIONS = (
    "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = :schema "
    "AND p.proname = ANY(:names) AND p.pronargs = 0 AND NOT pg_has_role(p.proowner, 'USAGE')"
)


def refuse_values(connection: Connection, table: OldTable) -> None:
    """Make of every call what the ledger would hold, and keep none of it: what the database does not take is known
    before anything has moved.

    Raises:
        LLMGuardError: a call, or a column, cannot be taken over.
    """
    dialect = connection.dialect.name
    made = {name: value for name, value in expressions(table, "o", dialect).items() if "llmguard_json" not in value}
    row = "o.rowid" if dialect == "sqlite" else "o.id"
    statement = f"SELECT {', '.join(f'count({value})' for value in (row, *made.values()))} FROM {place_of(table)} o"
    try:
        connection.exec_driver_sql(statement, execution_options={"no_parameters": True}).all()
    except SQLAlchemyError as error:
        raise LLMGuardError(
            f"{table.place} cannot be taken over as it is, and is left alone: {one_line(error)}"
        ) from None


def refuse_identities(connection: Connection, table: OldTable) -> None:
    """Calls are told apart by their ids: nothing is moved where that cannot be.

    Raises:
        LLMGuardError: a call has no id of its own.
    """
    place = place_of(table)
    blob = "typeof(id) = 'blob'" if connection.dialect.name == "sqlite" else "FALSE"
    odd = connection.execute(
        text(f"SELECT 1 FROM {place} WHERE id IS NULL OR LENGTH(CAST(id AS TEXT)) > 64 OR {blob} LIMIT 1")
    ).scalar()
    twice = connection.execute(text(f"SELECT 1 FROM {place} GROUP BY id HAVING COUNT(*) > 1 LIMIT 1")).scalar()
    if odd or twice:
        what = "that share an id" if twice else "without an id, or with one that is no text of up to 64 characters"
        raise LLMGuardError(f"{table.place} has calls {what}: give each one of its own, then upgrade again")
