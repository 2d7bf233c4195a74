"""An SDK's HTTP client over aiohttp: it takes two thirds of the CPU of httpx, and half of it at 64 calls at once.

Each SDK brings such a client (`DefaultAioHttpClient`). It fails as httpx does, but for one case, which is mended here:
a connection that is dropped in the middle of an answer.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from typing import Any

from llmguard.errors import ConfigError

#: Libraries that stand in for httpx in tests: with one of them loaded, requests go through httpx itself.
_STAND_INS = ("respx", "pytest_httpx", "vcr")


def http_client(sdk: Any) -> Any:
    """A client for a module that is an SDK; None when the SDK's default is to be used.

    `LLM_HTTP_TRANSPORT` decides: "httpx" is the default of the SDKs, "aiohttp" insists; without it aiohttp is used
    where it is installed.

    Raises:
        ConfigError: aiohttp was asked for, and is not installed.
    """
    wanted = os.environ.get("LLM_HTTP_TRANSPORT", "").strip().lower()
    made = getattr(sdk, "DefaultAioHttpClient", None)
    if wanted == "httpx" or made is None or any(name in sys.modules for name in _STAND_INS):
        return None
    try:
        return made(event_hooks={"response": [_mend]})
    except (ImportError, RuntimeError):  # the SDK says: not installed, or this Python is too old for it
        if wanted == "aiohttp":
            raise ConfigError("LLM_HTTP_TRANSPORT", "", "aiohttp needs: pip install httpx-aiohttp") from None
        return None


async def _mend(response: Any) -> None:
    response.stream = _stream_like(type(response.stream))(response)


def _stream_like(cls: Any) -> Any:
    """The class of our stream for httpx or for httpx2, by that of theirs."""
    found = _classes.get(cls)
    if found is None:
        bases = [base for base in cls.__mro__ if base.__name__ == "AsyncByteStream"]
        found = _classes[cls] = type("AnswerStream", (_Answer, *bases), {})
    return found


_classes: dict[Any, Any] = {}


class _Answer:
    def __init__(self, response: Any) -> None:
        self._stream = response.stream
        self._headers = response.headers

    async def __aiter__(self) -> AsyncIterator[bytes]:
        received = 0
        try:
            async for data in self._stream:
                received += len(data)
                yield data
        except Exception as error:
            if type(error.__cause__).__name__ != "ClientPayloadError":
                raise
            expected = self._headers.get("content-length")
            how = f"received {received} bytes, expected {expected}" if expected else "incomplete chunked read"
            text = f"peer closed connection without sending complete message body ({how})"
            library = sys.modules[type(error).__module__.partition(".")[0]]
            raise library.RemoteProtocolError(text) from error.__cause__

    async def aclose(self) -> None:
        await self._stream.aclose()
