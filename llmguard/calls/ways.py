"""Who may answer a call of the wrapper: the provider, or the client, that it names, and those that are asked when that
one fails."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

from llmguard.calls.answer import said_by
from llmguard.calls.cache import Cache, get_llm_cache
from llmguard.calls.failover import Target
from llmguard.calls.request import CHAT, Shape
from llmguard.calls.result import AsyncStreamed, Streamed
from llmguard.calls.service_settings import attempt_timeout, target_of
from llmguard.calls.transports import Reached, own_client, row_of, transport_for
from llmguard.errors import MalformedAnswer, UsageError

#: A cache, True for that of the process, False for none, None for that of the wrapper.
CacheOption = Cache | bool | None
#: "provider" or "provider:model" of each, in order; in one text with commas between them as well.
Fallback = str | Iterable[str] | None
_GRACE = 1.0  # seconds beyond an attempt's time in which the SDK may say itself that it is over
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
    """

    target: Target
    model: Any
    reach: Callable[..., Reached]
    place: Callable[[], Hashable | None]

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
        return cls(target, model, reach, partial(own_client.place, client))


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
    names = fallback.split(",") if isinstance(fallback, str) else (fallback or ())
    for name in (each.strip() for each in names):
        provider, _, model = name.partition(":")
        target = target_of(provider, model=model.strip()) if name else None
        if target is None or any(target[:2] == (_row(way), way.target.model) for way in (first, *found)):
            continue
        transport_for(target.provider, shape.name)  # says now that it does not speak the format
        given = {key: value for key, value in (client_options or {}).items() if key in _OF_EACH}
        options = {**of_an_attempt(), **target.options, **given}
        found.append(Way.to(shape, target.provider, target.model, options, target.defaults))
    return found


def _row(way: Way) -> str:
    return row_of(way.target.provider).name if way.target.provider else ""


def of_an_attempt() -> dict[str, Any]:
    """Options of a client that is asked as one of several: who fails is followed by the next, not asked again."""
    return {"timeout": attempt_timeout(), "max_retries": 0}


def within(target: Target) -> float | None:
    """Seconds that an attempt may take, None for as long as its client says."""
    given = target.options.get("timeout")
    return given + _GRACE if isinstance(given, (int, float)) and not isinstance(given, bool) else None


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
