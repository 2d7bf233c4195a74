"""What was lost is counted: records that the spool had no room for, and lines that could not be read.

One small file for each process, beside the segments. It is written when the process begins, and then in place, so that
a disk that is full takes it still.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import NamedTuple

from llmguard.usage import private

_SUFFIX = ".lost"
_SIZE = 128  # bytes of a note, so that one takes the place of another


class Losses(NamedTuple):
    """Counts over all processes.

    Attributes:
        dropped: records that could not be written to the spool.
        corrupt: lines that did not match their checksum, and records that the ledger refused.
        last: time of the last note, 0.0 when nothing was lost.
    """

    dropped: int = 0
    corrupt: int = 0
    last: float = 0.0


def begin(folder: str, owner: str) -> None:
    """Take the room that a note needs; where the disk has not even that, nobody else will count what is lost."""
    with contextlib.suppress(OSError), open(private.create(_path(folder, owner)), "wb") as file:
        file.write(_note(Losses()))


def note(folder: str, owner: str, dropped: int = 0, corrupt: int = 0) -> None:
    """Keep what a process has lost so far: the larger of each count. Nothing is written when it has lost nothing, or
    the folder is none of this user's."""
    if not dropped and not corrupt:
        return
    path = _path(folder, owner)
    with contextlib.suppress(OSError):
        if not os.path.lexists(path):
            private.make_folder(folder)
            begin(folder, owner)
        before = _read(path)
        counts = Losses(max(dropped, before.dropped), max(corrupt, before.corrupt), time.time())
        with open(private.open_existing(path, os.O_RDWR), "r+b") as file:
            file.write(_note(counts))


def clear(folder: str, owner: str) -> None:
    """Remove the note of a process that has lost nothing."""
    path = _path(folder, owner)
    with contextlib.suppress(OSError):
        if private.is_plain(path) and not _read(path).last:
            os.unlink(path)


def total(folder: str) -> Losses:
    """What all processes have lost that used this spool."""
    try:
        names = [name for name in os.listdir(folder) if name.endswith(_SUFFIX)]
    except OSError:
        return Losses()
    notes = [_read(os.path.join(folder, name)) for name in names]
    return Losses(
        sum(each.dropped for each in notes),
        sum(each.corrupt for each in notes),
        max((each.last for each in notes), default=0.0),
    )


def _path(folder: str, owner: str) -> str:
    return os.path.join(folder, owner + _SUFFIX)


def _note(counts: Losses) -> bytes:
    text = json.dumps({"dropped": counts.dropped, "corrupt": counts.corrupt, "at": counts.last})
    return text.ljust(_SIZE - 1).encode("ascii") + b"\n"


def _read(path: str) -> Losses:
    try:
        data = json.loads(private.read_small(path, _SIZE))
        return Losses(int(data["dropped"]), int(data["corrupt"]), float(data["at"]))
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError):
        return Losses()  # it is being written, or was torn itself
