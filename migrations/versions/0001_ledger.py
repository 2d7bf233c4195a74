"""The ledger: rows, their roll-up by hour, and the views that the seeds' queries expect.

Revision: 0001
Revises: -
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
MONEY = sa.Numeric(20, 9).with_variant(sa.BigInteger(), "sqlite")  # nano-dollars in SQLite
BIG = sa.BigInteger()

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
# The names of the other seed, for dashboards that were written against it.
REPORT = """
CREATE VIEW llm_usage_report AS
SELECT id, created_at, client_account_id, engagement_id, user_id, username, flow_id, request_id, endpoint,
       page_context, feature_context, provider AS llm_provider, model AS model_name, model_version,
       prompt_tokens AS input_tokens, completion_tokens AS output_tokens, tokens_used AS total_tokens,
       {money} cost_currency, duration_ms AS response_time_ms, status = 'ok' AS success, error_type, error_message,
       request_data, response_data, metadata AS additional_metadata, ip_address, user_agent
FROM llm_usage_logs
"""
REFRESH = """
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


def upgrade() -> None:
    sqlite = op.get_context().dialect.name == "sqlite"
    op.create_table(
        "llm_usage_logs",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("call_id", sa.String(64), nullable=False),
        sa.Column("attempt_no", sa.Integer, nullable=False, server_default="0"),
        sa.Column("user_id", sa.Text),
        sa.Column("endpoint", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("status_code", sa.Integer),
        sa.Column("tokens_used", BIG),
        sa.Column("prompt_tokens", BIG),
        sa.Column("completion_tokens", BIG),
        sa.Column("duration_ms", BIG),
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
        *(sa.Column(name, BIG) for name in ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens")),
        sa.Column("usage_source", sa.String(16)),
        *(sa.Column(name, MONEY) for name in ("input_cost", "output_cost", "total_cost")),
        sa.Column("cost_currency", sa.String(3)),
        sa.Column("price_status", sa.String(16)),
        sa.Column("price_version", sa.Text),
        *(sa.Column(name, sa.Text) for name in ("code_file", "code_function")),
        sa.Column("code_line", sa.Integer),
        sa.Column("provider_response_id", sa.Text),
        *(sa.Column(name, sa.JSON) for name in ("request_data", "response_data")),
        sa.UniqueConstraint("call_id", "attempt_no", name="uq_llm_usage_call"),
    )
    op.create_index("idx_llm_usage_user_id", "llm_usage_logs", ["user_id"])
    op.create_index("idx_llm_usage_model", "llm_usage_logs", ["model"])
    op.create_index("idx_llm_usage_created_at", "llm_usage_logs", ["created_at"])
    op.create_index("idx_llm_usage_user_date", "llm_usage_logs", ["user_id", "created_at"])
    grain = ("user_id", "service_name", "feature_context", "provider", "model")
    sums = ("calls", "errors", "unknown_calls", "unpriced_calls", "tokens", "prompt_tokens", "completion_tokens")
    op.create_table(
        "llm_usage_hourly",
        sa.Column("hour", TIME, primary_key=True),
        *(sa.Column(name, sa.Text, primary_key=True) for name in grain),
        *(sa.Column(name, BIG, nullable=False, server_default="0") for name in (*sums, "duration_ms")),
        sa.Column("total_cost", MONEY, nullable=False, server_default="0"),
    )
    op.create_index("idx_llm_usage_hourly_user", "llm_usage_hourly", ["user_id", "hour"])
    op.execute(DAILY.format(day="DATE(hour)" if sqlite else "CAST(hour AT TIME ZONE 'UTC' AS date)"))
    costs = ("input_cost", "output_cost", "total_cost")
    money = "".join(f"{name} / 1e9 AS {name}, " if sqlite else f"{name}, " for name in costs)
    op.execute(REPORT.format(money=money))
    if not sqlite:
        op.execute(REFRESH)


def downgrade() -> None:
    if op.get_context().dialect.name != "sqlite":
        op.execute("DROP FUNCTION refresh_llm_usage_summary()")
    op.execute("DROP VIEW llm_usage_report")
    op.execute("DROP VIEW llm_usage_daily_summary")
    op.drop_table("llm_usage_hourly")
    op.drop_table("llm_usage_logs")
