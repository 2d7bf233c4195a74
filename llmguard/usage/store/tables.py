"""The tables of the ledger.

Names of tables, columns and indexes are those that the seeds' users have in their queries; what is new stands behind.
Money is exact (nine places), an unknown price is NULL, and a count that was not given is NULL, never 0. Times are UTC.
"""

from __future__ import annotations

from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect

metadata = MetaData()
#: A value that is no scalar: text in SQLite, in PostgreSQL what its operators work on.
Object = JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


class UTC(TypeDecorator[datetime]):
    """An aware time in UTC; SQLite keeps it as text that sorts."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value!r} is a naive time: give it a time zone")
        value = value.astimezone(timezone.utc)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        return value.replace(tzinfo=timezone.utc) if isinstance(value, datetime) and value.tzinfo is None else value


class Money(TypeDecorator[Decimal]):
    """US dollars to nine places: NUMERIC in PostgreSQL, whole nano-dollars in SQLite, which has no exact fractions."""

    impl = Numeric(20, 9)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else Numeric(20, 9))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        if value is None or dialect.name != "sqlite":
            return value
        return int((value * 1_000_000_000).to_integral_value())

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        if value is None or dialect.name != "sqlite":
            return None if value is None else Decimal(value)
        return (Decimal(value) / 1_000_000_000).quantize(Decimal("1E-9"))


#: One row for each attempt of a call.
usage_logs = Table(
    "llm_usage_logs",
    metadata,
    Column("id", String(64), primary_key=True),  # it, call_id, status and created_at have defaults in the database
    Column("call_id", String(64), nullable=False),
    Column("attempt_no", Integer, nullable=False, default=0),
    Column("user_id", Text),
    Column("endpoint", Text),
    Column("model", Text),
    Column("status_code", Integer),
    Column("tokens_used", BigInteger),
    Column("prompt_tokens", BigInteger),
    Column("completion_tokens", BigInteger),
    Column("duration_ms", BigInteger),
    Column("error_message", Text),
    Column("metadata", Object),
    Column("created_at", UTC, nullable=False),
    # who, what and how it ended
    Column("status", String(16), nullable=False),  # ok, error, cancelled, timeout, partial, unknown
    Column("error_type", Text),
    Column("provider", Text),
    Column("response_model", Text),
    Column("model_version", Text),
    Column("operation", String(32)),
    Column("service_name", Text),
    Column("feature_context", Text),
    Column("page_context", Text),
    Column("username", Text),
    Column("client_account_id", Text),
    Column("engagement_id", Text),
    Column("flow_id", Text),
    Column("request_id", Text),
    Column("ip_address", Text),
    Column("user_agent", Text),
    Column("stream", Boolean),
    # usage, in one canonical form: the input includes what was cached, the output what was reasoned
    Column("cache_read_tokens", BigInteger),
    Column("cache_write_tokens", BigInteger),
    Column("reasoning_tokens", BigInteger),
    Column("usage_source", String(16)),  # provider, caller, estimated, none
    # money
    Column("input_cost", Money),
    Column("output_cost", Money),
    Column("total_cost", Money),
    Column("cost_currency", String(3)),
    Column("price_status", String(16)),  # priced, approximate, estimated, given, no_usage, unknown
    Column("price_version", Text),
    # where in the code, and at the provider
    Column("code_file", Text),
    Column("code_function", Text),
    Column("code_line", Integer),
    Column("provider_response_id", Text),
    # only when LLMGUARD_STORE_CONTENT says so
    Column("request_data", Object),
    Column("response_data", Object),
    # since revision 0002: for whom and as what it ran, the code as it ran, what the price depends on
    Column("tenant", Text),
    Column("environment", Text),
    Column("run_id", Text),
    Column("agent", Text),
    Column("budget", Text),
    Column("repository", Text),
    Column("commit", Text),
    Column("code_blob", String(64)),
    Column("code_column", Integer),
    Column("code_end_line", Integer),
    Column("code_end_column", Integer),
    Column("service_tier", Text),
    Column("usage_details", Object),
    UniqueConstraint("call_id", "attempt_no", name="uq_llm_usage_call"),
    Index("idx_llm_usage_user_id", "user_id"),
    Index("idx_llm_usage_model", "model"),
    Index("idx_llm_usage_created_at", "created_at"),
    Index("idx_llm_usage_user_date", "user_id", "created_at"),
    Index("idx_llm_usage_response", "provider_response_id"),
)

#: How many calls a user may make in a window by default. The values that are shipped are shown and not enforced.
rate_limit_configs = Table(
    "llm_rate_limit_configs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("limit_type", String(20), nullable=False, unique=True),
    Column("limit_value", Numeric(20, 9), nullable=False),
    Column("description", Text),
    Column("enforced", Boolean, nullable=False),
    Column("created_at", UTC, nullable=False),
    Column("updated_at", UTC, nullable=False),
)
#: Limits that somebody has set. A scope that is NULL means all together, '*' each by itself. `current_count` and
#: `reset_at` are written by those who know them, and read by nobody: what is used stands in the counters. There may be
#: a column `provider` as well, which users have been told to add.
rate_limits = Table(
    "llm_rate_limits",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", Text),
    Column("limit_type", String(20), nullable=False),
    Column("limit_value", Numeric(20, 9), nullable=False),
    Column("current_count", BigInteger),
    Column("reset_at", UTC),
    Column("created_at", UTC, nullable=False),
    Column("updated_at", UTC, nullable=False),
    Column("tenant", Text),
    Column("service_name", Text),
    Column("model", Text),
    Column("provider_name", Text),
    Column("kind", String(16), nullable=False),  # requests, tokens, cost
    Column("time_zone", Text, nullable=False),
    Column("on_outage", String(16), nullable=False),  # open, closed
    Column("unpriced", String(16), nullable=False),  # refuse, count, allow
    Column("warn_at", Numeric(5, 4)),
    Index("idx_llm_rate_limits_user", "user_id"),
    Index("idx_llm_rate_limits_reset", "reset_at"),
)
#: What is used of a limit in a window (calls, tokens, nano-dollars): what running calls have reserved and what ended
#: ones took.
rate_limit_counters = Table(
    "llm_rate_limit_counters",
    metadata,
    Column("limit_key", Text, primary_key=True),
    Column("window_start", BigInteger, primary_key=True),  # seconds since 1970
    Column("window_end", BigInteger, nullable=False),  # ... 0 for none
    Column("used", BigInteger, nullable=False),
    Column("extra", BigInteger, nullable=False),  # that was granted beyond the limit
    Column("admitted", BigInteger, nullable=False),  # the sum of what was reserved
    Column("over", BigInteger, nullable=False),  # what calls took beyond what they had reserved
    Column("calls", BigInteger, nullable=False),
    Column("unpriced", BigInteger, nullable=False),  # calls whose cost nobody knows
    Index("idx_llm_rate_limit_counters_end", "window_end"),
    sqlite_with_rowid=False,
)
#: Calls that somebody has stopped.
stops = Table(
    "llm_stops",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("user_id", Text),
    Column("tenant", Text),
    Column("service_name", Text),
    Column("model", Text),
    Column("provider_name", Text),
    Column("reason", Text),
    Column("created_at", UTC, nullable=False),
)

#: What somebody pays for a model, from one day to another: a price of its own, or so much per cent less than the list.
model_pricing = Table(
    "llm_model_pricing",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("provider", Text, nullable=False),
    Column("model_name", Text, nullable=False),  # '*' for all of the provider
    Column("model_version", Text),
    Column("input_cost_per_1k_tokens", Numeric(20, 9)),
    Column("output_cost_per_1k_tokens", Numeric(20, 9)),
    Column("cache_read_cost_per_1k_tokens", Numeric(20, 9)),
    Column("cache_write_cost_per_1k_tokens", Numeric(20, 9)),
    Column("discount_percent", Numeric(7, 4)),
    Column("currency", String(3), nullable=False),
    Column("effective_from", UTC, nullable=False),
    Column("effective_to", UTC),
    Column("is_active", Boolean, nullable=False),
    Column("source", Text),
    Column("notes", Text),
    Column("created_at", UTC, nullable=False),
    Column("updated_at", UTC, nullable=False),
    UniqueConstraint("provider", "model_name", "model_version", "effective_from", name="uq_llm_model_pricing"),
)

#: What a call cost before it was priced anew.
usage_repricings = Table(
    "llm_usage_repricings",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("usage_id", String(64), nullable=False),
    Column("repriced_at", UTC, nullable=False),
    Column("input_cost", Money),
    Column("output_cost", Money),
    Column("total_cost", Money),
    Column("price_status", Text),
    Column("price_version", Text),
    Index("idx_llm_usage_repricings_usage", "usage_id"),
)
#: Since when the rows are there; those of before have been deleted, their sums have not.
usage_retention = Table(
    "llm_usage_retention",
    metadata,
    Column("rows_since", UTC, primary_key=True),
    Column("noted_at", UTC, nullable=False),
)

#: Who may ask the usage API, by which key; of a key only its digest.
api_keys = Table(
    "llm_api_keys",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("key_hash", String(64), nullable=False),
    Column("user_id", Text, nullable=False),
    Column("name", Text),
    Column("is_admin", Boolean, nullable=False),
    Column("created_at", UTC, nullable=False),
    Column("expires_at", UTC),
    Column("revoked_at", UTC),
)

#: What a row adds to the roll-ups.
SUMS = (
    "calls",
    "errors",
    "unknown_calls",
    "unpriced_calls",
    "estimated_calls",
    "tokens",
    "prompt_tokens",
    "completion_tokens",
    "duration_ms",
    "total_cost",
    "estimated_cost",
)
#: Those of them that are money.
MONEY_SUMS = ("total_cost", "estimated_cost")
#: The columns that a roll-up row is about; "" where a row has none.
GRAIN = ("hour", "tenant", "environment", "user_id", "service_name", "feature_context", "provider", "model")
#: The same for the roll-up by call site; lines and blobs tell versions of a site apart.
SITE_GRAIN = (
    *("hour", "tenant", "environment", "service_name", "feature_context", "provider", "model"),
    *("code_file", "code_function", "code_line", "code_blob"),
)


def _rollup(name: str, key: tuple[str, ...], *indexes: Index, **options: Any) -> Table:
    kinds: dict[str, Any] = {"hour": UTC, "code_line": Integer}
    keys = [Column(each, kinds.get(each, Text), primary_key=True) for each in key]
    amounts: list[Column[Any]] = [
        Column(each, Money, nullable=False, default=Decimal(0))
        if each in MONEY_SUMS
        else Column(each, BigInteger, nullable=False, default=0)
        for each in SUMS
    ]
    return Table(name, metadata, *keys, *amounts, *indexes, **options)


#: Sums by hour (UTC), kept by the flusher in the transaction that writes the rows.
usage_hourly = _rollup("llm_usage_hourly", GRAIN, Index("idx_llm_usage_hourly_user", "user_id", "hour"))
#: Sums by hour and call site, kept likewise. Its key begins with the site, and in SQLite the table lies in the order of
#: its key: the sums of all sites are one walk through it, half the time of sorting it.
usage_hourly_sites = _rollup(
    "llm_usage_hourly_sites",
    (*SITE_GRAIN[-4:], *SITE_GRAIN[:-4]),
    Index("idx_llm_usage_hourly_sites_hour", "hour"),
    sqlite_with_rowid=False,
)
