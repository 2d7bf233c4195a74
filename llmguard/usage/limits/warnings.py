"""What is said of limits: refusals in words, and that one is nearly used up."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, NamedTuple

from llmguard.errors import BudgetExceeded, RateLimitExceeded
from llmguard.usage.limits.limit import amount, shown

if TYPE_CHECKING:
    from llmguard.usage.limits.runs import Open

LOG = logging.getLogger("llmguard.usage")


class LimitWarning(NamedTuple):
    """A limit is nearly used up.

    Attributes:
        limit: in words.
        kind: requests, tokens or cost.
        used: of it, with what is reserved (calls, tokens, US dollars).
        limit_value: all of it.
    """

    limit: str
    kind: str
    used: Decimal
    limit_value: Decimal


_listeners: list[Callable[[LimitWarning], object]] = []


def on_warning(listener: Callable[[LimitWarning], object]) -> Callable[[LimitWarning], object]:
    """Have a function called when a limit reaches its `warn_at`: once for each window and process, in the thread of the
    call. What it raises is logged. May be used as a decorator."""
    _listeners.append(listener)
    return listener


def warn(limit: str, kind: str, used: int, most: int) -> None:
    """Say that a limit is nearly used up.

    Args:
        limit: in words.
        kind: of it.
        used, most: in the units of counters.
    """
    told = LimitWarning(limit, kind, amount(kind, used), amount(kind, most))
    LOG.warning("%s: %s are used", limit, shown(kind, told.used))
    for listener in tuple(_listeners):
        try:
            listener(told)
        except Exception:  # noqa: PERF203  (a call never fails for a warning)
            LOG.exception("a function that was to hear of a limit failed")


def refusal(
    limit: str,
    kind: str,
    limit_value: Decimal,
    remaining: Decimal,
    requested: Decimal,
    window: str,
    reset_at: datetime | None,
    retry_after: float | None,
    budget: Open | None = None,
) -> RateLimitExceeded:
    """The exception of a call that has no room."""
    left = f"{shown(kind, remaining)} left" if remaining else "nothing left"
    asked = f", the call may take {shown(kind, requested)}" if kind != "requests" else ""
    if requested > limit_value and kind != "requests":
        left, retry_after = "the call may take more than all of it", None
        asked = f": {shown(kind, requested)}"
    when = f"; it resets at {reset_at.isoformat(timespec='seconds')}" if reset_at is not None else ""
    wait = f", in {retry_after:.0f} s" if retry_after is not None else ""
    cls = BudgetExceeded if budget is not None else RateLimitExceeded
    made = cls(
        limit,
        f"{left}{asked}{when}{wait}",
        kind=kind,
        window=window,
        limit_value=limit_value,
        remaining=remaining,
        requested=requested,
        reset_at=reset_at,
        retry_after=retry_after,
    )
    if budget is not None and isinstance(made, BudgetExceeded):
        made.budget, made.run_id = budget.name, budget.run_id
    return made
