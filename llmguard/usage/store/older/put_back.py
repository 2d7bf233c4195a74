"""What came since an older tracker's tables were taken over goes into them again: calls, prices, limits.

What has changed is changed there too, what is gone is taken away, and what fits nowhere stops it.
"""

from __future__ import annotations

import re

from sqlalchemy import Connection, text

from llmguard.errors import LLMGuardError
from llmguard.usage.store.older.found import OldColumn, OldTable
from llmguard.usage.store.older.mapping import COSTS, fitted, is_text, quoted, shown, taken
from llmguard.usage.store.older.put_back_settings import limits, prices, references, summaries


def put_back(connection: Connection, tables: list[tuple[str, str, OldTable]], *, without_new: bool) -> int:
    """Put into older tables what the ledger has and they have not; how many calls.

    Args:
        connection: of the ledger, in a transaction.
        tables: (where it lies, how far it was taken over, the table as it was).
        without_new: what fits no older table is given up.

    Raises:
        LLMGuardError: something would be lost.
    """
    put, lost = _calls(connection, tables)
    losses = {"calls (save them: llmguard usage export FILE)": lost}
    kinds = {table.layout.kind: (source, table) for source, _, table in tables}
    if "summaries" in kinds:
        summaries(connection, *kinds["summaries"])
    losses["prices of your own (llmguard prices show)"] = prices(connection, *kinds.get("pricing", ("", None)))
    losses["limits (llmguard limits show)"] = sum(
        limits(connection, name, *kinds.get(kind, ("", None)))
        for kind, name in (("limits", "llm_rate_limits"), ("defaults", "llm_rate_limit_configs"))
    )
    stops = connection.execute(text("SELECT count(*) FROM llm_stops")).scalar_one()
    losses["stops (llmguard limits show)"] = int(stops)
    said = [f"{number:,} {what}" for what, number in losses.items() if number]
    if said and not without_new:
        raise LLMGuardError(
            f"{' and '.join(said)} fit no older table, or their users are gone, and would be lost: note them, then "
            "downgrade with --without-new-calls"
        )
    return put


def _calls(connection: Connection, tables: list[tuple[str, str, OldTable]]) -> tuple[int, int]:
    """(how many calls came into older tables, how many fit none)."""
    calls = [each for each in tables if each[2].layout.kind in ("calls", "reports")]
    calls.sort(key=lambda each: each[2].layout.kind)  # those that have a column for a user's text first
    for source, state, table in calls:
        if state == "done":  # else there are calls that did not come yet
            gone = "NOT EXISTS (SELECT 1 FROM llm_usage_logs l WHERE l.id = CAST(o.id AS TEXT))"
            connection.execute(text(f"DELETE FROM {source} AS o WHERE {gone}"))
        _change(connection, source, table)
    known = " AND ".join(
        f"NOT EXISTS (SELECT 1 FROM {source} o WHERE {_same(connection, table)})" for source, _, table in calls
    )
    put = 0
    for source, _, table in calls:
        put += _insert(connection, source, table, known)
    lost = connection.execute(text(f"SELECT count(*) FROM llm_usage_logs l WHERE {known or 'TRUE'}")).scalar_one()
    return put, int(lost)


def _same(connection: Connection, table: OldTable) -> str:
    """Whether `o` is the row of the call `l`; a call of the ledger's own has an id made of its id there."""
    identity = next(column for column in table.columns if column.name == "id")
    if connection.dialect.name == "postgresql" and identity.type == "uuid":
        return f"o.id = {_back(table, identity, 'postgresql')}"
    if connection.dialect.name == "sqlite" and identity.type:
        return "o.id = l.id"  # its affinity makes them alike, and its index is used
    return "CAST(o.id AS TEXT) = l.id"


def _change(connection: Connection, source: str, table: OldTable) -> None:
    """What has changed of a call, by a program, by `reprice`, is changed in the older table."""
    dialect = connection.dialect.name
    found = []
    for name, column in taken(table).items():
        if column.is_made or name in ("id", "created_at", *(_LOSSY if dialect == "sqlite" else ())):
            continue
        value, old = _back(table, column, dialect), f"o.{quoted(column.name)}"
        if dialect == "postgresql" and column.type == "json":
            differs = f"CAST({old} AS jsonb) IS DISTINCT FROM CAST({value} AS jsonb)"
        else:
            seen = f"ROUND(CAST({old} AS numeric), 9)" if name in COSTS else old
            differs = f"{old} IS NOT {value}" if dialect == "sqlite" else f"{seen} IS DISTINCT FROM {value}"
        found.append((quoted(column.name), old, value, f"{value} IS NOT NULL AND {differs}"))
    if not found:
        return
    changes = ", ".join(
        f"{name} = (SELECT CASE WHEN {differs} THEN {value} ELSE {old} END FROM llm_usage_logs l "
        f"WHERE l.id = CAST(o.id AS TEXT))"
        for name, old, value, differs in found
    )
    differing = " OR ".join(f"({differs})" for *_, differs in found)
    connection.execute(
        text(
            f"UPDATE {source} AS o SET {changes} WHERE EXISTS "
            f"(SELECT 1 FROM llm_usage_logs l WHERE l.id = CAST(o.id AS TEXT) AND ({differing}))"
        )
    )


#: Columns of SQLite that the ledger writes in another way than who wrote them.
_LOSSY = ("metadata", "request_data", "response_data", "input_cost", "output_cost", "total_cost", "user_id")


def _insert(connection: Connection, source: str, table: OldTable, known: str) -> int:
    dialect = connection.dialect.name
    values = {column.name: _back(table, column, dialect) for column in table.columns if not column.is_made}
    fits = [
        f"{values[column.name]} IS NOT NULL" for column in table.columns if column.is_required and not column.is_made
    ]
    fits += [  # what the ledger knows, the older table says too
        f"(l.{quoted(name)} IS NULL OR {values[column.name]} IS NOT NULL)"
        for name, column in taken(table).items()
        if column.name != "id" and not column.is_made
    ]
    fits += [
        f"({values[name]} IS NULL OR EXISTS (SELECT 1 FROM {other} f WHERE f.{quoted(key)} = {values[name]}))"
        for name, other, key in references(connection, source)
        if name in values
    ]
    names = ", ".join(map(quoted, values))
    statement = (
        f"INSERT INTO {source} ({names}) SELECT {', '.join(values.values())} FROM llm_usage_logs l WHERE {known}"
    )
    return int(connection.execute(text(" AND ".join((statement, *fits)))).rowcount)


def _back(table: OldTable, column: OldColumn, dialect: str) -> str:
    value = shown(table, column, dialect)
    if dialect == "sqlite":
        return value
    if column.name == "id" and column.type == "uuid":
        return f"COALESCE({value}, md5(l.id)::uuid)"
    if not is_text(column.type) and _LENGTH.sub("", column.type) not in _KNOWN:
        return f"CAST(NULL AS {column.type})"
    if column.type in _MOST and "CASE" not in value and "NULL" not in value:
        return f"CASE WHEN {value} <= {_MOST[column.type]} THEN CAST({value} AS {column.type}) END"
    return value if "NULL" in value else fitted(value, column.type)


_LENGTH = re.compile(r"\(.*?\)")
_MOST = {"integer": 2**31 - 1, "smallint": 2**15 - 1}
_KNOWN = (
    *("uuid", "integer", "bigint", "smallint", "numeric", "double precision", "real", "boolean", "json", "jsonb"),
    *("timestamp with time zone", "timestamp without time zone", "date"),
)
