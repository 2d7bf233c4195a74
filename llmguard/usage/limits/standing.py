"""Where a user stands: how many calls are left in a window. Answering takes nothing from any limit."""

from __future__ import annotations

import math
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from llmguard.errors import CallsStopped
from llmguard.usage.limits.limit import Limit
from llmguard.usage.limits.rules import SHIPPED, Scope
from llmguard.usage.limits.windows import window

if TYPE_CHECKING:
    Engine = Any  # of SQLAlchemy, which only the store imports

    from llmguard.usage.recorder import Recorder


def standing(
    recording: Recorder, engine: Engine, user_id: str, limit_type: str, *, own: bool = False
) -> dict[str, Any]:
    """Where a user stands in a window.

    An enforced limit is counted exactly. What is only shown is counted in the ledger, with the calls of this process
    that have not got there; those of others come a second after their end.

    Args:
        recording: of this process.
        engine: of the ledger.
        user_id: whose calls.
        limit_type: minute, hour, day or month.
        own: give figures of the user's own limits alone: those of a limit for all are what others do. Whether a call
            may be made is said by all of them.

    Returns:
        `{"can_call", "current_count", "limit_value", "reset_at" (ISO), "remaining", "source", "retry_after" (seconds,
        None when a call may be made)}`; limit and rest are None where there is no limit. `source` says where the limit
        is from: "limit" (a row of `llm_rate_limits`), "default" (a changed row of `llm_rate_limit_configs`),
        "environment" (`LLM_RATE_LIMIT_...`), "stopped", all of which are enforced; "shipped" (which is only shown);
        "none".

    Raises:
        UsageError: there is no such window.
        LLMGuardError: the environment says a limit that is none.
        SQLAlchemyError: the database does not answer.
    """
    from llmguard.usage.limits.rules import from_environment
    from llmguard.usage.store.limits import load

    now = datetime.now(timezone.utc)
    since, until = window(limit_type, now)
    from_environment()
    rules = load(engine)
    try:
        rules.refuse_stopped({"user_id": user_id})
    except CallsStopped:
        return _said(now, until, _shown(recording, engine, user_id, since, until), 0, "stopped")
    found = [
        (limit, scope)
        for limit, scope in rules.of({"user_id": user_id})
        if limit.kind == "requests" and limit.window == limit_type
    ]
    told = [(_enforced(engine, limit, scope, now), "user_id" in dict(scope)) for limit, scope in found]
    shown = [each for each, is_own in told if is_own or not own]
    if shown:
        least = min(shown, key=lambda each: each["remaining"])
    else:
        value = _default(engine, limit_type)
        count = _shown(recording, engine, user_id, since, until)
        least = _said(now, until, count, value, "none" if value is None else "shipped")
    closed = [each for each, _ in told if not each["can_call"]]
    if closed and least["can_call"]:
        least |= {name: closed[0][name] for name in ("can_call", "retry_after")}
    return least


def _enforced(engine: Engine, limit: Limit, scope: Scope, now: datetime) -> dict[str, Any]:
    from llmguard.usage.store.limits import used_of

    return _said(now, limit.span(now)[1], used_of(engine, limit, scope), limit.most, limit.origin)


def _default(engine: Engine, limit_type: str) -> int | None:
    from llmguard.usage.store.limits import default_value

    value = default_value(engine, limit_type)
    return SHIPPED.get(limit_type) if value is None else int(value)


def _shown(recording: Recorder, engine: Engine, user_id: str, since: datetime, until: datetime) -> int:
    from llmguard.usage.store.read import calls_beside

    mine = recording.underway.of(user_id, since.timestamp(), until.timestamp())
    count, written = calls_beside(engine, user_id, since, until, mine)
    recording.underway.forget(written)
    return count + len(mine)


def _said(now: datetime, until: datetime, count: int, limit: int | None, source: str) -> dict[str, Any]:
    remaining = None if limit is None else max(0, limit - count)
    can_call = remaining is None or remaining > 0
    return {
        "can_call": can_call,
        "current_count": count,
        "limit_value": limit,
        "reset_at": until.isoformat(),
        "remaining": remaining,
        "source": source,
        "retry_after": None if can_call else math.ceil((until - now).total_seconds()),
    }
