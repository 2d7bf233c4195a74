"""Streams on the books: each ends once, when it is exhausted, closed, broken by an error, cancelled or collected."""

from __future__ import annotations

import atexit
import copy
import logging
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

from llmguard.usage.recorded import Recorded

LOG = logging.getLogger("llmguard.usage")
_open: weakref.WeakSet[Tracking] = weakref.WeakSet()


class Tracking:
    """The end of one stream, which comes once.

    Args:
        call: that the stream belongs to; its intent is written.

    """

    __slots__ = ("__weakref__", "_advancing", "_broken", "call", "meter")

    def __init__(self, call: Recorded) -> None:
        self.call = call
        self.meter = call.meter()
        self._advancing = False
        self._broken = False
        _open.add(self)

    def saw(self, chunk: Any) -> None:
        """A chunk went by."""
        try:
            self.meter.add(chunk)
        except Exception:  # a stream never fails for its record
            if not self._broken:
                self._broken = True
                LOG.exception("a chunk of a stream could not be counted")

    def follow(self, advance: Callable[[Any], Any], stream: Any) -> Any:
        """The next chunk of a stream, counted; what it raises ends the record and goes on to the reader."""
        self._advancing = True
        try:
            chunk = advance(stream)
        except StopIteration:
            self.end()
            raise
        except BaseException as error:
            self.end(error)
            raise
        finally:
            self._advancing = False
        self.saw(chunk)
        return chunk

    async def afollow(self, advance: Callable[[Any], Awaitable[Any]], stream: Any) -> Any:
        """`follow` for `async for`."""
        self._advancing = True
        try:
            chunk = await advance(stream)
        except StopAsyncIteration:
            self.end()
            raise
        except BaseException as error:
            self.end(error)
            raise
        finally:
            self._advancing = False
        self.saw(chunk)
        return chunk

    def end(self, error: BaseException | None = None) -> None:
        """The stream is exhausted, or broke with an exception (a generator that is closed: left)."""
        if isinstance(error, GeneratorExit):
            self.give_up()
            return
        self.call.end_stream(self.meter, "ok", error)
        _open.discard(self)

    def leave(self) -> None:
        """Nobody reads on: the stream was closed or dropped. After its end this does nothing, and while the next chunk
        is waited for neither: LiteLLM (from 1.110 on) closes a stream that is at its end before it says so."""
        if not self._advancing:
            self.give_up()

    def give_up(self) -> None:
        """The stream is left here and now."""
        self.call.end_stream(self.meter, "partial")
        _open.discard(self)


class TrackedIterator(Iterator[Any]):
    """An iterator whose items are counted; dropping it ends the stream."""

    def __init__(self, iterator: Iterator[Any], tracking: Tracking) -> None:
        self._iterator = iterator
        self._tracking = tracking

    def __next__(self) -> Any:
        return self._tracking.follow(next, self._iterator)

    def close(self) -> None:
        """Close what is underneath, and end the stream."""
        close = getattr(self._iterator, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self._tracking.leave()

    def __del__(self) -> None:
        self._tracking.leave()


class TrackedAsyncIterator(AsyncIterator[Any]):
    """`TrackedIterator` for `async for`."""

    def __init__(self, iterator: AsyncIterator[Any], tracking: Tracking) -> None:
        self._iterator = iterator
        self._tracking = tracking

    async def __anext__(self) -> Any:
        return await self._tracking.afollow(anext, self._iterator)

    async def aclose(self) -> None:
        """Close what is underneath, and end the stream."""
        close = getattr(self._iterator, "aclose", None)
        try:
            if close is not None:
                await close()
        finally:
            self._tracking.leave()

    def __del__(self) -> None:
        self._tracking.leave()


def track_stream(stream: Any, call: Recorded) -> Any:
    """Put a stream object of an SDK on the books, in place: the object that has `__stream__` or `_iterator`.

    The generator underneath is made on a copy, so that it does not hold the stream: one that is dropped then ends at
    once, and not when the collector of cycles comes by.
    """
    tracking = Tracking(call)
    inner = stream
    if hasattr(stream, "__stream__"):
        inner = copy.copy(stream)
        inner.__dict__.pop("_iterator", None)
        iterator = inner.__stream__()
    else:
        iterator = stream._iterator
    if hasattr(iterator, "__anext__"):
        stream._iterator = TrackedAsyncIterator(iterator, tracking)
        if hasattr(stream, "close"):
            stream.close = _AsyncClosing(inner, tracking)
    else:
        stream._iterator = TrackedIterator(iterator, tracking)
        if hasattr(stream, "close"):
            stream.close = _Closing(inner, tracking)
    return stream


class _Closing:
    """The `close` of a tracked stream. Holds a copy of the stream, not the stream: see `track_stream`."""

    def __init__(self, stream: Any, tracking: Tracking) -> None:
        self._stream = stream
        self._tracking = tracking

    def __call__(self) -> None:
        try:
            type(self._stream).close(self._stream)
        finally:
            self._tracking.leave()


class _AsyncClosing(_Closing):
    async def __call__(self) -> None:  # type: ignore[override]
        try:
            await type(self._stream).close(self._stream)
        finally:
            self._tracking.leave()


def _leave_all() -> None:
    """At the end of the process: streams that nobody collected."""
    for tracking in list(_open):
        tracking.give_up()


# Registered after the recorder's own (imported by `call`), so run before it.
atexit.register(_leave_all)
