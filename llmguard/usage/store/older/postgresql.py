"""The statements with which PostgreSQL sets older tables aside and puts views in their places, and goes back."""

from __future__ import annotations

from llmguard.usage.store.older.found import Found, OldColumn, OldTable
from llmguard.usage.store.older.limits import defaults, limits
from llmguard.usage.store.older.mapping import COSTS, expressions, mark, place_of, quoted, shown, typed
from llmguard.usage.store.tables import model_pricing

MARKS = """CREATE TABLE IF NOT EXISTS llmguard_adoption (
  place text PRIMARY KEY, kind text NOT NULL, lies_in text NOT NULL, state text NOT NULL, last_id text,
  rows_taken bigint NOT NULL DEFAULT 0, rows_there bigint NOT NULL DEFAULT 0,
  noted_at timestamptz NOT NULL DEFAULT now()
)"""
#: What a text says as JSON, NULL for one that is none.
JSON = """CREATE OR REPLACE FUNCTION llmguard_json(value text) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN CAST(value AS jsonb);
EXCEPTION WHEN OTHERS THEN
  RETURN NULL;
END $$"""
_DAILY = """SELECT {user} AS user_id, model, CAST(hour AT TIME ZONE 'UTC' AS date) AS usage_date,
  CAST(SUM(calls) AS bigint) AS total_calls, CAST(SUM(tokens) AS bigint) AS total_tokens,
  CAST(SUM(prompt_tokens) AS bigint) AS total_prompt_tokens,
  CAST(SUM(completion_tokens) AS bigint) AS total_completion_tokens,
  SUM(duration_ms) * 1.0 / SUM(calls) AS avg_duration_ms, CAST(SUM(errors) AS bigint) AS error_count
FROM llm_usage_hourly GROUP BY 1, 2, 3 HAVING SUM(calls) > 0"""


def where(table: OldTable, aside: str) -> str:
    """Where an old table lies once it is set aside."""
    return f"{quoted(table.schema if table.layout.is_kept else aside)}.{quoted(table.name)}"


def set_aside(found: Found, aside: dict[str, str]) -> list[str]:
    """Statements that make room: tables with all that is theirs go into a schema of their own.

    Args:
        found: what there is.
        aside: schema -> the schema that its tables go into.
    """
    statements = [f"CREATE SCHEMA IF NOT EXISTS {quoted(each)}" for each in sorted(set(aside.values()))]
    statements += [MARKS, JSON]
    here = quoted(found.schema)
    for name, kind in found.daily.items():
        what = "MATERIALIZED VIEW" if kind == "m" else "VIEW"
        statements.append(f"ALTER {what} {here}.{quoted(name)} SET SCHEMA {quoted(aside[found.schema])}")
    statements += [
        f"ALTER FUNCTION {here}.{quoted(name)}() SET SCHEMA {quoted(aside[found.schema])}" for name in found.functions
    ]
    for table in found.tables:
        if not table.layout.is_kept:
            place = place_of(table)
            statements.append(f"ALTER TABLE {place} SET SCHEMA {quoted(aside[table.schema])}")
    return statements


def replace(found: Found, aside: dict[str, str], version: int) -> list[str]:
    """Statements that fill the old places once the ledger's tables are there.

    Args:
        found: what there was.
        aside: schema -> the schema that its tables went into.
        version: of the server, its major number.
    """
    statements = []
    for table in found.tables:
        source = where(table, aside.get(table.schema, ""))
        kind = table.layout.kind
        state = "copying" if kind in ("calls", "reports") else "done"
        statements.append(mark(table, source, state))
        if kind == "defaults":
            statements.append(defaults(table, source))
        elif kind == "limits":
            statements += limits(table, source)
        elif kind == "pricing":
            statements += [_prices(table, source), *_view(table, source, "llm_model_pricing", version)]
        elif kind == "summaries":
            statements += _summaries(table, source)
        elif kind == "reports" or table.name != "llm_usage_logs":
            statements += _view(table, source, "llm_usage_logs", version)
        statements += _rights(table, aside, found.schema)
    statements += _daily(found)
    return statements


def _prices(table: OldTable, source: str) -> str:
    ours = {column.name: column for column in model_pricing.columns}
    shared = [column for column in table.columns if column.name in ours]
    values = []
    for column in shared:
        value = f"o.{quoted(column.name)}"
        if column.type == "uuid":
            value = f"CAST({value} AS text)"
        elif column.type.endswith("without time zone"):
            value = f"({value} AT TIME ZONE 'UTC')"
        if not ours[column.name].nullable:
            value = f"COALESCE({value}, {_PRICE_DEFAULTS[column.name]})"
        values.append(value)
    names = ", ".join(quoted(column.name) for column in shared)
    return f"INSERT INTO llm_model_pricing ({names}) SELECT {', '.join(values)} FROM {source} o ON CONFLICT DO NOTHING"


_PRICE_DEFAULTS = {
    "id": "CAST(gen_random_uuid() AS text)",
    "provider": "''",
    "model_name": "''",
    "currency": "'USD'",
    "is_active": "true",
    "effective_from": "timestamptz '1970-01-01 00:00:00+00'",
    **dict.fromkeys(("created_at", "updated_at"), "now()"),
}


def _view(table: OldTable, source: str, ours: str, version: int) -> list[str]:
    """The view in the old place, with the old names and types; what is written to it goes into the ledger."""
    place = place_of(table)
    if ours == "llm_usage_logs":
        columns = [f"{shown(table, each, 'postgresql', source)} AS {quoted(each.name)}" for each in table.columns]
    else:
        known = {column.name for column in model_pricing.columns}
        columns = [
            f"{typed('l.' + quoted(each.name), each.type) if each.name in known else f'CAST(NULL AS {each.type})'} "
            f"AS {quoted(each.name)}"
            for each in table.columns
        ]
    # As who asks, so that the rows that he may see are those that he might have seen.
    options = " WITH (security_invoker = true)" if version >= 15 else ""
    name = function_of(table)
    return [
        f"CREATE VIEW {place}{options} AS SELECT {', '.join(columns)} FROM {ours} l",
        *_defaults(table, place),
        _writing(table, ours, name),
        f"CREATE TRIGGER {name} INSTEAD OF INSERT OR UPDATE OR DELETE ON {place} "
        f"FOR EACH ROW EXECUTE FUNCTION {name}()",
    ]


def _defaults(table: OldTable, place: str) -> list[str]:
    return [
        f"ALTER VIEW {place} ALTER COLUMN {quoted(each.name)} SET DEFAULT {_default(each)}"
        for each in table.columns
        if each.default and "nextval" not in each.default
    ]


def _default(column: OldColumn) -> str:
    """A time without a zone is one of UTC, whatever the zone of a session."""
    is_now = column.default.lower() in ("now()", "current_timestamp", "localtimestamp")
    return "(now() AT TIME ZONE 'UTC')" if is_now and column.type.endswith("without time zone") else column.default


def function_of(table: OldTable) -> str:
    """The function, and the trigger, that write through the view of a table."""
    is_second = table.layout.kind in ("reports", "pricing", "summaries")
    return f"llmguard_through_{table.schema if is_second else 'old'}_{table.name}"


def _writing(table: OldTable, ours: str, name: str) -> str:
    if ours == "llm_usage_logs":
        made = expressions(table, "NEW", "postgresql", from_view=True)
    else:
        known = {column.name for column in model_pricing.columns}
        made = {
            each.name: f"CAST(NEW.{quoted(each.name)} AS text)" if each.type == "uuid" else f"NEW.{quoted(each.name)}"
            for each in table.columns
            if each.name in known
        }
    made["id"] = "COALESCE(CAST(NEW.id AS text), CAST(gen_random_uuid() AS text))"
    if "call_id" in made:
        made["call_id"] = made["id"]
    changed = _changes(table, made)
    names, values = ", ".join(map(quoted, made)), ", ".join(made.values())
    changes = ", ".join(f"{quoted(each)} = {value}" for each, value in changed.items())
    before = after = refused = ""
    costs = [each.name for each in table.columns if each.name in COSTS]
    if costs and any(each.name == "cost_currency" for each in table.columns):
        old, new = (", ".join(f"{row}.{each}" for each in (*costs, "cost_currency")) for row in ("OLD", "NEW"))
        refused = f"""IF UPPER(NEW.cost_currency) <> 'USD' AND ROW({old}) IS DISTINCT FROM ROW({new}) THEN
      RAISE EXCEPTION 'the ledger holds dollars: a cost in % cannot be written', NEW.cost_currency;
    END IF;
    """
    if ours == "llm_usage_logs":  # the sums go with the call
        before = "PERFORM llmguard_add(l, -1) FROM llm_usage_logs l WHERE l.id = CAST(OLD.id AS text);"
        after = "PERFORM llmguard_add(l, 1) FROM llm_usage_logs l WHERE l.id = CAST(OLD.id AS text);"
    return f"""CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF TG_OP = 'INSERT' THEN
    NEW.id := COALESCE(NEW.id, {_fresh(table)});
    INSERT INTO {ours} ({names}) VALUES ({values});
    RETURN NEW;
  ELSIF TG_OP = 'UPDATE' THEN
    {refused}{before}
    UPDATE {ours} l SET {changes} WHERE id = CAST(OLD.id AS text);
    {after}
    RETURN NEW;
  END IF;
  {before}
  DELETE FROM {ours} WHERE id = CAST(OLD.id AS text);
  RETURN OLD;
END $$"""


def _changes(table: OldTable, made: dict[str, str]) -> dict[str, str]:
    """Column of the ledger -> what an UPDATE of the view makes of it: what the statement does not change stays, for the
    view may show less than there is."""
    found = {}
    theirs = {table.layout.renames.get(column.name, column.name): column for column in table.columns}
    if "success" in theirs or "status_code" in theirs:
        theirs.setdefault("status", theirs.get("success") or theirs["status_code"])
    for name, value in made.items():
        column = theirs.get(name)
        if column is None or name in ("id", "call_id", "attempt_no", "usage_source"):
            continue
        kind = "::text" if column.type == "json" else ""
        of = [column.name, *(["cost_currency"] if name in COSTS and "cost_currency" in theirs else [])]
        old, new = (", ".join(f"{row}.{quoted(each)}{kind}" for each in of) for row in ("OLD", "NEW"))
        old, new = (f"ROW({each})" if len(of) > 1 else each for each in (old, new))
        found[name] = f"CASE WHEN {new} IS DISTINCT FROM {old} THEN {value} ELSE l.{quoted(name)} END"
    return found


def _fresh(table: OldTable) -> str:
    kind = next(column.type for column in table.columns if column.name == "id")
    return "gen_random_uuid()" if kind == "uuid" else "NULL"


def _rights(table: OldTable, aside: dict[str, str], ledger: str) -> list[str]:
    """Who could read and write the old table can do so with what is in its place; policies stay with the old one, so
    others see nothing until somebody writes them anew."""
    if table.layout.is_kept:
        return []
    if table.layout.kind in ("limits", "defaults"):
        return [
            f"GRANT {right} ON {table.name} TO {'PUBLIC' if role == 'public' else quoted(role)}"
            for role, right in table.rights
        ]
    ours = "llm_model_pricing" if table.layout.kind == "pricing" else "llm_usage_logs"
    targets = [ours]
    if not (table.layout.kind == "calls" and table.name == ours):
        targets.append(place_of(table))
    statements = [f"ALTER TABLE {ours} ENABLE ROW LEVEL SECURITY"] if table.has_row_security else []
    for role, right in table.rights:
        to = "PUBLIC" if role == "public" else quoted(role)
        if table.layout.kind == "summaries":
            statements.append(f"GRANT {right} ON {targets[-1]} TO {to}")
            continue
        if table.schema != ledger:
            statements.append(f"GRANT USAGE ON SCHEMA {quoted(ledger)} TO {to}")
        statements += [f"GRANT {right} ON {each} TO {to}" for each in targets]
        if right == "SELECT" and table.has_currencies:  # the view looks there for costs in other currencies
            statements.append(f"GRANT USAGE ON SCHEMA {quoted(aside[table.schema])} TO {to}")
        if right == "SELECT" and ours == "llm_usage_logs":
            statements.append(f"GRANT SELECT ON llm_usage_logs_uuid, llm_usage_hourly, llm_usage_daily_summary TO {to}")
        if right != "SELECT" and ours == "llm_usage_logs":  # the sums go with the call
            statements.append(f"GRANT SELECT, INSERT, UPDATE ON llm_usage_hourly, llm_usage_hourly_sites TO {to}")
    return statements


def _summaries(table: OldTable, source: str) -> list[str]:
    """Sums of periods, which nobody wrote: what is there is kept, the rest is added up from the calls."""
    kept = "llm_usage_summary_before"
    values = [f"{_summed(each.name, each.type)} AS {quoted(each.name)}" for each in table.columns]
    names = ", ".join(quoted(each.name) for each in table.columns)
    groups = ", ".join(f"l.{each}" for each in _PERIOD_KEY)
    return [
        f"CREATE TABLE {kept} AS SELECT * FROM {source}",
        f"CREATE VIEW {quoted(table.schema)}.{quoted(table.name)} AS SELECT {names} FROM {kept} UNION ALL "
        f"SELECT {', '.join(values)} "
        "FROM (SELECT p.type, p.unit, date_trunc(p.unit, c.created_at, 'UTC') AS start, c.* "
        "FROM (VALUES ('daily', 'day'), ('weekly', 'week'), ('monthly', 'month')) p(type, unit) "
        f"CROSS JOIN llm_usage_logs c) l WHERE NOT EXISTS (SELECT FROM {kept} k WHERE k.period_type = l.type "
        f"AND k.period_start = l.start) GROUP BY l.type, l.unit, l.start, {groups}",
        *_defaults(table, place_of(table)),
        _SUMMARY_WRITING.format(name=function_of(table), kept=kept),
        f"CREATE TRIGGER {function_of(table)} INSTEAD OF INSERT OR UPDATE OR DELETE ON "
        f"{quoted(table.schema)}.{quoted(table.name)} FOR EACH ROW EXECUTE FUNCTION {function_of(table)}()",
    ]


_SUMMARY_WRITING = """CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN
    DELETE FROM {kept} WHERE id = OLD.id;
  END IF;
  IF TG_OP = 'DELETE' THEN
    RETURN OLD;
  END IF;
  NEW.id := COALESCE(NEW.id, gen_random_uuid());
  INSERT INTO {kept} SELECT NEW.*;
  RETURN NEW;
END $$"""


_PERIOD_KEY = (
    *("client_account_id", "engagement_id", "user_id", "provider", "model", "page_context", "feature_context"),
)
_KEY_TEXT = " || '|' || ".join(f"COALESCE(l.{each}, '')" for each in _PERIOD_KEY)
_SUMMED = {
    "id": f"CAST(md5(l.type || l.start || {_KEY_TEXT}) AS uuid)",
    "period_type": "l.type",
    "period_start": "l.start",
    "period_end": "l.start + CAST('1 ' || l.unit AS interval)",
    "llm_provider": "l.provider",
    "model_name": "l.model",
    "total_requests": "count(*)",
    "successful_requests": "count(*) FILTER (WHERE l.status = 'ok')",
    "failed_requests": "count(*) FILTER (WHERE l.status IN ('error', 'timeout'))",
    "total_input_tokens": "sum(l.prompt_tokens)",
    "total_output_tokens": "sum(l.completion_tokens)",
    "total_tokens": "sum(l.tokens_used)",
    "total_cost": "sum(l.total_cost)",
    "avg_response_time_ms": "avg(l.duration_ms)",
    "min_response_time_ms": "min(l.duration_ms)",
    "max_response_time_ms": "max(l.duration_ms)",
    "created_at": "max(l.created_at)",
    "updated_at": "max(l.created_at)",
    **{each: f"l.{each}" for each in _PERIOD_KEY if each not in ("provider", "model")},
}


def _summed(name: str, kind: str) -> str:
    value = _SUMMED.get(name)
    if value is None:
        return f"CAST(NULL AS {kind})"
    if name in _PERIOD_KEY:
        return typed(value, kind, name)
    return value if kind == "uuid" else f"CAST({value} AS {kind})"


def _daily(found: Found) -> list[str]:
    """Daily sums that were kept in a table of their own, or a view, and what refreshes them."""
    statements, refreshing = [], []
    calls = next((table for table in found.tables if table.layout.kind == "calls"), None)
    kind_of_user = next((column.type for column in calls.columns if column.name == "user_id"), "") if calls else "uuid"
    readers = sorted({role for role, right in calls.rights if right == "SELECT"}) if calls else []
    for name, kind in found.daily.items():
        place = f"{quoted(found.schema)}.{name}"
        if kind != "m":
            if name != "llm_usage_daily_summary":
                statements.append(f"CREATE VIEW {place} AS SELECT * FROM llm_usage_daily_summary")
            continue
        if name == "llm_usage_daily_summary":
            statements.append("DROP VIEW llm_usage_daily_summary")
        statements.append(f"CREATE MATERIALIZED VIEW {place} AS {_DAILY.format(user=typed('user_id', kind_of_user))}")
        statements.append(f"CREATE UNIQUE INDEX idx_{name}_unique ON {place} (user_id, model, usage_date)")
        statements += [
            f"GRANT SELECT ON {place} TO {'PUBLIC' if each == 'public' else quoted(each)}" for each in readers
        ]
        refreshing.append(f"REFRESH MATERIALIZED VIEW {place};")
    names = [each for each in found.functions if each == "refresh_groq_usage_summary"]
    body = "BEGIN PERFORM refresh_llm_usage_summary(); END"
    if refreshing:
        statements.append("ALTER FUNCTION refresh_llm_usage_summary() RENAME TO llmguard_refresh_sums")
        body = f"BEGIN PERFORM llmguard_refresh_sums(); {' '.join(refreshing)} END"
        names.insert(0, "refresh_llm_usage_summary")
    # With the rights of who upgrades: only an owner may refresh, and that was somebody else.
    statements += [
        f"CREATE FUNCTION {name}() RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT "
        f"AS $$ {body} $$"
        for name in names
    ]
    return statements
