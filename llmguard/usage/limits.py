"""What a user has used of a limit. The figures are those of the ledger; nothing is refused here.

Windows are of the calendar, in UTC: the minute, hour, day or month at hand. A limit is `LLM_RATE_LIMIT_<WINDOW>`; out
of the box there are two: 30 calls a minute and 14,400 a day.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from typing import Any

from llmguard.errors import ConfigError, UsageError

WINDOWS = ("minute", "hour", "day", "month")
_LIMITS = {"minute": 30, "day": 14_400}


def window(limit_type: str, now: datetime) -> tuple[datetime, datetime]:
    """The beginning and the end of the window at hand.

    Raises:
        UsageError: there is no such window.

    >>> window("hour", datetime(2026, 1, 1, 13, 37, tzinfo=timezone.utc))[1].isoformat()
    '2026-01-01T14:00:00+00:00'
    """
    minute = now.astimezone(timezone.utc).replace(second=0, microsecond=0)
    if limit_type == "minute":
        return minute, minute + timedelta(minutes=1)
    hour = minute.replace(minute=0)
    if limit_type == "hour":
        return hour, hour + timedelta(hours=1)
    day = hour.replace(hour=0)
    if limit_type == "day":
        return day, day + timedelta(days=1)
    if limit_type == "month":
        month = day.replace(day=1)
        return month, (month + timedelta(days=32)).replace(day=1)
    raise UsageError(f'no limit is called "{limit_type}": one of {", ".join(WINDOWS)}')


def limit_of(limit_type: str) -> int | None:
    """Calls that a window holds, None when it has no limit.

    Raises:
        ConfigError: the environment says something else than a number.
    """
    name = f"LLM_RATE_LIMIT_{limit_type.upper()}"
    text = os.environ.get(name, "").strip()
    if not text:
        return _LIMITS.get(limit_type)
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(name, "", f"must be a number of calls, not {text!r}")
    return int(text)


def standing(limit_type: str, count: int, now: datetime) -> dict[str, Any]:
    """Where a user stands after so many calls in the window.

    Returns:
        `{"can_call", "current_count", "limit_value", "reset_at" (ISO), "remaining"}`; limit and rest are None where
        there is no limit.
    """
    limit = limit_of(limit_type)
    remaining = None if limit is None else max(0, limit - count)
    return {
        "can_call": remaining is None or remaining > 0,
        "current_count": count,
        "limit_value": limit,
        "reset_at": window(limit_type, now)[1].isoformat(),
        "remaining": remaining,
    }
