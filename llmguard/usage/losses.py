"""What was lost is counted: records that the spool had no room for, and lines that were torn. One small file for each
process that lost any, beside the segments."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import NamedTuple

_SUFFIX = ".lost"


class Losses(NamedTuple):
    """Counts over all processes.

    Attributes:
        dropped: records that could not be written to the spool.
        corrupt: lines that did not match their checksum.
        last: time of the last note, 0.0 when nothing was lost.
    """

    dropped: int = 0
    corrupt: int = 0
    last: float = 0.0


def note(folder: str, owner: str, dropped: int, corrupt: int) -> None:
    """Keep what a process has lost so far; nothing is written when it has lost nothing, or the disk refuses."""
    if not dropped and not corrupt:
        return
    path = os.path.join(folder, owner + _SUFFIX)
    with contextlib.suppress(OSError):
        beside = f"{path}.{os.getpid()}"
        with open(beside, "w", encoding="ascii") as file:
            json.dump({"dropped": dropped, "corrupt": corrupt, "at": time.time()}, file)
        os.replace(beside, path)


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


def _read(path: str) -> Losses:
    try:
        with open(path, encoding="ascii") as file:
            data = json.load(file)
        return Losses(int(data["dropped"]), int(data["corrupt"]), float(data["at"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Losses()  # it is being replaced, or was torn itself
