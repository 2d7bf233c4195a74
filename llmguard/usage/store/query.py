"""Questions that the commands ask of single rows, of all rows, and of what is in the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import Engine, func, select

from llmguard.usage.store.tables import usage_logs

#: Option of the commands -> column.
FILTERS = {
    "user": "user_id",
    "service": "service_name",
    "feature": "feature_context",
    "provider": "provider",
    "model": "model",
    "status": "status",
    "tenant": "tenant",
    "environment": "environment",
}


class Period(NamedTuple):
    """A time span: from `since` (None: the beginning) to before `until` (None: now); both aware."""

    since: datetime | None = None
    until: datetime | None = None


def within(column: Any, period: Period) -> list[Any]:
    """The conditions that a moment is in a period."""
    conditions = []
    if period.since is not None:
        conditions.append(column >= period.since)
    if period.until is not None:
        conditions.append(column < period.until)
    return conditions


def conditions_of(period: Period, filters: dict[str, str]) -> list[Any]:
    """The conditions on rows."""
    given = [usage_logs.c[FILTERS[name]] == value for name, value in filters.items()]
    return given + within(usage_logs.c.created_at, period)


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


def without_a_look(engine: Engine) -> int:
    """How many calls nobody has looked for a price of: those that somebody else has inserted, or that were taken over.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    logs = usage_logs.c
    statement = select(func.count()).where(logs.price_status.is_(None), logs.total_cost.is_(None))
    with engine.connect() as connection:
        return int(connection.execute(statement).scalar_one())


def unpriced(
    engine: Engine, period: Period | None = None, most: int = 5, filters: dict[str, str] | None = None
) -> list[tuple[str, str, int]]:
    """Models without a known price: (provider, model, number of calls), those with the most calls first.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    logs = usage_logs.c
    number = func.count()
    statement = select(logs.provider, logs.model, number).where(logs.price_status == "unknown")
    statement = statement.where(*conditions_of(period or Period(), filters or {})).group_by(logs.provider, logs.model)
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
    if after is None:
        return page(engine, period, filters, limit)[::-1]
    logs = usage_logs.c
    moment, identity = after
    behind = (logs.created_at > moment) | ((logs.created_at == moment) & (logs.id > identity))
    statement = select(usage_logs).where(*conditions_of(period, filters), behind)
    statement = statement.order_by(logs.created_at, logs.id).limit(limit)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


def page(
    engine: Engine,
    period: Period,
    filters: dict[str, str],
    limit: int,
    behind: tuple[datetime, str] | None = None,
    offset: int = 0,
) -> list[dict[str, Any]]:
    """Rows, newest first.

    Args:
        engine: of the ledger.
        period: which calls.
        filters: see `FILTERS`.
        limit: how many.
        behind: (created_at, id) of the last row of the page before: what is written meanwhile shifts nothing.
        offset: how many to leave out, for who counts pages.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    logs = usage_logs.c
    statement = select(usage_logs).where(*conditions_of(period, filters))
    if behind is not None:
        moment, identity = behind
        statement = statement.where((logs.created_at < moment) | ((logs.created_at == moment) & (logs.id < identity)))
    statement = statement.order_by(logs.created_at.desc(), logs.id.desc()).limit(limit).offset(offset)
    with engine.connect() as connection:
        return [dict(row) for row in connection.execute(statement).mappings()]


def every(engine: Engine, period: Period, filters: dict[str, str]) -> Iterator[dict[str, Any]]:
    """All rows, oldest first, however many: they are read in pieces.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    statement = select(usage_logs).where(*conditions_of(period, filters))
    statement = statement.order_by(usage_logs.c.created_at, usage_logs.c.id)
    with engine.connect() as connection:  # the option is the statement's: in PostgreSQL others come before it
        for row in connection.execute(statement, execution_options={"yield_per": 1000}).mappings():
            yield dict(row)
