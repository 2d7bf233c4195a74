"""Who may answer a call of the wrapper: the provider, or the client, that it names, and those that are asked when that
one fails."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeGuard

from llmguard.calls.answer import said_by
from llmguard.calls.cache import Cache
from llmguard.calls.failover import Target
from llmguard.calls.process_cache import get_llm_cache
from llmguard.calls.request import CHAT, Shape
from llmguard.calls.result import AsyncStreamed, Streamed
from llmguard.calls.service_settings import attempt_timeout, target_of
from llmguard.calls.transports import Reached, Told, own_client, row_of, transport_for
from llmguard.errors import MalformedAnswer, UsageError

#: A cache, True for that of the process, False for none, None for that of the wrapper.
CacheOption = Cache | bool | None
#: "provider" or "provider:model" of each, in order; in one text with commas between them as well.
Fallback = str | Iterable[str] | None
GRACE = 1.0  # seconds beyond an attempt's time in which the SDK may say itself that it is over
_OF_EACH = ("timeout", "max_retries")  # options of a client that mean the same for every provider


class About(NamedTuple):
    """What the rows of a call say."""

    user_id: Any
    service_name: str | None
    metadata: Mapping[str, Any] | None


class Whom(NamedTuple):
    """Who is asked, as the call names it."""

    provider: str | None
    client_options: Mapping[str, Any] | None
    client: Any


class Extra(NamedTuple):
    """What else is asked for: an answer that is kept, and others when the first one fails."""

    cache: CacheOption
    fallback: Fallback


class Way(NamedTuple):
    """One who may answer.

    Attributes:
        target: who, with which model.
        model: that is sent, as it was passed.
        reach: makes what reaches him, by the arguments; `asynchronous=` says how.
        place: what says where the question goes, and for whom; None where that is not known.
        told: what the rows of a client of the caller's own say.
    """

    target: Target
    model: Any
    reach: Callable[..., Reached]
    place: Callable[[], Hashable | None]
    told: Told = Told()

    @classmethod
    def to(
        cls,
        shape: Shape,
        provider: str,
        model: Any,
        options: Mapping[str, Any],
        defaults: Mapping[str, Any] = {},
    ) -> Way:
        """To a provider."""

        def reach(arguments: dict[str, Any], *, asynchronous: bool) -> Reached:
            transport = transport_for(provider, shape.name)
            return transport.reach(shape.path, arguments.get("model"), options, asynchronous=asynchronous)

        target = Target(provider, str(model or ""), options, defaults)
        return cls(target, model, reach, lambda: transport_for(provider, shape.name).place(options))

    @classmethod
    def through(cls, shape: Shape, client: Any, model: Any) -> Way:
        """Through a client of the caller's own."""

        def reach(_: dict[str, Any], *, asynchronous: bool) -> Reached:
            return own_client.reach(client, shape.path, asynchronous=asynchronous)

        target = Target(own_client.provider_of(client), str(model or ""), {}, {})
        return cls(target, model, reach, partial(own_client.place, client), own_client.told_by(client))

    def as_account(self, whose: Any) -> Way:
        """The same, told apart from others that ask the same provider: its failures are not theirs.

        Args:
            whose: the client, or the options of a client, that make the difference.
        """
        place = self.place()
        text = repr(place) if place is not None else f"{type(whose).__qualname__} {id(whose)}"
        return self._replace(target=self.target._replace(account=hashlib.sha256(text.encode()).hexdigest()[:8]))


def others(shape: Shape, first: Way, fallback: Fallback, client_options: Mapping[str, Any] | None) -> list[Way]:
    """Those that are asked when the first one fails. Who is switched off, or has no key, is left out.

    Args:
        shape: format of the question.
        first: who is asked before.
        fallback: as it was passed.
        client_options: of the call; what means the same for every provider holds for these too.

    Raises:
        UsageError: a provider is not known, or does not speak the format.
        ConfigError: it has a key and no model.
    """
    found: list[Way] = []
    names = fallback.split(",") if isinstance(fallback, str) else list(fallback or ())
    if not all(isinstance(name, str) for name in names):
        raise UsageError('fallback= takes "provider" or "provider:model" of each')
    for name in (each.strip() for each in names):
        provider, _, model = name.partition(":")
        target = target_of(provider, model=model.strip()) if name else None
        if target is None or any(_key(target) == _key(way.target) for way in (first, *found)):
            continue
        transport_for(target.provider, shape.name)  # says now that it does not speak the format
        given = {key: value for key, value in (client_options or {}).items() if key in _OF_EACH}
        options = {**of_an_attempt(), **target.options, **given}
        found.append(Way.to(shape, target.provider, target.model, options, target.defaults))
    return found


def _key(target: Target) -> tuple[str, str, str]:
    return (row_of(target.provider).name if target.provider else "", target.model, target.account)


def of_an_attempt() -> dict[str, Any]:
    """Options of a client that is asked as one of several: who fails is followed by the next, not asked again."""
    return {"timeout": attempt_timeout(), "max_retries": 0}


def is_own(options: Mapping[str, Any]) -> bool:
    """Whether options of a client say more than how long it waits."""
    return any(name not in _OF_EACH for name in options)


def within_of(arguments: Mapping[str, Any]) -> Callable[[Target], float | None]:
    """Seconds that an attempt may take, None for as long as its client says: by the `timeout` of the question, else by
    that of the client."""
    given = arguments.get("timeout") or None

    def within(target: Target) -> float | None:
        told = given if given is not None else target.options.get("timeout")
        return told + GRACE if is_seconds(told) else None

    return within


def is_seconds(value: Any) -> TypeGuard[float]:
    """Whether a timeout is a plain number, not an object of an HTTP library."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def sendable_again(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that may be sent more than once: what can be read only once is read."""
    return {name: list(value) if hasattr(value, "__next__") else value for name, value in arguments.items()}


def places_of(ways: Iterable[Way]) -> list[Any] | None:
    """Where a question may go, with which models; None where that is not known of one."""
    found = [(way.target, way.place()) for way in ways]
    return None if any(place is None for _, place in found) else [placed(target, place) for target, place in found]


def placed(target: Target, place: Hashable) -> Any:
    """Whom a question may go to, and what is sent there."""
    return (place, target.model, dict(target.defaults))


def cache_of(option: CacheOption) -> Cache | None:
    """The cache that is meant.

    Raises:
        UsageError: it is none.
        ConfigError: that of the process cannot be made.
    """
    if option is True:
        return get_llm_cache()
    if option is None or option is False:
        return None
    if not isinstance(option, Cache):
        raise UsageError("cache= takes True, False, or a cache of llmguard.calls.cache")
    return option


def check_of(shape: Shape) -> Callable[[str, str, Any], None]:
    """What looks at an answer, and raises `MalformedAnswer` at one that is none. Streams are not looked at."""

    def check(provider: str, model: str, result: Any) -> None:
        if isinstance(result, (Streamed, AsyncStreamed)):
            return
        if shape is CHAT:
            said_by(result["response"])
        elif not isinstance(getattr(result["response"], "content", None), list):
            raise MalformedAnswer("the answer has no content")

    return check
