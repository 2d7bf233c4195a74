"""What `track_llm_call` gives: a block, or a decorator, that puts one call on the books."""

from __future__ import annotations

import functools
import inspect
import logging
from collections.abc import Callable
from types import TracebackType
from typing import Any, TypeVar

from llmguard.usage.call import Call, failure_fields, response_fields
from llmguard.usage.context import inside, tracked_by
from llmguard.usage.recorder import recorder
from llmguard.usage.tokens import Tokens, tokens_of

LOG = logging.getLogger("llmguard.usage")
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

    def __init__(self, call: Call | None, provider: str, model: str) -> None:
        self.id = call.call_id if call is not None else tracked_by()
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

    def tokens(self) -> tuple[Tokens, str]:
        """The counts, and where they are from."""
        read = tokens_of(self.response if self.response is not None else self.response_data)
        prompt = self.input_tokens if self.input_tokens is not None else read.prompt
        completion = self.output_tokens if self.output_tokens is not None else read.completion
        given = (self.input_tokens, self.output_tokens, self.total_tokens) != (None, None, None)
        total = self.total_tokens
        if total is None and (prompt is not None or completion is not None):
            total = read.total if not given and read.total is not None else (prompt or 0) + (completion or 0)
        found = read._replace(prompt=prompt, completion=completion, total=total)
        return found, "caller" if given else "provider"


class TrackedBlock:
    """A block, or a function, whose call is on the books: `with`, `async with`, or a decorator."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self._fields = fields
        self._call: Call | None = None
        self._inside: Any = None
        self.log: UsageLog | None = None

    def __enter__(self) -> UsageLog:
        # A block inside another one belongs to it: one call, one row.
        if not tracked_by():
            self._call = Call(recorder(), self._fields)
            self._call.start()
            self._inside = inside(self._call.call_id)
            self._inside.__enter__()
        self.log = UsageLog(self._call, self._fields.get("provider") or "", self._fields.get("model") or "")
        return self.log

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._inside is not None:
            self._inside.__exit__(None, None, None)
        log, call = self.log, self._call
        if log is None or call is None:
            return
        tokens, source = log.tokens()
        more = _more(log, call)
        if error is None:
            log.success = True
            call.finish("ok", tokens=tokens, source=source, **more)
        else:
            failed = failure_fields(error)
            log.success = False
            log.error_type, log.error_message = failed.get("error_type"), failed.get("error_message")
            call.finish(failed.pop("status"), tokens=tokens, source=source, **more, **failed)
        LOG.info(
            "[LLM_USAGE] service=%s model=%s tokens=%s status=%s",
            call.fields.get("service_name"),
            call.fields.get("model"),
            tokens.total,
            "ok" if error is None else type(error).__name__,
        )

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
    metadata = {**(call.fields.get("metadata") or {}), **log.metadata}
    if metadata:
        more["metadata"] = metadata
    return more
