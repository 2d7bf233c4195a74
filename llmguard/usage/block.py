"""What `track_llm_call` gives: a block, or a decorator, that puts one call on the books."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

from llmguard.usage.call import Call, estimated, failure_fields, response_fields
from llmguard.usage.content import kept
from llmguard.usage.context import Enclosing, enclosing, inside
from llmguard.usage.estimate import characters_of, tokens_in
from llmguard.usage.meter import StreamMeter
from llmguard.usage.recorder import recorder
from llmguard.usage.tokens import Tokens, summed, tokens_of

F = TypeVar("F", bound=Callable[..., Any])


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

    def counts(self, inner: list[Tokens], prompt: int | None) -> tuple[Tokens, str]:
        """The tokens, and where they are from: the caller, the response, the stream, or the tracked calls inside."""
        if (self.input_tokens, self.output_tokens, self.total_tokens) != (None, None, None):
            return self._given(), "caller"
        if self.followed is not None and self.response is None:
            return self.followed.meter.counts(prompt)
        response = self.response if self.response is not None else self.response_data
        read = tokens_of(response)
        if not read.known and inner:
            read = summed(inner)
        if not read.known and prompt is not None and response is not None:
            return estimated(response, prompt)
        return read, "provider"

    def _given(self) -> Tokens:
        """What the caller has set, completed by what the response says."""
        read = tokens_of(self.response if self.response is not None else self.response_data)
        prompt = self.input_tokens if self.input_tokens is not None else read.prompt
        completion = self.output_tokens if self.output_tokens is not None else read.completion
        total = self.total_tokens
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

        chunk = event_of(item) if isinstance(item, (str, bytes)) else item
        if chunk is not None:
            self.meter.add(chunk)


class TrackedBlock:
    """A block, or a function, whose call is on the books: `with`, `async with`, or a decorator."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self._call: Call | None = None
        self._inside: Any = None
        self._around: Enclosing | None = None
        self.log: UsageLog | None = None

    def __enter__(self) -> UsageLog:
        # A block inside another one belongs to it: one call, one row.
        around = enclosing()
        if around is None:
            self._call = Call(recorder(), self._fields)
            self._call.start()
            self._inside = inside(self._call.call_id)
            self._around = around = self._inside.__enter__()
        self.log = UsageLog(around.call_id, self._fields.get("provider") or "", self._fields.get("model") or "")
        return self.log

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        log, call, around = self.log, self._call, self._around
        if log is None or call is None or around is None:
            return
        self._inside.__exit__(None, None, None)
        if log.request_data is not None:
            call.prompt_estimate = tokens_in(characters_of(log.request_data))
        tokens, source = log.counts(around.inner, call.prompt_estimate)
        more = _more(log, call)
        if error is None:
            log.success = True
            left = log.followed is not None and not log.followed.exhausted
            call.finish("partial" if left else "ok", tokens=tokens, source=source, **more)
        else:
            failed = failure_fields(error)
            log.success = False
            log.error_type, log.error_message = failed.get("error_type"), failed.get("error_message")
            call.finish(failed.pop("status"), tokens=tokens, source=source, **{**more, **failed})

    async def __aenter__(self) -> UsageLog:
        return self.__enter__()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: Any) -> None:
        self.__exit__(kind, error, at)

    def __call__(self, function: F) -> F:
        """Decorate a function: each call of it is one on the books, and what it returns is read for its tokens."""
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def tracked_async(*arguments: Any, **keywords: Any) -> Any:
                with TrackedBlock(self._fields) as log:
                    log.response = await function(*arguments, **keywords)
                    return log.response

            return tracked_async  # type: ignore[return-value]

        @functools.wraps(function)
        def tracked(*arguments: Any, **keywords: Any) -> Any:
            with TrackedBlock(self._fields) as log:
                log.response = function(*arguments, **keywords)
                return log.response

        return tracked  # type: ignore[return-value]


def _more(log: UsageLog, call: Call) -> dict[str, Any]:
    more = response_fields(log.response) if log.response is not None else {}
    most = recorder().settings.store_content
    more.update(request_data=kept(log.request_data, most), response_data=kept(log.response_data, most))
    metadata = {**(call.fields.get("metadata") or {}), **log.metadata}
    if metadata:
        more["metadata"] = metadata
    return more
