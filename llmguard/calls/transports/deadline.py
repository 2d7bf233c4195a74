"""How long an answer may take that a thread waits for: nobody can end its call from outside, as an event loop can, but
what reads the answer can look at the clock."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_UNTIL: ContextVar[float | None] = ContextVar("llmguard_deadline", default=None)


@contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Within it, an answer may take so many seconds."""
    token = _UNTIL.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _UNTIL.reset(token)


def is_over() -> bool:
    """Whether the time of the answer that is being read is over."""
    until = _UNTIL.get()
    return until is not None and time.monotonic() > until
