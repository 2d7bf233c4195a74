"""One call under way: an intent when it starts, one finish when it ends, however it ends."""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Any, TypeVar

from llmguard.errors import LLMGuardError
from llmguard.printable import printable
from llmguard.usage import recent
from llmguard.usage.caller import caller
from llmguard.usage.context import enclosing, request_context
from llmguard.usage.counts import is_unfinished, tokens_of
from llmguard.usage.estimate import characters_of, tokens_in
from llmguard.usage.ids import call_id as new_call_id
from llmguard.usage.inner_call import InnerCall
from llmguard.usage.limits.runs import run_fields
from llmguard.usage.meter import StreamMeter
from llmguard.usage.outcome import NOTHING, estimated, failure_fields, response_fields, saved_by
from llmguard.usage.recorder import Recorder, recorder
from llmguard.usage.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmguard.usage.inner_call import Listener

LOG = logging.getLogger("llmguard.usage")
_LOGGED = ("service_name", "model", "tokens_used", "duration_ms", "status")


class Call:
    """A call that is being recorded. `start` writes the intent, `finish` the end; a second `finish` does nothing.

    Nothing here raises into the user's call, but for the refusal of `strict`.

    Args:
        recorder: where to.
        fields: columns that are known of the call (provider, model, ...); they win over those of the request.
        defaults: columns that hold when neither the call nor the request says otherwise.

    Attributes:
        fields: of the row, as far as they are known.
        prompt_estimate: tokens of the request, estimated.
        listener: is told the end, after it is on the books.
        held: whether `admitted` is to be awaited before anything is sent.
    """

    __slots__ = ("_began", "_done", "_pid", "_recorder", "_request", "fields", "held", "listener", "prompt_estimate")

    def __init__(self, recorder: Recorder, fields: dict[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
        self._recorder = recorder
        self.fields: dict[str, Any] = {
            **recorder.process_fields,
            **(defaults or {}),
            **request_context(),
            **run_fields(),
        }
        self.fields.update({name: value for name, value in fields.items() if value is not None})
        self.fields["call_id"] = self.fields.get("call_id") or new_call_id()  # attempts of one question share it
        self.prompt_estimate: int | None = None
        self.listener: Listener | None = None
        self.held = False
        self._began = 0.0
        self._request: Any = None  # for as long as the call goes on: its error must not quote it
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

    def meter(self) -> StreamMeter:
        """What counts a stream of it."""
        return StreamMeter()

    def start(
        self,
        request: Any = None,
        passing: tuple[str, ...] = (),
        since: tuple[float, float] | None = None,
        *,
        hold: bool = False,
        asks: bool = True,
        claims: list[list[Any]] | None = None,
    ) -> None:
        """Ask the limits, and write the intent.

        Args:
            request: the body of the request, to estimate its tokens by; nothing of it is kept.
            passing: beginnings of file names whose frames only pass the call on (an SDK's folder).
            since: when it began, as `time.time` and `time.perf_counter` have it; now by default.
            hold: have an asynchronous caller wait for the limits: where there are any, `held` is set.
            asks: whether limits may refuse it: not what has gone out already, which is only counted.
            claims: what limits have said of it already.

        Raises:
            RateLimitExceeded: a limit refuses it.
            SpoolError: it cannot be written, and `strict` is on.
        """
        self._prepare(request, passing)
        gate = self._recorder.gate
        if claims is not None:
            self._claim(claims)
        elif gate is not None and not gate.is_open:
            if hold and asks:
                self.held = True
                return
            if asks and since is None:
                self._claim(gate.admit(self.fields, request, self.prompt_estimate or 0))
            else:
                self._claim(gate.unasked(self.fields))
        self._begin(since)

    async def admitted(self) -> None:
        """Ask the limits of a call that is held, and write the intent.

        Raises:
            RateLimitExceeded: a limit refuses it.
            SpoolError: it cannot be written, and `strict` is on.
        """
        gate = self._recorder.gate
        self.held = False
        if gate is not None:
            self._claim(await gate.admit_async(self.fields, self._request, self.prompt_estimate or 0))
        self._begin(None)

    def _prepare(self, request: Any, passing: tuple[str, ...]) -> None:
        try:
            place = caller(self._recorder.settings.project_root, passing)
            if place is not None:
                self.fields.update(place)
            if request is not None:
                self._request = request
                self.prompt_estimate = self.fields["prompt_estimate"] = tokens_in(characters_of(request))
        except Exception:  # a call never fails for its record
            LOG.exception("the place of a call could not be found")

    def _claim(self, claims: list[list[Any]]) -> None:
        if claims:
            self.fields["limits"] = claims

    def _begin(self, since: tuple[float, float] | None) -> None:
        try:
            self.fields["started_at"], self._began = since or (time.time(), time.perf_counter())
            self._recorder.intent(self.fields)
        except LLMGuardError:
            gate = self._recorder.gate
            if gate is not None and "limits" in self.fields:
                gate.release(self.fields["limits"])  # nothing will be sent
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
        self._request = None
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
        if status == "ok" and source not in ("caller", "cache"):
            recent.remember(self._recorder, data, tokens or Tokens())
        if more.get("duration_ms", 0) is None:
            del data["duration_ms"]  # who logs a call that has ended knows how long it took, or nobody does
        self._recorder.finish(data)
        if self.listener is not None:
            self.listener(status, tokens or Tokens(), data["usage_source"], data.get("response_model"))
        elif LOG.isEnabledFor(logging.INFO):  # who listens says it
            LOG.info(
                "[LLM_USAGE] service=%s model=%s tokens=%s duration_ms=%s status=%s",
                *(printable(str(data.get(name))) for name in _LOGGED),
            )

    def succeed(self, response: Any) -> None:
        """The call gave a whole response: its tokens, model and identifier are read from it, or estimated."""
        tokens, source = Tokens(), ""
        more: dict[str, Any] = {}
        try:
            tokens, more = tokens_of(response), response_fields(response)
            if not tokens.known and self.prompt_estimate is not None and not is_unfinished(response):
                whole = self.fields.get("operation") == "embeddings"  # all that it uses is what it is asked
                tokens, source = estimated(response, self.prompt_estimate, whole=whole)
        except Exception:  # a call never fails for its record
            LOG.exception("the tokens of a response could not be read")
        self.finish("ok", tokens=tokens, source=source, **{"status_code": 200, **more})

    def hit(self, response: Any, of: str = "") -> None:
        """It was answered out of a cache: nothing is used, and what it would have used is kept as what it saved.

        Args:
            response: that is given again.
            of: the `call_id` of the call that it was the answer to.
        """
        saved, said = saved_by(response)
        noted = {**(self.fields.get("metadata") or {}), "cache_hit": True, **({"cached_call_id": of} if of else {})}
        more = {**said, "status_code": 200, "metadata": noted, "given_cost": 0.0, "saved": saved.fields()}
        self.finish("ok", tokens=NOTHING, source="cache", **more)
        recent.remember(self._recorder, {**self.fields, **said, "usage_source": "provider"}, saved)

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
        more: dict[str, Any] = dict(meter.said)
        ended: dict[str, Any] = {"status": status, "status_code": 200}
        failed = failure_fields(error, self._request) if error is not None else ended
        self.finish(failed.pop("status"), tokens=tokens, source=source, **more, **failed)

    def fail(self, error: BaseException) -> None:
        """The call ended with an exception, or was cancelled."""
        self.finish(**failure_fields(error, self._request))


def user_of(request: Any) -> str | None:
    """For whom a request says that it is: `user` of OpenAI's APIs (or what has taken its place there), and
    `metadata.user_id` of Anthropic's (https://docs.anthropic.com/en/api/messages)."""
    if not isinstance(request, dict):
        return None
    metadata = request.get("metadata")
    told = (
        request.get("user"),
        request.get("safety_identifier"),
        metadata.get("user_id") if isinstance(metadata, dict) else None,
    )
    return next((user for user in told if isinstance(user, str) and user), None)


def started(
    fields: dict[str, Any],
    request: Any,
    passing: tuple[str, ...] = (),
    *,
    defaults: Mapping[str, Any] | None = None,
    hold: bool = False,
) -> Call | InnerCall:
    """A call whose intent is written, or which is held; one without a row, inside one that is on the books.

    Args:
        fields: columns that are known.
        request: its body.
        passing: see `Call.start`.
        defaults: see `Call`.
        hold: see `Call.start`.

    Raises:
        RateLimitExceeded: a limit refuses it.
        SpoolError: its intent cannot be written, and `strict` is on.
    """
    around = enclosing()
    if around is not None:
        inner = InnerCall(around, fields)
        inner.prompt_estimate = tokens_in(characters_of(request))
        return inner
    call = made(Call, fields, request, defaults)
    call.start(request, passing, hold=hold)
    return call


C = TypeVar("C", bound=Call)


def made(cls: type[C], fields: dict[str, Any], request: Any, defaults: Mapping[str, Any] | None = None) -> C:
    """A call that has not started; its user is who the request says, where nobody else does."""
    current = recorder()
    if fields.get("user_id") is None:
        fields["user_id"] = user_of(request)
    if current.settings.store_content:
        from llmguard.usage.content import kept

        fields["request_data"] = kept(request, current.settings.store_content)
    return cls(current, fields, defaults)
