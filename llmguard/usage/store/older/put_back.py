"""What came since an older tracker's tables were taken over goes into them again: calls, prices, limits."""

from __future__ import annotations

from sqlalchemy import Connection, text

from llmguard.errors import LLMGuardError
from llmguard.usage.store.older.found import OldColumn, OldTable
from llmguard.usage.store.older.mapping import quoted, shown, typed
from llmguard.usage.store.tables import model_pricing

_MOST = 2_147_483_647


def put_back(connection: Connection, tables: list[tuple[str, OldTable]], *, without_new: bool) -> int:
    """Put into older tables what the ledger has and they have not; how many calls.

    Args:
        connection: of the ledger, in a transaction.
        tables: (where it lies, the table as it was).
        without_new: what fits no older table is given up.

    Raises:
        LLMGuardError: something would be lost.
    """
    put = _calls(connection, tables, without_new=without_new)
    for source, table in tables:
        lost = 0
        if table.layout.kind == "pricing":
            lost = _prices(connection, source, table)
        elif table.layout.kind in ("limits", "defaults"):
            lost = _limits(connection, source, table)
        if lost and not without_new:
            what = "prices" if table.layout.kind == "pricing" else "limits"
            raise LLMGuardError(
                f"{lost:,} {what} that were set since do not fit {table.place} and would be lost: note them "
                f"(llmguard {what} {'show' if what == 'prices' else 'list'}), then downgrade with --without-new-calls"
            )
    return put


def _calls(connection: Connection, tables: list[tuple[str, OldTable]], *, without_new: bool) -> int:
    calls = [(source, table) for source, table in tables if table.layout.kind in ("calls", "reports")]
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


def _prices(connection: Connection, source: str, table: OldTable) -> int:
    """Put prices back (only PostgreSQL has had any); how many do not fit."""
    shared = [column for column in table.columns if column.name in model_pricing.c]
    values = {column.name: typed(f"l.{quoted(column.name)}", column.type) for column in shared}
    if next(column.type for column in shared if column.name == "id") == "uuid":
        values["id"] = f"COALESCE({values['id']}, gen_random_uuid())"
    changing = [name for name in values if name not in ("id", "created_at", "updated_at")]
    old, new = (", ".join(each) for each in ([f"o.{quoted(name)}" for name in changing], [values[n] for n in changing]))
    changes = ", ".join(f"{quoted(name)} = {values[name]}" for name in changing)
    connection.execute(
        text(
            f"UPDATE {source} o SET {changes} FROM llm_model_pricing l "
            f"WHERE CAST(o.id AS text) = l.id AND ({old}) IS DISTINCT FROM ({new})"
        )
    )
    is_new = f"NOT EXISTS (SELECT 1 FROM {source} o WHERE CAST(o.id AS text) = l.id)"
    number = connection.execute(text(f"SELECT count(*) FROM llm_model_pricing l WHERE {is_new}")).scalar_one()
    fits = "".join(f" AND {values[column.name]} IS NOT NULL" for column in shared if column.is_required)
    put = connection.execute(
        text(
            f"INSERT INTO {source} ({', '.join(map(quoted, values))}) SELECT {', '.join(values.values())} "
            f"FROM llm_model_pricing l WHERE {is_new}{fits} ON CONFLICT DO NOTHING"
        )
    ).rowcount
    return int(number - put)


def _limits(connection: Connection, source: str, table: OldTable) -> int:
    """Put limits, or the defaults of all, back; how many of those that hold do not fit."""
    is_default = table.layout.kind == "defaults"
    ours = "llm_rate_limit_configs" if is_default else "llm_rate_limits"
    key = ("limit_type",) if is_default else ("user_id", "limit_type")
    same = " AND ".join(f"CAST(o.{name} AS TEXT) = l.{name}" for name in key)
    plain = "l.limit_value = ROUND(l.limit_value)"
    if not is_default:
        others = ("tenant", "service_name", "model", "provider_name")
        plain += " AND l.kind = 'requests' AND " + " AND ".join(f"l.{each} IS NULL" for each in others)
    latest = f"(SELECT MIN(l.limit_value) FROM {ours} l WHERE {same} AND {plain})"
    connection.execute(text(f"UPDATE {source} AS o SET limit_value = {latest} WHERE limit_value <> {latest}"))
    types = {column.name: column.type for column in table.columns}
    values = {name: f"CAST(l.{name} AS {types[name]})" for name in (*key, "limit_value")}
    if "reset_at" in types:
        values["reset_at"] = "COALESCE(l.reset_at, CURRENT_TIMESTAMP)"
    if not is_default and types["user_id"] == "uuid":
        values["user_id"] = "llmguard_uuid(l.user_id)"
    is_new = f"{plain} AND NOT EXISTS (SELECT 1 FROM {source} o WHERE {same})"
    fits = [f"{values[name]} IS NOT NULL" for name in key]
    fits += [
        f"EXISTS (SELECT 1 FROM {other} f WHERE f.{quoted(to)} = {values[name]})"
        for name, other, to in _references(connection, source)
        if name in values
    ]
    connection.execute(
        text(
            f"INSERT INTO {source} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {ours} l "
            f"WHERE {' AND '.join((is_new, *fits))}"
        )
    )
    there = f"EXISTS (SELECT 1 FROM {source} o WHERE {same} AND o.limit_value = l.limit_value)"
    lost = text(f"SELECT count(*) FROM {ours} l WHERE NOT ({plain} AND {there})" + _SHIPPED.get(ours, ""))
    return int(connection.execute(lost).scalar_one())


#: Defaults that a ledger comes with, and that nobody has set.
_SHIPPED = {"llm_rate_limit_configs": " AND l.updated_at > l.created_at"}
