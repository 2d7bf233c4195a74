"""httpx's transport over aiohttp: it takes two thirds of the CPU of httpx's own, and half of it at 64 calls at once.

It is put into the SDK's own HTTP client, which goes on to do redirects, cookies and authentication (with a proxy in the
environment httpx itself is used), and it fails as httpx's transport fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any
from urllib.request import getproxies

from llmguard.errors import ConfigError

#: Libraries that stand in for httpx in tests: with one of them loaded, requests go through httpx itself.
_STAND_INS = ("respx", "pytest_httpx", "vcr")
#: Seconds after which a kept connection may have been closed without the loop having had the time to see it.
_FRESH = 0.001
_LONGEST_LINE = 65_536  # of a status or header line of an answer, as httpx takes it


def transport_for_client(library: str) -> Any:
    """A transport for an HTTP client of httpx or httpx2; None when the library's own is to be used.

    `LLM_HTTP_TRANSPORT` decides: "httpx" is that of the library, "aiohttp" insists; without it aiohttp is used where it
    is installed, no stand-in of a test is, and no proxy is set (a client with a transport of its own asks no proxy).

    Raises:
        ConfigError: aiohttp was asked for, and is not installed.
    """
    wanted = os.environ.get("LLM_HTTP_TRANSPORT", "").strip().lower()
    if wanted == "httpx" or any(name in sys.modules for name in _STAND_INS) or _is_patched(library):
        return None
    if find_spec("aiohttp") is None:
        if wanted == "aiohttp":
            raise ConfigError("LLM_HTTP_TRANSPORT", "", "aiohttp is not installed: pip install aiohttp")
        return None
    return None if {"http", "https", "all"} & getproxies().keys() else transport_class(library)()


def library_of(made: Any) -> str:
    """ "httpx" or "httpx2", by the class of an HTTP client; "" for another one, or None."""
    bases = made.__mro__ if isinstance(made, type) else ()
    roots = {base.__module__.partition(".")[0] for base in bases if base.__name__ in ("Client", "AsyncClient")}
    return next((root for root in ("httpx", "httpx2") if root in roots), "")


def _is_patched(library: str) -> bool:
    """Whether somebody (a test, an instrumentation) has put a function of its own in place of httpx's."""
    function = import_module(library).AsyncHTTPTransport.handle_async_request
    return getattr(function, "__module__", "").partition(".")[0] != library


@lru_cache(maxsize=2)
def transport_class(library: str) -> Any:
    """The transport for httpx or for httpx2."""
    module: Any = import_module(library)
    stream = type("AnswerStream", (_Answer, module.AsyncByteStream), {"library": module})
    return type("AiohttpTransport", (_Transport, module.AsyncBaseTransport), {"library": module, "stream": stream})


class _Transport:
    library: Any
    stream: Any

    def __init__(self) -> None:
        self._session: Any = None
        self._used = 0.0

    async def handle_async_request(self, request: Any) -> Any:
        if self._session is None:
            self._session = self._opened()
        elif time.monotonic() - self._used > _FRESH:
            # What happened to kept connections while the loop was busy elsewhere is seen in the second turn.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        try:
            response = await self._sent(request)
        except Exception as error:
            raise _mapped(self.library, error, request) from error
        finally:
            self._used = time.monotonic()
        extensions = {
            "http_version": b"HTTP/1.1",
            "reason_phrase": (response.reason or "").encode("latin-1", "replace"),
        }
        return self.library.Response(
            status_code=response.status,
            headers=response.raw_headers,
            stream=self.stream(self, request, response),
            request=request,
            extensions=extensions,
        )

    def _opened(self) -> Any:
        import aiohttp

        connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=5.0, ssl=self.library.create_ssl_context())
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            max_line_size=_LONGEST_LINE,
            max_field_size=_LONGEST_LINE,
        )

    async def _sent(self, request: Any) -> Any:
        import aiohttp
        from yarl import URL

        try:
            data = request.content or None
        except self.library.RequestNotRead:
            data = request.stream
        timeout = request.extensions.get("timeout", {})
        names = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        server_name = request.extensions.get("sni_hostname")
        return await self._session.request(
            request.method,
            URL(str(request.url), encoded=True),
            headers=[pair for pair in names if pair[0].lower() != "transfer-encoding"],
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            data=data,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(sock_connect=timeout.get("connect"), sock_read=timeout.get("read")),
            server_hostname=server_name,
        )

    async def aclose(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def __del__(self) -> None:
        # Dropped with its client when nobody uses it any more: its loop may be gone.
        session = self._session
        if session is not None and not session.closed:
            connector = session.connector
            session.detach()
            with contextlib.suppress(Exception):
                connector._close_immediately()


class _Answer:
    library: Any

    def __init__(self, transport: _Transport, request: Any, response: Any) -> None:
        self._transport = transport
        self._request = request
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        try:
            async for data in self._response.content.iter_any():
                received += len(data)
                yield data
        except Exception as error:
            raise _mapped(self.library, error, self._request, self._response, received) from error
        finally:
            self._transport._used = time.monotonic()

    async def aclose(self) -> None:
        self._response.close()


def _mapped(library: Any, error: Exception, request: Any, response: Any = None, received: int = 0) -> Exception:
    """What httpx's own transport raises where aiohttp raises this."""
    import aiohttp

    text = str(error)
    if isinstance(error, aiohttp.ClientPayloadError):
        if isinstance(error.__cause__, OSError):
            return library.ReadError(str(error.__cause__), request=request)  # type: ignore[no-any-return]
        expected = response.headers.get("content-length") if response is not None else None
        how = f"received {received} bytes, expected {expected}" if expected else "incomplete chunked read"
        kind = library.RemoteProtocolError
        text = f"peer closed connection without sending complete message body ({how})"
    elif isinstance(error, (aiohttp.ConnectionTimeoutError, aiohttp.SocketTimeoutError)):
        kind = library.ConnectTimeout if isinstance(error, aiohttp.ConnectionTimeoutError) else library.ReadTimeout
    elif isinstance(error, aiohttp.ClientConnectorError):
        kind = library.ConnectError
    elif isinstance(error, aiohttp.ServerDisconnectedError):
        kind, text = library.RemoteProtocolError, "Server disconnected without sending a response."
    elif isinstance(error, aiohttp.InvalidURL):
        kind = library.UnsupportedProtocol
    elif isinstance(error, (aiohttp.ClientResponseError, aiohttp.http.HttpProcessingError)):
        kind = library.RemoteProtocolError
    elif isinstance(error, (OSError, aiohttp.ClientConnectionError)) and not isinstance(error, TimeoutError):
        kind = library.ReadError
    elif isinstance(error, TimeoutError):
        kind = library.ReadTimeout
    else:
        return error
    mapped: Exception = kind(text, request=request)
    return mapped
