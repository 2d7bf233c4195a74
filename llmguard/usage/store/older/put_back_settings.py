"""Prices, limits and sums of periods that somebody has set since go into an older tracker's tables again."""

from __future__ import annotations

from sqlalchemy import Connection, text

from llmguard.usage.store.older.found import OldTable
from llmguard.usage.store.older.limits import IS_TAKEN
from llmguard.usage.store.older.mapping import fitted, quoted, typed
from llmguard.usage.store.pricing import LISTED
from llmguard.usage.store.tables import model_pricing

_COSTS = ("input_cost_per_1k_tokens", "output_cost_per_1k_tokens")
#: What an older table of prices has no place for.
_FURTHER = ("cache_read_cost_per_1k_tokens", "cache_write_cost_per_1k_tokens", "discount_percent")


def summaries(connection: Connection, source: str, table: OldTable) -> None:
    """Sums of periods that somebody has written since."""
    kept = "llm_usage_summary_before"
    names = ", ".join(quoted(column.name) for column in table.columns)
    connection.execute(text(f"DELETE FROM {source} o WHERE NOT EXISTS (SELECT 1 FROM {kept} k WHERE k.id = o.id)"))
    connection.execute(
        text(
            f"INSERT INTO {source} ({names}) SELECT {names} FROM {kept} k "
            f"WHERE NOT EXISTS (SELECT 1 FROM {source} o WHERE o.id = k.id)"
        )
    )


def prices(connection: Connection, source: str, table: OldTable | None) -> int:
    """Put prices back (only PostgreSQL has had any); how many of one's own do not fit."""
    own = f"COALESCE(l.source, '') NOT LIKE '{LISTED}%'"
    if table is None:
        statement = f"SELECT count(*) FROM llm_model_pricing l WHERE {own}"
        return int(connection.execute(text(statement)).scalar_one())
    shared = [column for column in table.columns if column.name in model_pricing.c]
    types = {column.name: column.type for column in shared}
    values = {name: fitted(typed(f"l.{quoted(name)}", kind), kind) for name, kind in types.items()}
    if types["id"] == "uuid":
        values["id"] = "COALESCE(llmguard_uuid(l.id), CAST(md5(l.id) AS uuid))"
    fits = " AND ".join(
        (
            *(f"{values[column.name]} IS NOT NULL" for column in shared if column.is_required),
            *(f"l.{name} IS NOT DISTINCT FROM {values[name]}" for name in _COSTS if name in values),
            *(f"l.{name} IS NULL" for name in _FURTHER if name not in types),
        )
    )
    same = "o.id = " + values["id"]
    gone = f"NOT EXISTS (SELECT 1 FROM llm_model_pricing l WHERE {same})"
    connection.execute(text(f"DELETE FROM {source} o WHERE {gone}"))
    changing = [name for name in values if name not in ("id", "created_at", "updated_at")]
    old = ", ".join(f"o.{quoted(name)}" for name in changing)
    new = ", ".join(values[name] for name in changing)
    changes = ", ".join(f"{quoted(name)} = {values[name]}" for name in changing)
    connection.execute(
        text(
            f"UPDATE {source} o SET {changes} FROM llm_model_pricing l "
            f"WHERE {same} AND {fits} AND ROW({old}) IS DISTINCT FROM ROW({new})"
        )
    )
    connection.execute(
        text(
            f"INSERT INTO {source} ({', '.join(map(quoted, values))}) SELECT {', '.join(values.values())} "
            f"FROM llm_model_pricing l WHERE {fits} AND NOT EXISTS (SELECT 1 FROM {source} o WHERE {same}) "
            "ON CONFLICT DO NOTHING"
        )
    )
    there = f"EXISTS (SELECT 1 FROM {source} o WHERE {same} AND ROW({old}) IS NOT DISTINCT FROM ROW({new}))"
    lost = f"SELECT count(*) FROM llm_model_pricing l WHERE {own} AND NOT ({fits} AND {there})"
    return int(connection.execute(text(lost)).scalar_one())


def limits(connection: Connection, ours: str, source: str, table: OldTable | None) -> int:
    """Put limits (`llm_rate_limits`), or the defaults of all (`llm_rate_limit_configs`), back; how many of those that
    somebody has set do not fit."""
    set_ = " AND l.updated_at > l.created_at" if ours == "llm_rate_limit_configs" else ""  # others came with the ledger
    if table is None:
        return int(connection.execute(text(f"SELECT count(*) FROM {ours} l WHERE TRUE{set_}")).scalar_one())
    is_sqlite = connection.dialect.name == "sqlite"
    types = {column.name: column for column in table.columns}
    key = ("limit_type",) if table.layout.kind == "defaults" else ("user_id", "limit_type")
    same = " AND ".join(f"CAST(o.{name} AS TEXT) = l.{name}" for name in key)
    plain = "l.limit_value = ROUND(l.limit_value)"
    if table.layout.kind == "limits":
        others = ("tenant", "service_name", "model", "provider_name")
        plain += " AND l.kind = 'requests' AND " + " AND ".join(f"l.{each} IS NULL" for each in others)
        _take_away(connection, source, same)
    latest = f"(SELECT MIN(l.limit_value) FROM {ours} l WHERE {same} AND {plain})"
    connection.execute(text(f"UPDATE {source} AS o SET limit_value = {latest} WHERE limit_value <> {latest}"))
    values = {name: f"l.{name}" for name in (*key, "limit_value")}
    if not is_sqlite and "user_id" in key:
        values["user_id"] = typed("l.user_id", types["user_id"].type, "user_id")
    if "reset_at" in types:
        values["reset_at"] = "COALESCE(l.reset_at, CURRENT_TIMESTAMP)"
    if "id" in types and not types["id"].default:
        kind = types["id"].type.lower()
        fresh = "lower(hex(randomblob(16)))" if is_sqlite else "gen_random_uuid()"
        if not kind.startswith("int") and "identity" not in kind:
            values["id"] = fresh if is_sqlite or kind == "uuid" else f"CAST({fresh} AS text)"
    fits = [plain, *(f"{values[name]} IS NOT NULL" for name in key)]
    fits += [
        f"EXISTS (SELECT 1 FROM {other} f WHERE f.{quoted(to)} = {values[name]})"
        for name, other, to in references(connection, source)
        if name in values
    ]
    is_new = f"NOT EXISTS (SELECT 1 FROM {source} o WHERE {same})"
    connection.execute(
        text(
            f"INSERT INTO {source} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {ours} l "
            f"WHERE {' AND '.join((is_new, *fits))}"
        )
    )
    there = f"EXISTS (SELECT 1 FROM {source} o WHERE {same} AND o.limit_value = l.limit_value)"
    lost = f"SELECT count(*) FROM {ours} l WHERE NOT ({plain} AND {there}){set_}"
    return int(connection.execute(text(lost)).scalar_one())


def _take_away(connection: Connection, source: str, same: str) -> None:
    """Limits that were taken over, and that somebody has removed since; copies of a default were never taken over."""
    gone = f"NOT EXISTS (SELECT 1 FROM llm_rate_limits l WHERE {same})"
    connection.execute(text(f"DELETE FROM {source} AS o WHERE {IS_TAKEN} AND {gone}"))


def references(connection: Connection, source: str) -> list[tuple[str, str, str]]:
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
