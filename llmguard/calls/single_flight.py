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

_LONGEST = 120.0  # seconds that a thread waits for another one, which may be waiting for this one


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

    def wait(self) -> bytes | Outcome:
        """What has come of it, for a thread that has nothing else to do. The one that asks never waits for itself, as
        it would when a task of its event loop asks; nor does any wait for ever."""
        if self._thread == threading.get_ident():
            return Outcome.NONE
        try:
            return self._landed.result(_LONGEST)
        except FutureTimeoutError:
            return Outcome.NONE

    async def wait_async(self) -> bytes | Outcome:
        """What has come of it."""
        return await asyncio.shield(asyncio.wrap_future(self._landed))  # who stops waiting stops only himself

    def land(self, outcome: bytes | Outcome) -> None:
        """It has come to an end."""
        self._landed.set_result(outcome)


class SingleFlight:
    """The questions that are under way, by their key. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._flights: dict[str, Flight] = {}

    def join(self, key: str) -> tuple[Flight, bool]:
        """The flight of a key, and whether it is one's own: who has it asks, and says what came of it by `land`."""
        with self._lock:
            found = self._flights.get(key)
            if found is not None and not found.is_of_parent:
                return found, False
            made = self._flights[key] = Flight()
            return made, True

    def land(self, key: str, flight: Flight, outcome: bytes | Outcome) -> None:
        """A flight of one's own has come to an end."""
        with self._lock:
            if self._flights.get(key) is flight:
                del self._flights[key]
        flight.land(outcome)
