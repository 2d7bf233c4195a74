"""The files of the spool as they lie in its folder: which there are, how far each is in the database, what they hold.

Names sort in the order in which one process wrote them: `<host>-<pid>-<start>-<number>.seg`; beside a segment,
`.offset` says how far it has been committed.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import time
from typing import NamedTuple

from llmguard.usage import private

NAME = re.compile(r"(?P<owner>(?P<host>.+)-(?P<pid>\d+)-(?P<start>[0-9a-f]+))-(?P<number>\d{6,})\.seg")
_MOST_ASIDE = 10
ASIDE = ".aside"


class Segment(NamedTuple):
    """A file of the spool, as listed: its path, who wrote it, its number among that writer's."""

    path: str
    owner: str
    number: int


def segments(folder: str) -> list[Segment]:
    """The segments in a folder, by owner and number."""
    return _listed(folder)[0]


def strange(folder: str) -> list[str]:
    """What is named like a segment and is no plain file of this user: it is never read."""
    return _listed(folder)[1]


def _listed(folder: str) -> tuple[list[Segment], list[str]]:
    found: list[Segment] = []
    odd: list[str] = []
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            match = NAME.fullmatch(name)
            if match is not None:
                path = os.path.join(folder, name)
                if private.is_plain(path):
                    found.append(Segment(path, match["owner"], int(match["number"])))
                elif os.path.lexists(path):
                    odd.append(path)
    return sorted(found, key=lambda segment: (segment.owner, segment.number)), sorted(odd)


def committed_offset(path: str) -> int:
    """How far a segment has been committed, in bytes: where the next one reads from."""
    return _offsets(path)[0]


def _offsets(path: str) -> tuple[int, int]:
    """(committed offset, how far it has been read: all before that is in the database, but for calls that are open).

    One that cannot be (behind the end, in the middle of a line) is none: to read a segment anew does no harm.
    """
    try:
        committed, _, seen = private.read_small(f"{path}.offset", 60).partition(b" ")
        offset, read_to = int(committed or b"0"), int(seen or committed or b"0")
        if offset == read_to == 0:
            return 0, 0
        end = size(path)
        if 0 <= offset <= read_to <= end and (not offset or read(path, offset - 1, 1) == b"\n"):
            return offset, read_to
    except (OSError, ValueError):
        return 0, 0
    return 0, 0


def commit_offset(path: str, offset: int, seen: int) -> None:
    """Note how far a segment has been committed, and how far it has been read.

    Raises:
        OSError: it cannot be written.
    """
    private.replace(f"{path}.offset", b"%d %d" % (offset, seen))


def remove(path: str) -> None:
    """Remove a segment that is finished with, then its offset: a segment without an offset is read anew, no harm."""
    for name in (path, f"{path}.offset"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def set_aside(path: str) -> None:
    """Keep a segment that is finished with, and in which something could not be read, for whoever wants to look at it;
    of those only the last ten are kept."""
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, path + ASIDE)
    remove(path)
    for old in sorted(kept_aside(os.path.dirname(path)), key=_age)[:-_MOST_ASIDE]:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(old)


def kept_aside(folder: str) -> list[str]:
    """The segments that were set aside."""
    try:
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(ASIDE))
    except OSError:
        return []


def _age(path: str) -> float:
    try:
        return os.lstat(path).st_mtime
    except OSError:
        return 0.0


def read(path: str, offset: int, most: int = 4 * 1024 * 1024) -> bytes:
    """At most so many bytes of a segment from an offset on.

    Raises:
        OSError: it cannot be read, or is no plain file.
    """
    with open(private.open_existing(path), "rb") as file:
        file.seek(offset)
        return file.read(most)


def size(path: str) -> int:
    """Bytes of a segment, 0 when it is gone."""
    try:
        return os.lstat(path).st_size
    except OSError:
        return 0


def waiting(folder: str) -> dict[str, int]:
    """Bytes of each segment that nobody has brought into the database yet; segments without any are left out."""
    found = {}
    for segment in segments(folder):
        left = size(segment.path) - _offsets(segment.path)[1]
        if left > 0:
            found[segment.path] = left
    return found


def host() -> str:
    """This host, as it stands in names."""
    return re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())[:40] or "host"


def new_owner() -> str:
    """What the names of a process's segments begin with."""
    return f"{host()}-{os.getpid()}-{time.time_ns():x}"
