"""Google's genai SDK: `client` and `client.aio` share one `_api_client`, and all requests go through its four methods.

Each round of automatic function calling is a request of its own, and so a call of its own; the SDK's retries lie below
these methods. (Read and tried with google-genai 3.4. The live API is a web socket and is not covered; interactions have
a transport of their own, of Mistral's kind.)
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from llmguard.usage.clients import speakeasy
from llmguard.usage.clients.methods import watch_below, watched_members
from llmguard.usage.clients.tracked import become, begin, failed, subclass_of
from llmguard.usage.clients.wire import event_of
from llmguard.usage.recorded import Recorded
from llmguard.usage.streams import TrackedAsyncIterator, TrackedIterator, Tracking

_CLIENTS = frozenset({"google.genai.client.Client", "google.genai.client.AsyncClient"})


def matches(cls: type) -> bool:
    """Whether a class is a client of this SDK."""
    return any(f"{base.__module__}.{base.__name__}" in _CLIENTS for base in cls.__mro__)


def install(client: Any, fields: dict[str, Any]) -> None:
    """Put the calls through a client on the books."""
    transport = client._api_client
    cls: Any = type(transport)
    if not getattr(cls, "_llmguard_tracked", False):
        become(transport, _transport(cls), fields)
    shared = vars(transport)["_llmguard_defaults"]
    shared.update(fields)
    _become_client(client, shared)


def _become_client(client: Any, shared: dict[str, Any]) -> None:
    cls: Any = type(client)
    client.__class__ = _client_class(cls)
    client.__dict__["_llmguard_defaults"] = shared
    watch_below(client)


@lru_cache(maxsize=32)
def _client_class(cls: Any) -> type:
    """A client whose interactions, and those of its asynchronous half, are tracked when they are first used."""
    methods = watched_members(cls, methods=False)
    for name in ("interactions", "decisions", "triggers"):
        if isinstance(getattr(cls, name, None), property):
            methods[name] = property(_resource(cls, name))
    if isinstance(getattr(cls, "aio", None), property):
        methods["aio"] = property(_other_half(cls))
    return subclass_of(cls, methods)


def _other_half(cls: Any) -> Any:
    def aio(self: Any) -> Any:
        found = cls.aio.fget(self)
        if not getattr(type(found), "_llmguard_tracked", False):
            _become_client(found, self.__dict__["_llmguard_defaults"])
        return found

    return aio


def _resource(cls: Any, name: str) -> Any:
    def resource(self: Any) -> Any:
        found = getattr(cls, name).fget(self)
        speakeasy.track_tree(found, "google", self.__dict__["_llmguard_defaults"])
        return found

    return resource


@lru_cache(maxsize=32)
def _transport(cls: Any) -> type:
    def request(self: Any, http_method: str, path: str, request_dict: Any, *rest: Any, **more: Any) -> Any:
        call = _begin(self, path, request_dict)
        if call is None:
            return cls.request(self, http_method, path, request_dict, *rest, **more)
        try:
            return _ended(call, cls.request(self, http_method, path, request_dict, *rest, **more))
        except BaseException as error:
            failed(call, error)
            raise

    async def async_request(self: Any, http_method: str, path: str, request_dict: Any, *rest: Any, **more: Any) -> Any:
        call = _begin(self, path, request_dict, hold=True)
        if call is None:
            return await cls.async_request(self, http_method, path, request_dict, *rest, **more)
        if call.held:
            await call.admitted()
        try:
            return _ended(call, await cls.async_request(self, http_method, path, request_dict, *rest, **more))
        except BaseException as error:
            failed(call, error)
            raise

    def request_streamed(self: Any, http_method: str, path: str, request_dict: Any, *rest: Any, **more: Any) -> Any:
        call = _begin(self, path, request_dict, stream=True)
        stream = cls.request_streamed(self, http_method, path, request_dict, *rest, **more)
        return TrackedIterator(stream, _Chunks(call)) if call is not None else stream

    async def async_request_streamed(
        self: Any, http_method: str, path: str, request_dict: Any, *rest: Any, **more: Any
    ) -> Any:
        call = _begin(self, path, request_dict, stream=True, hold=True)
        if call is not None and call.held:
            await call.admitted()
        try:
            stream = await cls.async_request_streamed(self, http_method, path, request_dict, *rest, **more)
        except BaseException as error:
            failed(call, error)
            raise
        return TrackedAsyncIterator(stream, _Chunks(call)) if call is not None else stream

    tracked = (request, async_request, request_streamed, async_request_streamed)
    return subclass_of(cls, {method.__name__: method for method in tracked})


class _Chunks(Tracking):
    """A stream of HTTP responses whose bodies are JSON texts."""

    def saw(self, chunk: Any) -> None:
        super().saw(event_of(chunk.body or ""))


def _begin(transport: Any, path: str, body: Any, *, stream: bool = False, hold: bool = False) -> Recorded | None:
    named = path.partition("?")[0].rpartition(":")[0]
    model = named.rpartition("models/")[2] if "models/" in named else named
    return begin(transport, "google", f"/{path}", body, stream=stream, model=model, hold=hold)


def _ended(call: Recorded, response: Any) -> Any:
    body = event_of(response.body or "")
    call.succeed(body)
    return response
