"""Bringing in what processes left in the spool that are gone: their calls, and those that they had not ended."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from typing import NamedTuple

from llmguard.usage import losses, segments, spool
from llmguard.usage.lines import AMENDMENT, FINISH, Line
from llmguard.usage.reading import Key, Reading
from llmguard.usage.rows import Row, amendment_of, entry_of, row_of, unknown_row_of

LOG = logging.getLogger("llmguard.usage")
BATCH = 1000


class Recovered(NamedTuple):
    """What was brought in.

    Attributes:
        segments: files, all of which are removed, or set aside when something in them could not be read.
        calls: that had ended.
        unfinished: that had not; their rows are `unknown`.
        corrupt: lines that were passed over.
        unread: files that could not be read, and stay.
    """

    segments: int = 0
    calls: int = 0
    unfinished: int = 0
    corrupt: int = 0
    unread: int = 0


def adopt_all(folder: str, own: set[str], write: Callable[[list[Row], list[Row]], object]) -> Recovered:
    """Bring in every segment of a folder whose process is gone.

    Args:
        folder: of the spool.
        own: segments of this process, which are left alone.
        write: writes rows and amendments into the ledger; a segment is removed when all of it is written.

    Raises:
        SQLAlchemyError: the ledger cannot be written; what was not written is still there.
    """
    groups: dict[str, list[spool.Adopted]] = {}
    total = Recovered()
    try:
        for segment in segments.segments(folder):
            adopted = spool.adopt(segment) if segment.path not in own else None
            if adopted is not None:
                groups.setdefault(segment.owner, []).append(adopted)
        for owner, group in groups.items():
            done = _bring_in(group, write)
            losses.clear(folder, owner)
            total = Recovered(*(a + b for a, b in zip(total, done, strict=True)))
    finally:
        for group in groups.values():
            for adopted in group:
                adopted.close()
    return total


def take(line: Line, rows: list[Row], amendments: list[Row]) -> None:
    """Put a line that is no intent where it belongs."""
    if line.kind == AMENDMENT:
        with contextlib.suppress(ValueError, RecursionError, AttributeError, KeyError):  # what is none amends nothing
            amendments.append(amendment_of({**line.data, "call_id": line.key[0], "attempt_no": line.key[1]}))
    else:
        rows.append(entry_of(line, row_of))


def _bring_in(group: list[spool.Adopted], write: Callable[[list[Row], list[Row]], object]) -> Recovered:
    """All segments of one process: a call may begin in one and end in the next."""
    readings = [Reading(adopted.segment.path) for adopted in group]
    calls = 0
    rows: list[Row] = []
    amendments: list[Row] = []
    unread = []
    for reading in readings:
        before = -1
        while reading.at != before:
            before = reading.at
            try:
                lines = reading.read()
            except OSError as error:  # it must not keep the others out
                LOG.warning("the segment %s cannot be read: %s", reading.path, error.strerror)
                unread.append(reading)
                break
            for line in lines:
                take(line, rows, amendments)
                close_intent(readings, line.key)
                calls += line.kind == FINISH
            if len(rows) >= BATCH:
                write(rows, amendments)
                rows, amendments = [], []
    unfinished: dict[Key, Line] = {}
    for reading in readings:
        unfinished |= {key: begun.line for key, begun in reading.open.items()}
    rows += [entry_of(line, unknown_row_of) for line in unfinished.values()]
    if rows or amendments:
        write(rows, amendments)
    for reading in readings:
        if reading not in unread:
            (segments.set_aside if reading.corrupt else segments.remove)(reading.path)
    corrupt = sum(reading.corrupt for reading in readings)
    return Recovered(len(readings) - len(unread), calls, len(unfinished), corrupt, len(unread))


def close_intent(readings: list[Reading], key: Key) -> None:
    """What ends closes its intent, in whichever segment of a process that stands."""
    for reading in readings:
        reading.open.pop(key, None)
