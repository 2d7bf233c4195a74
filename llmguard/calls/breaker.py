"""A circuit breaker: who fails again and again is left alone for a while, then tried with one call.

The states and the reasons to open are those of resilience4j (https://resilience4j.readme.io/docs/circuitbreaker): so
many failures in a row, or a share of the calls of a sliding window; what is open lets one call through after a while,
and that call decides.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

_PARTS = 10  # of the window: calls are forgotten a part at a time


class State(str, Enum):
    """Of a breaker; the value is what statistics print."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Rules(NamedTuple):
    """When a breaker opens, and for how long.

    Attributes:
        in_a_row: failures one after the other that open it.
        share: of the calls of a window that opens it, from 0 to 1.
        window: seconds.
        least: calls that a window must have before its share counts.
        pause: seconds until one call is let through.
        longest: seconds that a pause has at most; it doubles while the calls that are let through fail, and what a
            provider says by `Retry-After` counts up to here.
    """

    in_a_row: int = 5
    share: float = 0.5
    window: float = 60.0
    least: int = 10
    pause: float = 10.0
    longest: float = 300.0


class Breaker:
    """Of one provider and model. Safe in threads.

    A call asks `let_through`, and says with what it got how it ended: `succeeded`, `failed` or `given_up`. What was let
    through before the state changed says nothing about the new one, and is not counted.

    Args:
        rules: when it opens.
        clock: seconds, never going back.
    """

    def __init__(self, rules: Rules = Rules(), clock: Callable[[], float] = time.monotonic) -> None:  # noqa: B008
        self.rules = rules
        self._clock = clock
        self._lock = threading.Lock()
        self._is_open = self._is_probed = self._is_asked_for = False
        self._era = 0  # counts changes of state
        self._until = 0.0
        self._pause = rules.pause
        self._row = 0
        self._parts: list[list[float]] = []  # [begin, calls, failures]
        self._opened = 0
        self._last_error = ""

    def let_through(self) -> int | None:
        """A pass for one call, None when it is not to be made."""
        with self._lock:
            if not self._is_open:
                return self._era
            if self._is_probed or self._clock() < self._until:
                return None
            self._is_probed = True
            return self._era

    def force(self) -> int:
        """A pass for a call that is made although nobody is let through, because there is no one else to ask."""
        with self._lock:
            return self._era

    def succeeded(self, era: int) -> None:
        """A call with this pass was answered."""
        with self._lock:
            if era != self._era:
                return
            if self._is_open:
                self._close()
            else:
                self._row = 0
                self._note(0)

    def failed(self, era: int, error: str = "", retry_after: float | None = None) -> None:
        """A call with this pass failed in a way that another one may not.

        Args:
            era: the pass.
            error: what it was, for statistics.
            retry_after: seconds that the provider asks to be left alone for.
        """
        with self._lock:
            if era != self._era:
                return
            self._last_error = error
            if self._is_open:
                self._pause = min(self._pause * 2, self.rules.longest)
                self._open(retry_after)
                return
            self._row += 1
            self._note(1)
            calls = sum(part[1] for part in self._parts)
            failures = sum(part[2] for part in self._parts)
            rules = self.rules
            is_shared = calls >= rules.least and failures >= rules.share * calls
            if retry_after is not None or self._row >= rules.in_a_row or is_shared:
                self._open(retry_after)

    def given_up(self, era: int) -> None:
        """A call with this pass ended without saying anything of the provider: it was cancelled, or was no good."""
        with self._lock:
            if era == self._era:
                self._is_probed = False

    @property
    def state(self) -> State:
        """As it is now: half open when the next call would be let through, or is on its way."""
        with self._lock:
            if not self._is_open:
                return State.CLOSED
            return State.HALF_OPEN if self._is_probed or self._clock() >= self._until else State.OPEN

    @property
    def is_asked_for(self) -> bool:
        """Whether it is open because the provider has said how long to wait."""
        with self._lock:
            return self._is_open and self._is_asked_for

    @property
    def wait(self) -> float:
        """Seconds until a call is let through, 0 when one would be now."""
        with self._lock:
            return max(0.0, self._until - self._clock()) if self._is_open else 0.0

    def statistics(self) -> dict[str, Any]:
        """`{"state", "failures_in_a_row", "calls_in_window", "failures_in_window", "opened", "retry_in_s",
        "last_error"}`."""
        state, wait = self.state, self.wait
        with self._lock:
            self._forget()
            return {
                "state": state.value,
                "failures_in_a_row": self._row,
                "calls_in_window": int(sum(part[1] for part in self._parts)),
                "failures_in_window": int(sum(part[2] for part in self._parts)),
                "opened": self._opened,
                "retry_in_s": round(wait, 3),
                "last_error": self._last_error or None,
            }

    def _open(self, retry_after: float | None) -> None:
        pause = self._pause if retry_after is None else min(max(retry_after, 0.0), self.rules.longest)
        self._is_open, self._is_probed, self._is_asked_for = True, False, retry_after is not None
        self._until = self._clock() + pause
        self._era += 1
        self._opened += 1

    def _close(self) -> None:
        self._is_open = self._is_probed = False
        self._pause, self._row, self._parts = self.rules.pause, 0, []
        self._era += 1

    def _note(self, failures: int) -> None:
        self._forget()
        now = self._clock()
        if not self._parts or now - self._parts[-1][0] >= self.rules.window / _PARTS:
            self._parts.append([now, 0, 0])
        self._parts[-1][1] += 1
        self._parts[-1][2] += failures

    def _forget(self) -> None:
        since = self._clock() - self.rules.window
        while self._parts and self._parts[0][0] < since:
            self._parts.pop(0)
