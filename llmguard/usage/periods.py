"""Time spans and zones as people write them."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import TYPE_CHECKING

from llmguard.errors import UsageError

if TYPE_CHECKING:
    from llmguard.usage.store.query import Period

_MONTH = re.compile(r"\d{4}-\d\d")
_AGO = re.compile(r"(\d+)([dhm])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes"}


def zone_of(name: str, option: str = "--time-zone") -> tzinfo:
    """The time zone of a name.

    Args:
        name: as `zoneinfo` knows it.
        option: what the name was given as, for the message.

    Raises:
        UsageError: there is none.
    """
    if name.upper() in ("", "UTC"):
        return timezone.utc
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise UsageError(f"{option}: there is no time zone {name!r}; names look like Europe/Berlin") from None


def period(since: str, until: str, zone: tzinfo, options: tuple[str, str] = ("--since", "--until")) -> Period:
    """The period that two options name.

    Args:
        since, until: a day, a time, a month, "today", "yesterday", "7d", "24h" or "all"; "" for an open end.
        zone: whose days.
        options: what they were given as, for the message.

    Raises:
        UsageError: one of them is no time.
    """
    from llmguard.usage.store.query import Period

    found = Period(_moment(options[0], since, zone), _moment(options[1], until, zone))
    if found.since and found.until and found.since >= found.until:
        raise UsageError(f"{options[0]} {since} is not before {options[1]} {until}")
    return found


def _moment(option: str, text: str, zone: tzinfo) -> datetime | None:
    if not text or text == "all":
        return None
    ago = _AGO.fullmatch(text)
    now = datetime.now(zone)
    try:
        if ago:
            back = now - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
            if ago[2] == "d":
                back = datetime.combine(back.date() + timedelta(days=1), datetime.min.time(), zone)
            return back
        if text in ("today", "yesterday"):
            day = now.date() - timedelta(days=text == "yesterday")
            return datetime.combine(day, datetime.min.time(), zone)
        if _MONTH.fullmatch(text):
            text += "-01"
        if len(text) == 10:
            found = datetime.combine(date.fromisoformat(text), datetime.min.time(), zone)
        else:
            found = datetime.fromisoformat(text.replace("Z", "+00:00"))
        found = found if found.tzinfo else found.replace(tzinfo=zone)
        utc = found.astimezone(timezone.utc)  # the ledger's own; the year 1 has none everywhere
        utc - timedelta(days=2), utc + timedelta(days=2)  # and what is beside it
    except (ValueError, OverflowError):
        problem = (
            f"{option}: {text!r} is no time; write 2026-11-01, 2026-11-01T12:00, 2026-11, yesterday, 7d, 24h or all"
        )
        raise UsageError(problem) from None
    return found
