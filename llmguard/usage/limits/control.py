"""Setting and removing limits, and stopping calls, from a program: at once here, within two seconds elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeVar

from llmguard.usage.limits.limit import Limit, checked, scope_of
from llmguard.usage.limits.rules import Rules
from llmguard.usage.recorder import recorder

if TYPE_CHECKING:
    Engine = Any  # of SQLAlchemy, which only the store imports

R = TypeVar("R")


def set_limit(value: Any, window: str = "minute", kind: str = "requests", **terms: Any) -> Limit:
    """Set a limit, in the place of the one for the same thing.

    Args:
        value: calls, tokens or US dollars.
        window: "minute", "hour", "day" or "month".
        kind: "requests", "tokens" or "cost".
        terms: its scope (`user_id`, `tenant`, `service_name`, `model`, `provider`; "*" is each by itself) and the other
            attributes of `Limit`.

    Returns:
        The limit as it stands in the database.

    Raises:
        UsageError: one of them makes no sense.
        SQLAlchemyError: the database does not answer.
    """
    from llmguard.usage.store import limits

    made = limit_of(value, window, kind, **terms)
    return _done(lambda engine: limits.set_limit(engine, made))


def remove_limit(window: str = "minute", kind: str = "requests", **scope: Any) -> int:
    """Remove the limit of a scope, kind and window; how many rows there were. A default goes back to what was shipped.

    Raises:
        UsageError: one of them makes no sense.
        SQLAlchemyError: the database does not answer.
    """
    from llmguard.usage.store import limits

    made = limit_of(0, window, kind, **scope)
    return _done(lambda engine: limits.remove_limit(engine, made))


def stop(reason: str = "", **scope: str) -> str:
    """Stop the calls of a scope (`user_id`, `tenant`, `service_name`, `model`, `provider`; none is all calls).

    Returns:
        The identifier of that.

    Raises:
        UsageError: there is no such scope.
        SQLAlchemyError: the database does not answer.
    """
    from llmguard.usage.store import limits

    limit_of(0, "minute", "requests", **scope)
    return _done(lambda engine: limits.stop(engine, scope, reason))


def resume(**scope: str) -> int:
    """End the stops of exactly this scope; how many there were.

    Raises:
        UsageError: there is no such scope.
        SQLAlchemyError: the database does not answer.
    """
    from llmguard.usage.store import limits

    limit_of(0, "minute", "requests", **scope)
    return _done(lambda engine: limits.resume(engine, scope))


def rules_in_force() -> Rules:
    """The limits and stops that are enforced.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    from llmguard.usage.store import limits

    with _ledger() as engine:
        return limits.load(engine)


def limit_of(value: Any, window: str, kind: str = "requests", **terms: Any) -> Limit:
    """A limit by its terms; see `set_limit`.

    Raises:
        UsageError: one of them makes no sense.
    """
    from llmguard.usage.limits.limit import DIMENSIONS, value_of
    from llmguard.usage.limits.rules import unknown_scope

    scope = {name: given for name, given in terms.items() if name in DIMENSIONS}
    rest = {name: given for name, given in terms.items() if name not in DIMENSIONS}
    unknown = [name for name in rest if name not in ("time_zone", "on_outage", "unpriced", "warn_at")]
    if unknown:
        raise unknown_scope(unknown[0])
    number: Decimal = value_of(value, kind)
    return checked(Limit(scope_of(scope), kind, window, number, **rest))


def _done(work: Callable[[Engine], R]) -> R:
    with _ledger() as engine:
        result = work(engine)
    gate = recorder().gate
    if gate is not None:
        gate.looker.look()
    return result


@contextmanager
def _ledger() -> Iterator[Engine]:
    from llmguard.usage.store.ledger import opened

    with opened(recorder().settings) as ledger:
        yield ledger.engine
