"""A user's own calls, sums and limits: `app.include_router(llm_usage.router, prefix="/api/llm/usage")`.

Bodies and names are those that clients of older trackers expect; an outage is an answer of 503, never zeros.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import datetime, timezone
from itertools import chain, islice
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Path, Query, Response
from fastapi.responses import StreamingResponse

from llmguard.errors import UsageError
from llmguard.usage.limits.standing import standing
from llmguard.usage.limits.windows import WINDOWS
from llmguard.usage.periods import period, zone_of
from llmguard.usage.recorder import recorder
from llmguard.usage.store.limits import described, load, used_now
from llmguard.usage.store.query import Period, every, page, unpriced
from llmguard.usage.store.read import usage_stats
from llmguard.usage.store.tables import usage_logs
from llmguard.usage.store.totals import TIMES, Key, Sums, before, dimensions, number_of, totals
from llmguard.usage.written import plain, write_csv
from llmguard.web import bodies
from llmguard.web.ledger import ledger
from llmguard.web.parameters import Chosen, Zone, behind, chosen, cursor_of
from llmguard.web.problems import ProblemRoute, responses
from llmguard.web.viewer import Viewer, viewer

router = APIRouter(route_class=ProblemRoute, responses=responses(401, 403, 422, 503))
Asks = Annotated[Viewer, Depends(viewer)]
Which = Annotated[Chosen, Depends(chosen)]
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}


@router.get("/summary")
def summary(asks: Asks, time_zone: Zone = "UTC") -> bodies.Summary:
    """Today's and this month's calls and tokens, and what is left of the minute and the day."""
    zone = zone_of(time_zone, "time_zone")
    now = datetime.now(zone)
    with ledger.reading() as engine:
        sums = {
            name: _amounts(engine, asks, period(since, "", zone))
            for name, since in (("today", "today"), ("this_month", now.strftime("%Y-%m")))
        }
        limits = {
            f"per_{window}": bodies.RateLimit(**standing(recorder(), engine, asks.user_id, window, own=True))
            for window in ("minute", "day")
        }
    found = bodies.SummaryOfUser(**sums, rate_limits=bodies.RateLimits(**limits))
    return bodies.Summary(summary=found)


def _amounts(engine: Any, asks: Viewer, when: Period) -> bodies.Amounts:
    found = totals(engine, (), when, {"user": asks.user_id}).get((), Sums())
    return bodies.Amounts(**{name: getattr(found, name) for name in bodies.Amounts.model_fields})


@router.get("/stats")
def stats(asks: Asks, days: Annotated[int, Query(ge=1, le=365)] = 30, time_zone: Zone = "UTC") -> bodies.Stats:
    """The last days' calls and tokens by model and by day, today included."""
    with ledger.reading() as engine:
        found = usage_stats(engine, asks.user_id, days, zone_of(time_zone, "time_zone"))
    return bodies.Stats(stats=bodies.StatsOfUser(**found))


@router.get("/rate-limits")
def rate_limits(asks: Asks) -> bodies.Standings:
    """What is left of each window that has a limit, shown or enforced."""
    found = []
    with ledger.reading() as engine:
        for window in WINDOWS:
            told = standing(recorder(), engine, asks.user_id, window, own=True)
            if told["limit_value"] is not None:
                names = ("current_count", "limit_value", "remaining", "reset_at")
                used = _share(told["current_count"], told["limit_value"])
                values = {name: told[name] for name in names}
                found.append(bodies.Standing(limit_type=window, percentage_used=used, **values))
    return bodies.Standings(rate_limits=found)


def _share(count: int, limit: int) -> float:
    return round(100 * count / limit, 2) if limit else 100.0


@router.get("/rate-limit/{limit_type}")
def rate_limit(
    asks: Asks, limit_type: Annotated[Literal["minute", "hour", "day", "month"], Path()]
) -> bodies.OneStanding:
    """What is left of a window."""
    with ledger.reading() as engine:
        return bodies.OneStanding(**standing(recorder(), engine, asks.user_id, limit_type, own=True))


@router.get("/logs", responses=_CSV)
def logs(
    asks: Asks,
    which: Which,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
    cursor: Annotated[str, Query(max_length=400, description="`next_cursor` of the page before.")] = "",
    format: Annotated[Literal["json", "csv"], Query(description="csv gives all of them.")] = "json",
) -> Any:
    """Calls, newest first; `total` counts all of them."""
    asked = which.of(asks)
    if format == "csv":
        return _as_csv("llm_usage_logs", tuple(usage_logs.c.keys()), _rows(asked.period, asked.filters))
    place = behind(cursor)
    with ledger.reading() as engine:
        rows = page(engine, asked.period, asked.filters, limit + 1, place, offset)
        total = number_of(engine, asked.period, asked.filters)
    more = len(rows) > limit
    shown = [{name: plain(value) for name, value in row.items()} for row in rows[:limit]]
    following = cursor_of(rows[limit - 1]) if more else None
    return bodies.Logs(logs=shown, total=total, limit=limit, offset=offset, next_cursor=following)


def _rows(when: Period, filters: dict[str, str]) -> Iterator[dict[str, Any]]:
    with ledger.reading() as engine:
        yield from every(engine, when, filters)


@router.get("/totals", responses=_CSV)
def totals_by(
    asks: Asks,
    which: Which,
    by: Annotated[
        list[str],
        Query(max_length=2, description="service, user, model, provider, feature, site, line, day, ...; two at most."),
    ] = ["model"],  # noqa: B006
    compare: Annotated[bool, Query(description="Against the period before; not by a time.")] = False,
    format: Annotated[Literal["json", "csv"], Query()] = "json",
) -> Any:
    """Calls, tokens and cost by one dimension or two: of all calls, not of a page."""
    asked = which.of(asks)
    dims = dimensions(by)
    prior = _before(asked.period, must=compare)
    earlier = prior if compare and not any(name in TIMES for name in dims) else None
    with ledger.reading() as engine:
        found = totals(engine, dims, asked.period, asked.filters, asked.zone)
        past = totals(engine, dims, earlier, asked.filters, asked.zone) if earlier is not None else {}
    keys = [*found, *(key for key in past if key not in found)]
    lines = [_line(key, found.get(key, Sums()), past.get(key, Sums()) if earlier is not None else None) for key in keys]
    if format == "csv":
        return _as_csv("llm_usage_totals", (*dims, *Sums._fields), (_cells(dims, line) for line in lines))
    whole = sum(found.values(), Sums()), sum(past.values(), Sums()) if earlier is not None else None
    earlier_span = _span(prior) if prior is not None else None
    total = _line((), *whole)
    return bodies.Totals(by=list(dims), totals=lines, total=total, period=_span(asked.period), before=earlier_span)


def _before(when: Period, *, must: bool) -> Period | None:
    """The period before, None where there is none and nobody must have it."""
    is_begun = when.since is not None and when.since < datetime.now(timezone.utc)
    try:
        return before(when) if is_begun else None
    except UsageError:
        if must:
            raise
        return None


def _span(when: Period) -> bodies.Span:
    return bodies.Span(**{name: at and at.isoformat() for name, at in when._asdict().items()})


@router.get("/unpriced")
def unpriced_models(asks: Asks, which: Which) -> bodies.Unpriced:
    """Models whose price is not known: their calls are in no cost."""
    asked = which.of(asks)
    with ledger.reading() as engine:
        found = unpriced(engine, asked.period, 100, asked.filters)
    rows = [bodies.UnpricedModel(provider=provider, model=model, calls=calls) for provider, model, calls in found]
    return bodies.Unpriced(models=rows)


@router.get("/limits")
def limits(asks: Asks) -> bodies.Limits:
    """The limits that are enforced: one's own, or all of them for administrators."""
    with ledger.reading() as engine:
        rules = load(engine)
        if asks.is_admin is True:
            shown = [(limit, limit.scope) for limit in rules.limits]
        else:  # those of others, and of all together, say what others do
            own = rules.of({"user_id": asks.user_id})
            shown = [(limit, scope) for limit, scope in own if "user_id" in dict(scope)]
        rows = [described(limit._replace(scope=scope), used_now(engine, limit, scope)) for limit, scope in shown]
    stopped = [{"stopped": stop.says(), "reason": stop.reason} for stop in rules.stops if asks.is_admin]
    return bodies.Limits(limits=rows, stopped=stopped, problems=list(rules.problems) if asks.is_admin else [])


def _line(key: Key, sums: Sums, past: Sums | None) -> bodies.Line:
    earlier = bodies.Sum(**past.known()) if past is not None else None
    return bodies.Line(key=[list(each) for each in key], before=earlier, **sums.known())


def _cells(dims: tuple[str, ...], line: bodies.Line) -> dict[str, Any]:
    named = dict(zip(dims, (" ".join(each) for each in line.key), strict=True))
    return {**named, **{name: getattr(line, name) for name in Sums._fields}}


def _as_csv(name: str, columns: tuple[str, ...], rows: Iterator[dict[str, Any]]) -> Response:
    """A file for a spreadsheet: what would be a formula there is a text. The first row is there before anything is said
    of success."""
    first = list(islice(rows, 1))

    def written() -> Iterator[str]:
        head = io.StringIO()
        write_csv(head, columns, ())
        yield head.getvalue()
        for row in chain(first, rows):
            line = io.StringIO()
            write_csv(line, columns, [row])
            yield line.getvalue().partition("\n")[2]

    disposition = f'attachment; filename="{name}_{datetime.now(timezone.utc):%Y-%m-%d}.csv"'
    headers = {"Content-Disposition": disposition, "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(written(), media_type="text/csv; charset=utf-8", headers=headers)
