"""Rows that others write, ids as UUIDs, prices of one's own, what was priced anew, and what was deleted.

Revision: 0004
Revises: 0003

A row that comes by a plain INSERT says nothing of a price: that is how it is told from the ledger's own. What it leaves
out is filled in, and it is added to the sums.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
RATE = sa.Numeric(20, 9)
MONEY = sa.Numeric(20, 9).with_variant(sa.BigInteger(), "sqlite")  # nano-dollars in SQLite
KEY = ("tenant", "environment", "user_id", "service_name", "feature_context", "provider", "model")
SITE_KEY = (
    *("tenant", "environment", "service_name", "feature_context", "provider", "model"),
    *("code_file", "code_function", "code_line", "code_blob"),
)
SUMS = (
    *("calls", "errors", "unknown_calls", "unpriced_calls", "estimated_calls"),
    *("tokens", "prompt_tokens", "completion_tokens", "duration_ms", "total_cost", "estimated_cost"),
)
IDENTITY = {"sqlite": "(lower(hex(randomblob(16))))", "postgresql": "gen_random_uuid()::text"}
NOW = {"sqlite": "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')", "postgresql": "now()"}
AS_UUID = """
CREATE FUNCTION llmguard_uuid(value text) RETURNS uuid LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN value ~* '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' THEN value::uuid END
$$
"""
#: For joins with tables whose keys are UUIDs.
BY_UUID = """
CREATE VIEW llm_usage_logs_uuid AS
SELECT llmguard_uuid(id) AS id, llmguard_uuid(user_id) AS user_id, endpoint, model, status_code, tokens_used,
       prompt_tokens, completion_tokens, duration_ms, error_message, metadata, created_at, status, provider,
       service_name, total_cost
FROM llm_usage_logs
"""
FILL_IN = """
CREATE FUNCTION llmguard_fill_in() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status = 'ok' AND NEW.status_code >= 400 THEN
    NEW.status := 'error';
  END IF;
  NEW.provider := COALESCE(NEW.provider, NEW.metadata->>'provider');
  NEW.service_name := COALESCE(NEW.service_name, NEW.metadata->>'service');
  NEW.tokens_used := COALESCE(NEW.tokens_used, NEW.prompt_tokens + NEW.completion_tokens);
  NEW.usage_source := COALESCE(NEW.usage_source, 'caller');
  NEW.cost_currency := COALESCE(NEW.cost_currency, 'USD');
  IF NEW.total_cost IS NULL THEN
    NEW.total_cost := NEW.input_cost + NEW.output_cost;
  END IF;
  RETURN NEW;
END $$
"""
#: Adds a call to the sums (1), or takes it away (-1).
ADD = """
CREATE FUNCTION llmguard_add(call llm_usage_logs, sign integer) RETURNS void LANGUAGE plpgsql
SET search_path FROM CURRENT AS $$
BEGIN
  {hourly};
  {sites};
END $$
"""
ADD_UP = """
CREATE FUNCTION llmguard_add_up() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  PERFORM llmguard_add(NEW, 1);
  RETURN NULL;
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING 'the sums miss a call (llmguard usage verify --repair): %', SQLERRM;
  RETURN NULL;
END $$
"""
FILL_IN_SQLITE = """
CREATE TRIGGER llmguard_fill_in AFTER INSERT ON llm_usage_logs WHEN NEW.price_status IS NULL BEGIN
  UPDATE llm_usage_logs SET
    created_at = COALESCE(strftime('%Y-%m-%d %H:%M:%f', created_at) || '000', {now}),
    metadata = CASE WHEN metadata IS NULL OR json_valid(metadata) THEN metadata ELSE json_quote(metadata) END,
    status = CASE WHEN status = 'ok' AND status_code >= 400 THEN 'error' ELSE status END,
    provider = COALESCE(provider, CASE WHEN json_valid(metadata) THEN json_extract(metadata, '$.provider') END),
    service_name = COALESCE(service_name, CASE WHEN json_valid(metadata) THEN json_extract(metadata, '$.service') END),
    tokens_used = COALESCE(tokens_used, prompt_tokens + completion_tokens),
    usage_source = COALESCE(usage_source, 'caller'),
    cost_currency = COALESCE(cost_currency, 'USD'),
    total_cost = COALESCE(total_cost, input_cost + output_cost)
  WHERE id = NEW.id;
  {hourly};
  {sites};
END
"""


AMOUNTS = """COUNT(*), COUNT(*) FILTER (WHERE status IN ('error', 'timeout')),
  COUNT(*) FILTER (WHERE status = 'unknown'), COUNT(*) FILTER (WHERE total_cost IS NULL),
  COUNT(*) FILTER (WHERE {estimated}),
  COALESCE(SUM(tokens_used), 0), COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(completion_tokens), 0),
  COALESCE(SUM(duration_ms), 0), COALESCE(SUM(total_cost), 0),
  COALESCE(SUM(total_cost) FILTER (WHERE {estimated}), 0)"""
ESTIMATED = "total_cost IS NOT NULL AND (usage_source = 'estimated' OR price_status IN ('estimated', 'approximate'))"
#: Sums of hours whose calls have been deleted stay as they are.
REFRESH = """
CREATE OR REPLACE FUNCTION refresh_llm_usage_summary() RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  kept_since timestamptz;
BEGIN
  SELECT COALESCE(max(rows_since), '-infinity') INTO kept_since FROM llm_usage_retention;
  LOCK TABLE llm_usage_hourly, llm_usage_hourly_sites IN EXCLUSIVE MODE;
  DELETE FROM llm_usage_hourly WHERE hour >= kept_since;
  {hourly};
  DELETE FROM llm_usage_hourly_sites WHERE hour >= kept_since;
  {sites};
END $$
"""
OLD_REFRESH = """
CREATE OR REPLACE FUNCTION refresh_llm_usage_summary() RETURNS void LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
  LOCK TABLE llm_usage_hourly, llm_usage_hourly_sites IN EXCLUSIVE MODE;
  DELETE FROM llm_usage_hourly;
  {hourly};
  DELETE FROM llm_usage_hourly_sites;
  {sites};
END $$
"""


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    _pricing(dialect)
    _repricing(dialect)
    op.create_table(
        "llm_usage_retention",
        sa.Column("rows_since", TIME, primary_key=True),
        sa.Column("noted_at", TIME, nullable=False, server_default=sa.text(NOW[dialect])),
    )
    hourly, sites = _adding("llm_usage_hourly", KEY, dialect), _adding("llm_usage_hourly_sites", SITE_KEY, dialect)
    if dialect == "sqlite":
        op.execute(FILL_IN_SQLITE.format(now=NOW["sqlite"], hourly=hourly, sites=sites))
        return
    filled = {name: _filling(table, key) for name, table, key in _TABLES}
    op.execute(REFRESH.format(**filled))
    op.execute(AS_UUID)
    op.execute(BY_UUID)
    op.execute(FILL_IN)
    op.execute(ADD.format(hourly=hourly, sites=sites))
    op.execute(ADD_UP)
    # Who takes over many rows at once takes them as they are, adds them up itself, and says so.
    by_hand = "NEW.price_status IS NULL AND current_setting('llmguard.takes_over', true) IS DISTINCT FROM 'on'"
    for name, moment in (("llmguard_fill_in", "BEFORE"), ("llmguard_add_up", "AFTER")):
        op.execute(
            f"CREATE TRIGGER {name} {moment} INSERT ON llm_usage_logs "
            f"FOR EACH ROW WHEN ({by_hand}) EXECUTE FUNCTION {name}()"
        )


def _adding(table: str, key: tuple[str, ...], dialect: str) -> str:
    """The statement that adds the new row to a table of sums."""
    row = "" if dialect == "sqlite" else "call."
    hour = (
        "strftime('%Y-%m-%d %H:00:00.000000', created_at)"
        if dialect == "sqlite"
        else "date_trunc('hour', call.created_at, 'UTC')"
    )
    keys = [f"COALESCE({row}{each}, {0 if each == 'code_line' else chr(39) * 2})" for each in key]
    estimated = f"{row}total_cost IS NOT NULL AND {row}usage_source = 'estimated'"
    amounts = [
        "1",
        f"CASE WHEN {row}status IN ('error', 'timeout') THEN 1 ELSE 0 END",
        f"CASE WHEN {row}status = 'unknown' THEN 1 ELSE 0 END",
        f"CASE WHEN {row}total_cost IS NULL THEN 1 ELSE 0 END",
        f"CASE WHEN {estimated} THEN 1 ELSE 0 END",
        *(f"COALESCE({row}{each}, 0)" for each in ("tokens_used", "prompt_tokens", "completion_tokens", "duration_ms")),
        f"COALESCE({row}total_cost, 0)",
        f"CASE WHEN {estimated} THEN {row}total_cost ELSE 0 END",
    ]
    if dialect != "sqlite":
        amounts = [f"sign * ({each})" for each in amounts]
    names = ", ".join(("hour", *key, *SUMS))
    values = ", ".join((hour, *keys, *amounts))
    source = f"SELECT {values} FROM llm_usage_logs WHERE id = NEW.id" if dialect == "sqlite" else f"VALUES ({values})"
    changes = ", ".join(f"{each} = {table}.{each} + excluded.{each}" for each in SUMS)
    return f"INSERT INTO {table} ({names}) {source} ON CONFLICT ({', '.join(('hour', *key))}) DO UPDATE SET {changes}"


_TABLES = (("hourly", "llm_usage_hourly", KEY), ("sites", "llm_usage_hourly_sites", SITE_KEY))


def _filling(table: str, key: tuple[str, ...]) -> str:
    """PostgreSQL's statement that adds up all rows that are kept."""
    keys = [f"COALESCE({each}, {0 if each == 'code_line' else chr(39) * 2})" for each in key]
    columns = ", ".join(("date_trunc('hour', created_at, 'UTC')", *keys))
    groups = ", ".join(str(number + 1) for number in range(len(key) + 1))
    amounts = AMOUNTS.format(estimated=ESTIMATED)
    return (
        f"INSERT INTO {table} ({', '.join(('hour', *key, *SUMS))}) SELECT {columns}, {amounts} "
        f"FROM llm_usage_logs WHERE created_at >= kept_since GROUP BY {groups}"
    )


def _repricing(dialect: str) -> None:
    """What a call cost before it was priced anew."""
    op.create_table(
        "llm_usage_repricings",
        sa.Column("id", sa.String(64), primary_key=True, server_default=sa.text(IDENTITY[dialect])),
        sa.Column("usage_id", sa.String(64), nullable=False),
        sa.Column("repriced_at", TIME, nullable=False, server_default=sa.text(NOW[dialect])),
        *(sa.Column(name, MONEY) for name in ("input_cost", "output_cost", "total_cost")),
        *(sa.Column(name, sa.Text) for name in ("price_status", "price_version")),
    )
    op.create_index("idx_llm_usage_repricings_usage", "llm_usage_repricings", ["usage_id"])


def _pricing(dialect: str) -> None:
    """What somebody pays for a model, from one day to another."""
    moments = [sa.Column(name, TIME, nullable=False, server_default=sa.text(NOW[dialect])) for name in _MOMENTS]
    op.create_table(
        "llm_model_pricing",
        sa.Column("id", sa.String(64), primary_key=True, server_default=sa.text(IDENTITY[dialect])),
        sa.Column("provider", sa.Text, nullable=False),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("model_version", sa.Text),
        *(sa.Column(f"{kind}_cost_per_1k_tokens", RATE) for kind in ("input", "output", "cache_read", "cache_write")),
        sa.Column("discount_percent", sa.Numeric(7, 4)),
        sa.Column("currency", sa.String(3), nullable=False, server_default="USD"),
        sa.Column("effective_from", TIME, nullable=False, server_default=sa.text(NOW[dialect])),
        sa.Column("effective_to", TIME),
        sa.Column("is_active", sa.Boolean, nullable=False, server_default=sa.true()),
        sa.Column("source", sa.Text),
        sa.Column("notes", sa.Text),
        *moments,
        sa.UniqueConstraint(
            *("provider", "model_name", "model_version", "effective_from"), name="uq_llm_model_pricing"
        ),
    )


_MOMENTS = ("created_at", "updated_at")


def downgrade() -> None:
    if op.get_context().dialect.name == "sqlite":
        op.execute("DROP TRIGGER llmguard_fill_in")
    else:
        for name in ("llmguard_add_up", "llmguard_fill_in"):
            op.execute(f"DROP TRIGGER {name} ON llm_usage_logs")
            op.execute(f"DROP FUNCTION {name}()")
        op.execute("DROP FUNCTION llmguard_add(llm_usage_logs, integer)")
        op.execute("DROP VIEW llm_usage_logs_uuid")
        op.execute("DROP FUNCTION llmguard_uuid(text)")
        # Revision 0002's function added up all rows: so does this one, once nothing says which are kept.
        gone = "WHERE created_at >= kept_since "
        everything = {name: _filling(table, key).replace(gone, "") for name, table, key in _TABLES}
        op.execute(OLD_REFRESH.format(**everything))
    for name in ("llm_usage_retention", "llm_usage_repricings", "llm_model_pricing"):
        op.drop_table(name)
