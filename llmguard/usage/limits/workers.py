"""Work with a deadline: it goes on in a thread, and who asked for it waits no longer than it wants to."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

LOG = logging.getLogger("llmguard.usage")


class Job:
    """A piece of work.

    Args:
        work: to do.
        undo: what is done with its result when nobody waits for it any more.

    Attributes:
        future: its result.
    """

    def __init__(self, work: Callable[[], Any], undo: Callable[[Any], None] | None = None) -> None:
        self.future: Future[Any] = Future()
        self._work = work
        self._undo = undo
        self._lock = threading.Lock()
        self._left = False
        self._result: list[Any] = []

    def run(self) -> None:
        """Do it, in a thread."""
        try:
            result = self._work()
        except BaseException as error:  # noqa: BLE001  (it is raised where it is waited for)
            with self._lock:
                left = self._left
            if not left:
                _quietly(self.future.set_exception, error)
            return
        with self._lock:
            left = self._left
            self._result.append(result)
        if left:
            self._undone(result)
        else:
            _quietly(self.future.set_result, result)

    def leave(self) -> None:
        """Wait no longer: what was done, or will be, is undone."""
        with self._lock:
            before, self._left = self._left, True
            done = list(self._result)
        if done and not before and self._undo is not None:
            Workers.apart(lambda: self._undone(done[0]))

    def _undone(self, result: Any) -> None:
        if self._undo is None:
            return
        try:
            self._undo(result)
        except Exception as error:  # noqa: BLE001  (a database that is gone; what was reserved stays reserved)
            LOG.warning("what was reserved for a call that was not made stays reserved: %s", error)


class Workers:
    """A few daemon threads, started when they are needed.

    Args:
        number: of threads at most.
        name: of them.
    """

    def __init__(self, number: int, name: str) -> None:
        self._number = number
        self._name = name
        self._jobs: queue.SimpleQueue[Job] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0

    def submit(self, job: Job) -> Job:
        """Have it done."""
        with self._lock:
            if self._idle == 0 and self._threads < self._number:
                self._threads += 1
                threading.Thread(target=self._work, name=self._name, daemon=True).start()
            else:
                self._idle = max(0, self._idle - 1)
        self._jobs.put(job)
        return job

    @staticmethod
    def apart(work: Callable[[], Any], undo: Callable[[Any], None] | None = None) -> Job:
        """Have something done in a thread of its own: it may take as long as it likes."""
        job = Job(work, undo)
        threading.Thread(target=job.run, name="llmguard-limits-apart", daemon=True).start()
        return job

    def _work(self) -> None:
        while True:
            self._jobs.get().run()
            with self._lock:
                self._idle += 1


def _quietly(tell: Callable[[Any], None], what: Any) -> None:
    try:
        tell(what)
    except Exception:  # noqa: BLE001  (asyncio has cancelled the future: nobody is told)
        LOG.debug("nobody waits for this any more")
