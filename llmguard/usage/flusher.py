"""The thread that brings the spool into the database.

One for each process that records. It reads this process's segments as they grow, and adopts those of processes that
are gone. A batch is one transaction; only when it is committed does the offset advance, so that a crash at any point
means reading again, and the key of a row makes that harmless. A database that is down is waited for: the lines stay on
the disk, and memory holds one batch.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import random
import threading
import time
from typing import TYPE_CHECKING, Any

from llmguard.usage import forks, losses, segments, spool
from llmguard.usage.adoption import BATCH, adopt_all, close_intent, take
from llmguard.usage.reading import Reading
from llmguard.usage.rows import Row, amendment_of, entry, entry_of, row_of, unknown_row_of

if TYPE_CHECKING:
    from llmguard.usage.settings import UsageSettings
    from llmguard.usage.store.ledger import Ledger

LOG = logging.getLogger("llmguard.usage")
_INTERVAL = 1.0  # seconds between looks while there is something to do: larger batches cost less a row
_HOUSEKEEPING = 15.0  # seconds between looks for segments without an owner
_PRICES = 60.0  # seconds between looks at the prices
_BACKOFF = (0.25, 30.0)


class Flusher:
    """Brings lines into the database, in a daemon thread that starts with the first `wake`.

    Args:
        settings: what to go by.
        writer: the spool of this process.
    """

    def __init__(self, settings: UsageSettings, writer: spool.SpoolWriter) -> None:
        self.settings = settings
        self.writer = writer
        self.corrupt = 0
        self._ledger: Ledger | None = None
        self._readings: dict[str, Reading] = {}
        self._rows: list[Row] = []
        self._amendments: list[Row] = []
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._rung = False
        self._urgent = threading.Event()  # somebody waits: no pause for more lines to come
        self._asked = 0  # flushes that were asked for
        self._served = 0  # ... and those that found everything written
        self._change = threading.Condition()
        self._stopping = False
        self._failures = 0
        self._said = ""  # the last failure that was said, until all is well again
        self._next_housekeeping = self._next_prices = 0.0
        self._thread = threading.Thread(target=self._work, name="llmguard-flusher", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have a look soon. Cheap when one is due already; takes no lock, for finalisers call it."""
        if not self._rung:
            self._rung = True
            self._bell.put(None)

    def flush(self, deadline: float | None = None) -> bool:
        """Wait until all that was recorded is in the database; False when it is not after so many seconds."""
        with self._change:
            self._asked += 1
            mine = self._asked
            self._failures = 0
            self._urgent.set()
            self.wake()
            return (
                self._change.wait_for(lambda: self._served >= mine or self._stopping, deadline) and not self._stopping
            )

    def stop(self, deadline: float) -> bool:
        """Flush within a deadline, then end the thread."""
        done = self.flush(deadline)
        self._stopping = True
        self._urgent.set()
        self.wake()
        self._thread.join(0.5)
        return done

    # -- the thread ------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while not self._stopping:
            self._wait()
            self._rung = False  # what is recorded from here on asks for another look
            self._urgent.clear()
            asked = self._asked
            try:
                more = self.step()
            except Exception as error:  # noqa: BLE001  (a disk, a driver, a database: whatever fails is tried again)
                self._failed(error)
                self.wake()
                continue
            self._failures, self._said = 0, ""
            if more:
                self.wake()
                continue
            with self._change:
                self._served = asked
                self._change.notify_all()
            if not self._stopping:
                self._urgent.wait(_INTERVAL)
        self._close_ledger()

    def _wait(self) -> None:
        with contextlib.suppress(queue.Empty):
            self._bell.get(timeout=_HOUSEKEEPING)

    def _failed(self, error: Exception) -> None:
        reason = _one_line(error)
        if reason != self._said:
            self._said = reason
            LOG.warning("the usage ledger cannot be written, records wait on the disk: %s", reason)
        self._failures += 1
        self._close_ledger()
        shortest, longest = _BACKOFF
        pause = min(longest, shortest * 2 ** min(self._failures, 10)) * (0.5 + random.random() / 2)
        ends = time.monotonic() + pause
        while time.monotonic() < ends and not self._stopping and self._failures:
            time.sleep(min(0.05, pause))

    def step(self) -> bool:
        """Read a batch and write it; whether there may be more."""
        now = time.monotonic()
        if self._ledger is None or now >= self._next_prices:
            self._know_prices(now)
        more = self._read_own()
        if now >= self._next_housekeeping:
            self._next_housekeeping = now + _HOUSEKEEPING
            self.writer.measure()
            self._age()
            if any("settles" in each for each in self._amendments):
                self._adopt()  # the rows that they belong to may be of a process that is gone
                self._write()
            else:
                self._write()
                self._adopt()
        self._write()
        if self.writer.short and not more:
            # What is in the database need not take the room that new records lack.
            with contextlib.suppress(OSError):
                self.writer.rotate()
            self._write()
            self.writer.measure()
        return more

    def _know_prices(self, now: float) -> None:
        """Learn what models cost, before calls are priced."""
        from llmguard.usage.prices.known import refresh

        if self._ledger is None and not segments.segments(self.settings.spool_folder):
            return
        with forks.connected(self.settings.database_url):
            refresh(self.settings, self._open_ledger().engine)
        self._next_prices = now + _PRICES

    def _read_own(self) -> bool:
        paths = self.writer.own()
        for path in paths:
            if len(self._rows) >= BATCH:
                return True
            try:
                if path not in self._readings:
                    self._readings[path] = Reading(path)
                self._take(self._readings[path], self._readings)
            except FileNotFoundError:
                self._vanished(path)
        return any(self._readings[path].has_more() for path in paths if path in self._readings)

    def _vanished(self, path: str) -> None:
        """Somebody removed a segment that is being written: what was in it is lost, what comes is not."""
        self._readings.pop(path, None)
        self.writer.forget(path)
        self.corrupt += 1
        LOG.error("the segment %s was removed by somebody: the records in it are lost", path)

    def _take(self, reading: Reading, group: dict[str, Reading]) -> None:
        """Read on in a segment; what ends closes its intent, in whichever segment of the group that stands."""
        before = reading.corrupt
        readings = list(group.values())
        for line in reading.read():
            take(line, self._rows, self._amendments)
            close_intent(readings, line.key)
        if reading.corrupt > before:
            self.corrupt += reading.corrupt - before
            LOG.warning("%d corrupt lines in %s were passed over", reading.corrupt - before, reading.path)

    def _write(self) -> None:
        if self._rows or self._amendments:
            self._store(self._rows, self._amendments)
            self._rows, self._amendments = [], []
        own = self.writer.own()
        for path, reading in list(self._readings.items()):
            try:
                reading.commit()
            except FileNotFoundError:
                self._vanished(path)
                continue
            finished = path != self.writer.path and not reading.open and not reading.has_more()
            if finished and path in own:
                del self._readings[path]
                self.writer.release(path, torn=bool(reading.corrupt))

    def _age(self) -> None:
        """Rows for calls of this process that began too long ago."""
        limit = time.time() - self.settings.max_age
        for reading in self._readings.values():
            for key, begun in list(reading.open.items()):
                row = entry_of(begun.line, unknown_row_of)
                if row["created_at"].timestamp() < limit:
                    self._rows.append(row)
                    del reading.open[key]

    def _adopt(self) -> None:
        """Bring in what processes left that are gone, and note what was lost here."""
        own = set(self.writer.own())
        done = adopt_all(self.settings.spool_folder, own, self._store)
        if done.corrupt:
            self.corrupt += done.corrupt
            LOG.warning("%d corrupt lines in segments of other processes were passed over", done.corrupt)
        if done.unfinished:
            LOG.info("%d calls of processes that are gone had not ended: their rows are unknown", done.unfinished)
        if done.unread:
            LOG.warning("%d segments of other processes cannot be read: they stay in the spool", done.unread)
        losses.note(self.settings.spool_folder, self.writer.owner, self.writer.dropped, self.corrupt)

    def _store(self, rows: list[Row], amendments: list[Row] | None = None) -> None:
        # Batch by batch, so that a fork waits for one at most.
        with forks.connected(self.settings.database_url):
            ledger = self._open_ledger()
            ledger.write(rows, amendments)
            self.corrupt += ledger.refused
            ledger.refused = 0

    def release(self) -> None:
        """Close the connection, before a fork; the next batch opens one."""
        if self.settings.database_url.startswith("sqlite"):
            self._close_ledger()

    def _close_ledger(self) -> None:
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            ledger.close()

    def _open_ledger(self) -> Ledger:
        if self._ledger is None:
            from llmguard.usage.store.ledger import Ledger

            self._ledger = Ledger.open(self.settings)
        return self._ledger


def insert_directly(settings: UsageSettings, data: dict[str, Any], *, amends: bool = False) -> bool:
    """Write one row, or amend it, without a spool; whether it is there. A failure is logged."""
    from llmguard.usage.prices.known import refresh
    from llmguard.usage.store.ledger import Ledger

    try:
        with forks.connected(settings.database_url):
            ledger = Ledger.open(settings)
            try:
                refresh(settings, ledger.engine)
                if amends:
                    ledger.write([], [amendment_of(data)])
                else:
                    ledger.write([entry(data, row_of)])
                return not ledger.refused
            finally:
                ledger.close()
    except Exception as error:  # noqa: BLE001  (a call never fails for its record)
        LOG.warning("a usage record was lost (there is no spool): %s", _one_line(error))
        return False


def _one_line(error: Exception) -> str:
    return " ".join(str(getattr(error, "orig", None) or error).split())[:300] or type(error).__name__
