"""Questions that the commands ask: sums by any dimension, single rows, all rows."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Engine, Select, Table, case, func, select

from llmguard.usage.store.tables import usage_hourly, usage_hourly_sites, usage_logs

#: Dimension of `summary` -> columns of the ledger.
DIMENSIONS = {
    "user": ("user_id",),
    "service": ("service_name",),
    "feature": ("feature_context",),
    "provider": ("provider",),
    "model": ("provider", "model"),
    "site": ("code_file", "code_function"),
    "tenant": ("tenant",),
    "environment": ("environment",),
    "run": ("run_id", "budget"),
    "day": (),
    "hour": (),
}
#: Option of the commands -> column.
FILTERS = {
    "user": "user_id",
    "service": "service_name",
    "feature": "feature_context",
    "provider": "provider",
    "model": "model",
    "status": "status",
}


class Period(NamedTuple):
    """A time span: from `since` (None: the beginning) to before `until` (None: now); both aware."""

    since: datetime | None = None
    until: datetime | None = None


class Sums(NamedTuple):
    """What calls add up to. `cost` is of those with a known price; `unpriced_calls` counts the others."""

    calls: int = 0
    errors: int = 0
    unknown_calls: int = 0
    unpriced_calls: int = 0
    tokens: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: Decimal = Decimal(0)

    def __add__(self, other: Any) -> Sums:
        return Sums(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


#: The sums that are counts: all but the money.
_SUMS = Sums._fields[:-1]


def summary(
    engine: Engine, by: str, period: Period, filters: dict[str, str], zone: tzinfo = timezone.utc
) -> dict[tuple[str, ...], Sums]:
    """Sums by a dimension.

    Args:
        engine: of the ledger.
        by: see `DIMENSIONS`.
        period: which calls.
        filters: see `FILTERS`; all must hold.
        zone: whose days and hours.

    Returns:
        Key of the dimension -> sums; days and hours ascending, all else by cost and tokens, the largest first.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    rollup = usage_hourly_sites if by == "site" else usage_hourly
    rolled = all(name in rollup.c for name in (*(FILTERS[each] for each in filters), *_keys(by)))
    rolled = rolled and all(_is_hour(at) for at in period)
    if by in ("day", "hour"):
        rolled = rolled and _has_whole_hours(zone)
    statement = _of_rollup(rollup, by, period, filters) if rolled else _of_rows(by, period, filters)
    found: dict[tuple[str, ...], Sums] = {}
    with engine.connect() as connection:
        for row in connection.execute(statement).mappings():
            timed = by in ("day", "hour")
            key = _time_key(by, row["at"], zone) if timed else tuple(row[name] or "" for name in _keys(by))
            sums = Sums(**{name: int(row[name] or 0) for name in _SUMS}, cost=row["cost"] or Decimal(0))
            if sums.calls:
                found[key] = found.get(key, Sums()) + sums
    if by in ("day", "hour"):
        return dict(sorted(found.items()))
    return dict(sorted(found.items(), key=lambda item: (-item[1].cost, -item[1].tokens, item[0])))


def _keys(by: str) -> tuple[str, ...]:
    return DIMENSIONS[by]


def _is_hour(at: datetime | None) -> bool:
    return at is None or ((at.minute, at.second, at.microsecond) == (0, 0, 0) and _whole_offset(at))


def _whole_offset(at: datetime) -> bool:
    return at.astimezone(timezone.utc).minute == 0


def _has_whole_hours(zone: tzinfo) -> bool:
    """Whether the zone's hours are UTC's; a zone whose offset has half hours must ask each row."""
    moments = (datetime(year, month, 1, tzinfo=zone) for year in (2000, 2013, 2026) for month in (1, 7))
    return all((moment.utcoffset() or timedelta(0)).seconds % 3600 == 0 for moment in moments)


def _of_rollup(rollup: Table, by: str, period: Period, filters: dict[str, str]) -> Select[Any]:
    columns: list[Any] = [rollup.c[name] for name in _keys(by)]
    if by in ("day", "hour"):
        columns.append(rollup.c.hour.label("at"))
    sums = [func.sum(rollup.c[name]).label(name) for name in _SUMS]
    cost = func.sum(rollup.c.total_cost, type_=rollup.c.total_cost.type).label("cost")
    conditions = [rollup.c[FILTERS[name]] == value for name, value in filters.items()]
    conditions += within(rollup.c.hour, period)
    groups = [rollup.c[name] for name in _keys(by)] or [rollup.c.hour]
    return select(*columns, *sums, cost).where(*conditions).group_by(*groups)


def _of_rows(by: str, period: Period, filters: dict[str, str]) -> Select[Any]:
    logs = usage_logs.c
    columns: list[Any] = [logs[name] for name in _keys(by)]
    if by in ("day", "hour"):
        columns.append(logs.created_at.label("at"))
    amounts = {
        "calls": func.count(),
        "errors": func.sum(case((logs.status.in_(("error", "timeout")), 1), else_=0)),
        "unknown_calls": func.sum(case((logs.status == "unknown", 1), else_=0)),
        "unpriced_calls": func.sum(case((logs.total_cost.is_(None), 1), else_=0)),
        "tokens": func.sum(logs.tokens_used),
        "prompt_tokens": func.sum(logs.prompt_tokens),
        "completion_tokens": func.sum(logs.completion_tokens),
    }
    sums = [amount.label(name) for name, amount in amounts.items()]
    cost = func.sum(logs.total_cost, type_=logs.total_cost.type).label("cost")
    statement = select(*columns, *sums, cost).where(*_conditions(period, filters))
    return statement.group_by(*([logs[name] for name in _keys(by)] or [logs.created_at]))


def within(column: Any, period: Period) -> list[Any]:
    """The conditions that a moment is in a period."""
    conditions = []
    if period.since is not None:
        conditions.append(column >= period.since)
    if period.until is not None:
        conditions.append(column < period.until)
    return conditions


def _conditions(period: Period, filters: dict[str, str]) -> list[Any]:
    given = [usage_logs.c[FILTERS[name]] == value for name, value in filters.items()]
    return given + within(usage_logs.c.created_at, period)


def _time_key(by: str, at: datetime, zone: tzinfo) -> tuple[str, ...]:
    local = at.astimezone(zone)
    return (local.date().isoformat(),) if by == "day" else (local.strftime("%Y-%m-%d %H:00"),)


def contents(engine: Engine) -> tuple[int, datetime | None, int]:
    """(number of calls, time of the last one, number of calls of models without a known price).

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    logs = usage_logs.c
    with engine.connect() as connection:
        calls, last = connection.execute(select(func.count(), func.max(logs.created_at))).one()
        unpriced = connection.execute(select(func.count()).where(logs.price_status == "unknown")).scalar_one()
    return calls, last, unpriced


def unpriced(engine: Engine, period: Period | None = None, most: int = 5) -> list[tuple[str, str, int]]:
    """Models without a known price: (provider, model, number of calls), those with the most calls first.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    logs = usage_logs.c
    number = func.count()
    statement = select(logs.provider, logs.model, number).where(logs.price_status == "unknown")
    statement = statement.where(*within(logs.created_at, period or Period())).group_by(logs.provider, logs.model)
    with engine.connect() as connection:
        found = connection.execute(statement.order_by(number.desc(), logs.provider, logs.model).limit(most)).all()
    return [(row[0] or "", row[1] or "", row[2]) for row in found]


def newest(
    engine: Engine, period: Period, filters: dict[str, str], limit: int, after: tuple[datetime, str] | None = None
) -> list[dict[str, Any]]:
    """The newest rows, oldest of them first.

    Args:
        engine: of the ledger.
        period: which calls.
        filters: see `FILTERS`.
        limit: how many.
        after: (created_at, id) of a row: only those behind it, the first of them (to follow the ledger).

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    logs = usage_logs.c
    statement = select(usage_logs).where(*_conditions(period, filters)).limit(limit)
    if after is not None:
        moment, identity = after
        behind = (logs.created_at > moment) | ((logs.created_at == moment) & (logs.id > identity))
        statement = statement.where(behind).order_by(logs.created_at, logs.id)
    else:
        statement = statement.order_by(logs.created_at.desc(), logs.id.desc())
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(statement).mappings()]
    return rows if after is not None else rows[::-1]


def every(engine: Engine, period: Period, filters: dict[str, str]) -> Iterator[dict[str, Any]]:
    """All rows, oldest first, however many: they are read in pieces.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    statement = select(usage_logs).where(*_conditions(period, filters))
    statement = statement.order_by(usage_logs.c.created_at, usage_logs.c.id)
    with engine.connect().execution_options(yield_per=1000) as connection:
        for row in connection.execute(statement).mappings():
            yield dict(row)
