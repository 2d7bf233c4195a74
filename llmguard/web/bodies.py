"""What the routes answer. Money is exact: US dollars as a text of digits."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, PlainSerializer

Money = Annotated[Decimal, PlainSerializer(lambda amount: f"{amount:f}", return_type=str)]


class Amounts(BaseModel):
    """Calls and tokens."""

    calls: int
    tokens: int
    prompt_tokens: int
    completion_tokens: int


class RateLimit(BaseModel):
    """Where a user stands in a window. Limit and rest are null where there is no limit; `source` says where it is from,
    "shipped" is only shown and not enforced."""

    can_call: bool
    current_count: int
    limit_value: int | None
    reset_at: str
    remaining: int | None
    source: str
    retry_after: int | None


class RateLimits(BaseModel):
    """Per minute, and per day."""

    per_minute: RateLimit
    per_day: RateLimit


class SummaryOfUser(BaseModel):
    """Calendar day and calendar month."""

    today: Amounts
    this_month: Amounts
    rate_limits: RateLimits


class Summary(BaseModel):
    """Of a user."""

    success: Literal[True] = True
    summary: SummaryOfUser


class Day(Amounts):
    """Of a day."""

    date: str


class StatsOfUser(BaseModel):
    """By model and by day."""

    total_calls: int
    total_tokens: int
    total_prompt_tokens: int
    total_completion_tokens: int
    by_model: dict[str, Amounts]
    by_day: list[Day]


class Stats(BaseModel):
    """Of a user."""

    success: Literal[True] = True
    stats: StatsOfUser


class Standing(BaseModel):
    """Of a window."""

    limit_type: str
    current_count: int
    limit_value: int | None
    remaining: int | None
    reset_at: str
    percentage_used: float | None


class Standings(BaseModel):
    """Of all windows."""

    success: Literal[True] = True
    rate_limits: list[Standing]


class OneStanding(RateLimit):
    """Of one window."""

    success: Literal[True] = True


class Logs(BaseModel):
    """Calls, newest first. `next_cursor` leads to those behind, null at the end."""

    success: Literal[True] = True
    logs: list[dict[str, Any]]
    total: int
    limit: int
    offset: int
    next_cursor: str | None


class Sum(BaseModel):
    """What calls add up to. `cost` is null where no price is known; `unpriced_calls` counts those that it lacks."""

    calls: int
    errors: int
    unknown_calls: int
    unpriced_calls: int
    tokens: int
    prompt_tokens: int
    completion_tokens: int
    cost: Money | None


class Line(Sum):
    """Of a key: a value of each dimension; of `before`, what it was in the period before."""

    key: list[list[str]]
    before: Sum | None = None


class Span(BaseModel):
    """A period; null for an open end."""

    since: str | None
    until: str | None


class Totals(BaseModel):
    """Sums by dimensions: all of them, and `total` of all; of which period, and which one is before it (null where that
    has no beginning)."""

    success: Literal[True] = True
    by: list[str]
    totals: list[Line]
    total: Line
    period: Span
    before: Span | None


class UnpricedModel(BaseModel):
    """A model without a known price."""

    provider: str
    model: str
    calls: int


class Unpriced(BaseModel):
    """Models without a known price, those with the most calls first."""

    success: Literal[True] = True
    models: list[UnpricedModel]


class Limits(BaseModel):
    """Limits that are enforced, with what is used of them in the window at hand; what is stopped; what is not enforced,
    and why."""

    success: Literal[True] = True
    limits: list[dict[str, Any]]
    stopped: list[dict[str, Any]]
    problems: list[str]


class Envelope(BaseModel):
    """What administrators' routes answer."""

    success: Literal[True] = True
    data: Any
    message: str


class UsageType(BaseModel):
    """What tokens were used for."""

    name: str
    tokens: int
    percentage: float


class LLMCost(BaseModel):
    """What a model costs in a period. `currentCost` is null where no price is known, and so is `costPerToken`."""

    id: str
    name: str
    type: Literal["llm"] = "llm"
    status: Literal["active", "unpriced"]
    currentCost: float | None  # noqa: N815  (the names that its users' pages read)
    currency: Literal["USD"] = "USD"
    tokenUsage: str  # noqa: N815
    costPerToken: str | None  # noqa: N815
    usageTypes: list[UsageType]  # noqa: N815
    recommendation: str | None
