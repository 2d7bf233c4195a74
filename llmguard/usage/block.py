"""What `track_llm_call` gives: a block, or a decorator, that puts one call on the books."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, NamedTuple, TypeVar

from llmguard.usage.call import Call
from llmguard.usage.content import kept
from llmguard.usage.context import Enclosing, Part, enclosing, enter, leave
from llmguard.usage.counts import tokens_of
from llmguard.usage.estimate import characters_of, tokens_in
from llmguard.usage.meter import StreamMeter
from llmguard.usage.outcome import estimated, failure_fields, response_fields
from llmguard.usage.plain_http import asked, refusal
from llmguard.usage.recorder import recorder
from llmguard.usage.response import is_plain_http
from llmguard.usage.rows import count_of
from llmguard.usage.tokens import Tokens, summed

LOG = logging.getLogger("llmguard.usage")
F = TypeVar("F", bound=Callable[..., Any])
_MOST_PARTS = 1000  # requests inside one block that are priced each by itself


class UsageLog:
    """What a tracker block yields: set what you know, the rest is filled in when the block ends.

    Attributes:
        id: identifier of the call, the `call_id` of its row.
        input_tokens, output_tokens, total_tokens: counts; what is not set is read from `response`.
        response: the provider's response, when you have it: its tokens and model are read.
        request_data, response_data: kept only when `LLMGUARD_STORE_CONTENT` says so.
        metadata: added to that of the block.
        success, error_type, error_message: set when the block ends, as the exception says.
    """

    def __init__(self, call_id: str, provider: str, model: str) -> None:
        self.id = call_id
        self.llm_provider = provider
        self.model_name = model
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.total_tokens: int | None = None
        self.response: Any = None
        self.request_data: Any = None
        self.response_data: Any = None
        self.metadata: dict[str, Any] = {}
        self.success: bool | None = None
        self.error_type: str | None = None
        self.error_message: str | None = None
        self.followed: Followed | None = None

    def follow(self, stream: Any) -> Any:
        """Hand on a stream and count what goes by: SDK objects, dictionaries, or lines of server-sent events.

        `for line in usage_log.follow(response.iter_lines()):` or `async for` over an asynchronous one. The block's
        tokens are the provider's when it sends them, else estimated; one that is not read to its end is `partial`.
        """
        self.followed = Followed()
        return self.followed.over_async(stream) if hasattr(stream, "__aiter__") else self.followed.over(stream)

    def counts(self, around: Enclosing, prompt: int | None) -> tuple[Tokens, str]:
        """The tokens, and where they are from: the caller, the response, the stream, or the tracked calls inside."""
        if (self.input_tokens, self.output_tokens, self.total_tokens) != (None, None, None):
            return self._given(), "caller"
        if around.inner and all(part.fields.get("usage_source") == "cache" for part in around.inner):
            return summed(part.tokens for part in around.inner), "cache"  # whatever the answer says of itself
        if self.followed is not None and self.response is None:
            return self.followed.meter.counts(prompt)
        response = self.response if self.response is not None else self.response_data
        read = tokens_of(response)
        if not read.known and around.inner:
            tokens = summed(part.tokens for part in around.inner)
            return tokens, "estimated" if around.estimated else "provider"
        if not read.known and prompt is not None and response is not None:
            return estimated(response, prompt)
        return read, "provider"

    def _given(self) -> Tokens:
        """What the caller has set, completed by what the response says."""
        read = tokens_of(self.response if self.response is not None else self.response_data)
        prompt, completion, total = map(count_of, (self.input_tokens, self.output_tokens, self.total_tokens))
        prompt = prompt if prompt is not None else read.prompt
        completion = completion if completion is not None else read.completion
        if total is None and (prompt is not None or completion is not None):
            total = (prompt or 0) + (completion or 0)
        return read._replace(prompt=prompt, completion=completion, total=total)


class Followed:
    """A stream that a block hands on."""

    def __init__(self) -> None:
        self.meter = StreamMeter()
        self.exhausted = False

    def over(self, stream: Any) -> Iterator[Any]:
        """The items of an iterable."""
        for item in stream:
            self._saw(item)
            yield item
        self.exhausted = True

    async def over_async(self, stream: Any) -> AsyncIterator[Any]:
        """The items of an asynchronous iterable."""
        async for item in stream:
            self._saw(item)
            yield item
        self.exhausted = True

    def _saw(self, item: Any) -> None:
        from llmguard.usage.clients.wire import event_of

        try:
            chunk = event_of(item) if isinstance(item, (str, bytes)) else item
            if chunk is not None:
                self.meter.add(chunk)
        except Exception:  # a stream never fails for its record
            LOG.exception("a chunk of a stream could not be counted")


class Entry(NamedTuple):
    """One use of a block: which of them ends is told by who is in it."""

    owner: Any
    call: Call | None
    around: Enclosing
    log: UsageLog


class TrackedBlock:
    """A block, or a function, whose call is on the books: `with`, `async with`, or a decorator.

    One object may be used again, at once in several tasks or threads, and inside itself.
    """

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self._entries: list[Entry] = []

    def __enter__(self) -> UsageLog:
        around, call = self._begun(hold=False)
        return self._entered(around, call)

    def _begun(self, *, hold: bool) -> tuple[Enclosing | None, Call | None]:
        """The call around the block, or a new one: a block inside another one belongs to it, one call, one row."""
        around, call = enclosing(), None
        if around is None:
            call = Call(recorder(), self._fields)
            call.start(hold=hold)
        return around, call

    def _entered(self, around: Enclosing | None, call: Call | None) -> UsageLog:
        if around is None:
            assert call is not None
            around = enter(call.call_id, _generator_frame())
        log = UsageLog(around.call_id, self._fields.get("provider") or "", self._fields.get("model") or "")
        self._entries.append(Entry(_owner(), call, around, log))
        return log

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        entry = self._left()
        if entry is None:
            return
        if entry.call is not None:
            leave(entry.around)
        try:
            _end(entry, error)
        except Exception:  # what the block does, and raises, is the user's
            LOG.exception("the end of a block could not be recorded as it was given")
            if entry.call is not None:
                entry.call.finish(**(failure_fields(error) if error is not None else {"status": "ok"}))

    def _left(self) -> Entry | None:
        """The use that ends: the last one of this task or thread; of a generator that ends elsewhere, the last one."""
        owner = _owner()
        for number in range(len(self._entries) - 1, -1, -1):
            if self._entries[number].owner is owner:
                return self._entries.pop(number)
        return self._entries.pop() if self._entries else None

    async def __aenter__(self) -> UsageLog:
        around, call = self._begun(hold=True)
        if call is not None and call.held:
            await call.admitted()
        return self._entered(around, call)

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: Any) -> None:
        self.__exit__(kind, error, at)

    def __call__(self, function: F) -> F:
        """Decorate a function: each call of it is one on the books, and what it returns is read for its tokens.

        What a generator yields is counted as a stream.
        """
        return decorated(self._fields, function)


def _end(entry: Entry, error: BaseException | None) -> None:
    log, call = entry.log, entry.call
    if log.request_data is not None and call is not None:
        call.prompt_estimate = tokens_in(characters_of(log.request_data))
    tokens, source = log.counts(entry.around, call.prompt_estimate if call is not None else None)
    failed = failure_fields(error, log.request_data) if error is not None else {}
    log.success = error is None
    log.error_type, log.error_message = failed.get("error_type"), failed.get("error_message")
    if call is None:
        if tokens.known:
            named = {"provider": log.llm_provider or None, "model": log.model_name or None}
            entry.around.inner.append(Part(tokens, {**named, "usage_source": source}))
        return
    more = _more(log, call)
    refused = refusal(log.response) if error is None and is_plain_http(log.response) else None
    if refused is not None:
        call.finish(refused.pop("status"), **{**more, **refused})
        return
    parts = entry.around.inner
    if parts and tokens == summed(part.tokens for part in parts):
        more["parts"] = [part.as_line() for part in parts] if len(parts) <= _MOST_PARTS else None
    if error is None:
        left = log.followed is not None and not log.followed.exhausted
        call.finish("partial" if left else "ok", tokens=tokens, source=source, **more)
    else:
        call.finish(failed.pop("status"), tokens=tokens, source=source, **{**more, **failed})


def _more(log: UsageLog, call: Call) -> dict[str, Any]:
    more = response_fields(log.response) if log.response is not None else {}
    if is_plain_http(log.response):
        more = {**asked(log.response), **more}
    most = recorder().settings.store_content
    more.update(request_data=kept(log.request_data, most), response_data=kept(log.response_data, most))
    metadata = {**(call.fields.get("metadata") or {}), **(log.metadata or {})}
    if metadata:
        more["metadata"] = metadata
    return more


def _owner() -> Any:
    """The task or thread that runs this."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        task = None
    return task if task is not None else threading.current_thread()


def _generator_frame() -> FrameType | None:
    """The frame that the block stands in, when that is a generator's: its code may be left without the block's end."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    flags = inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR
    return frame if frame is not None and frame.f_code.co_flags & flags else None


def decorated(fields: dict[str, Any], function: F) -> F:
    """A function, of any kind, whose calls are on the books."""
    if inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def tracked_async_generator(*arguments: Any, **keywords: Any) -> Any:
            async with TrackedBlock(fields) as log:
                async for item in log.follow(function(*arguments, **keywords)):
                    yield item

        return tracked_async_generator  # type: ignore[return-value]
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def tracked_generator(*arguments: Any, **keywords: Any) -> Any:
            with TrackedBlock(fields) as log:
                yield from log.follow(function(*arguments, **keywords))

        return tracked_generator  # type: ignore[return-value]
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):

        @functools.wraps(function)
        async def tracked_async(*arguments: Any, **keywords: Any) -> Any:
            async with TrackedBlock(fields) as log:
                log.response = await function(*arguments, **keywords)
                return log.response

        return tracked_async  # type: ignore[return-value]

    @functools.wraps(function)
    def tracked(*arguments: Any, **keywords: Any) -> Any:
        with TrackedBlock(fields) as log:
            log.response = function(*arguments, **keywords)
            return log.response

    return tracked  # type: ignore[return-value]
