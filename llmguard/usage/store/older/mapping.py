"""From the columns of an older tracker to the ledger's, and back, as SQL."""

from __future__ import annotations

from llmguard.usage.store.older.found import OldColumn, OldTable
from llmguard.usage.store.tables import usage_logs

_NUMBERS = ("integer", "bigint", "smallint", "double precision", "real")
_EPOCH = "1970-01-01 00:00:00"
#: Columns of money.
COSTS = ("input_cost", "output_cost", "total_cost")
#: Columns of the ledger that are made here, not taken as they are.
_MADE = frozenset({"id", "call_id", "attempt_no", "created_at", "status", "price_status", "metadata", "cost_currency"})
_OBJECTS = ("metadata", "request_data", "response_data")


def quoted(name: str) -> str:
    """An identifier, whatever is in it."""
    return '"' + name.replace('"', '""') + '"'


def mark(table: OldTable, source: str, state: str) -> str:
    """The statement that notes an old table: where it was, where it lies, how far it is taken over."""
    values = ", ".join("'" + each.replace("'", "''") + "'" for each in (table.place, table.layout.kind, source, state))
    return f"INSERT INTO llmguard_adoption (place, kind, lies_in, state) VALUES ({values})"


def taken(table: OldTable) -> dict[str, OldColumn]:
    """Column of the ledger -> column of the old table that goes into it."""
    known = {column.name for column in usage_logs.columns}
    found: dict[str, OldColumn] = {}
    for column in table.columns:
        name = table.layout.renames.get(column.name, column.name)
        kind = usage_logs.c[name].type.__class__.__name__ if name in known else ""
        if kind == "Boolean" and column.type.lower() != "boolean":
            continue  # a text is neither true nor false
        if name in known and name not in ("call_id", "attempt_no", "status", "price_status"):
            found[name] = column
    return found


def left_out(table: OldTable) -> list[str]:
    """Columns of an old table of calls that the ledger has no place for."""
    names = {column.name for column in taken(table).values()} | {"success", "updated_at", "id"}
    return [column.name for column in table.columns if column.name not in names]


def expressions(table: OldTable, row: str, dialect: str, *, from_view: bool = False) -> dict[str, str]:
    """Column of the ledger -> the expression that makes it of a row of the old table.

    Args:
        table: of calls or reports.
        row: alias of the row ("o", "NEW").
        dialect: "postgresql" or "sqlite".
        from_view: the row comes by a view in the old place, so it is new: the ledger's triggers fill it in.
    """
    columns = taken(table)
    made: dict[str, str] = {}
    for name, column in columns.items():
        if name not in _MADE:
            made[name] = _plain(name, column, f"{row}.{quoted(column.name)}", dialect)
    identity = f"CAST({row}.id AS TEXT)"
    made["id"] = made["call_id"] = identity
    made["attempt_no"] = "0"
    if "metadata" in columns:
        made["metadata"] = _object(columns["metadata"], f"{row}.{quoted(columns['metadata'].name)}", dialect)
    created = f"{row}.created_at"
    made["created_at"] = _moment(table, created, dialect, "now()" if from_view else f"'{_EPOCH}+00'")
    made["status"] = _status(table, row)
    made["usage_source"] = "'caller'"
    currency = columns.get("cost_currency")
    dollars = "'USD'"
    if currency is not None:
        dollars = f"UPPER(substr(COALESCE(CAST({row}.{quoted(currency.name)} AS TEXT), 'USD'), 1, 3))"
    made["cost_currency"] = dollars
    if currency is not None:  # sums are of dollars
        for name in COSTS:
            if name in made:
                made[name] = f"CASE WHEN {dollars} = 'USD' THEN {made[name]} END"
    if not from_view and "total_cost" in made:
        made["price_status"] = f"CASE WHEN {made['total_cost']} IS NOT NULL THEN 'given' END"
    if table.layout.kind == "calls":
        made.update(_told(table, row, made, dialect))
    if table.name.startswith("groq_"):
        made["provider"] = f"COALESCE({made.get('provider', 'NULL')}, 'groq')"
    return made


def _told(table: OldTable, row: str, made: dict[str, str], dialect: str) -> dict[str, str]:
    """What the metadata of a call say of it."""
    if "metadata" not in made:
        return {}
    found = {}
    column = taken(table)["metadata"]
    value = made["metadata"]
    if dialect == "postgresql" and is_text(column.type):
        value = f"llmguard_json({row}.{quoted(column.name)})"
    for name, key in (("provider", "provider"), ("service_name", "service")):
        told = (
            f"CASE WHEN json_valid({value}) THEN json_extract({value}, '$.{key}') END"
            if dialect == "sqlite"
            else f"({value}) ->> '{key}'"
        )
        found[name] = f"COALESCE({made[name]}, {told})" if name in made else told
    return found


def _plain(name: str, column: OldColumn, value: str, dialect: str) -> str:
    if name in _OBJECTS:
        return _object(column, value, dialect)
    kind = usage_logs.c[name].type.__class__.__name__
    if kind == "Money":
        nano = f"CAST(ROUND({value} * 1000000000) AS INTEGER)"
        # Neither NaN nor infinity is less than anything.
        return (
            nano
            if dialect == "sqlite"
            else f"CASE WHEN ABS({value}) < 1e11 THEN ROUND(CAST({value} AS numeric), 9) END"
        )
    if kind in ("BigInteger", "Integer"):
        if dialect == "sqlite":
            return f"CAST({value} AS INTEGER)"
        if column.type in _NUMBERS or column.type.startswith("numeric"):
            return f"CAST({value} AS bigint)"
        return f"CASE WHEN CAST({value} AS text) ~ '^[0-9]{{1,9}}$' THEN CAST(CAST({value} AS text) AS bigint) END"
    length = getattr(usage_logs.c[name].type, "length", None)
    text = f"CAST({value} AS TEXT)"
    return text if length is None else f"substr({text}, 1, {length})"


def _object(column: OldColumn, value: str, dialect: str) -> str:
    if dialect == "sqlite":
        return f"CASE WHEN {value} IS NULL OR json_valid({value}) THEN {value} ELSE json_quote({value}) END"
    if column.type == "jsonb":
        return value
    return f"CAST({value} AS jsonb)" if column.type == "json" else f"to_jsonb({value})"


def _moment(table: OldTable, value: str, dialect: str, otherwise: str) -> str:
    if dialect == "sqlite":
        missing = "strftime('%Y-%m-%d %H:%M:%f', 'now')" if "now" in otherwise else f"'{_EPOCH}.000'"
        return f"COALESCE(strftime('%Y-%m-%d %H:%M:%f', {value}), {missing}) || '000'"
    types = {column.name: column.type for column in table.columns}
    if types["created_at"].endswith("without time zone"):
        value = f"({value} AT TIME ZONE 'UTC')"
    value = f"CASE WHEN isfinite({value}) THEN {value} END"
    return f"COALESCE({value}, {otherwise})" if otherwise == "now()" else f"COALESCE({value}, timestamptz {otherwise})"


def _status(table: OldTable, row: str) -> str:
    names = {column.name for column in table.columns}
    if "success" in names:
        return f"CASE WHEN {row}.success IS NULL THEN 'unknown' WHEN {row}.success THEN 'ok' ELSE 'error' END"
    if "status_code" in names:
        code = next(column for column in table.columns if column.name == "status_code")
        number = _plain("status_code", code, f"{row}.status_code", "postgresql" if table.schema else "sqlite")
        return f"CASE WHEN {number} >= 400 THEN 'error' ELSE 'ok' END"
    return "'ok'"


def shown(table: OldTable, column: OldColumn, dialect: str, source: str = "") -> str:
    """The expression that shows a column of an old table of calls out of the ledger's row `l`. Costs in another
    currency than dollars, which the ledger does not add up, are looked up in the old table where it lies (`source`).
    """
    name = table.layout.renames.get(column.name, column.name)
    if column.name == "success":
        return "CASE WHEN l.status = 'unknown' THEN NULL ELSE l.status = 'ok' END"
    if column.name == "updated_at":
        name = "created_at"
    if name not in usage_logs.c:
        return "NULL" if dialect == "sqlite" else f"CAST(NULL AS {column.type})"
    value = f"l.{quoted(name)}"
    if dialect == "sqlite":
        return f"{value} / 1e9" if name in COSTS else value
    if source and name in COSTS and table.has_currencies:
        identity = typed("l.id", next(each.type for each in table.columns if each.name == "id"), "id")
        there = f"(SELECT o.{quoted(column.name)} FROM {source} o WHERE o.id = {identity})"
        return f"CASE WHEN l.cost_currency = 'USD' THEN {value} ELSE {there} END"
    return typed(value, column.type, name)


def fitted(value: str, kind: str) -> str:
    """A value in a column that may be shorter than the ledger's: a text is cut, a number that does not fit is NULL."""
    head, _, length = kind.partition("(")
    if head == "character varying" and length:
        return f"LEFT({value}, {length.rstrip(')')})"
    if head == "numeric" and length:
        digits, _, places = length.rstrip(")").partition(",")
        most = 10 ** (int(digits) - int(places or 0))
        return f"CASE WHEN ABS({value}) < {most} THEN CAST({value} AS {kind}) END"
    return value


def place_of(table: OldTable) -> str:
    """Where an old table is, as SQL has it."""
    return ".".join(map(quoted, filter(None, (table.schema, table.name))))


def is_text(kind: str) -> bool:
    """Whether a type of PostgreSQL holds texts."""
    return kind == "text" or kind.startswith("character")


_LEAST = {"integer": -(2**31), "bigint": -(2**63), "smallint": -(2**15)}


def _is_text(name: str) -> bool:
    return usage_logs.c[name].type.__class__.__name__ in ("Text", "String")


def typed(value: str, kind: str, name: str = "") -> str:
    """A value of the ledger in the type that a column had: what is none of that type is NULL."""
    if kind == "uuid":
        return f"llmguard_uuid({value})"
    if kind in ("integer", "bigint", "smallint") and (name not in usage_logs.c or _is_text(name)):
        least = _LEAST[kind]
        fits = f"CAST({value} AS numeric) BETWEEN {least} AND {-least - 1}"
        return f"CASE WHEN {value} ~ '^-?[0-9]{{1,19}}$' THEN CASE WHEN {fits} THEN CAST({value} AS {kind}) END END"
    if kind.endswith("without time zone"):
        return f"({value} AT TIME ZONE 'UTC')"
    if kind == "json":
        return f"CAST({value} AS json)"
    if is_text(kind) and name in _OBJECTS:  # a text that is no JSON is one there
        return f"CASE WHEN jsonb_typeof({value}) = 'string' THEN {value} #>> '{{}}' ELSE CAST({value} AS text) END"
    if is_text(kind) and name in usage_logs.c and not _is_text(name):
        return f"CAST({value} AS text)"
    return value
