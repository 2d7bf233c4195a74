"""Limits, their counters, and calls that somebody has stopped.

Revision: 0003
Revises: 0002

Only new tables: nobody who writes waits for them. The statements that people have written against the names of these
tables (an UPDATE of a default, an INSERT of a user's limit, `ADD COLUMN provider`) work as they are.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
NUMBER = sa.Numeric(20, 9)
#: A number that is one, is not negative, and fits: in PostgreSQL NaN is larger than all others.
USABLE = "limit_value >= 0 AND limit_value < 1000000000"
WINDOWS = "limit_type IN ('minute', 'hour', 'day', 'month')"
IDENTITY = {"sqlite": "(lower(hex(randomblob(16))))", "postgresql": "gen_random_uuid()::text"}
NOW = {"sqlite": "(strftime('%Y-%m-%d %H:%M:%f', 'now') || '000')", "postgresql": "now()"}
#: Checks all limits of a call while it holds their counters, and takes from all of them or from none. Who calls it
#: orders the keys, so that no two calls wait for each other.
RESERVE = """
CREATE FUNCTION llm_rate_limit_reserve(
  keys text[], starts bigint[], ends bigint[], amounts bigint[], most bigint[], OUT used bigint[], OUT extra bigint[],
  OUT admitted boolean
) LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
DECLARE
  counter llm_rate_limit_counters%ROWTYPE;
BEGIN
  admitted := true;
  FOR i IN 1 .. array_length(keys, 1) LOOP
    SELECT * INTO counter FROM llm_rate_limit_counters c
      WHERE c.limit_key = keys[i] AND c.window_start = starts[i] FOR UPDATE;
    IF NOT FOUND THEN
      INSERT INTO llm_rate_limit_counters (limit_key, window_start, window_end) VALUES (keys[i], starts[i], ends[i])
        ON CONFLICT DO NOTHING;
      SELECT * INTO counter FROM llm_rate_limit_counters c
        WHERE c.limit_key = keys[i] AND c.window_start = starts[i] FOR UPDATE;
    END IF;
    used[i] := counter.used;
    extra[i] := counter.extra;
    admitted := admitted AND (amounts[i] = 0 OR counter.used + amounts[i] <= most[i] + counter.extra);
  END LOOP;
  IF admitted THEN
    FOR i IN 1 .. array_length(keys, 1) LOOP
      UPDATE llm_rate_limit_counters c
        SET used = c.used + amounts[i], admitted = c.admitted + amounts[i], calls = c.calls + 1
        WHERE c.limit_key = keys[i] AND c.window_start = starts[i];
    END LOOP;
  END IF;
END $$
"""
UPDATED = """
CREATE FUNCTION update_llm_rate_limits_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  NEW.updated_at := clock_timestamp();
  RETURN NEW;
END $$
"""
TABLES = ("llm_rate_limit_configs", "llm_rate_limits")


SCOPES = ("user_id", "tenant", "service_name", "model", "provider_name")


def upgrade() -> None:
    dialect = op.get_context().dialect.name
    op.create_table(
        "llm_rate_limit_configs",
        _identity(dialect),
        sa.Column("limit_type", sa.String(20), nullable=False, unique=True),
        sa.Column("limit_value", NUMBER, nullable=False),
        sa.Column("description", sa.Text),
        sa.Column("enforced", sa.Boolean, nullable=False, server_default=sa.false()),
        *_moments(dialect),
        sa.CheckConstraint(WINDOWS, name="ck_llm_rate_limit_configs_type"),
        sa.CheckConstraint(USABLE, name="ck_llm_rate_limit_configs_value"),
    )
    _limits(dialect)
    op.create_table(
        "llm_rate_limit_counters",
        sa.Column("limit_key", sa.Text, primary_key=True),
        sa.Column("window_start", sa.BigInteger, primary_key=True),  # seconds since 1970
        sa.Column("window_end", sa.BigInteger, nullable=False),  # ... 0 for none
        *(
            sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
            for name in ("used", "extra", "admitted", "over", "calls", "unpriced")
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("idx_llm_rate_limit_counters_end", "llm_rate_limit_counters", ["window_end"])
    op.create_table("llm_stops", _identity(dialect), *_scopes(), sa.Column("reason", sa.Text), *_moments(dialect)[:1])
    if dialect == "postgresql":
        # Rows that are written again and again: room for their next version, so that no index is touched.
        op.execute("ALTER TABLE llm_rate_limit_counters SET (fillfactor = 50)")
        op.execute(RESERVE)
        op.execute(UPDATED)
    for name in TABLES:
        op.execute(_trigger(name, dialect))
    op.execute(
        "INSERT INTO llm_rate_limit_configs (limit_type, limit_value, description) VALUES "
        "('minute', 30, 'Default: 30 requests per minute'), ('day', 14400, 'Default: 14,400 requests per day')"
    )


def _limits(dialect: str) -> None:
    """Limits. There is no column `provider`: users have been told to add one."""
    op.create_table(
        "llm_rate_limits",
        _identity(dialect),
        sa.Column("user_id", sa.Text),
        sa.Column("limit_type", sa.String(20), nullable=False),
        sa.Column("limit_value", NUMBER, nullable=False),
        sa.Column("current_count", sa.BigInteger, server_default="0"),
        sa.Column("reset_at", TIME),
        *_moments(dialect),
        *_scopes()[1:],
        sa.Column("kind", sa.String(16), nullable=False, server_default="requests"),
        sa.Column("time_zone", sa.Text, nullable=False, server_default="UTC"),
        sa.Column("on_outage", sa.String(16), nullable=False, server_default="open"),
        sa.Column("unpriced", sa.String(16), nullable=False, server_default="count"),
        sa.Column("warn_at", sa.Numeric(5, 4), server_default="0.8"),
        sa.CheckConstraint(WINDOWS, name="ck_llm_rate_limits_type"),
        sa.CheckConstraint(USABLE, name="ck_llm_rate_limits_value"),
        sa.CheckConstraint("kind IN ('requests', 'tokens', 'cost')", name="ck_llm_rate_limits_kind"),
        sa.CheckConstraint("on_outage IN ('open', 'closed')", name="ck_llm_rate_limits_on_outage"),
        sa.CheckConstraint("unpriced IN ('refuse', 'count', 'allow')", name="ck_llm_rate_limits_unpriced"),
        sa.CheckConstraint("warn_at > 0 AND warn_at <= 1", name="ck_llm_rate_limits_warn_at"),
    )
    op.create_index("idx_llm_rate_limits_user", "llm_rate_limits", ["user_id"])
    op.create_index("idx_llm_rate_limits_reset", "llm_rate_limits", ["reset_at"])


def _identity(dialect: str) -> sa.Column:
    return sa.Column("id", sa.String(64), primary_key=True, server_default=sa.text(IDENTITY[dialect]))


def _moments(dialect: str) -> list[sa.Column]:
    now = sa.text(NOW[dialect])
    return [sa.Column(name, TIME, nullable=False, server_default=now) for name in ("created_at", "updated_at")]


def _scopes() -> list[sa.Column]:
    """What a limit is about: NULL is all together, '*' is each by itself."""
    return [sa.Column(name, sa.Text) for name in SCOPES]


def _trigger(table: str, dialect: str) -> str:
    head = f"CREATE TRIGGER trigger_update_{table}_updated_at"
    if dialect == "postgresql":
        function = "update_llm_rate_limits_updated_at()"
        return f"{head} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {function}"
    change = f"UPDATE {table} SET updated_at = {NOW[dialect]} WHERE id = NEW.id"
    return f"{head} AFTER UPDATE ON {table} FOR EACH ROW BEGIN {change}; END"


def downgrade() -> None:
    dialect = op.get_context().dialect.name
    for name in TABLES:
        op.execute(
            f"DROP TRIGGER trigger_update_{name}_updated_at" + (f" ON {name}" if dialect == "postgresql" else "")
        )
    if dialect == "postgresql":
        op.execute("DROP FUNCTION update_llm_rate_limits_updated_at()")
        op.execute("DROP FUNCTION llm_rate_limit_reserve(text[], bigint[], bigint[], bigint[], bigint[])")
    for name in ("llm_stops", "llm_rate_limit_counters", *reversed(TABLES)):
        op.drop_table(name)
