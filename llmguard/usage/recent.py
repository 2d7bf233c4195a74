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


class Ended:
    """A call that has ended: what it takes to know it again. (Not its row, which is let go of.)

    Attributes:
        recorder: where its row is.
        call_id: of it.
        models: that was asked, and that answered.
        counts: of it.
        counted: whether the provider did.
        at: when it ended, on the monotonic clock.
        is_claimed: whether somebody has logged it, in whichever copy of the context.
    """

    __slots__ = ("at", "call_id", "counted", "counts", "is_claimed", "models", "recorder")

    def __init__(self, recorder: Recorder, data: dict[str, Any], counts: Tokens) -> None:
        self.recorder = recorder
        self.call_id: str = data["call_id"]
        self.models = (data.get("model"), data.get("response_model"))
        self.counts = counts
        self.counted = data["usage_source"] == "provider"
        self.at = time.monotonic()
        self.is_claimed = False

    def is_meant(self, model: str, tokens: Tokens) -> bool:
        """Whether a call of this model with these counts is this one. Where nobody has counted, a 0 is no count."""
        if _plain(model) not in {_plain(name) for name in self.models if name}:
            return False
        return all(
            theirs is None or (theirs == 0 and not self.counted) or ours == theirs
            for ours, theirs in zip(self.counts[:3], tokens[:3], strict=True)
        )


#: The newest last. Never changed in place: what runs in a copy of this context has calls of its own.
_ENDED: ContextVar[tuple[Ended, ...]] = ContextVar("llmguard_ended", default=())


def remember(recorder: Recorder, data: dict[str, Any], tokens: Tokens) -> None:
    """A call has ended in this context, with these columns."""
    _ENDED.set((*_ENDED.get()[1 - _MOST :], Ended(recorder, data, tokens)))


def claim(recorder: Recorder, model: Any, tokens: Tokens) -> str | None:
    """The `call_id` of the oldest call of this context, in this ledger, that is meant by a model and counts; it is
    meant once."""
    for ended in _ENDED.get():
        if ended.recorder is not recorder or ended.is_claimed or time.monotonic() - ended.at > _SECONDS:
            continue
        if isinstance(model, str) and ended.is_meant(model, tokens):
            ended.is_claimed = True
            return ended.call_id
    return None


def _plain(model: Any) -> str:
    return str(model).rpartition("/")[2].lower()
