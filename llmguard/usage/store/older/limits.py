"""Limits of an older tracker: the statements that take them over, in either dialect."""

from __future__ import annotations

from llmguard.usage.store.older import layouts
from llmguard.usage.store.older.found import OldTable

_WINDOWS = "('minute', 'hour', 'day', 'month')"


def defaults(table: OldTable, source: str) -> str:
    """The statement that takes over default limits, in either dialect."""
    text = "o.description" if any(column.name == "description" for column in table.columns) else "NULL"
    return (
        "INSERT INTO llm_rate_limit_configs (limit_type, limit_value, description) "
        f"SELECT CAST(o.limit_type AS text), o.limit_value, {text} FROM {source} o "
        f"WHERE CAST(o.limit_type AS text) IN {_WINDOWS} AND o.limit_value >= 0 "
        "ON CONFLICT (limit_type) DO UPDATE SET limit_value = EXCLUDED.limit_value, description = EXCLUDED.description "
        "WHERE llm_rate_limit_configs.limit_value <> EXCLUDED.limit_value"
    )


def limits(table: OldTable, source: str) -> list[str]:
    """Statements that take over the limits that somebody has set, in either dialect: trackers copy the default to each
    user that they see, and those copies stay behind."""
    has_provider = any(column.name == "provider" for column in table.columns)
    there = "IF NOT EXISTS " if table.schema else ""
    statements = [f"ALTER TABLE llm_rate_limits ADD COLUMN {there}provider VARCHAR(50)"] if has_provider else []
    names = "user_id, limit_type, limit_value, current_count, reset_at" + (", provider" if has_provider else "")
    shipped = " OR ".join(
        f"(o.limit_type = '{name}' AND o.limit_value = {value})" for name, value in layouts.EVERYBODYS.items()
    )
    statements.append(
        f"INSERT INTO llm_rate_limits ({names}) SELECT CAST(o.user_id AS text), o.limit_type, o.limit_value, "
        f"o.current_count, o.reset_at{', o.provider' if has_provider else ''} FROM {source} o "
        f"WHERE CAST(o.limit_type AS text) IN {_WINDOWS} AND o.limit_value >= 0 AND NOT ({shipped}) AND NOT EXISTS "
        "(SELECT 1 FROM llm_rate_limit_configs c WHERE c.limit_type = o.limit_type AND c.limit_value = o.limit_value)"
    )
    return statements
