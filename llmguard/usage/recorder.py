"""What the call path uses: an intent before the request, a finish after it. Each is one write to the spool.

Nothing here waits for a database, raises into a call (unless `strict`), or belongs to an event loop.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import threading
from typing import TYPE_CHECKING, Any

from llmguard.errors import LLMGuardError
from llmguard.usage import forks, losses
from llmguard.usage.limits.underway import Underway
from llmguard.usage.lines import AMENDMENT, FINISH, INTENT, encode
from llmguard.usage.settings import UsageSettings, from_environment
from llmguard.usage.spool import SpoolWriter

if TYPE_CHECKING:
    from llmguard.usage.flusher import Flusher
    from llmguard.usage.limits.gate import Gate

LOG = logging.getLogger("llmguard.usage")
#: Seconds that the flush at the end of a process may take; what is left is on the disk.
EXIT_DEADLINE = 2.0
#: Seconds that a direct insert (without a spool) may take.
DIRECT_DEADLINE = 2.0
_MOST_SETTLED = 4096  # that are remembered


class SpoolError(LLMGuardError):
    """`strict` is on and the intent of a call could not be written: the call is refused."""


class Recorder:
    """Records calls of this process.

    Args:
        settings: what to go by.
    """

    def __init__(self, settings: UsageSettings) -> None:
        self.settings = settings
        self.process_fields = settings.process_fields
        self.spool = SpoolWriter(settings.spool_folder, settings.spool_cap, settings.sqlite_file)
        self._flusher: Flusher | None = None
        self._starting = threading.Lock()
        self._gating = threading.RLock()
        self._warned = False
        self._dropped = 0  # lines, at the last flush
        self._lost = 0  # records that were not inserted directly, since the last flush
        self._settled: dict[tuple[str, int | None], None] = {}
        self._gate: Gate | None = None
        self.underway = Underway()

    @property
    def gate(self) -> Gate | None:
        """The limits of calls; None when nothing is recorded."""
        if self._gate is None and not self.settings.disabled:
            with self._gating:
                self._gate = self._gate or self.make_gate()
        return self._gate

    def make_gate(self) -> Gate:
        """A gate, nothing of which is open yet."""
        from llmguard.usage.limits.gate import Gate

        return Gate(self.settings)

    def intent(self, data: dict[str, Any]) -> None:
        """Note that a call is about to be made. `data` holds `call_id`, `started_at` and what is known.

        Raises:
            SpoolError: it cannot be written, and `strict` is on.
        """
        if self.settings.disabled:
            return
        if data.get("user_id") is not None and "status" not in data:  # else an answer is noted
            self.underway.note(data)
        if not self.settings.spool:
            return
        if not self.spool.append(encode(INTENT, data)):
            if self.settings.strict:
                raise SpoolError(f"the call is refused: its record cannot be written to {self.settings.spool_folder}")
            self._warn()
        self.wake()

    def finish(self, data: dict[str, Any]) -> None:
        """Note how a call ended; the first end of a call that gets into the ledger counts."""
        if self.settings.disabled:
            return
        if not self.settings.spool:
            self._direct(data)
            return
        if not self.spool.append(encode(FINISH, data)):
            self._warn()
        self.wake()

    def amend(self, data: dict[str, Any]) -> None:
        """Note what is known of a call after its end: `call_id`, and columns that its row takes where it has none
        (`user_id` in any case; `metadata` is merged)."""
        if self.settings.disabled:
            return
        if not self.settings.spool:
            self._direct(data, amends=True)
            return
        if not self.spool.append(encode(AMENDMENT, data)):
            self._warn()
        self.wake()

    def settles_first(self, work: str, total: int | None) -> bool:
        """Whether work is settled with such a total for the first time: programs ask again and again."""
        key = (work, total)
        if key in self._settled:
            return False
        self._settled[key] = None
        with contextlib.suppress(StopIteration, KeyError, RuntimeError):  # another thread does the same
            while len(self._settled) > _MOST_SETTLED:
                del self._settled[next(iter(self._settled))]
        return True

    def flush(self, deadline: float | None = None) -> bool:
        """Bring everything into the database; whether all of it got there in so many seconds: what was recorded since
        the last time and dropped did not."""
        if self.settings.disabled:
            return True
        if not self.settings.spool:
            lost, self._lost = self._lost, 0
            return not lost
        done = self._running().flush(deadline)
        before, self._dropped = self._dropped, self.spool.dropped
        if self.spool.dropped:
            losses.note(self.spool.folder, self.spool.owner, self.spool.dropped)
        return done and self._dropped == before

    def wake(self) -> None:
        """Have the flusher look."""
        flusher = self._flusher
        if flusher is None:
            # Never waits: this may be a finaliser that runs while this very thread is starting the flusher.
            if not self._starting.acquire(blocking=False):
                return
            try:
                flusher = self._started()
            finally:
                self._starting.release()
        flusher.wake()

    def close(self, deadline: float = EXIT_DEADLINE) -> None:
        """Flush within a deadline and let go of the spool."""
        flusher, self._flusher = self._flusher, None
        if flusher is not None:
            flusher.stop(deadline)
        self.spool.close()
        if self._gate is not None:
            self._gate.close()

    def after_fork(self) -> None:
        """In a child: its own segment, its own thread, its own connections."""
        self.spool.reopen()
        if self._gate is not None:
            _of_the_parent.append(self._gate)  # its connections are: what would be collected would be closed
        self._gate = None
        self._gating = threading.RLock()
        self.underway = Underway()
        self._dropped = self._lost = 0
        self._flusher = None
        self._starting = threading.Lock()

    def _running(self) -> Flusher:
        with self._starting:
            return self._started()

    def _started(self) -> Flusher:
        if self._flusher is None:
            from llmguard.usage.flusher import Flusher

            self._flusher = Flusher(self.settings, self.spool)
        return self._flusher

    def _direct(self, data: dict[str, Any], *, amends: bool = False) -> None:
        """Insert the row, or amend it, now, in a thread, and wait for it no longer than the deadline."""
        from llmguard.usage.flusher import insert_directly

        inserted: list[bool] = []

        def insert() -> None:
            inserted.append(insert_directly(self.settings, data, amends=amends))

        thread = threading.Thread(target=insert, daemon=True)
        thread.start()
        thread.join(DIRECT_DEADLINE)
        if inserted != [True]:
            self._lost += 1
            self._warn("there is no spool, and the database did not take one in time")

    def _warn(self, reason: str = "") -> None:
        if not self._warned:
            self._warned = True
            why = reason or f"{self.settings.spool_folder} cannot be written or is full ({self.spool.reason})"
            LOG.warning("usage records are being dropped (said once; llmguard usage doctor counts them): %s", why)


_of_the_parent: list[Gate] = []
_recorder: Recorder | None = None
_lock = threading.RLock()  # a finaliser may record while this thread holds it


def recorder() -> Recorder:
    """The recorder of this process, by the environment unless `configure` was called."""
    global _recorder
    if _recorder is None:
        with _lock:
            if _recorder is None:
                _install(Recorder(_settings()))
    assert _recorder is not None
    return _recorder


def _settings() -> UsageSettings:
    """The settings of the environment. One that cannot be used turns the ledger off, and says so, once."""
    try:
        return from_environment()
    except (LLMGuardError, OSError) as error:
        if os.environ.get("LLMGUARD_STRICT", "").lower() in ("1", "true", "yes", "on"):
            raise
        LOG.error("no usage is recorded: %s", error)
        return UsageSettings("", disabled=True)


def configure(settings: UsageSettings) -> Recorder:
    """Use these settings from now on; what was recorded before is flushed under the old ones."""
    global _recorder
    with _lock:
        before, _recorder = _recorder, None
        if before is not None:
            before.close()
        _install(Recorder(settings))
    return recorder()


def replace(new: Recorder | None) -> Recorder | None:
    """Use another recorder from now on (None: that of the environment); the one before, which is not closed."""
    global _recorder
    with _lock:
        before, _recorder = _recorder, new
    return before


def _install(new: Recorder) -> None:
    global _recorder
    _recorder = new


def _at_exit() -> None:
    if _recorder is not None:
        _recorder.close()


def _before_fork() -> None:
    if _recorder is None:
        return
    if _recorder._flusher is not None:
        _recorder._flusher.release()
    if _recorder._gate is not None and _recorder.settings.sqlite_file:
        _recorder._gate.close()


def _after_fork() -> None:
    global _lock
    _lock = threading.RLock()
    if _recorder is not None:
        _recorder.after_fork()


atexit.register(_at_exit)
forks.before_fork(_before_fork)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
