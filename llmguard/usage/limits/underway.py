"""Calls of this process that may not be in the ledger yet: those that run, and those that have just ended."""

from __future__ import annotations

import contextlib
from typing import Any

_MOST = 4096  # the newest ones; what is older has long been written, or waits for a database that is gone


class Underway:
    """The newest calls of a process."""

    def __init__(self) -> None:
        self._calls: dict[str, tuple[Any, float]] = {}

    def note(self, data: dict[str, Any]) -> None:
        """A call begins. (Threads may do this at once: each step is one of a dictionary's own.)"""
        calls = self._calls
        calls[data["call_id"]] = (data.get("user_id"), data.get("started_at") or 0.0)
        if len(calls) > _MOST:
            with contextlib.suppress(StopIteration, RuntimeError, KeyError):  # another thread does the same
                del calls[next(iter(calls))]

    def of(self, user_id: str, since: float, until: float) -> list[str]:
        """The identifiers of a user's calls that began in a time span."""
        found = list(self._calls.items())
        return [name for name, (user, at) in found if user is not None and str(user) == user_id and since <= at < until]

    def forget(self, identifiers: list[str]) -> None:
        """They are in the ledger."""
        for each in identifiers:
            self._calls.pop(each, None)
