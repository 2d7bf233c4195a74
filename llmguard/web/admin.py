"""What administrators may see: the calls of all. Envelope and names are those that older clients expect."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from llmguard.usage.periods import period, zone_of
from llmguard.usage.store.query import Period, contents, unpriced
from llmguard.usage.store.read import usage_report
from llmguard.usage.store.totals import Sums, folded, totals
from llmguard.usage.tracker import llm_usage_tracker
from llmguard.usage.written import plain
from llmguard.web import bodies
from llmguard.web.ledger import ledger
from llmguard.web.parameters import Since, Until, Zone, check_texts
from llmguard.web.problems import ProblemRoute, responses
from llmguard.web.viewer import Viewer, administrator

router = APIRouter(route_class=ProblemRoute, responses=responses(401, 403, 422, 503))
Admin = Annotated[Viewer, Depends(administrator)]
Text = Annotated[str, Query(max_length=400)]


def _enveloped(data: Any, message: str) -> bodies.Envelope:
    return bodies.Envelope(data=data, message=message)


@router.get("/usage/report")
def report(
    _: Admin,
    since: Since = "30d",
    until: Until = "",
    client_account_id: Text = "",
    engagement_id: Text = "",
    user_id: Text = "",
    provider: Text = "",
    model: Text = "",
    page_context: Text = "",
    feature_context: Text = "",
    service_name: Text = "",
) -> bodies.Envelope:
    """Requests, tokens and cost, by model and by day."""
    filters: dict[str, Any] = {
        "client_account_id": client_account_id,
        "engagement_id": engagement_id,
        "user_id": user_id,
        "provider": provider,
        "model": model,
        "page_context": page_context,
        "feature_context": feature_context,
        "service_name": service_name,
    }
    check_texts(filters)
    when = period(since, until, timezone.utc, ("since", "until"))
    with ledger.reading() as engine:
        found = usage_report(engine, *when, **{name: value for name, value in filters.items() if value})
    return _enveloped(_plain(found), "usage report")


@router.get("/usage/summary/daily")
def daily(_: Admin, days: Annotated[int, Query(ge=1, le=365)] = 30, time_zone: Zone = "UTC") -> bodies.Envelope:
    """The sums of each day, today included, ascending."""
    zone = zone_of(time_zone, "time_zone")
    with ledger.reading() as engine:
        found = totals(engine, ("day",), period(f"{days}d", "", zone), {}, zone)
    return _enveloped([{"date": key[0][0], **_told(sums)} for key, sums in found.items()], "daily summary")


@router.get("/usage/costs/breakdown")
def breakdown(_: Admin, since: Since = "", until: Until = "", time_zone: Zone = "UTC") -> bodies.Envelope:
    """The costs of a period, this month's by default, by model, provider, feature and user."""
    zone = zone_of(time_zone, "time_zone")
    when = period(since or datetime.now(zone).strftime("%Y-%m"), until, zone, ("since", "until"))
    dims = ("model", "provider", "feature", "service", "user")
    with ledger.reading() as engine:
        found = totals(engine, dims, when, {})
        lacking = unpriced(engine, when, 100)
    by = {
        dimension: [
            {"name": " ".join(filter(None, key[0])), **_told(sums)}
            for key, sums in folded(dims, found, dimension).items()
        ]
        for dimension in dims
    }
    whole = sum(found.values(), Sums())
    data = {f"by_{dimension}": lines for dimension, lines in by.items()}
    named = [{"provider": provider, "model": model, "calls": calls} for provider, model, calls in lacking]
    return _enveloped({"total": _told(whole), **data, "unpriced_models": named}, "cost breakdown")


@router.get("/usage/real-time")
def real_time(_: Admin, hours: Annotated[int, Query(ge=1, le=168)] = 24) -> bodies.Envelope:
    """The last hours, each."""
    now = datetime.now(timezone.utc)
    first = now.replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours - 1)
    with ledger.reading() as engine:
        found = totals(engine, ("hour",), Period(first), {})
    trend = [
        {"hour": key[0][0], "requests": sums.calls, "tokens": sums.tokens, "cost": _told(sums)["cost"]}
        for key, sums in found.items()
    ]
    whole = sum(found.values(), Sums())
    return _enveloped({"total": _told(whole), "hourly_trend": trend}, f"the last {hours} hours")


@router.get("/pricing/models")
def pricing(_: Admin, provider: Text = "", active_only: bool = True) -> bodies.Envelope:
    """Prices of one's own, and those that the table shows of the list."""
    from llmguard.usage.store.pricing import priced_models

    check_texts({"provider": provider})
    with ledger.reading() as engine:
        rows = priced_models(engine, provider, active_only=active_only)
    return _enveloped([_plain(row) for row in rows], "prices")


@router.post("/pricing/initialize")
async def initialize(_: Admin) -> bodies.Envelope:
    """Show the list prices of the providers that are known by older clients as rows, where there are none."""
    made = await llm_usage_tracker.initialize_default_pricing()
    return _enveloped({"created": made}, "list prices are shown")


@router.get("/health")
def health(_: Admin) -> bodies.Envelope:
    """Whether the ledger answers, and what is in it."""
    with ledger.reading() as engine:
        calls, last, lacking = contents(engine)
    data = {"status": "healthy", "calls": calls, "last_call": plain(last), "unpriced_calls": lacking}
    return _enveloped(data, "the ledger answers")


def _told(sums: Sums) -> dict[str, Any]:
    told: dict[str, Any] = _plain(sums.known())
    return told


def _plain(value: Any) -> Any:
    """Money as exact text, times in ISO form, at any depth."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_plain(inner) for inner in value]
    return plain(value) if isinstance(value, (datetime, Decimal)) else value
