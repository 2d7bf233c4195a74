"""A call inside one that is on the books, which has the row."""

from __future__ import annotations

import logging
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from llmguard.usage.context import Enclosing, Part
from llmguard.usage.counts import tokens_of
from llmguard.usage.meter import StreamMeter
from llmguard.usage.outcome import NOTHING, failure_fields, response_fields, saved_by
from llmguard.usage.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    #: Is told how a call has ended: status, counts, where they are from, the model that answered.
    Listener = Callable[[str, Tokens, str, "str | None"], None]

LOG = logging.getLogger("llmguard.usage")


class InnerCall:
    """A call inside one that is on the books: it has no row, what it uses is that one's, which limits have admitted."""

    held = False

    def __init__(self, around: Enclosing, fields: Mapping[str, Any] | None = None) -> None:
        self._around = around
        self.done = False
        self.prompt_estimate: int | None = None
        self.fields: dict[str, Any] = {name: (fields or {}).get(name) for name in ("provider", "model")}
        self.listener: Listener | None = None

    @property
    def call_id(self) -> str:
        """The identifier of the call that it belongs to."""
        return self._around.call_id

    async def admitted(self) -> None:
        """Nobody asks."""

    def meter(self) -> StreamMeter:
        """What counts a stream of it."""
        return StreamMeter()

    def _used(
        self, status: str, tokens: Tokens, source: str = "", said: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        if not self.done:
            self.done = True
            model = said.get("response_model")
            if tokens.known:
                told = {name: said.get(name) for name in ("response_model", "service_tier", "inference_geo")}
                part = {**self.fields, **told, "usage_source": source or None}
                self._around.inner.append(Part(tokens, part))
                self._around.estimated |= source == "estimated"
            if self.listener is not None:
                self.listener(status, tokens, source or ("provider" if tokens.known else "none"), model)

    def finish(self, status: str, *, tokens: Tokens | None = None, **more: Any) -> None:
        """It has ended."""
        self._used(status, tokens or Tokens())

    def succeed(self, response: Any) -> None:
        """It gave a whole response."""
        try:
            said, tokens = response_fields(response), tokens_of(response)
            work = said.get("provider_response_id")
            if work and not tokens.known:
                self._around.begun.add(work)  # its counts may come while the block goes on
            self._used("ok", tokens, "", said)
        except Exception:  # a call never fails for its record
            LOG.exception("the tokens of a response could not be read")

    def hit(self, response: Any, of: str = "") -> None:
        """It was answered out of a cache."""
        if not self.done:
            self.done = True
            saved, said = saved_by(response)
            told = {**self.fields, **said, "usage_source": "cache", "given_cost": 0.0, "metadata": {"cache_hit": True}}
            self._around.inner.append(Part(NOTHING, {**told, "saved": saved.fields()}))
            if self.listener is not None:
                self.listener("ok", NOTHING, "cache", said.get("response_model"))

    def note(self, response: Any) -> None:
        """An answer is there. What it says is counted now: its end may be reported when the call around it is over."""
        if tokens_of(response).known:
            self.succeed(response)

    def end_stream(self, meter: StreamMeter, status: str, error: BaseException | None = None) -> None:
        """Its stream has ended."""
        tokens, source = meter.counts(self.prompt_estimate)
        status = failure_fields(error)["status"] if error is not None else status
        self._used(status, tokens, source, meter.said)

    def fail(self, error: BaseException) -> None:
        """It ended with an exception."""
        self._used(failure_fields(error)["status"], Tokens())
