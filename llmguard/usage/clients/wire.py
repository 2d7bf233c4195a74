"""Raw responses: their bytes are looked at as they go by, and handed on as they are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from typing import Any

from llmguard.usage.recorded import Recorded
from llmguard.usage.streams import Tracking

_MOST_BODY = 8 * 1024 * 1024  # of a JSON body that is kept until its end, to read its usage
#: Classes of the SDKs that hold an HTTP response as `http_response`.
_RAW = frozenset({"BaseAPIResponse", "LegacyAPIResponse", "HttpxBinaryResponseContent"})


def is_raw(cls: Any) -> bool:
    """Whether an SDK's class is the HTTP response itself (`with_raw_response`, `with_streaming_response`)."""
    return _is_http(cls) or any(base.__name__ in _RAW for base in cls.__mro__)


def _http_response(response: Any) -> Any:
    """The response object of httpx (or httpx2) in a raw response, None for anything else."""
    for holder in (response, getattr(response, "http_response", None), getattr(response, "response", None)):
        cls: Any = type(holder)
        if holder is not None and _is_http(cls):
            return holder
    return None


@lru_cache(maxsize=256)
def _is_http(cls: type) -> bool:
    roots = {base.__module__.partition(".")[0] for base in cls.__mro__}
    return bool(roots & {"httpx", "httpx2"})


def track_raw(response: Any, call: Recorded) -> Any:
    """Put a raw response on the books: now when its body is here, else when it has been read, closed or dropped."""
    http = _http_response(response)
    if getattr(http, "is_stream_consumed", True) or getattr(http, "is_closed", False):
        if http is not None and "event-stream" in str(http.headers.get("content-type", "")):
            events = Body(call, http.headers)
            events.saw(http.content)
            events.end()
        else:
            call.succeed(http)
        return response
    cls: Any = type(http.stream)
    http.stream = _tapped(cls)(http.stream, Body(call, http.headers))
    return response


def ended(call: Recorded | None, response: Any) -> Any:
    """The HTTP response that an SDK's transport gave, as it is; its end is, or will be, on the books. One that says an
    error is made an exception by the SDK, later."""
    if call is None:
        return response
    if response.status_code >= 400:
        call.finish("error", status_code=response.status_code, error_type=f"HTTP {response.status_code}")
        return response
    return track_raw(response, call)


class Body:
    """What is read of a body as its bytes go by: events of a stream, or JSON at its end.

    Args:
        call: that the body belongs to.
        headers: of the response.
    """

    def __init__(self, call: Recorded, headers: Any) -> None:
        self.tracking = Tracking(call)
        kind = str(headers.get("content-type", ""))
        self._readable = not headers.get("content-encoding") or headers["content-encoding"] == "identity"
        self.tracking.meter.blind = not self._readable
        self._events = any(name in kind for name in ("event-stream", "ndjson", "jsonl"))
        self._json = "json" in kind and not self._events
        self._other = not self._json and not self._events  # sound, say: nothing in it is a count
        self._rest = b""

    def saw(self, data: bytes) -> None:
        """Bytes went by."""
        if not self._readable:
            return
        if self._json and len(self._rest) < _MOST_BODY:
            self._rest += data
        elif self._events:
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                if line.startswith((b"data: [DONE]", b"data:[DONE]")):
                    self.tracking.end()  # readers stop here, before the body ends
                self._saw_line(line)

    def _saw_line(self, line: bytes) -> None:
        chunk = event_of(line)
        if chunk is not None:
            self.tracking.saw(chunk)

    def end(self, error: BaseException | None = None) -> None:
        """The body is there whole, or broke off."""
        if self._other:
            if error is None:
                self.tracking.call.succeed(None)
            else:
                self.tracking.call.fail(error)
        elif error is None and self._json and self._readable:
            try:
                self.tracking.call.succeed(json.loads(self._rest))
            except ValueError:
                self.tracking.end()
        else:
            if self._events:
                self._saw_line(self._rest)
            self.tracking.end(error)

    def leave(self) -> None:
        """Nobody reads on."""
        if self._other:
            self.tracking.call.finish("partial")
            return
        if self._json:
            self.tracking.meter.blind = True  # a part of a JSON body says nothing
        self.tracking.leave()


def event_of(line: bytes | str) -> Any:
    """The object in a line of a stream of server-sent events or JSON lines, None for a line without one."""
    text = line.decode("utf-8", "replace") if isinstance(line, bytes) else line
    text = text.strip().removeprefix("data:").strip()
    if not text.startswith("{"):
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _tapped(cls: type) -> type:
    """A byte stream like those of a class (httpx looks whether it is synchronous), that shows what goes by."""
    bases = [base for base in cls.__mro__ if base.__name__ in ("SyncByteStream", "AsyncByteStream")]
    return type("TrackedByteStream", (_Tap, *bases), {})


class _Tap:
    def __init__(self, stream: Any, body: Body) -> None:
        self._stream = stream
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        try:
            for data in self._stream:
                self._body.saw(data)
                yield data
        except GeneratorExit:
            self._body.leave()
            raise
        except BaseException as error:
            self._body.end(error)
            raise
        self._body.end()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for data in self._stream:
                self._body.saw(data)
                yield data
        except GeneratorExit:
            self._body.leave()
            raise
        except BaseException as error:
            self._body.end(error)
            raise
        self._body.end()

    def close(self) -> None:
        try:
            self._stream.close()
        finally:
            self._body.leave()

    async def aclose(self) -> None:
        try:
            await self._stream.aclose()
        finally:
            self._body.leave()

    def __del__(self) -> None:
        self._body.leave()
