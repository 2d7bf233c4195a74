"""What the tables of older trackers are called and hold, and what their columns are called in the ledger.

There are two families. One keeps calls in `llm_usage_logs`, or `groq_usage_logs` in its first version, with limits
beside them; the other keeps them in a schema `migration`, with prices and sums of periods.
"""

from __future__ import annotations

from typing import NamedTuple

#: The schema of the second family.
OTHER_SCHEMA = "migration"


class Layout(NamedTuple):
    """A table of an older tracker.

    Attributes:
        kind: calls, reports (calls of the second family), limits, defaults, pricing, summaries.
        names: it may have.
        needs: columns by which it is known.
        renames: its column -> the ledger's, where they differ.
        is_kept: it stays where it is, and is only read.
    """

    kind: str
    names: tuple[str, ...]
    needs: frozenset[str]
    renames: dict[str, str]
    is_kept: bool = False


_CALLS = frozenset({"id", "user_id", "model", "tokens_used", "created_at"})
_LIMITS = frozenset({"user_id", "limit_type", "limit_value"})
_DEFAULTS = frozenset({"limit_type", "limit_value"})
#: In the schema of the ledger. What has the ledger's own names has to make room; the rest of a limiter is left alone.
FIRST = (
    Layout("calls", ("groq_usage_logs", "llm_usage_logs"), _CALLS, {}),
    Layout("limits", ("llm_rate_limits",), _LIMITS, {}),
    Layout("limits", ("groq_rate_limits",), _LIMITS, {}, is_kept=True),
    Layout("defaults", ("llm_rate_limit_configs",), _DEFAULTS, {}),
    Layout("defaults", ("groq_rate_limit_configs",), _DEFAULTS, {}, is_kept=True),
)
#: Of the second family.
SECOND = (
    Layout(
        "reports",
        ("llm_usage_logs",),
        frozenset({"id", "llm_provider", "model_name", "created_at"}),
        {
            "llm_provider": "provider",
            "model_name": "model",
            "input_tokens": "prompt_tokens",
            "output_tokens": "completion_tokens",
            "total_tokens": "tokens_used",
            "response_time_ms": "duration_ms",
            "additional_metadata": "metadata",
        },
    ),
    Layout("pricing", ("llm_model_pricing",), frozenset({"id", "provider", "model_name"}), {}),
    Layout("summaries", ("llm_usage_summary",), frozenset({"id", "period_type", "period_start"}), {}),
)
#: Views over the calls, and the functions that refresh them.
DAILY = ("groq_usage_daily_summary", "llm_usage_daily_summary")
REFRESHING = {
    "groq_usage_daily_summary": "refresh_groq_usage_summary",
    "llm_usage_daily_summary": "refresh_llm_usage_summary",
}
#: Views of the ledger.
VIEWS = ("llm_usage_daily_summary", "llm_usage_report", "llm_usage_logs_uuid")
#: The function of a trigger whose name the ledger has too.
TOUCHING = "update_llm_rate_limits_updated_at"
#: Table -> the revision since which a ledger has it.
OURS = {
    "llm_usage_logs": "0001",
    "llm_usage_daily_summary": "0001",
    "refresh_llm_usage_summary": "0001",
    "llm_rate_limits": "0003",
    "llm_rate_limit_configs": "0003",
    TOUCHING: "0003",
    "llm_model_pricing": "0004",
}
#: What the values of a shipped limit are, which trackers copy to each user that they see.
EVERYBODYS = {"minute": 30, "day": 14400}
