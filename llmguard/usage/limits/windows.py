"""Windows of limits: the minute, hour, day or month at hand, as the calendar of a time zone has them."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo

from llmguard.errors import UsageError

WINDOWS = ("minute", "hour", "day", "month")


def window(limit_type: str, now: datetime, zone: tzinfo = timezone.utc) -> tuple[datetime, datetime]:
    """The beginning and the end of the window at hand, in UTC.

    Args:
        limit_type: one of `WINDOWS`.
        now: an aware time.
        zone: whose calendar; its days may have 23 or 25 hours.

    Raises:
        UsageError: there is no such window.

    >>> window("hour", datetime(2026, 1, 1, 13, 37, tzinfo=timezone.utc))[1].isoformat()
    '2026-01-01T14:00:00+00:00'
    """
    local = now.astimezone(zone).replace(second=0, microsecond=0)
    if limit_type in ("minute", "hour"):
        since = local if limit_type == "minute" else local.replace(minute=0)
        begins = since.astimezone(timezone.utc)
        return begins, begins + timedelta(**{f"{limit_type}s": 1})
    midnight = local.replace(hour=0, minute=0, tzinfo=None, fold=0)
    if limit_type == "day":
        first, last = midnight, midnight + timedelta(days=1)
    elif limit_type == "month":
        first = midnight.replace(day=1)
        last = (first + timedelta(days=32)).replace(day=1)
    else:
        raise UsageError(f'no limit is called "{limit_type}": one of {", ".join(WINDOWS)}')
    return tuple(at.replace(tzinfo=zone).astimezone(timezone.utc) for at in (first, last))  # type: ignore[return-value]
