"""Which tables of older trackers a database holds, asked of its catalogue."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from llmguard.usage.store.older import layouts
from llmguard.usage.store.older.layouts import Layout


class OldColumn(NamedTuple):
    """A column: its type as the database writes it, its default ("" for none), and whether the database makes it."""

    name: str
    type: str
    default: str = ""
    is_required: bool = False
    is_made: bool = False


class OldTable(NamedTuple):
    """A table of an older tracker.

    Attributes:
        layout: what kind it is.
        schema: where it is; "" in SQLite.
        name: of it.
        columns: in their order.
        rights: (role, privilege) of others than its owner.
        has_row_security: rows are shown by policies.
        has_currencies: some costs are in another currency than dollars.
    """

    layout: Layout
    schema: str
    name: str
    columns: tuple[OldColumn, ...]
    rights: tuple[tuple[str, str], ...] = ()
    has_row_security: bool = False
    has_currencies: bool = False

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.schema}.{self.name}" if self.schema else self.name


class Found(NamedTuple):
    """What older trackers have left.

    Attributes:
        schema: of the ledger; "" in SQLite.
        tables: to take over.
        daily: names of views of daily sums -> "m" materialized or "v" plain.
        functions: names of functions in the way, in the ledger's schema.
        notes: what somebody should look at.
    """

    schema: str
    tables: tuple[OldTable, ...]
    daily: dict[str, str]
    functions: tuple[str, ...]
    notes: tuple[str, ...]


def find(connection: Connection, revision: str, schema: str = "") -> Found:
    """What older trackers have left in a database whose ledger (in `schema`) is at a revision, "" for none."""
    if connection.dialect.name == "sqlite":
        return _in_sqlite(connection, revision)
    schema = schema or connection.execute(text("SELECT current_schema()")).scalar() or "public"
    tables = [
        table
        for layout, place in [*((each, schema) for each in layouts.FIRST), *_second(schema)]
        for name in layout.names
        if not (place == schema and _is_ours(name, revision))
        and (table := read_table(connection, layout, place, name)) is not None
    ]
    relations = dict(_rows(connection, _RELATIONS, schema=schema, names=list(layouts.DAILY)))
    daily = {name: kind for name, kind in relations.items() if kind in "mv" and not _is_ours(name, revision)}
    if _rows(connection, _FUNCTIONS, schema=schema, names=["llmguard_refresh_sums"]):
        daily = {}  # they are ours, from when other tables were taken over
    wanted = [*layouts.REFRESHING.values(), layouts.TOUCHING]
    there = [name for (name,) in _rows(connection, _FUNCTIONS, schema=schema, names=wanted)]
    makes_room = daily or any(not table.layout.is_kept and table.schema == schema for table in tables)
    functions = tuple(name for name in there if not _is_ours(name, revision)) if makes_room else ()
    notes = [note for table in tables if not table.layout.is_kept for note in _notes(connection, table)]
    notes += _readers_of(connection, schema, sorted(daily), "the sums by day")
    return Found(schema, tuple(tables), daily, functions, tuple(notes))


def _second(schema: str) -> list[tuple[Layout, str]]:
    return [(each, layouts.OTHER_SCHEMA) for each in layouts.SECOND] if schema != layouts.OTHER_SCHEMA else []


def _is_ours(name: str, revision: str) -> bool:
    since = layouts.OURS.get(name)
    return bool(revision) and since is not None and revision >= since


def _rows(connection: Connection, statement: str, **values: Any) -> list[Any]:
    return list(connection.execute(text(statement), values).all())


def read_table(connection: Connection, layout: Layout, schema: str, name: str) -> OldTable | None:
    """A table as it lies there, None when there is none that has what its layout needs."""
    if connection.dialect.name == "sqlite":
        kind = connection.execute(text("SELECT type FROM sqlite_master WHERE name = :name"), {"name": name}).scalar()
        columns = tuple(
            OldColumn(row[1], row[2], row[4] or "", bool(row[3]))
            for row in connection.exec_driver_sql(f'PRAGMA table_info("{name}")').all()
        )
        is_one = kind == "table" and layout.needs <= {column.name for column in columns}
        return OldTable(layout, "", name, columns) if is_one else None
    columns = tuple(OldColumn(*row) for row in _rows(connection, _COLUMNS, schema=schema, name=name))
    if not layout.needs <= {column.name for column in columns}:
        return None
    rights = tuple((role, right) for role, right in _rows(connection, _RIGHTS, schema=schema, name=name))
    secured = bool(_rows(connection, _SECURED, schema=schema, name=name)[0][0])
    return OldTable(layout, schema, name, columns, rights, secured, _has_currencies(connection, schema, name, columns))


def _has_currencies(connection: Connection, schema: str, name: str, columns: tuple[OldColumn, ...]) -> bool:
    if not any(column.name == "cost_currency" for column in columns):
        return False
    place = ".".join('"' + each.replace('"', '""') + '"' for each in (schema, name))
    if not connection.execute(text("SELECT has_table_privilege(:place, 'SELECT')"), {"place": place}).scalar():
        return False  # which stops an upgrade anyway
    statement = f"SELECT 1 FROM {place} WHERE UPPER(CAST(cost_currency AS text)) <> 'USD' LIMIT 1"
    return bool(connection.exec_driver_sql(statement, execution_options={"no_parameters": True}).scalar())


def _in_sqlite(connection: Connection, revision: str) -> Found:
    tables = [
        table
        for layout in layouts.FIRST
        for name in layout.names
        if not _is_ours(name, revision) and (table := read_table(connection, layout, "", name)) is not None
    ]
    rows = connection.exec_driver_sql("SELECT name, type FROM sqlite_master").all()
    kinds = {row[0]: row[1] for row in rows}
    daily = {
        name: "v" if kinds[name] == "view" else "t"
        for name in layouts.DAILY
        if name in kinds and not _is_ours(name, revision)
    }
    moved = {table.name for table in tables if not table.layout.is_kept}
    notes = [
        f"{kind} {name} goes on reading the table that was set aside; make it anew"
        for name, kind, sql in connection.exec_driver_sql("SELECT name, type, sql FROM sqlite_master").all()
        if kind == "view" and name not in daily and moved & set(_WORDS.findall(sql or ""))
    ]
    return Found("", tuple(tables), daily, (), tuple(notes))


_WORDS = re.compile(r"\w+")


def _notes(connection: Connection, table: OldTable) -> list[str]:
    """What hangs on a table and does not come with it."""
    place = {"schema": table.schema, "name": table.name}
    notes = _readers_of(connection, table.schema, [table.name], table.place)
    notes += [
        f"{table.place} loses its rows with those of {other}; the ledger keeps the calls of who is gone"
        for (other,) in _rows(connection, _CASCADES, **place)
        if table.layout.kind in ("calls", "reports")
    ]
    for what, statement in (
        ("tables that refer to the table that was set aside", _REFERRING),
        (f"triggers of {table.place} that no longer run", _TRIGGERS),
    ):
        names = {name for (name,) in _rows(connection, statement, **place)}
        names = {each for each in names if not each.startswith("trigger_update_")}
        names = {each for each in names if each.rpartition(".")[2] not in layouts.DAILY}
        if names:
            notes.append(f"{what}: {', '.join(sorted(names))}")
    if table.has_row_security:
        policies = ", ".join(sorted(name for (name,) in _rows(connection, _POLICIES, **place))) or "none"
        notes.append(
            f"row-level security of {table.place} is on for the ledger's table too, and shows others than its owner "
            f"nothing until you write its policies anew (user_id is a text there): {policies}"
        )
    return notes


def _readers_of(connection: Connection, schema: str, names: list[str], what: str) -> list[str]:
    found = sorted(each for each in readers(connection, schema, names) if each.rpartition(".")[2] not in layouts.DAILY)
    return [f"views that read {what} as they were set aside; make them anew: {', '.join(found)}"] if found else []


def readers(connection: Connection, schema: str, names: list[str]) -> set[str]:
    """The views that read relations of a schema in PostgreSQL, as the search path needs them to be named."""
    return {view for (view,) in _rows(connection, _READERS, schema=schema, names=names)}


_RELATIONS = (
    "SELECT c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = :schema AND c.relname = ANY(:names)"
)
_FUNCTIONS = (
    "SELECT p.proname FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace "
    "WHERE n.nspname = :schema AND p.proname = ANY(:names) AND p.pronargs = 0"
)
_COLUMNS = (
    "SELECT a.attname, format_type(a.atttypid, a.atttypmod), "
    "CASE WHEN a.attgenerated = '' THEN COALESCE(pg_get_expr(d.adbin, d.adrelid), '') ELSE '' END, a.attnotnull, "
    "a.attgenerated <> '' OR a.attidentity = 'a' "
    "FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
    "LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum "
    "WHERE n.nspname = :schema AND c.relname = :name AND c.relkind IN ('r', 'p') AND a.attnum > 0 "
    "AND NOT a.attisdropped ORDER BY a.attnum"
)
_RIGHTS = (
    "SELECT COALESCE(r.rolname, 'public'), x.privilege_type FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) x "
    "LEFT JOIN pg_roles r ON r.oid = x.grantee WHERE n.nspname = :schema AND c.relname = :name "
    "AND x.grantee <> c.relowner AND x.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE') "
    "UNION SELECT r.rolname, p.name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "JOIN pg_roles r ON r.oid = c.relowner CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) p(name) "
    "WHERE n.nspname = :schema AND c.relname = :name AND r.rolname <> current_user ORDER BY 1, 2"
)
_SECURED = (
    "SELECT c.relrowsecurity FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = :schema AND c.relname = :name"
)
_POLICIES = "SELECT policyname FROM pg_policies WHERE schemaname = :schema AND tablename = :name"
_CASCADES = (
    "SELECT DISTINCT c.confrelid::regclass::text FROM pg_constraint c JOIN pg_class t ON t.oid = c.conrelid "
    "JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE n.nspname = :schema AND t.relname = :name AND c.contype = 'f' AND c.confdeltype = 'c'"
)
_REFERRING = (
    "SELECT DISTINCT c.conrelid::regclass::text FROM pg_constraint c JOIN pg_class t ON t.oid = c.confrelid "
    "JOIN pg_namespace n ON n.oid = t.relnamespace "
    "WHERE n.nspname = :schema AND t.relname = :name AND c.contype = 'f' AND c.conrelid <> c.confrelid"
)
_READERS = (
    "SELECT DISTINCT v.oid::regclass::text FROM pg_depend d JOIN pg_rewrite w ON w.oid = d.objid "
    "JOIN pg_class v ON v.oid = w.ev_class JOIN pg_class c ON c.oid = d.refobjid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE d.classid = 'pg_rewrite'::regclass AND n.nspname = :schema AND c.relname = ANY(:names) AND v.oid <> c.oid"
)
_TRIGGERS = (
    "SELECT t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid "
    "JOIN pg_namespace n ON n.oid = c.relnamespace "
    "WHERE n.nspname = :schema AND c.relname = :name AND NOT t.tgisinternal"
)
