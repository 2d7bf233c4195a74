"""For whom, as what and from which code a call ran; sums by call site; jsonb; rows that a plain INSERT can make.

Revision: 0002
Revises: 0001

PostgreSQL's writers wait for the last step only, which swaps columns and adds up the sums by site; what takes long (the
JSON of all rows) is done before, in small pieces, while they write.
"""

from __future__ import annotations

import time
from typing import Any

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
MONEY = sa.Numeric(20, 9).with_variant(sa.BigInteger(), "sqlite")  # nano-dollars in SQLite
TEXTS = ("tenant", "environment", "run_id", "agent", "budget", "repository", "commit", "service_tier")
NUMBERS = ("code_column", "code_end_line", "code_end_column")
OBJECTS = ("metadata", "request_data", "response_data")
KEY = ("tenant", "environment", "user_id", "service_name", "feature_context", "provider", "model")
OLD_KEY = KEY[2:]
SITE_KEY = (
    *("tenant", "environment", "service_name", "feature_context", "provider", "model"),
    *("code_file", "code_function", "code_line", "code_blob"),
)
COUNTS = (
    *("calls", "errors", "unknown_calls", "unpriced_calls", "estimated_calls"),
    *("tokens", "prompt_tokens", "completion_tokens", "duration_ms"),
)
COSTS = ("total_cost", "estimated_cost")
OLD_SUMS = tuple(name for name in (*COUNTS, *COSTS) if not name.startswith("estimated"))
ESTIMATED = "total_cost IS NOT NULL AND (usage_source = 'estimated' OR price_status IN ('estimated', 'approximate'))"
AMOUNTS = f"""COUNT(*), SUM(CASE WHEN status IN ('error', 'timeout') THEN 1 ELSE 0 END),
  SUM(CASE WHEN status = 'unknown' THEN 1 ELSE 0 END), SUM(CASE WHEN total_cost IS NULL THEN 1 ELSE 0 END),
  SUM(CASE WHEN {ESTIMATED} THEN 1 ELSE 0 END), COALESCE(SUM(tokens_used), 0), COALESCE(SUM(prompt_tokens), 0),
  COALESCE(SUM(completion_tokens), 0), COALESCE(SUM(duration_ms), 0), COALESCE(SUM(total_cost), 0),
  SUM(CASE WHEN {ESTIMATED} THEN total_cost ELSE 0 END)"""
REPORT = """
CREATE VIEW llm_usage_report AS
SELECT id, created_at, client_account_id, engagement_id, user_id, username, flow_id, request_id, endpoint,
       page_context, feature_context, provider AS llm_provider, model AS model_name, model_version,
       prompt_tokens AS input_tokens, completion_tokens AS output_tokens, tokens_used AS total_tokens,
       {money} cost_currency, duration_ms AS response_time_ms, status = 'ok' AS success, error_type, error_message,
       request_data, response_data, metadata AS additional_metadata, ip_address, user_agent
FROM llm_usage_logs
"""
DAILY = """
CREATE VIEW llm_usage_daily_summary AS
SELECT user_id, model, {day} AS usage_date,
       SUM(calls) AS total_calls, SUM(tokens) AS total_tokens,
       SUM(prompt_tokens) AS total_prompt_tokens, SUM(completion_tokens) AS total_completion_tokens,
       SUM(duration_ms) * 1.0 / SUM(calls) AS avg_duration_ms, SUM(errors) AS error_count
FROM llm_usage_hourly
GROUP BY user_id, model, {day}
HAVING SUM(calls) > 0
"""
#: It works on the tables that lie beside it, whatever the search path of who calls it.
REFRESH = """
CREATE OR REPLACE FUNCTION refresh_llm_usage_summary() RETURNS void LANGUAGE sql SET search_path FROM CURRENT AS $$
  LOCK TABLE llm_usage_hourly IN EXCLUSIVE MODE;
  DELETE FROM llm_usage_hourly;
  {hourly};
  LOCK TABLE llm_usage_hourly_sites IN EXCLUSIVE MODE;
  DELETE FROM llm_usage_hourly_sites;
  {sites};
$$
"""
OLD_REFRESH = """
CREATE FUNCTION refresh_llm_usage_summary() RETURNS void LANGUAGE sql AS $$
  LOCK TABLE llm_usage_hourly IN EXCLUSIVE MODE;
  DELETE FROM llm_usage_hourly;
  INSERT INTO llm_usage_hourly (hour, user_id, service_name, feature_context, provider, model, calls, errors,
    unknown_calls, unpriced_calls, tokens, prompt_tokens, completion_tokens, duration_ms, total_cost)
  SELECT date_trunc('hour', created_at, 'UTC'), COALESCE(user_id, ''), COALESCE(service_name, ''),
    COALESCE(feature_context, ''), COALESCE(provider, ''), COALESCE(model, ''), COUNT(*),
    COUNT(*) FILTER (WHERE status IN ('error', 'timeout')), COUNT(*) FILTER (WHERE status = 'unknown'),
    COUNT(*) FILTER (WHERE total_cost IS NULL), COALESCE(SUM(tokens_used), 0), COALESCE(SUM(prompt_tokens), 0),
    COALESCE(SUM(completion_tokens), 0), COALESCE(SUM(duration_ms), 0), COALESCE(SUM(total_cost), 0)
  FROM llm_usage_logs GROUP BY 1, 2, 3, 4, 5, 6;
$$
"""
DEFAULTS = {
    "id": ("(lower(hex(randomblob(16))))", "gen_random_uuid()::text"),
    "call_id": ("(lower(hex(randomblob(16))))", "gen_random_uuid()::text"),
    "created_at": ("(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')", "now()"),
    "status": ("'ok'", "'ok'"),
}
#: A JSON that holds what jsonb does not take (\u0000) loses that, not the row.
AS_JSONB = r"""
CREATE OR REPLACE FUNCTION llmguard_as_jsonb(value json) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN value::jsonb;
EXCEPTION WHEN OTHERS THEN
  RETURN replace(value::text, '\u0000', '')::jsonb;
END $$
"""
INDEXES = (
    ("idx_llm_usage_user_id", ["user_id"]),
    ("idx_llm_usage_model", ["model"]),
    ("idx_llm_usage_created_at", ["created_at"]),
    ("idx_llm_usage_user_date", ["user_id", "created_at"]),
)
BATCH = 5000  # rows whose JSON is made anew in one transaction
WAIT = "2s"  # how long a step of PostgreSQL waits for its lock, and holds up whoever comes behind, before it tries anew


def upgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        _upgrade_sqlite()
    elif context.is_offline_mode() or context.config.attributes.get("within"):
        _upgrade_postgresql_at_once()
    else:
        _upgrade_postgresql()


# -- what both do -----------------------------------------------------------------------------------------------------


def _new_columns(json: object) -> list[sa.Column]:
    return [
        *(sa.Column(name, sa.Text) for name in TEXTS[:7]),
        sa.Column("code_blob", sa.String(64)),
        *(sa.Column(name, sa.Integer) for name in NUMBERS),
        sa.Column(TEXTS[7], sa.Text),
        sa.Column("usage_details", json),
    ]


def _rollup(
    name: str,
    key: tuple[str, ...],
    counts: tuple[str, ...] = COUNTS,
    costs: tuple[str, ...] = COSTS,
    **options: Any,
) -> None:
    kinds = {"hour": TIME, "code_line": sa.Integer}
    op.create_table(
        name,
        *(sa.Column(each, kinds.get(each, sa.Text), primary_key=True) for each in key),
        *(sa.Column(each, sa.BigInteger, nullable=False, server_default="0") for each in counts),
        *(sa.Column(each, MONEY, nullable=False, server_default="0") for each in costs),
        **options,
    )


def _sites() -> None:
    """The sums by call site. The key begins with the site; in SQLite the table lies in its order."""
    order = (*SITE_KEY[-4:], "hour", *SITE_KEY[:-4])
    _rollup("llm_usage_hourly_sites", order, sqlite_with_rowid=False)
    op.create_index("idx_llm_usage_hourly_sites_hour", "llm_usage_hourly_sites", ["hour"])
    op.execute(_filling("llm_usage_hourly_sites", SITE_KEY))


def _filling(table: str, key: tuple[str, ...], where: str = "") -> str:
    """The statement that adds up all rows."""
    sqlite = op.get_context().dialect.name == "sqlite"
    hour = "strftime('%Y-%m-%d %H:00:00.000000', created_at)" if sqlite else "date_trunc('hour', created_at, 'UTC')"
    columns = [hour, *(f"COALESCE({each}, {0 if each == 'code_line' else chr(39) * 2})" for each in key)]
    groups = ", ".join(str(number + 1) for number in range(len(columns)))
    return (
        f"INSERT INTO {table} (hour, {', '.join((*key, *COUNTS, *COSTS))}) SELECT {', '.join(columns)}, {AMOUNTS} "
        f"FROM llm_usage_logs {where}GROUP BY {groups}"
    )


def _hourly_anew() -> None:
    """The sums by hour with their longer key; what they were stays, for rows may be gone that they still count."""
    op.execute("DROP VIEW llm_usage_daily_summary")
    op.drop_index("idx_llm_usage_hourly_user", "llm_usage_hourly")
    op.rename_table("llm_usage_hourly", "llm_usage_hourly_0001")
    if op.get_context().dialect.name != "sqlite":
        op.execute("ALTER INDEX llm_usage_hourly_pkey RENAME TO llm_usage_hourly_0001_pkey")
    _rollup("llm_usage_hourly", ("hour", *KEY))
    names = ", ".join(("hour", *OLD_KEY, *OLD_SUMS))
    op.execute(
        f"INSERT INTO llm_usage_hourly (tenant, environment, {names}) SELECT '', '', {names} FROM llm_usage_hourly_0001"
    )
    op.drop_table("llm_usage_hourly_0001")
    op.create_index("idx_llm_usage_hourly_user", "llm_usage_hourly", ["user_id", "hour"])
    changes = ", ".join(f"{each} = excluded.{each}" for each in ("estimated_calls", "estimated_cost"))
    keys = ", ".join(("hour", *KEY))
    filling = _filling("llm_usage_hourly", KEY, f"WHERE {ESTIMATED} ")
    op.execute(f"{filling} ON CONFLICT ({keys}) DO UPDATE SET {changes}")


def _views() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    money = ("input_cost", "output_cost", "total_cost")
    op.execute(REPORT.format(money="".join(f"{name}{f' / 1e9 AS {name}' if sqlite else ''}, " for name in money)))
    op.execute(DAILY.format(day="DATE(hour)" if sqlite else "CAST(hour AT TIME ZONE 'UTC' AS date)"))


# -- SQLite -----------------------------------------------------------------------------------------------------------


def _upgrade_sqlite() -> None:
    op.execute("DROP VIEW llm_usage_report")
    _calls_anew(_new_columns(sa.JSON), {name: given for name, (given, _) in DEFAULTS.items()})
    op.create_index("idx_llm_usage_response", "llm_usage_logs", ["provider_response_id"])
    _hourly_anew()
    _sites()
    _views()


def _calls_anew(added: list[sa.Column], defaults: dict[str, str]) -> None:
    """The table of calls with further columns, and with these defaults only. SQLite can give a column a default by
    making its table anew: the rows are copied once."""
    op.rename_table("llm_usage_logs", "llm_usage_logs_before")
    for name, _ in INDEXES:
        op.drop_index(name, "llm_usage_logs_before")
    columns = [
        *(sa.Column(name, sa.String(64), nullable=False, primary_key=name == "id") for name in ("id", "call_id")),
        sa.Column("attempt_no", sa.Integer, nullable=False, server_default="0"),
        *(sa.Column(name, sa.Text) for name in ("user_id", "endpoint", "model")),
        sa.Column("status_code", sa.Integer),
        *(sa.Column(name, sa.BigInteger) for name in ("tokens_used", "prompt_tokens", "completion_tokens")),
        sa.Column("duration_ms", sa.BigInteger),
        sa.Column("error_message", sa.Text),
        sa.Column("metadata", sa.JSON),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        *(sa.Column(name, sa.Text) for name in ("error_type", "provider", "response_model", "model_version")),
        sa.Column("operation", sa.String(32)),
        *(sa.Column(name, sa.Text) for name in ("service_name", "feature_context", "page_context", "username")),
        *(sa.Column(name, sa.Text) for name in ("client_account_id", "engagement_id", "flow_id", "request_id")),
        *(sa.Column(name, sa.Text) for name in ("ip_address", "user_agent")),
        sa.Column("stream", sa.Boolean),
        *(sa.Column(name, sa.BigInteger) for name in ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")),
        sa.Column("usage_source", sa.String(16)),
        *(sa.Column(name, MONEY) for name in ("input_cost", "output_cost", "total_cost")),
        sa.Column("cost_currency", sa.String(3)),
        sa.Column("price_status", sa.String(16)),
        *(sa.Column(name, sa.Text) for name in ("price_version", "code_file", "code_function")),
        sa.Column("code_line", sa.Integer),
        sa.Column("provider_response_id", sa.Text),
        *(sa.Column(name, sa.JSON) for name in ("request_data", "response_data")),
    ]
    names = ", ".join(f'"{column.name}"' for column in columns)
    columns += added
    for column in columns:
        if column.name in defaults:
            column.server_default = sa.DefaultClause(sa.text(defaults[column.name]))
    op.create_table("llm_usage_logs", *columns, sa.UniqueConstraint("call_id", "attempt_no", name="uq_llm_usage_call"))
    op.execute(f"INSERT INTO llm_usage_logs ({names}) SELECT {names} FROM llm_usage_logs_before")
    op.drop_table("llm_usage_logs_before")
    for name, indexed in INDEXES:
        op.create_index(name, "llm_usage_logs", indexed)


# -- PostgreSQL -------------------------------------------------------------------------------------------------------


def _upgrade_postgresql_at_once() -> None:
    op.execute("DROP VIEW llm_usage_report")
    for column in _new_columns(JSONB):
        op.add_column("llm_usage_logs", column)
    op.execute(AS_JSONB)
    for name in OBJECTS:
        op.execute(f"ALTER TABLE llm_usage_logs ALTER {name} TYPE jsonb USING llmguard_as_jsonb({name})")
    op.execute("DROP FUNCTION llmguard_as_jsonb(json)")
    _finish_postgresql()


def _upgrade_postgresql() -> None:
    schema = op.get_bind().execute(sa.text("SELECT current_schema()")).scalar_one()
    _begin_postgresql()
    # Each step below is a transaction of its own; an upgrade that broke off is taken up where it did.
    with op.get_context().autocommit_block():
        _copy_objects(f'"{schema}".llm_usage_logs')
    _with_lock("LOCK TABLE llm_usage_logs, llm_usage_hourly IN ACCESS EXCLUSIVE MODE")
    op.execute("DROP VIEW llm_usage_report")
    op.execute("DROP TRIGGER llmguard_0002 ON llm_usage_logs")
    op.execute("DROP FUNCTION llmguard_0002()")
    for name in OBJECTS:
        op.drop_column("llm_usage_logs", name)
        op.alter_column("llm_usage_logs", f"{name}_0002", new_column_name=name)
    op.execute("DROP FUNCTION llmguard_as_jsonb(json)")
    _finish_postgresql()


def _begin_postgresql() -> None:
    """New columns, and what keeps the new JSON ones in step with the old ones that are written still."""
    added = [
        *(f'"{name}" text' for name in TEXTS),
        "code_blob varchar(64)",
        *(f"{name} integer" for name in NUMBERS),
        "usage_details jsonb",
        *(f"{name}_0002 jsonb" for name in OBJECTS),
    ]
    _with_lock(
        "ALTER TABLE llm_usage_logs " + ", ".join(f"ADD COLUMN IF NOT EXISTS {each}" for each in added),
        AS_JSONB,
        f"""
        CREATE OR REPLACE FUNCTION llmguard_0002() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
        BEGIN
          {" ".join(f"NEW.{name}_0002 := llmguard_as_jsonb(NEW.{name});" for name in OBJECTS)}
          RETURN NEW;
        END $$
        """,
        "DROP TRIGGER IF EXISTS llmguard_0002 ON llm_usage_logs",
        "CREATE TRIGGER llmguard_0002 BEFORE INSERT OR UPDATE ON llm_usage_logs "
        "FOR EACH ROW EXECUTE FUNCTION llmguard_0002()",
    )


def _copy_objects(table: str) -> None:
    """The JSON of the rows that are there, piece by piece."""
    bind = op.get_bind()
    last = sa.text(f"SELECT max(id) FROM (SELECT id FROM {table} WHERE id > :after ORDER BY id LIMIT {BATCH}) AS piece")
    # The trigger does it: a row only has to be touched.
    touch = sa.text(
        f"UPDATE {table} SET metadata = metadata WHERE id > :after AND id <= :last "
        f"AND ({' OR '.join(f'{name} IS NOT NULL' for name in OBJECTS)}) "
        f"AND {' AND '.join(f'{name}_0002 IS NULL' for name in OBJECTS)}"
    )
    after = ""
    while (until := bind.execute(last, {"after": after}).scalar_one()) is not None:
        bind.execute(touch, {"after": after, "last": until})
        after = until


def _with_lock(*statements: str) -> None:
    """Run statements that need a table for themselves. Who waits for such a lock holds up all that come behind, so
    each try waits briefly."""
    bind = op.get_bind()
    for left in range(300, -1, -1):
        try:
            with bind.begin_nested():
                bind.execute(sa.text(f"SET LOCAL lock_timeout = '{WAIT}'"))
                for statement in statements:
                    bind.exec_driver_sql(statement)
                bind.execute(sa.text("SET LOCAL lock_timeout = DEFAULT"))
        except sa.exc.OperationalError as error:  # noqa: PERF203  (it is waited, not computed)
            if getattr(error.orig, "sqlstate", "") != "55P03" or not left:
                raise
            time.sleep(0.2)
        else:
            return


def _finish_postgresql() -> None:
    # Nobody writes meanwhile: the sums of a million rows in memory are there in a third of the time of sorting them.
    op.execute("SET LOCAL work_mem = '128MB'")
    for name, (_, given) in DEFAULTS.items():
        op.execute(f"ALTER TABLE llm_usage_logs ALTER {name} SET DEFAULT {given}")
    # Not concurrently: that would wait for whoever waits for this upgrade.
    op.create_index("idx_llm_usage_response", "llm_usage_logs", ["provider_response_id"])
    _hourly_anew()
    _sites()
    _views()
    op.execute("DROP FUNCTION refresh_llm_usage_summary()")
    hourly, sites = _filling("llm_usage_hourly", KEY), _filling("llm_usage_hourly_sites", SITE_KEY)
    op.execute(REFRESH.format(hourly=hourly, sites=sites))


# -- back -------------------------------------------------------------------------------------------------------------


def downgrade() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    op.execute("DROP VIEW llm_usage_report")
    op.execute("DROP VIEW llm_usage_daily_summary")
    if not sqlite:
        op.execute("DROP FUNCTION refresh_llm_usage_summary()")
    op.drop_table("llm_usage_hourly_sites")
    op.drop_index("idx_llm_usage_response", "llm_usage_logs")
    op.drop_index("idx_llm_usage_hourly_user", "llm_usage_hourly")
    op.rename_table("llm_usage_hourly", "llm_usage_hourly_0002")
    if not sqlite:
        op.execute("ALTER INDEX llm_usage_hourly_pkey RENAME TO llm_usage_hourly_0002_pkey")
    _rollup("llm_usage_hourly", ("hour", *OLD_KEY), OLD_SUMS[:-1], OLD_SUMS[-1:])
    keys = ", ".join(("hour", *OLD_KEY))
    op.execute(
        f"INSERT INTO llm_usage_hourly ({keys}, {', '.join(OLD_SUMS)}) "
        f"SELECT {keys}, {', '.join(f'SUM({each})' for each in OLD_SUMS)} FROM llm_usage_hourly_0002 GROUP BY {keys}"
    )
    op.drop_table("llm_usage_hourly_0002")
    op.create_index("idx_llm_usage_hourly_user", "llm_usage_hourly", ["user_id", "hour"])
    if sqlite:
        _calls_anew([], {})
    else:
        for column in _new_columns(JSONB):
            op.drop_column("llm_usage_logs", column.name)
        for name in DEFAULTS:
            op.execute(f"ALTER TABLE llm_usage_logs ALTER {name} DROP DEFAULT")
        for name in OBJECTS:
            op.execute(f"ALTER TABLE llm_usage_logs ALTER {name} TYPE json USING {name}::json")
    _views()
    if not sqlite:
        op.execute(OLD_REFRESH)
