"""One call under way: an intent when it starts, one finish when it ends, however it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from typing import TYPE_CHECKING, Any

from llmguard.errors import LLMGuardError
from llmguard.usage.caller import caller
from llmguard.usage.context import Enclosing, request_context
from llmguard.usage.estimate import characters_of, tokens_in
from llmguard.usage.ids import call_id as new_call_id
from llmguard.usage.meter import StreamMeter
from llmguard.usage.recorder import Recorder
from llmguard.usage.tokens import Tokens, field, is_plain_http, json_body, mapping, tokens_of

if TYPE_CHECKING:
    from collections.abc import Mapping

LOG = logging.getLogger("llmguard.usage")
_MOST_ERROR = 2000  # characters of an error's text that are kept


class Call:
    """A call that is being recorded. `start` writes the intent, `finish` the end; a second `finish` does nothing.

    Nothing here raises into the user's call, but for the refusal of `strict`.

    Args:
        recorder: where to.
        fields: columns that are known of the call (provider, model, ...); they win over those of the request.
        defaults: columns that hold when neither the call nor the request says otherwise.
    """

    __slots__ = ("_began", "_done", "_pid", "_recorder", "fields", "prompt_estimate")

    def __init__(self, recorder: Recorder, fields: dict[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
        self._recorder = recorder
        self.fields: dict[str, Any] = {**(defaults or {}), **request_context()}
        self.fields.update({name: value for name, value in fields.items() if value is not None})
        self.fields["call_id"] = new_call_id()
        self.prompt_estimate: int | None = None
        self._began = 0.0
        self._done = False
        self._pid = os.getpid()

    @property
    def call_id(self) -> str:
        """The identifier of the call: the `call_id` of its row."""
        identity: str = self.fields["call_id"]
        return identity

    @property
    def done(self) -> bool:
        """Whether its end is on the books."""
        return self._done

    def start(self, request: Any = None, passing: tuple[str, ...] = ()) -> None:
        """Write the intent.

        Args:
            request: the body of the request, to estimate its tokens by; nothing of it is kept.
            passing: beginnings of file names whose frames only pass the call on (an SDK's folder).

        Raises:
            SpoolError: it cannot be written, and `strict` is on.
        """
        try:
            place = caller(self._recorder.settings.project_root, passing)
            if place is not None:
                fields = self.fields
                fields["code_file"], fields["code_function"], fields["code_line"] = place
            if request is not None:
                self.prompt_estimate = self.fields["prompt_estimate"] = tokens_in(characters_of(request))
            self.fields["started_at"] = time.time()
            self._began = time.perf_counter()
            self._recorder.intent(self.fields)
        except LLMGuardError:
            raise
        except Exception:  # a call never fails for its record
            LOG.exception("the start of a call could not be recorded")

    def finish(self, status: str, *, tokens: Tokens | None = None, source: str = "", **more: Any) -> None:
        """Write the end, once.

        Args:
            status: ok, error, cancelled, timeout or partial.
            tokens: what was used, as far as it is known.
            source: provider, caller, estimated or none.
            more: further columns.
        """
        if self._done or os.getpid() != self._pid:
            return  # a child that was forked during the call: its end is the parent's
        self._done = True
        try:
            self._finish(status, tokens, source, more)
        except Exception:  # a call never fails for its record
            LOG.exception("the end of a call could not be recorded")

    def _finish(self, status: str, tokens: Tokens | None, source: str, more: dict[str, Any]) -> None:
        data = {**self.fields, "status": status, "duration_ms": round((time.perf_counter() - self._began) * 1000)}
        data.pop("prompt_estimate", None)
        if (tokens is None or not tokens.known) and status in ("cancelled", "timeout") and self.prompt_estimate:
            tokens, source = Tokens(prompt=self.prompt_estimate), "estimated"  # it was sent, and may be billed
        if tokens is not None and tokens.known:
            data.update(tokens.fields())
            data["usage_source"] = source or "provider"
        else:
            data["usage_source"] = "none"
        data.update({name: value for name, value in more.items() if value is not None})
        self._recorder.finish(data)
        if LOG.isEnabledFor(logging.INFO):
            LOG.info(
                "[LLM_USAGE] service=%s model=%s tokens=%s duration_ms=%s status=%s",
                *(data.get(name) for name in ("service_name", "model", "tokens_used", "duration_ms", "status")),
            )

    def succeed(self, response: Any) -> None:
        """The call gave a whole response: its tokens, model and identifier are read from it, or estimated."""
        tokens, source = Tokens(), ""
        more: dict[str, Any] = {}
        try:
            tokens, more = tokens_of(response), response_fields(response)
            if not tokens.known and self.prompt_estimate is not None:
                tokens, source = estimated(response, self.prompt_estimate)
        except Exception:  # a call never fails for its record
            LOG.exception("the tokens of a response could not be read")
        self.finish("ok", tokens=tokens, source=source, **{"status_code": 200, **more})

    def note(self, response: Any) -> None:
        """An answer is there, and its end will be written in a moment: should the process die before, this counts."""
        if self._done:
            return
        try:
            tokens, more = tokens_of(response), response_fields(response)
            source = "provider" if tokens.known else "none"
            duration = round((time.perf_counter() - self._began) * 1000)
            data = {
                **self.fields,
                **tokens.fields(),
                **more,
                "status": "ok",
                "usage_source": source,
                "duration_ms": duration,
            }
            self._recorder.intent(data)
        except Exception:  # a call never fails for its record
            LOG.exception("an answer could not be noted")

    def end_stream(self, meter: StreamMeter, status: str, error: BaseException | None = None) -> None:
        """A stream has ended: exhausted (ok), left (partial), or with an exception."""
        if self._done:
            return
        tokens, source = meter.counts(self.prompt_estimate)
        if isinstance(error, Exception) and not meter.chunks and failure_fields(error)["status"] == "error":
            tokens = Tokens()  # refused before there was any answer
        more = {"response_model": meter.model, "provider_response_id": meter.response_id, "service_tier": meter.tier}
        ended: dict[str, Any] = {"status": status, "status_code": 200}
        failed = failure_fields(error) if error is not None else ended
        self.finish(failed.pop("status"), tokens=tokens, source=source, **more, **failed)

    def fail(self, error: BaseException) -> None:
        """The call ended with an exception, or was cancelled."""
        self.finish(**failure_fields(error))


class InnerCall:
    """A call inside one that is on the books: it has no row, what it uses is that one's."""

    def __init__(self, around: Enclosing) -> None:
        self._around = around
        self.done = False
        self.prompt_estimate: int | None = None
        self.fields: dict[str, Any] = {}

    def _used(self, tokens: Tokens) -> None:
        if not self.done:
            self.done = True
            if tokens.known:
                self._around.inner.append(tokens)

    def finish(self, status: str, *, tokens: Tokens | None = None, **more: Any) -> None:
        """It has ended."""
        self._used(tokens or Tokens())

    def succeed(self, response: Any) -> None:
        """It gave a whole response."""
        try:
            self._used(tokens_of(response))
        except Exception:  # a call never fails for its record
            LOG.exception("the tokens of a response could not be read")

    def note(self, response: Any) -> None:
        """An answer is there; its end will say what it used."""

    def end_stream(self, meter: StreamMeter, status: str, error: BaseException | None = None) -> None:
        """Its stream has ended."""
        self._used(meter.counts(self.prompt_estimate)[0])

    def fail(self, error: BaseException) -> None:
        """It ended with an exception."""
        self.done = True


def estimated(response: Any, prompt: int) -> tuple[Tokens, str]:
    """The counts of an answer whose provider does not say, by its characters; none for what is no text."""
    meter = StreamMeter()
    meter.add(json_body(response) if is_plain_http(response) else response)
    return meter.counts(prompt) if meter.characters else (Tokens(), "")


_SAID = (
    ("response_model", ("model", "model_version", "modelVersion")),
    ("provider_response_id", ("id", "response_id", "responseId")),
)


def response_fields(response: Any) -> dict[str, Any]:
    """What a response says of itself: its model, its identifier and, of a plain HTTP response, its status."""
    found: dict[str, Any] = {}
    if is_plain_http(response):
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            found["status_code"] = status
        response = json_body(response)
    get = mapping(response).get
    for column, names in _SAID:
        for name in names:
            value = get(name)
            if isinstance(value, str):
                found[column] = value
                break
    tier = get("service_tier") or field(get("usage"), "service_tier")
    if isinstance(tier, str) and tier not in ("default", "standard", "auto"):
        found["service_tier"] = tier  # its price is another one
    return found


def failure_fields(error: BaseException) -> dict[str, Any]:
    """Status, status code, type and text of an exception, the text without secrets."""
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)):
        return {"status": "cancelled", "error_type": type(error).__name__}
    from llmguard.usage.scrub import scrubbed

    is_timeout = isinstance(error, TimeoutError) or "Timeout" in type(error).__name__
    return {
        "status": "timeout" if is_timeout else "error",
        "status_code": _status_code(error),
        "error_type": type(error).__name__,
        "error_message": scrubbed(_text(error))[:_MOST_ERROR],
    }


def _status_code(error: BaseException) -> int | None:
    """As the SDKs (`status_code`, Google's `code`) and httpx (`response.status_code`) have it."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and 100 <= value <= 599:
                return value
    return None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (an exception whose own text fails still is that exception)
        return ""
