"""The HTTP clients of the wrapper's SDK clients: the SDK's own, with two guards.

A key never goes to a host that it is not for: a redirect to another host, or out of TLS, is not followed (the SDK then
raises its own error for the status). And no answer takes the memory of the machine: one that never ends, or that
unpacks to more than LLM_MAX_RESPONSE_BYTES (256 MB), breaks off with an error. Certificates are checked, proxies and
SSL_CERT_FILE honoured, as the SDK does it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any

from llmguard.calls.transports.aiohttp import library_of, transport_for_client
from llmguard.calls.transports.deadline import is_over
from llmguard.errors import ConfigError

_MOST = 256 * 1024 * 1024  # bytes of an answer, unpacked
_VARIABLE = "LLM_MAX_RESPONSE_BYTES"


def http_client(sdk: Any, *, asynchronous: bool) -> Any:
    """An HTTP client for a module that is an SDK; None when the SDK's default is to be used.

    Raises:
        ConfigError: LLM_HTTP_TRANSPORT or LLM_MAX_RESPONSE_BYTES ask for what there is not.
    """
    made = getattr(sdk, "DefaultAsyncHttpxClient" if asynchronous else "DefaultHttpxClient", None)
    library = library_of(made)
    if not library:
        return None
    options: dict[str, Any] = {"event_hooks": {"response": [_aremain if asynchronous else _remain]}}
    transport = transport_for_client(library) if asynchronous else None
    if transport is not None:
        options["transport"] = transport
    return _guarded(made, library, asynchronous)(**options)


@lru_cache(maxsize=16)
def _guarded(made: Any, library: str, asynchronous: bool) -> Any:
    return type(made.__name__, (_AsyncGuard if asynchronous else _Guard, made), {"answer": _bounded(library, _most())})


def _most() -> int:
    text = os.environ.get(_VARIABLE, "")
    if not text:
        return _MOST
    if not (text.isascii() and text.isdigit() and int(text)):
        raise ConfigError(_VARIABLE, "", f"must be a number of bytes above 0, not {text!r}")
    return int(text)


class _Guard:
    answer: Any

    def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        response = super().send(request, stream=True, **options)  # type: ignore[misc]
        response.__class__ = self.answer
        if stream:
            return response
        try:
            response.read()
        except BaseException:
            response.close()
            raise
        return response

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # as the SDK's own default closes itself
            self.close()  # type: ignore[attr-defined]


class _AsyncGuard:
    answer: Any

    async def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
        response = await super().send(request, stream=True, **options)  # type: ignore[misc]
        response.__class__ = self.answer
        if stream:
            return response
        try:
            await response.aread()
        except BaseException:
            await response.aclose()
            raise
        return response


def _bounded(library: str, most: int) -> Any:
    """The library's class of responses, for answers that end at a size."""
    module: Any = import_module(library)
    whole: Any = module.Response

    def too_much(response: Any) -> Exception:
        text = f"the answer is larger than {most:,} bytes ({_VARIABLE})"
        error: Exception = module.RemoteProtocolError(text, request=response.request)
        return error

    def iter_bytes(self: Any, chunk_size: int | None = None) -> Iterator[bytes]:
        received = 0
        for chunk in whole.iter_bytes(self, chunk_size):
            if is_over():  # a provider that sends a byte now and then never times out by itself
                raise module.ReadTimeout("the answer takes longer than its time", request=self.request)
            received += len(chunk)
            if received > most:
                raise too_much(self)
            yield chunk

    async def aiter_bytes(self: Any, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        received = 0
        async for chunk in whole.aiter_bytes(self, chunk_size):
            received += len(chunk)
            if received > most:
                raise too_much(self)
            yield chunk

    names = {"__module__": whole.__module__, "__qualname__": whole.__qualname__, "__doc__": whole.__doc__}
    return type(whole.__name__, (whole,), {**names, "iter_bytes": iter_bytes, "aiter_bytes": aiter_bytes})


def _remain(response: Any) -> None:
    """Take a redirect that leads elsewhere out of a response, so that nobody follows it."""
    if not response.has_redirect_location:
        return
    here = response.request.url
    there = here.join(response.headers["location"])
    if there.host != here.host or (here.scheme == "https" and there.scheme != "https"):
        del response.headers["location"]


async def _aremain(response: Any) -> None:
    _remain(response)
