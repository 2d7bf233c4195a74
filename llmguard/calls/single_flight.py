"""Who asks the same as somebody who is waiting for the answer already waits with him: one question is paid, not many.

Within a process: across threads and event loops. What the first one gets is handed to all; when he fails, each asks for
himself, and when he gives up, one of those who wait asks in his place.
"""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from enum import Enum

_LONGEST = 120.0  # seconds that anybody waits: whoever asks may never come back, when his event loop stands still


class Outcome(Enum):
    """Of a question that somebody else asks, where it is no answer.

    Attributes:
        NONE: there is none that can be handed on: ask.
        GIVEN_UP: whoever asked has gone: the next one asks for all.
    """

    NONE = "none"
    GIVEN_UP = "given_up"


class Flight:
    """A question that is under way."""

    __slots__ = ("_landed", "_pid", "_thread")

    def __init__(self) -> None:
        self._landed: Future[bytes | Outcome] = Future()
        self._thread = threading.get_ident()
        self._pid = os.getpid()

    @property
    def is_of_parent(self) -> bool:
        """Whether it was begun before this process was forked: nobody here will end it."""
        return self._pid != os.getpid()

    def wait(self, patience: float | None = None) -> bytes | Outcome:
        """What has come of it, `NONE` when that takes too long. A thread that runs an event loop does not wait at all:
        whoever asks may need that loop, or wait for it in turn.

        Args:
            patience: seconds to wait at most.
        """
        if self._thread == threading.get_ident() or _runs_a_loop():
            return Outcome.NONE
        try:
            return self._landed.result(_bounded(patience))
        except FutureTimeoutError:
            return Outcome.NONE

    async def wait_async(self, patience: float | None = None) -> bytes | Outcome:
        """What has come of it, `NONE` when that takes too long."""
        landing = asyncio.shield(asyncio.wrap_future(self._landed))  # who stops waiting stops only himself
        try:
            return await asyncio.wait_for(landing, _bounded(patience))
        except asyncio.TimeoutError:
            return Outcome.NONE

    def land(self, outcome: bytes | Outcome) -> None:
        """It has come to an end."""
        self._landed.set_result(outcome)


def _bounded(patience: float | None) -> float:
    return _LONGEST if patience is None else min(patience, _LONGEST)


def _runs_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class SingleFlight:
    """The questions that are under way, by their key. Safe in threads, in finalisers and after a fork."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # an abandoned question lands when it is collected, wherever that is
        self._flights: dict[str, Flight] = {}

    def join(self, key: str) -> tuple[Flight, bool]:
        """The flight of a key, and whether it is one's own: who has it asks, and says what came of it by `land`."""
        made = Flight()
        with self._lock:
            found = self._flights.get(key)
            if found is not None and not found.is_of_parent:
                return found, False
            self._flights[key] = made
            return made, True

    def after_fork(self) -> None:
        """In a child: who was asking is the parent's."""
        self._lock = threading.RLock()

    def land(self, key: str, flight: Flight, outcome: bytes | Outcome) -> None:
        """A flight of one's own has come to an end."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
        flight.land(outcome)
