"""What is known of a call only later: the counts of work that goes on behind it.

A batch, a run, a response in the background: the request that begins it has a row, whose counts nobody knows yet. When
the program fetches the end of it, in this process or in another one, days later, they are settled onto that row: it is
found by the provider's identifier of the work. A row that has its counts is left as it is.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from typing import TYPE_CHECKING, Any

from llmguard.usage.context import Part, enclosing
from llmguard.usage.counts import tokens_of
from llmguard.usage.meter import StreamMeter
from llmguard.usage.outcome import response_fields
from llmguard.usage.response import field, is_plain_http, json_body
from llmguard.usage.tokens import Tokens, summed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmguard.usage.recorder import Recorder

LOG = logging.getLogger("llmguard.usage")
_ENDS = {"failed": "error", "expired": "error", "errored": "error", "cancelled": "cancelled", "canceled": "cancelled"}


class Settlement:
    """A request that fetches what was begun earlier. It has no row; it ends like a call does.

    Args:
        recorder: where to.
        provider: that is asked.
        work: the provider's identifier of the work, for answers that do not say it (the results of a batch).
    """

    def __init__(self, recorder: Recorder, provider: str, work: str = "") -> None:
        self._recorder = recorder
        self.fields: dict[str, Any] = {"provider": provider}
        self._work = work
        self.done = False
        self.held = False
        self.prompt_estimate: int | None = None

    async def admitted(self) -> None:
        """Nobody asks: what it fetches was admitted when it was begun."""

    def meter(self) -> StreamMeter:
        """What counts a stream of it: events of one answer, or the results of a batch."""
        return ResultsMeter() if self._work else StreamMeter()

    def succeed(self, response: Any) -> None:
        """An answer is there, whole: one piece of work, or a page of several."""
        try:
            body = json_body(response) if is_plain_http(response) else response
            listed = field(body, "data")
            for each in listed if isinstance(listed, list) else [body]:
                self._look_at(each)
        except Exception:  # a call never fails for its record
            LOG.exception("what a program fetched could not be settled")

    def end_stream(self, meter: StreamMeter, status: str, error: BaseException | None = None) -> None:
        """A stream has ended; one that was not read to its end says nothing."""
        if self.done or status != "ok" or error is not None:
            return
        self.done = True
        tokens, source = meter.counts(None)
        work = self._work or meter.response_id
        if source == "provider" and work and tokens.known:
            parts = meter.parts if isinstance(meter, ResultsMeter) else []
            self._settle(work, tokens, parts, meter.said)

    def finish(self, status: str, **more: Any) -> None:
        """It ended without an answer."""

    def fail(self, error: BaseException) -> None:
        """It ended with an exception."""

    def _look_at(self, work: Any) -> None:
        identity, status = field(work, "id"), field(work, "status")
        tokens = tokens_of(work)
        ended = _ENDS.get(status) if isinstance(status, str) else None
        if isinstance(identity, str) and (tokens.known or ended):
            said = response_fields(work)
            parts = said.pop("parts", None) or []
            if field(work, "object") == "batch":
                said["service_tier"] = "batch"
            if field(work, "object") != "response":  # the sum of several requests
                number = field(field(work, "request_counts"), "completed")
                said["request_tokens"] = tokens.prompt // number if tokens.prompt and number else 0
            self._settle(identity, tokens, parts, {"status": ended, **said})

    def _settle(self, work: str, tokens: Tokens, parts: list[dict[str, Any]], said: Mapping[str, Any]) -> None:
        around = enclosing()
        if around is not None and work in around.begun:
            if tokens.known:
                around.begun.discard(work)
                fields = {**self.fields, **said, "usage_source": "provider"}
                fields.pop("status", None)
                around.inner.append(Part(tokens, fields))
            return
        if not self._recorder.settles_first(work, tokens.total):
            return
        data = {"call_id": "", **said, "settles": work, **self.fields, **tokens.fields()}
        data.pop("provider_response_id", None)
        if tokens.known:
            data["usage_source"] = "provider"
        if parts:
            data["parts"] = parts
        self._recorder.amend({name: value for name, value in data.items() if value is not None})


class ResultsMeter(StreamMeter):
    """Counts the results of a batch, each by itself: its requests may have asked different models, and the price of one
    may depend on its size."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        super().__init__()
        self._known: dict[tuple[str, int], tuple[Tokens, int]] = {}

    @property
    def parts(self) -> list[dict[str, Any]]:
        """Parts of the row: one for each model and range of sizes that may have prices of its own."""
        return [
            {"model": model, "service_tier": "batch", "request_tokens": largest, **tokens.fields()}
            for (model, _), (tokens, largest) in self._known.items()
        ]

    def add(self, chunk: Any) -> None:
        """Count a line of Anthropic's results (https://docs.anthropic.com/en/api/retrieving-message-batch-results)."""
        from llmguard.usage.prices import in_force  # batches are rare, and the list is long

        self.chunks += 1
        message = field(field(chunk, "result"), "message")
        counts = tokens_of(message)
        if counts.known:
            size = counts.prompt or 0
            key = (str(field(message, "model") or ""), bisect_left(in_force().sizes, size))
            before, largest = self._known.get(key, (Tokens(), 0))
            self._known[key] = summed((before, counts)), max(largest, size)

    def counts(self, prompt: int | None) -> tuple[Tokens, str]:
        """The sum of all."""
        found = summed(tokens for tokens, _ in self._known.values())
        return (found, "provider") if found.known else (Tokens(), "none")
