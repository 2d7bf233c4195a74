"""Limits of an older tracker: the statements that take them over, in either dialect."""

from __future__ import annotations

from llmguard.usage.store.older import layouts
from llmguard.usage.store.older.found import OldTable

_WINDOWS = "('minute', 'hour', 'day', 'month')"
_SHIPPED = " OR ".join(
    f"(o.limit_type = '{name}' AND o.limit_value = {value})" for name, value in layouts.EVERYBODYS.items()
)
#: Whether somebody has set the limit `o`: trackers copy the default to each user that they see.
IS_TAKEN = (
    f"CAST(o.limit_type AS text) IN {_WINDOWS} AND o.limit_value >= 0 AND NOT ({_SHIPPED}) AND NOT EXISTS "
    "(SELECT 1 FROM llm_rate_limit_configs c WHERE c.limit_type = o.limit_type AND c.limit_value = o.limit_value)"
)


def defaults(table: OldTable, source: str) -> str:
    """The statement that takes over default limits, in either dialect."""
    has_text = any(column.name == "description" for column in table.columns)
    text = "MAX(CAST(o.description AS text))" if has_text else "NULL"
    return (
        "INSERT INTO llm_rate_limit_configs (limit_type, limit_value, description) "
        f"SELECT CAST(o.limit_type AS text), MIN(o.limit_value), {text} FROM {source} o "
        f"WHERE CAST(o.limit_type AS text) IN {_WINDOWS} AND o.limit_value >= 0 GROUP BY 1 "
        "ON CONFLICT (limit_type) DO UPDATE SET limit_value = EXCLUDED.limit_value, description = EXCLUDED.description "
        "WHERE llm_rate_limit_configs.limit_value <> EXCLUDED.limit_value"
    )


def limits(table: OldTable, source: str) -> list[str]:
    """Statements that take over the limits that somebody has set, in either dialect: trackers copy the default to each
    user that they see, and those copies stay behind."""
    there = {column.name for column in table.columns}
    statements = []
    if "provider" in there:
        once = "IF NOT EXISTS " if table.schema else ""
        statements.append(f"ALTER TABLE llm_rate_limits ADD COLUMN {once}provider VARCHAR(50)")
    key = {"user_id": "CAST(o.user_id AS text)", "limit_type": "CAST(o.limit_type AS text)"}
    key |= {name: f"o.{name}" for name in ("limit_value", "provider") if name in there}
    said = {name: f"MAX(o.{name})" for name in ("current_count", "reset_at") if name in there}
    is_there = " AND ".join(
        f"COALESCE(CAST(l.{name} AS text), '') = COALESCE(CAST({value} AS text), '')"
        for name, value in key.items()
        if name != "limit_value"
    )
    statements.append(
        f"INSERT INTO llm_rate_limits ({', '.join((*key, *said))}) SELECT {', '.join((*key.values(), *said.values()))} "
        f"FROM {source} o WHERE {IS_TAKEN} AND NOT EXISTS "
        f"(SELECT 1 FROM llm_rate_limits l WHERE {is_there} AND l.limit_value = o.limit_value) "
        f"GROUP BY {', '.join(key.values())}"
    )
    return statements
