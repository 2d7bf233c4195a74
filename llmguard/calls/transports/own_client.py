"""A client of the caller's own: the request goes through it as it is, with its keys, options and connections.

Nothing is filled in and nothing is changed. What kind of object it is, is asked of its class before anything is sent;
of an object that no SDK made, of what it gives back: a test's fake asks nobody, and has no row.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Hashable
from operator import attrgetter
from types import AsyncGeneratorType, GeneratorType
from typing import Any

from llmguard.calls.clients import is_value, key_of
from llmguard.calls.transports import Reached, Told
from llmguard.calls.transports.sdk import client_classes
from llmguard.providers.index import by_host, client_class
from llmguard.usage.call import Call, made, started
from llmguard.usage.clients import stainless
from llmguard.usage.clients.tracked import defaults_of, fields_of, is_mock
from llmguard.usage.clients.wire import is_raw
from llmguard.usage.context import Part, enclosing, enter, leave
from llmguard.usage.counts import tokens_of
from llmguard.usage.inner_call import InnerCall
from llmguard.usage.meter import StreamMeter
from llmguard.usage.streams import TrackedAsyncIterator, TrackedIterator, Tracking
from llmguard.usage.tokens import Tokens, summed


def reach(client: Any, path: tuple[str, ...], *, asynchronous: bool) -> Reached:
    """A client, ready to be asked.

    Args:
        client: of an SDK, or anything with the same method.
        path: attributes from it to the method.
        asynchronous: whether the method is called to be awaited.

    Raises:
        AttributeError: it has no such method; as Python says it.
        TypeError: it is asynchronous, and nobody will await it.
    """
    if not asynchronous and is_asynchronous(type(client)):
        raise TypeError(f"{type(client).__qualname__} is asynchronous: await the method without _sync")
    method: Any = attrgetter(".".join(path))(client)
    if is_mock(client) or is_mock(method):
        return Reached("", _unrecorded(method), ended, records=False)
    call = _awaited(method) if asynchronous else _called(method)
    provider = provider_of(client)
    told = told_by(client)
    made = None if provider else _perhaps
    return Reached(provider, call, ended, defaults=told.defaults, fields=told.fields, made=made)


#: Attributes of a client that say where a question goes, and for whom.
_PLACE = (
    *("base_url", "api_key", "organization", "project", "auth_token", "credentials", "_custom_headers"),
    *("_custom_query", "_api_key_provider", "_azure_deployment", "_api_version", "_azure_ad_token"),
    "_azure_ad_token_provider",
)


def told_by(client: Any) -> Told:
    """What the rows of a client's calls say."""
    return Told(defaults_of(client), fields_of(client))


def place(client: Any) -> Hashable | None:
    """What says where the questions of a client go, and for whom. None of an object that does not say it by what it
    has: one that no SDK here made, that asks a function for its key, or that goes through an HTTP client of its own."""
    cls = type(client)
    if (cls.__module__.partition(".")[0], cls.__qualname__) not in client_classes():
        return None
    connection = type(getattr(client, "_client", None)).__qualname__
    told = {name: value for name in _PLACE if (value := getattr(client, name, None)) is not None}
    if connection not in _CONNECTIONS or not all(is_value(value) for value in told.values()):
        return None
    return (cls.__qualname__, key_of(told))


#: Classes of HTTP clients that the SDKs make when they are given none.
_CONNECTIONS = ("SyncHttpxClientWrapper", "AsyncHttpxClientWrapper")


class Perhaps(Call):
    """A call of an object that no SDK made. It is on the books when its answer has counts, or when calls inside it are;
    what a test's fake says has none."""

    __slots__ = ("_asked", "_since", "inner")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._since = (time.time(), time.perf_counter())
        self._asked: dict[str, Any] | None = None
        self.inner: tuple[Part, ...] = ()

    def of(self, asked: dict[str, Any]) -> Perhaps:
        """The same, of this request."""
        self._asked = asked
        return self

    def succeed(self, response: Any) -> None:
        """It gave a whole response."""
        tokens = tokens_of(response)
        if not self._is_one(tokens):
            return
        if tokens.known:
            super().succeed(response)
        else:
            parts = [part.as_line() for part in self.inner]
            self.finish("ok", tokens=summed(part.tokens for part in self.inner), source="provider", parts=parts)

    def end_stream(self, meter: StreamMeter, status: str, error: BaseException | None = None) -> None:
        """A stream has ended."""
        tokens, source = meter.counts(None)
        if self._is_one(tokens if source == "provider" else Tokens()):
            super().end_stream(meter, status, error)

    def fail(self, error: BaseException) -> None:
        """It ended with an exception."""
        if self._is_one(Tokens()):
            super().fail(error)

    def _is_one(self, tokens: Tokens) -> bool:
        if self.done or not (tokens.known or self.inner):
            return False
        self.start(self._asked, since=self._since)
        return True


def _perhaps(fields: dict[str, Any], asked: dict[str, Any]) -> Call | InnerCall:
    if enclosing() is not None:
        return started(fields, asked)
    return made(Perhaps, fields, asked).of(asked)


def is_asynchronous(cls: type) -> bool:
    """Whether a class of an SDK is one whose methods are awaited; False for one that no SDK made."""
    return any(base.__name__ == "AsyncAPIClient" for base in cls.__mro__)


def provider_of(client: Any) -> str:
    """Who answers, by a client's base URL and class; "" when neither says."""
    if stainless.matches(type(client)):
        return stainless.provider_of(client)
    hosted = by_host(str(getattr(client, "base_url", "") or ""))
    if hosted is not None:
        return hosted.name
    for base in type(client).__mro__:
        found = client_class(f"{base.__module__}.{base.__name__}")
        if found is not None:
            return found[0].name
    return ""


def _called(method: Any) -> Callable[[Call | InnerCall, dict[str, Any]], Any]:
    def call(record: Call | InnerCall, arguments: dict[str, Any]) -> Any:
        around = enter(record.call_id)  # a client that is tracked sees that its request is on the books
        try:
            response = method(**arguments)
        finally:
            leave(around)
            if isinstance(record, Perhaps):
                record.inner = tuple(around.inner)
        if inspect.iscoroutine(response):
            response.close()
            raise TypeError("client= gives a coroutine: await the method without _sync")
        return response

    return call


def _awaited(method: Any) -> Callable[[Call | InnerCall, dict[str, Any]], Any]:
    async def call(record: Call | InnerCall, arguments: dict[str, Any]) -> Any:
        around = enter(record.call_id)
        try:
            response = method(**arguments)
            return await response if inspect.isawaitable(response) else response
        finally:
            leave(around)
            if isinstance(record, Perhaps):
                record.inner = tuple(around.inner)

    return call


def _unrecorded(method: Any) -> Callable[[Any, dict[str, Any]], Any]:
    def call(_: Any, arguments: dict[str, Any]) -> Any:
        return method(**arguments)

    return call


def ended(response: Any, call: Call | InnerCall) -> Any:
    """What the caller gets. A stream is known by its type: an SDK's, or a generator; anything else is an answer."""
    if isinstance(response, GeneratorType):
        return TrackedIterator(response, Tracking(call))
    if isinstance(response, AsyncGeneratorType):
        return TrackedAsyncIterator(response, Tracking(call))
    if is_stream(type(response)) or is_raw(type(response)):
        return stainless.ended(call, response)
    call.succeed(response)
    return response


def is_stream(cls: type) -> bool:
    """Whether a class is that of an SDK's streams."""
    return any(base.__name__ in ("Stream", "AsyncStream") and hasattr(base, "__stream__") for base in cls.__mro__)
