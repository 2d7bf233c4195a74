"""What calls add up to, by one dimension or two: from the roll-ups where they can tell, else from the rows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Engine, Select, Table, case, func, select

from llmguard.errors import UsageError
from llmguard.usage.store.query import FILTERS, Period, conditions_of, within
from llmguard.usage.store.rollup import rows_since
from llmguard.usage.store.tables import GRAIN, SUMS, usage_hourly, usage_hourly_sites, usage_logs

#: Dimension -> columns of the ledger; times have none, they are made of the moment.
DIMENSIONS: dict[str, tuple[str, ...]] = {
    "service": ("service_name",),
    "user": ("user_id",),
    "model": ("provider", "model"),
    "provider": ("provider",),
    "feature": ("feature_context",),
    "site": ("code_file", "code_function"),
    "line": ("code_file", "code_line"),
    "tenant": ("tenant",),
    "environment": ("environment",),
    "repository": ("repository",),
    "run": ("run_id", "budget"),
    "hour": (),
    "day": (),
    "week": (),
    "month": (),
}
TIMES = ("hour", "day", "week", "month")
#: `tag:team` adds up by what the metadata of a call say of "team".
TAG = "tag:"
_TAG = re.compile(r"tag:[\w.-]{1,100}")
_MOST = 2
#: One key for each dimension, each of as many texts as the dimension has columns.
Key = tuple[tuple[str, ...], ...]


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

    def known(self) -> dict[str, Any]:
        """The sums by their names; a cost that is known of no call is None, not 0."""
        is_unknown = self.calls > 0 and self.calls == self.unpriced_calls
        return {**self._asdict(), **({"cost": None} if is_unknown else {})}


#: The sums that are counts: all but the money.
_SUMS = Sums._fields[:-1]


def dimensions(texts: Sequence[str]) -> tuple[str, ...]:
    """The dimensions of `["model", "day"]` or `["model,day"]`.

    Raises:
        UsageError: one is unknown, or there are more than two.
    """
    found = tuple(dict.fromkeys(part.strip() for each in texts for part in each.split(",")))
    for name in found:
        if name not in DIMENSIONS and not _TAG.fullmatch(name):
            known = ", ".join(DIMENSIONS)
            raise UsageError(f"--by: there is no dimension {name!r}; there are {known}, and tag:NAME for metadata")
    if len(found) > _MOST:
        raise UsageError(f"--by: two dimensions at most, not {len(found)}")
    return found


def summary(
    engine: Engine, by: str, period: Period, filters: dict[str, str], zone: tzinfo = timezone.utc
) -> dict[tuple[str, ...], Sums]:
    """`totals` by one dimension, whose key is the dimension's."""
    return {key[0]: sums for key, sums in totals(engine, (by,), period, filters, zone).items()}


def totals(
    engine: Engine, by: Sequence[str], period: Period, filters: dict[str, str], zone: tzinfo = timezone.utc
) -> dict[Key, Sums]:
    """Sums by dimensions.

    Args:
        engine: of the ledger.
        by: see `dimensions`; none for one sum of all.
        period: which calls.
        filters: see `FILTERS`; all must hold.
        zone: whose hours, days, weeks (of ISO) and months.

    Returns:
        Key -> sums; ascending where a dimension is a time, else by cost and tokens, the largest first.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    table = _source(by, filters, zone)
    found: dict[Key, Sums] = {}
    with engine.connect() as connection:
        for part, is_whole in _parts(period):
            if table is None or not is_whole:
                statement = _of_rows(by, part, filters, engine.dialect.name)
            else:
                statement = _of_rollup(table, by, part, filters)
            for row in connection.execute(statement).mappings():
                sums = Sums(**{name: int(row[name] or 0) for name in _SUMS}, cost=row["cost"] or Decimal(0))
                if sums.calls:
                    key = key_of(by, row, zone)
                    found[key] = found.get(key, Sums()) + sums
    return ordered(by, found)


def number_of(engine: Engine, period: Period, filters: dict[str, str]) -> int:
    """How many rows there are: by the sums, where they can tell, less those that have been deleted.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    if _source((), filters, timezone.utc) is None:
        counting = select(func.count()).select_from(usage_logs).where(*conditions_of(period, filters))
        with engine.connect() as connection:
            return int(connection.execute(counting).scalar_one())
    with engine.connect() as connection:
        kept = rows_since(connection)
    since = kept if period.since is None else max(kept, period.since)
    return totals(engine, (), Period(since, period.until), filters).get((), Sums()).calls


def folded(by: Sequence[str], found: dict[Key, Sums], dimension: str) -> dict[Key, Sums]:
    """Sums by several dimensions, added up by one of them: one question instead of one for each."""
    place = by.index(dimension)
    sums: dict[Key, Sums] = {}
    for key, each in found.items():
        sums[key[place],] = sums.get((key[place],), Sums()) + each
    return ordered((dimension,), sums)


def _parts(period: Period) -> list[tuple[Period, bool]]:
    """A period as what is made of whole hours (True), of which there are sums, and what is left at its ends."""
    since, until = period
    first = None if since is None else _hour(since, up=True)
    last = None if until is None else _hour(until)
    if first is not None and last is not None and first >= last:
        return [(period, first == since and last == until)]
    parts = [(Period(first, last), True)]
    if first != since:
        parts.insert(0, (Period(since, first), False))
    if last != until:
        parts.append((Period(last, until), False))
    return parts


def _hour(at: datetime, *, up: bool = False) -> datetime:
    """The hour (UTC) that a moment is in, or the next one when it is none."""
    utc = at.astimezone(timezone.utc)
    hour = utc.replace(minute=0, second=0, microsecond=0)
    return hour + timedelta(hours=1) if up and hour != utc else hour


def ordered(by: Sequence[str], found: dict[Key, Sums]) -> dict[Key, Sums]:
    """Sums in the order that people read them."""
    if any(name in TIMES for name in by):
        return dict(sorted(found.items()))
    return dict(sorted(found.items(), key=lambda item: (-item[1].cost, -item[1].tokens, item[0])))


def key_of(by: Sequence[str], row: Any, zone: tzinfo) -> Key:
    """The key of a row that has the columns of the dimensions, and `at` for times."""
    return tuple(
        (_moment(name, row["at"], zone),)
        if name in TIMES
        else tuple(str(row[column] or "") for column in _columns_of(name))
        for name in by
    )


def _columns_of(name: str) -> tuple[str, ...]:
    return (name,) if name.startswith(TAG) else DIMENSIONS[name]


def _moment(name: str, at: datetime, zone: tzinfo) -> str:
    local = at.astimezone(zone)
    if name == "week":
        year, week, _ = local.isocalendar()
        return f"{year}-W{week:02}"
    return local.strftime({"hour": "%Y-%m-%d %H:00", "day": "%Y-%m-%d", "month": "%Y-%m"}[name])


def needed(by: Sequence[str]) -> list[str]:
    """The columns that dimensions need, in their order."""
    return list(dict.fromkeys(column for name in by for column in _columns_of(name)))


def _source(by: Sequence[str], filters: dict[str, str], zone: tzinfo) -> Table | None:
    """The roll-up that can answer, None when the rows must."""
    if any(name in TIMES for name in by) and not has_whole_hours(zone):
        return None
    asked = (*needed(by), *(FILTERS[each] for each in filters))
    return next((table for table in (usage_hourly, usage_hourly_sites) if all(name in table.c for name in asked)), None)


def has_whole_hours(zone: tzinfo) -> bool:
    """Whether the zone's hours are UTC's; a zone whose offset has half hours must ask each row."""
    moments = (datetime(year, month, 1, tzinfo=zone) for year in (2000, 2013, 2026) for month in (1, 7))
    return all((moment.utcoffset() or timedelta(0)).seconds % 3600 == 0 for moment in moments)


def _of_rollup(table: Table, by: Sequence[str], period: Period, filters: dict[str, str]) -> Select[Any]:
    columns: list[Any] = [table.c[name] for name in needed(by)]
    if any(name in TIMES for name in by):
        columns.append(table.c.hour.label("at"))
    sums = [func.sum(table.c[name]).label(name) for name in _SUMS]
    cost = func.sum(table.c.total_cost, type_=table.c.total_cost.type).label("cost")
    conditions = [table.c[FILTERS[name]] == value for name, value in filters.items()]
    conditions += within(table.c.hour, period)
    return select(*columns, *sums, cost).where(*conditions).group_by(*columns)


def row_columns(by: Sequence[str], dialect: str) -> list[Any]:
    """The columns of a row that dimensions need, under their names; `at` for times."""
    logs = usage_logs.c
    columns: list[Any] = [
        _tag(name.removeprefix(TAG), dialect).label(name) if name.startswith(TAG) else logs[name] for name in needed(by)
    ]
    if any(name in TIMES for name in by):
        columns.append(logs.created_at.label("at"))
    return columns


def _tag(name: str, dialect: str) -> Any:
    """What the metadata say of a name, as a text; SQLite has no true and false but 1 and 0."""
    said = usage_logs.c["metadata"][name].as_string()
    if dialect != "sqlite":
        return said
    kind = func.json_type(usage_logs.c["metadata"], f'$."{name}"')
    return case((kind.in_(("true", "false")), kind), else_=said)


def of_rows(by: Sequence[str], period: Period, filters: dict[str, str], zone: tzinfo) -> list[Period]:
    """The parts of a period of which `totals` asks the calls themselves, which may be deleted, not their sums."""
    if _source(by, filters, zone) is None:
        return [period]
    return [part for part, is_whole in _parts(period) if not is_whole]


def _of_rows(by: Sequence[str], period: Period, filters: dict[str, str], dialect: str) -> Select[Any]:
    logs = usage_logs.c
    columns = row_columns(by, dialect)
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
    return select(*columns, *sums, cost).where(*conditions_of(period, filters)).group_by(*columns)


def before(period: Period) -> Period:
    """The period before one, of the same length; months before months, and of a month that runs as much of the one
    before.

    Raises:
        UsageError: the period has no beginning.
    """
    if period.since is None:
        raise UsageError("--compare needs --since: the period before is as long as the period")
    since, until = period.since, period.until or datetime.now(timezone.utc)
    try:
        if _is_first(since) and (period.until is None or _is_first(period.until)):
            months = _months(until.astimezone(since.tzinfo)) - _months(since) + (period.until is None)
            first = _earlier(since, months)
            return Period(first, since if period.until is not None else min(first + (until - since), since))
        return Period(since - (until - since), since)
    except (OverflowError, ValueError):
        raise UsageError("--compare: there is no time before that") from None


def _is_first(at: datetime) -> bool:
    return at == at.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _months(at: datetime) -> int:
    return at.year * 12 + at.month - 1


def _earlier(at: datetime, months: int) -> datetime:
    year, month = divmod(_months(at) - months, 12)
    return at.replace(year=year, month=month + 1)


def durations(
    engine: Engine, by: Sequence[str], period: Period, filters: dict[str, str], zone: tzinfo = timezone.utc
) -> dict[Key, list[int]]:
    """How many milliseconds each call of a key took; calls without a duration are left out.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    found: dict[Key, list[int]] = {}
    statement = select(*row_columns(by, engine.dialect.name), usage_logs.c.duration_ms.label("duration"))
    statement = statement.where(*conditions_of(period, filters), usage_logs.c.duration_ms.is_not(None))
    for row in _streamed(engine, statement):
        found.setdefault(key_of(by, row, zone), []).append(row["duration"])
    return found


def percentile(given: list[int], share: int) -> int | None:
    """The least of the given numbers that so many per cent are not above; None of none.

    >>> percentile([30, 10, 20], 50)
    20
    """
    return sorted(given)[max(0, -(-len(given) * share // 100) - 1)] if given else None


def _streamed(engine: Engine, statement: Select[Any]) -> Iterator[Any]:
    with engine.connect() as connection:
        yield from connection.execute(statement, execution_options={"yield_per": 5000}).mappings()


#: Columns of `daily`.
DAILY = ("day", *GRAIN[1:], *SUMS)


def daily(
    engine: Engine, period: Period, filters: dict[str, str], zone: tzinfo = timezone.utc
) -> Iterator[dict[str, Any]]:
    """The sums of each day by all that they are kept by, days ascending: what a warehouse loads. A zone with half hours
    has the days of the hour that each call began in.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    table = usage_hourly
    period = Period(*(at and _hour(at) for at in period))  # of whole hours
    conditions = [table.c[FILTERS[name]] == value for name, value in filters.items()]
    statement = (
        select(table).where(*conditions, *within(table.c.hour, period)).order_by(*(table.c[name] for name in GRAIN))
    )
    day, sums = "", dict[tuple[str, ...], list[Any]]()
    for row in _streamed(engine, statement):
        this = row["hour"].astimezone(zone).date().isoformat()
        if this != day:
            yield from _of_day(day, sums)
            day, sums = this, {}
        kept = sums.setdefault(tuple(row[name] for name in GRAIN[1:]), [0] * len(SUMS))
        for place, name in enumerate(SUMS):
            kept[place] += row[name]
    yield from _of_day(day, sums)


def _of_day(day: str, sums: dict[tuple[str, ...], list[Any]]) -> Iterator[dict[str, Any]]:
    for key, amounts in sorted(sums.items()):
        if any(amounts):
            yield {"day": day, **dict(zip(GRAIN[1:], key, strict=True)), **dict(zip(SUMS, amounts, strict=True))}
