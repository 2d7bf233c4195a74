"""Numbers out of the ledger, from the roll-up where it has them: in the database, never by reading all rows."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any

from sqlalchemy import Engine, Select, case, func, select

from llmguard.usage.store.query import Period
from llmguard.usage.store.tables import usage_hourly, usage_logs, usage_retention
from llmguard.usage.store.totals import has_whole_hours, totals

#: Arguments of `usage_report` that narrow it down -> column.
FILTERS = {
    "client_account_id": usage_logs.c.client_account_id,
    "engagement_id": usage_logs.c.engagement_id,
    "user_id": usage_logs.c.user_id,
    "provider": usage_logs.c.provider,
    "model": usage_logs.c.model,
    "page_context": usage_logs.c.page_context,
    "feature_context": usage_logs.c.feature_context,
    "service_name": usage_logs.c.service_name,
}


def calls_beside(
    engine: Engine, user_id: str, since: datetime, until: datetime, known: list[str]
) -> tuple[int, list[str]]:
    """How many calls of a user began in a time span (its end left out) beside those with these identifiers, and which
    of these are in the ledger too."""
    logs = usage_logs.c
    conditions = [logs.user_id == user_id, logs.created_at >= since, logs.created_at < until]
    statement = select(func.count()).where(*conditions, logs.call_id.not_in(known))
    with engine.connect() as connection:
        count = connection.execute(statement).scalar_one()
        if not known:
            return count, []
        # What is written after the first question was counted as known, and is not counted twice.
        return count, list(connection.execute(select(logs.call_id).where(logs.call_id.in_(known))).scalars())


def usage_stats(engine: Engine, user_id: str, days: int = 30, zone: tzinfo = timezone.utc) -> dict[str, Any]:
    """A user's calls and tokens by model and by day, as the seed's tracker gives them.

    Args:
        engine: of the ledger.
        user_id: whose.
        days: how many days, today included.
        zone: whose days.

    Returns:
        `{"total_calls", "total_tokens", "total_prompt_tokens", "total_completion_tokens", "by_model": {model: {"calls",
        "tokens", "prompt_tokens", "completion_tokens"}}, "by_day": [{"date", ...the same}]}`, days ascending.

    Raises:
        SQLAlchemyError: the database does not answer: that is no "no usage".
    """
    first = datetime.now(zone).date() - timedelta(days=max(days, 1) - 1)
    since = datetime(first.year, first.month, first.day, tzinfo=zone)
    columns = ("calls", "tokens", "prompt_tokens", "completion_tokens")
    sums = [func.sum(usage_hourly.c[name]).label(name) for name in columns]
    statement = (
        select(usage_hourly.c.model, usage_hourly.c.hour, *sums)
        .where(usage_hourly.c.user_id == user_id, usage_hourly.c.hour >= since)
        .group_by(usage_hourly.c.model, usage_hourly.c.hour)
        .having(func.sum(usage_hourly.c.calls) > 0)
    )
    models: dict[str, dict[str, int]] = {}
    by_day: dict[date, dict[str, int]] = {}

    def count(model: str, day: date, amounts: dict[str, int]) -> None:
        _add(models.setdefault(model, dict.fromkeys(columns, 0)), amounts)
        _add(by_day.setdefault(day, dict.fromkeys(columns, 0)), amounts)

    if has_whole_hours(zone):
        with engine.connect() as connection:
            for row in connection.execute(statement):
                amounts = {name: int(getattr(row, name)) for name in columns}
                count(row.model, row.hour.astimezone(zone).date(), amounts)
    else:  # no hour of the sums is one of this zone
        found = totals(engine, ("model", "day"), Period(since), {"user": user_id}, zone)
        for ((_, model), (day,)), each in found.items():
            count(model, date.fromisoformat(day), {name: getattr(each, name) for name in columns})
    total = dict.fromkeys(columns, 0)
    for amounts in models.values():
        _add(total, amounts)
    return {
        "total_calls": total["calls"],
        "total_tokens": total["tokens"],
        "total_prompt_tokens": total["prompt_tokens"],
        "total_completion_tokens": total["completion_tokens"],
        "by_model": models,
        "by_day": [{"date": day.isoformat(), **amounts} for day, amounts in sorted(by_day.items())],
    }


def usage_report(
    engine: Engine, start: datetime | None = None, end: datetime | None = None, **filters: Any
) -> dict[str, Any]:
    """Requests, tokens and cost, by model and by day (UTC), as the other seed's tracker gives them.

    Args:
        engine: of the ledger.
        start: aware time of the first call.
        end: aware time behind the last one.
        filters: see `FILTERS`; None means any.

    Returns:
        `{"summary": {...}, "breakdown_by_model": [...], "daily_usage": [...newest 30], "filters_applied": {...}}`.
        Costs are decimals; `unpriced_requests` counts those without a price, which no cost includes. Where calls of
        the period have been deleted, `summary["calls_deleted_before"]` says before when: they are in no figure here.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    given = {name: str(value) for name, value in filters.items() if value is not None}
    conditions = [FILTERS[name] == value for name, value in given.items()]
    if start is not None:
        conditions.append(usage_logs.c.created_at >= start)
    if end is not None:
        conditions.append(usage_logs.c.created_at < end)
    day = _day(engine)
    with engine.connect() as connection:
        whole = connection.execute(select(*_SUMMARY).where(*conditions)).mappings().one()
        models = connection.execute(
            _grouped(usage_logs.c.provider, usage_logs.c.model).where(*conditions).order_by(func.count().desc())
        ).mappings()
        by_model = [{"llm_provider": r["provider"], "model_name": r["model"], **_amounts(r)} for r in models]
        days = connection.execute(
            _grouped(day.label("day")).where(*conditions).order_by(day.desc()).limit(30)
        ).mappings()
        daily = [{"date": str(r["day"]), **_amounts(r)} for r in days]
        deleted = connection.execute(select(func.max(usage_retention.c.rows_since))).scalar()
    requests = int(whole["requests"])
    summary = {
        "total_requests": requests,
        "successful_requests": int(whole["ok"] or 0),
        "failed_requests": int(whole["failed"] or 0),
        "success_rate": round(100 * int(whole["ok"] or 0) / requests, 2) if requests else 0.0,
        "total_input_tokens": int(whole["input"] or 0),
        "total_output_tokens": int(whole["output"] or 0),
        "total_tokens": int(whole["tokens"] or 0),
        "total_cost": whole["cost"] if whole["cost"] is not None else Decimal(0),
        "unpriced_requests": int(whole["unpriced"] or 0),
        "avg_response_time_ms": float(whole["duration"]) if whole["duration"] is not None else 0.0,
        "period": {"start": start.isoformat() if start else None, "end": end.isoformat() if end else None},
    }
    if deleted is not None and (start is None or start < deleted):
        summary["calls_deleted_before"] = deleted.isoformat()
    return {"summary": summary, "breakdown_by_model": by_model, "daily_usage": daily, "filters_applied": given}


_SUMMARY = (
    func.count().label("requests"),
    func.sum(case((usage_logs.c.status == "ok", 1), else_=0)).label("ok"),
    func.sum(case((usage_logs.c.status.in_(("error", "timeout")), 1), else_=0)).label("failed"),
    func.sum(usage_logs.c.prompt_tokens).label("input"),
    func.sum(usage_logs.c.completion_tokens).label("output"),
    func.sum(usage_logs.c.tokens_used).label("tokens"),
    func.sum(usage_logs.c.total_cost, type_=usage_logs.c.total_cost.type).label("cost"),
    func.sum(case((usage_logs.c.total_cost.is_(None), 1), else_=0)).label("unpriced"),
    func.avg(usage_logs.c.duration_ms).label("duration"),
)


def _grouped(*columns: Any) -> Select[Any]:
    return select(
        *columns,
        func.count().label("requests"),
        func.sum(usage_logs.c.tokens_used).label("tokens"),
        func.sum(usage_logs.c.total_cost, type_=usage_logs.c.total_cost.type).label("cost"),
    ).group_by(*columns)


def _amounts(row: Any) -> dict[str, Any]:
    cost = row["cost"] if row["cost"] is not None else Decimal(0)
    return {"requests": int(row["requests"]), "tokens": int(row["tokens"] or 0), "cost": cost}


def _day(engine: Engine) -> Any:
    if engine.dialect.name == "sqlite":
        return func.date(usage_logs.c.created_at)
    return func.date(func.timezone("UTC", usage_logs.c.created_at))


def _add(total: dict[str, int], amounts: dict[str, int]) -> None:
    for name, amount in amounts.items():
        total[name] += amount
