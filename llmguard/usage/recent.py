"""Calls that have ended in this context a moment ago: who logs by hand what a tracked client has recorded already means
the same call.

A program that was written against the seeds asks a model, and then calls `log_llm_call` with what the answer says. With
its client tracked too, that is one call, and one row: what is logged is added to the one that is there.
"""

from __future__ import annotations

import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from llmguard.usage.tokens import Tokens

if TYPE_CHECKING:
    from llmguard.usage.recorder import Recorder

_MOST = 16  # calls that are remembered in one context
_SECONDS = 600.0
#: The newest last. Never changed in place: what runs in a copy of this context has calls of its own.
_ENDED: ContextVar[tuple[Ended, ...]] = ContextVar("llmguard_ended", default=())


class Ended:
    """A call that has ended.

    Attributes:
        recorder: that it is recorded by.
        call_id: of its row.
        models: names that it goes by.
        tokens: its counts.
        counted: whether a provider has counted them.
        at: monotonic time of its end.
        claimed: whether somebody has logged it.
    """

    __slots__ = ("at", "call_id", "claimed", "counted", "models", "recorder", "tokens")

    def __init__(self, recorder: Recorder, data: dict[str, Any], tokens: Tokens) -> None:
        self.recorder = recorder
        self.call_id: str = data["call_id"]
        self.models = {_plain(data.get(name)) for name in ("model", "response_model") if data.get(name)}
        self.tokens = tokens
        self.counted = data.get("usage_source") == "provider"
        self.at = time.monotonic()
        self.claimed = False

    def is_meant(self, model: str, tokens: Tokens) -> bool:
        """Whether a call of this model with these counts is this one. Where nobody has counted, a 0 is no count."""
        if self.claimed or _plain(model) not in self.models or time.monotonic() - self.at > _SECONDS:
            return False
        for ours, theirs in zip(self.tokens[:3], tokens[:3], strict=True):
            if theirs is None or (not self.counted and theirs == 0):
                continue
            if ours != theirs:
                return False
        return True


def remember(recorder: Recorder, data: dict[str, Any], tokens: Tokens) -> None:
    """A call has ended in this context."""
    _ENDED.set((*_ENDED.get(), Ended(recorder, data, tokens))[-_MOST:])


def claim(recorder: Recorder, model: Any, tokens: Tokens) -> Ended | None:
    """The oldest call of this context, in this ledger, that is meant by a model and counts; it is meant once."""
    for each in _ENDED.get():
        if each.recorder is recorder and isinstance(model, str) and each.is_meant(model, tokens):
            each.claimed = True
            return each
    return None


def _plain(model: Any) -> str:
    return str(model).rpartition("/")[2].lower()
