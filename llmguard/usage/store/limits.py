"""The limits in the database: which there are, and setting, removing and switching them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, Engine, delete, func, insert, inspect, select, text, update

from llmguard.errors import UsageError
from llmguard.usage.limits.limit import DIMENSIONS, EACH, Limit, amount, checked, scope_of, units
from llmguard.usage.limits.rules import SHIPPED, Rules, Scope, rules_from
from llmguard.usage.store.counters import fullest, read_counters
from llmguard.usage.store.tables import rate_limit_configs, rate_limits, stops, usage_hourly, usage_logs

#: What tells whether anything has changed: a number of rows, their last change, their sum.
FINGERPRINT = (
    "SELECT (SELECT count(*) FROM llm_rate_limits), (SELECT max(updated_at) FROM llm_rate_limits), "
    "(SELECT sum(limit_value) FROM llm_rate_limits), (SELECT max(updated_at) FROM llm_rate_limit_configs), "
    "(SELECT sum(limit_value) FROM llm_rate_limit_configs), (SELECT count(*) FROM llm_stops), "
    "(SELECT max(created_at) FROM llm_stops)"
)
LIMITS = "SELECT * FROM llm_rate_limits ORDER BY created_at, id"
DEFAULTS = "SELECT * FROM llm_rate_limit_configs ORDER BY created_at, id"
STOPS = "SELECT * FROM llm_stops ORDER BY created_at, id"


def fingerprint(engine: Engine) -> tuple[Any, ...]:
    """What is another one when limits have changed.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    with engine.connect() as connection:
        return tuple(connection.exec_driver_sql(FINGERPRINT).one())


def load(engine: Engine) -> Rules:
    """The limits and stops that are enforced.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    with engine.connect() as connection:
        limits, defaults, stopped = (
            [dict(row) for row in connection.exec_driver_sql(each).mappings()] for each in (LIMITS, DEFAULTS, STOPS)
        )
    return rules_from(limits, defaults, stopped)


def set_limit(engine: Engine, limit: Limit) -> Limit:
    """Set a limit, in the place of those for the same thing. A limit of requests for each user is the default of all.

    Returns:
        The limit as it stands there.

    Raises:
        UsageError: it makes no sense.
        SQLAlchemyError: the database does not answer.
    """
    limit = checked(limit)
    now = datetime.now(timezone.utc)
    if _is_default(limit):
        with _written(engine) as connection:
            values = {"limit_value": limit.value, "enforced": True, "updated_at": now}
            same = rate_limit_configs.c.limit_type == limit.window
            if not connection.execute(update(rate_limit_configs).where(same).values(values)).rowcount:
                values |= {"id": uuid.uuid4().hex, "limit_type": limit.window, "created_at": now}
                connection.execute(insert(rate_limit_configs).values(values))
        return limit._replace(origin="default", since=now)
    identity = uuid.uuid4().hex
    with _written(engine) as connection:
        _remove(connection, limit)
        columns = {"provider_name" if name == "provider" else name: value for name, value in limit.scope}
        connection.execute(
            insert(rate_limits).values(
                id=identity,
                limit_type=limit.window,
                limit_value=limit.value,
                kind=limit.kind,
                time_zone=limit.time_zone,
                on_outage=limit.on_outage,
                unpriced=limit.unpriced,
                warn_at=None if limit.warn_at is None else Decimal(str(limit.warn_at)),
                current_count=0,
                reset_at=limit.span(now)[1],
                created_at=now,
                updated_at=now,
                **columns,
            )
        )
    return limit._replace(identity=identity, since=now)


def remove_limit(engine: Engine, limit: Limit) -> int:
    """Remove the limits of a scope, kind and window; how many there were. A default goes back to what was shipped.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    with _written(engine) as connection:
        removed = _remove(connection, limit)
        if limit.scope != (("user_id", EACH),) or limit.kind != "requests":
            return removed
        same = rate_limit_configs.c.limit_type == limit.window
        found = connection.execute(select(rate_limit_configs).where(same)).mappings().one_or_none()
        shipped = SHIPPED.get(limit.window)
        if found is None or (found["limit_value"] == shipped and not found["enforced"]):
            return removed
        if shipped is None:
            return removed + int(connection.execute(delete(rate_limit_configs).where(same)).rowcount)
        values = {"limit_value": Decimal(shipped), "enforced": False}
        return removed + int(connection.execute(update(rate_limit_configs).where(same).values(values)).rowcount)


def remove_by_identity(engine: Engine, identity: str) -> int:
    """Remove the limit of an identifier; how many there were.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    with _written(engine) as connection:
        return int(connection.execute(delete(rate_limits).where(rate_limits.c.id == identity)).rowcount)


def stop(engine: Engine, scope: Mapping[str, str], reason: str = "") -> str:
    """Stop the calls of a scope ({} for all); the identifier of that.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    columns = {"provider_name" if name == "provider" else name: value for name, value in scope_of(scope)}
    if EACH in columns.values():
        raise UsageError(f"a stop is of one user, service, ...: leave out what shall be {EACH}")
    identity = uuid.uuid4().hex
    with _written(engine) as connection:
        now = datetime.now(timezone.utc)
        connection.execute(insert(stops).values(id=identity, reason=reason or None, created_at=now, **columns))
    return identity


def resume(engine: Engine, scope: Mapping[str, str] | None = None) -> int:
    """End the stops of exactly this scope, of all scopes when it is None; how many there were.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    statement = delete(stops)
    if scope is not None:
        given = dict(scope_of(scope))
        for name in ("user_id", "tenant", "service_name", "model", "provider"):
            column = stops.c["provider_name" if name == "provider" else name]
            statement = statement.where(column == given[name] if name in given else column.is_(None))
    with _written(engine) as connection:
        return int(connection.execute(statement).rowcount)


def default_value(engine: Engine, window: str) -> Decimal | None:
    """What a user may ask in a window by default, as the database says; None where it says nothing.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    same = rate_limit_configs.c.limit_type == window
    with engine.connect() as connection:
        return connection.execute(select(rate_limit_configs.c.limit_value).where(same)).scalar_one_or_none()


def used_before(engine: Engine, limit: Limit, scope: Scope, since: datetime, until: datetime) -> int:
    """What the calls on the books took of a limit in a window, in the units of counters.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    hours = all(at.minute == 0 for at in (since, until)) and until - since >= timedelta(hours=1)
    table: Any = usage_hourly if hours else usage_logs
    start = table.c.hour if hours else table.c.created_at
    if limit.kind == "requests":
        amount: Any = func.sum(table.c.calls) if hours else func.count()
    elif limit.kind == "tokens":
        amount = func.sum(table.c.tokens if hours else table.c.tokens_used)
    else:
        amount = func.sum(table.c.total_cost, type_=table.c.total_cost.type)
    statement = select(amount).where(start >= since, start < until, *(table.c[name] == value for name, value in scope))
    with engine.connect() as connection:
        found = connection.execute(statement).scalar_one()
    return units(limit.kind, Decimal(found or 0))


def used_of(engine: Engine, limit: Limit, scope: Scope) -> int:
    """What is used of a limit in the window at hand, in the units of counters: as its counter says, or will say.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    since, until = limit.span(datetime.now(timezone.utc))
    place = (limit.key(scope), int(since.timestamp()))
    with engine.connect() as connection:
        found = read_counters(connection, [place]).get(place)
    if found is not None:
        return found[0]
    return used_before(engine, limit, scope, since, until) if limit.since is not None and limit.since > since else 0


def used_now(engine: Engine, limit: Limit, scope: Scope | None = None) -> int:
    """What is used of a limit in the window at hand, by one counter: of a limit for each, by the fullest.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    chosen = limit.scope if scope is None else scope
    if all(value != EACH for _, value in chosen):
        return used_of(engine, limit, chosen)
    since, _ = limit.span(datetime.now(timezone.utc))
    with engine.connect() as connection:
        return fullest(connection, limit.key(chosen), int(since.timestamp()))


def described(limit: Limit, used: int) -> dict[str, Any]:
    """A limit for a reader: `{"limit": in words, "kind", "window", "value", "used", "resets_at", ...}` and its scope;
    amounts are texts."""
    return {
        "limit": limit.says(),
        "kind": limit.kind,
        "window": limit.window,
        "value": f"{limit.value.normalize():f}",
        **{name: dict(limit.scope).get(name, "") for name in DIMENSIONS},
        "used": f"{amount(limit.kind, used).normalize():f}",
        "resets_at": limit.span(datetime.now(timezone.utc))[1].isoformat(),
        "time_zone": limit.time_zone,
        "on_outage": limit.on_outage,
        "unpriced": limit.unpriced,
        "warn_at": limit.warn_at,
        "origin": limit.origin,
        "id": limit.identity,
    }


def _is_default(limit: Limit) -> bool:
    """Whether it is what `llm_rate_limit_configs` can say: so many requests for each user, and nothing else."""
    return limit._replace(identity="", since=None, origin="") == Limit(
        (("user_id", EACH),), "requests", limit.window, limit.value, origin=""
    )


def _remove(connection: Connection, limit: Limit) -> int:
    given = dict(limit.scope)
    provider = given.pop("provider", None)
    statement = delete(rate_limits).where(rate_limits.c.kind == limit.kind, rate_limits.c.limit_type == limit.window)
    for name in ("user_id", "tenant", "service_name", "model"):
        statement = statement.where(
            rate_limits.c[name] == given[name] if name in given else rate_limits.c[name].is_(None)
        )
    if _has_provider(connection):  # the column that users have been told to add
        condition = text("COALESCE(provider, provider_name, '') = :provider")
        return int(connection.execute(statement.where(condition), {"provider": provider or ""}).rowcount)
    column = rate_limits.c.provider_name
    return int(connection.execute(statement.where(column == provider if provider else column.is_(None))).rowcount)


def _has_provider(connection: Connection) -> bool:
    return any(column["name"] == "provider" for column in inspect(connection).get_columns("llm_rate_limits"))


def _written(engine: Engine) -> Any:
    return engine.execution_options(llmguard_write=True).begin()
