"""One call under way: an intent when it starts, one finish when it ends, however it ends."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from llmguard.usage.caller import caller
from llmguard.usage.context import request_context
from llmguard.usage.ids import call_id as new_call_id
from llmguard.usage.recorder import Recorder
from llmguard.usage.tokens import Tokens, tokens_of

_MOST_ERROR = 2000  # characters of an error's text that are kept


class Call:
    """A call that is being recorded. `start` writes the intent, `finish` the end; a second `finish` does nothing.

    Args:
        recorder: where to.
        fields: columns that are known before the call (provider, model, user_id, ...).
    """

    __slots__ = ("_began", "_done", "_recorder", "fields")

    def __init__(self, recorder: Recorder, fields: dict[str, Any]) -> None:
        self._recorder = recorder
        known = {name: value for name, value in fields.items() if value is not None}
        self.fields: dict[str, Any] = {**request_context(), **known}
        self.fields["call_id"] = new_call_id()
        self._began = 0.0
        self._done = False

    @property
    def call_id(self) -> str:
        """The identifier of the call: the `call_id` of its row."""
        identity: str = self.fields["call_id"]
        return identity

    def start(self) -> None:
        """Write the intent.

        Raises:
            SpoolError: it cannot be written, and `strict` is on.
        """
        place = caller(self._recorder.settings.project_root)
        if place is not None:
            self.fields.update(place._asdict())
        self.fields["started_at"] = time.time()
        self._began = time.perf_counter()
        self._recorder.intent(self.fields)

    def finish(self, status: str, *, tokens: Tokens | None = None, source: str = "", **more: Any) -> None:
        """Write the end, once.

        Args:
            status: ok, error, cancelled, timeout or partial.
            tokens: what was used, as far as it is known.
            source: provider, caller, estimated or none.
            more: further columns.
        """
        if self._done:
            return
        self._done = True
        data = {**self.fields, "status": status, "duration_ms": round((time.perf_counter() - self._began) * 1000)}
        if tokens is not None and tokens.known:
            data.update({name: count for name, count in tokens.fields().items() if count is not None})
            data["usage_source"] = source or "provider"
        else:
            data["usage_source"] = "none"
        data.update({name: value for name, value in more.items() if value is not None})
        self._recorder.finish(data)

    def succeed(self, response: Any) -> None:
        """The call gave a response: its tokens, model and identifier are read from it."""
        self.finish("ok", tokens=tokens_of(response), status_code=200, **response_fields(response))

    def fail(self, error: BaseException) -> None:
        """The call ended with an exception, or was cancelled."""
        self.finish(**failure_fields(error))


def response_fields(response: Any) -> dict[str, Any]:
    """What a response says of itself: its model and its identifier."""
    found = {}
    for column, names in (
        ("response_model", ("model", "model_version")),
        ("provider_response_id", ("id", "response_id")),
    ):
        for name in names:
            value = response.get(name) if isinstance(response, dict) else getattr(response, name, None)
            if isinstance(value, str):
                found[column] = value
                break
    return found


def failure_fields(error: BaseException) -> dict[str, Any]:
    """Status, status code, type and text of an exception, the text without secrets."""
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)):
        return {"status": "cancelled", "error_type": type(error).__name__}
    from llmguard.usage.scrub import scrubbed

    code = getattr(error, "status_code", None)
    is_timeout = isinstance(error, TimeoutError) or "Timeout" in type(error).__name__
    return {
        "status": "timeout" if is_timeout else "error",
        "status_code": code if isinstance(code, int) else None,
        "error_type": type(error).__name__,
        "error_message": scrubbed(str(error))[:_MOST_ERROR],
    }
