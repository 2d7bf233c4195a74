"""What may be asked: filters, periods, zones, dimensions, and the place in a list where the next page begins."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime, timezone, tzinfo
from typing import Annotated, Any, NamedTuple

from fastapi import Query

from llmguard.errors import UsageError
from llmguard.usage.periods import period, zone_of
from llmguard.usage.store.query import Period
from llmguard.web.viewer import Viewer, is_text

_TEXT = {"max_length": 400}
Since = Annotated[
    str, Query(max_length=40, description="First day or time: 2026-11-01, 2026-11, today, yesterday, 7d, 24h, all.")
]
Until = Annotated[str, Query(max_length=40, description="The time before which calls count.")]
Zone = Annotated[str, Query(max_length=64, description="Whose days and hours, such as Europe/Berlin.")]
Model = Annotated[str, Query(**_TEXT, description="Only calls of this model.")]
Provider = Annotated[str, Query(**_TEXT, description="Only calls to this provider.")]
Service = Annotated[str, Query(**_TEXT, description="Only calls of this service.")]
Feature = Annotated[str, Query(**_TEXT, description="Only calls of this feature.")]
Environment = Annotated[str, Query(**_TEXT, description="Only calls of this environment.")]
Status = Annotated[str, Query(max_length=16, description="ok, error, timeout, cancelled, partial or unknown.")]
User = Annotated[str, Query(**_TEXT, description="Only calls of this user; only administrators may ask for others'.")]


class Asked(NamedTuple):
    """Which calls are meant.

    Attributes:
        period: when.
        zone: whose days.
        filters: see `llmguard.usage.store.query.FILTERS`.
    """

    period: Period
    zone: tzinfo
    filters: dict[str, str]


class Chosen(NamedTuple):
    """Which calls are meant, as the query says it."""

    since: str
    until: str
    time_zone: str
    filters: dict[str, str]

    def of(self, viewer: Viewer) -> Asked:
        """Those that somebody may see: his own, or, of an administrator, all.

        Raises:
            UsageError: a time, a zone or a text is none.
        """
        check_texts(self.filters)
        zone = zone_of(self.time_zone, "time_zone")
        filters = dict(self.filters)
        if viewer.is_admin is not True:
            filters["user"] = viewer.user_id
        return Asked(period(self.since, self.until, zone, ("since", "until")), zone, filters)


def chosen(
    since: Since = "30d",
    until: Until = "",
    time_zone: Zone = "UTC",
    model: Model = "",
    provider: Provider = "",
    service: Service = "",
    feature: Feature = "",
    environment: Environment = "",
    status: Status = "",
    user: User = "",
) -> Chosen:
    """Which calls are meant (a dependency)."""
    given = {"model": model, "provider": provider, "service": service, "feature": feature}
    given |= {"environment": environment, "status": status, "user": user}
    return Chosen(since, until, time_zone, {name: value for name, value in given.items() if value})


def check_texts(given: Mapping[str, str]) -> None:
    """Refuse what no column can hold.

    Raises:
        UsageError: it is no text.
    """
    for name, value in given.items():
        if not is_text(value):
            raise UsageError(f"{name}: {value!r} is no text")


def cursor_of(row: dict[str, Any]) -> str:
    """Where the next page begins: behind this row. To be handed back as it is."""
    text = json.dumps([row["created_at"].isoformat(), row["id"]])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def behind(cursor: str) -> tuple[datetime, str] | None:
    """The place that a cursor names, None for the beginning.

    Raises:
        UsageError: it is none.
    """
    if not cursor:
        return None
    try:
        moment, identity = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        found = datetime.fromisoformat(moment)
        if found.tzinfo is None or not isinstance(identity, str) or not is_text(identity):
            raise ValueError
        found = found.astimezone(timezone.utc)
    except (ValueError, TypeError, OverflowError, binascii.Error, RecursionError):
        raise UsageError("cursor: not one that this API has given") from None
    return found, identity
