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

    Ended = tuple[Recorder, dict[str, Any], Tokens, float]

_MOST = 16  # calls that are remembered in one context
_SECONDS = 600.0
#: Of each (recorder, data of its end, counts, monotonic time), the newest last. Never changed in place: what runs in a
#: copy of this context has calls of its own. Nothing is worked out before somebody asks, which is rare.
_ENDED: ContextVar[tuple[Ended, ...]] = ContextVar("llmguard_ended", default=())
_CLAIMED = "_claimed"  # key in the data of a call that somebody has logged


def remember(recorder: Recorder, data: dict[str, Any], tokens: Tokens) -> None:
    """A call has ended in this context; its data are not used any more."""
    _ENDED.set((*_ENDED.get()[1 - _MOST :], (recorder, data, tokens, time.monotonic())))


def claim(recorder: Recorder, model: Any, tokens: Tokens) -> str | None:
    """The `call_id` of the oldest call of this context, in this ledger, that is meant by a model and counts; it is
    meant once."""
    for known, data, counts, at in _ENDED.get():
        if known is not recorder or _CLAIMED in data or time.monotonic() - at > _SECONDS:
            continue
        if isinstance(model, str) and _is_meant(data, counts, model, tokens):
            data[_CLAIMED] = True
            identity: str = data["call_id"]
            return identity
    return None


def _is_meant(data: dict[str, Any], counts: Tokens, model: str, tokens: Tokens) -> bool:
    """Whether a call of this model with these counts is that one. Where nobody has counted, a 0 is no count."""
    if _plain(model) not in {_plain(data[name]) for name in ("model", "response_model") if data.get(name)}:
        return False
    counted = data.get("usage_source") == "provider"
    for ours, theirs in zip(counts[:3], tokens[:3], strict=True):
        if theirs is None or (not counted and theirs == 0):
            continue
        if ours != theirs:
            return False
    return True


def _plain(model: Any) -> str:
    return str(model).rpartition("/")[2].lower()
