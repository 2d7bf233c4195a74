"""Cohere's SDK: `client`, `client.v2` and the raw client share one HTTP client, with `request` and `stream`.

Its retries call `request` again, with `retries` counted up: those belong to the call. (Read and tried with cohere 7.3.)
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from functools import lru_cache
from types import FunctionType
from typing import Any

from llmguard.usage.clients.methods import Bound, watched_members
from llmguard.usage.clients.tracked import become, begin, failed, folders, subclass_of
from llmguard.usage.clients.wire import ended
from llmguard.usage.recorded import Recorded

_CLIENTS = ("BaseCohere", "AsyncBaseCohere", "V2Client", "AsyncV2Client")


def matches(cls: type) -> bool:
    """Whether a class is a client of this SDK."""
    return any(base.__module__.startswith("cohere.") and base.__name__ in _CLIENTS for base in cls.__mro__)


def install(client: Any, fields: dict[str, Any]) -> None:
    """Put the calls through a client on the books."""
    holder = client if hasattr(client, "_client_wrapper") else client._raw_client
    transport = holder._client_wrapper.httpx_client
    cls: Any = type(transport)
    if not getattr(cls, "_llmguard_tracked", False):
        become(transport, _async_transport(cls) if "Async" in cls.__name__ else _transport(cls), fields)
    shared = transport.__dict__["_llmguard_defaults"]
    shared.update(fields)
    client_class: Any = type(client)
    for name, made in vars(client).items():  # methods that its constructor has wrapped
        if not name.startswith("_") and type(made) is FunctionType:
            vars(client)[name] = Bound(made, folders(client_class), None)
    client.__class__ = _client(client_class)
    client.__dict__["_llmguard_defaults"] = shared


@lru_cache(maxsize=32)
def _client(cls: Any) -> type:
    return subclass_of(cls, watched_members(cls))


@lru_cache(maxsize=32)
def _transport(cls: Any) -> type:
    def request(self: Any, path: Any = None, *rest: Any, **more: Any) -> Any:
        call = None if more.get("retries") else _begin(self, path, more)
        try:
            response = cls.request(self, path, *rest, **more)
        except BaseException as error:
            failed(call, error)
            raise
        return ended(call, response)

    @contextmanager
    def stream(self: Any, path: Any = None, *rest: Any, **more: Any) -> Any:
        call = _begin(self, path, more, stream=True)
        try:
            opened = cls.stream(self, path, *rest, **more)
            response = opened.__enter__()
        except BaseException as error:
            failed(call, error)
            raise
        with _Closing(opened):
            yield ended(call, response)

    return subclass_of(cls, {"request": request, "stream": stream})


@lru_cache(maxsize=32)
def _async_transport(cls: Any) -> type:
    async def request(self: Any, path: Any = None, *rest: Any, **more: Any) -> Any:
        call = None if more.get("retries") else _begin(self, path, more, hold=True)
        if call is not None and call.held:
            await call.admitted()
        try:
            response = await cls.request(self, path, *rest, **more)
        except BaseException as error:
            failed(call, error)
            raise
        return ended(call, response)

    @asynccontextmanager
    async def stream(self: Any, path: Any = None, *rest: Any, **more: Any) -> Any:
        call = _begin(self, path, more, stream=True, hold=True)
        if call is not None and call.held:
            await call.admitted()
        try:
            opened = cls.stream(self, path, *rest, **more)
            response = await opened.__aenter__()
        except BaseException as error:
            failed(call, error)
            raise
        async with _Closing(opened):
            yield ended(call, response)

    return subclass_of(cls, {"request": request, "stream": stream})


class _Closing:
    """A context manager that is entered already."""

    def __init__(self, opened: Any) -> None:
        self._opened = opened

    def __enter__(self) -> None:
        """It is."""

    def __exit__(self, *exc_info: Any) -> Any:
        return self._opened.__exit__(*exc_info)

    async def __aenter__(self) -> None:
        """It is."""

    async def __aexit__(self, *exc_info: Any) -> Any:
        return await self._opened.__aexit__(*exc_info)


def _begin(
    transport: Any, path: Any, options: dict[str, Any], *, stream: bool = False, hold: bool = False
) -> Recorded | None:
    if str(options.get("method", "")).upper() != "POST":
        return None
    body = options.get("json")
    known = {name: value for name, value in body.items() if value is not ...} if isinstance(body, dict) else {}
    return begin(transport, "cohere", f"/{path}", known, stream=stream, hold=hold)
