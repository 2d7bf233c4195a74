"""The spool: append-only files that survive the process.

A process owns its segments by a lock on each, which the kernel frees when the process dies; whoever gets the lock of
a segment that is not its own has adopted it. Names sort in the order in which one process wrote them:
`<host>-<pid>-<start>-<number>.seg`; beside a segment, `.offset` says how far it has been committed.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import threading
import time
from typing import NamedTuple

from llmguard.usage.locks import try_lock

ROTATE_BYTES = 8 * 1024 * 1024
ROTATE_SECONDS = 60.0
_NAME = re.compile(r"(?P<owner>.+-\d+-[0-9a-f]+)-(?P<number>\d{6})\.seg")
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)


class Segment(NamedTuple):
    """A file of the spool, as listed: its path, who wrote it, its number among that writer's."""

    path: str
    owner: str
    number: int


class SpoolWriter:
    """The segments that this process writes. Safe in threads; `reopen` after a fork in the child.

    Args:
        folder: absolute path; it is made on the first write.
        cap: bytes of all segments in the folder above which lines are refused.
    """

    def __init__(self, folder: str, cap: int) -> None:
        self.folder = folder
        self.cap = cap
        self.dropped = 0
        self._lock = threading.RLock()  # a finaliser may run, and record, in the middle of a write
        self._descriptor = -1
        self._number = 0
        self._size = 0
        self._opened = 0.0
        self._torn = False
        self._others = 0  # bytes of all other segments, as last measured
        self._held: dict[str, int] = {}  # earlier segments, locked until they are finished with
        self.owner = _owner()
        self.path = ""

    def append(self, line: bytes) -> bool:
        """Write a line; False when it was dropped (and counted) because the spool is full or cannot be written."""
        with self._lock:
            try:
                if self._descriptor < 0 or self._size >= ROTATE_BYTES or self._is_old():
                    self._rotate()
                if self._others + self._size + len(line) > self.cap:
                    self.dropped += 1
                    return False
                if self._torn:
                    line = b"\n" + line  # what a full disk tore off must not hide the next line
                written = os.write(self._descriptor, line)
                self._size += written
                self._torn = written < len(line)
                if self._torn:
                    self.dropped += 1
                    return False
            except OSError:
                self.dropped += 1
                return False
        return True

    def measure(self) -> int:
        """Bytes of all segments in the folder; what `append` holds against the cap."""
        total = sum(_size(segment.path) for segment in segments(self.folder))
        with self._lock:
            self._others = max(0, total - self._size)
        return total

    def rotate(self) -> None:
        """Begin a new segment, so that the present one can be finished with."""
        with self._lock:
            if self._descriptor >= 0 and self._size:
                self._rotate()

    def own(self) -> list[str]:
        """The segments of this process that are not finished with, oldest first."""
        with self._lock:
            return [*self._held, *([self.path] if self._descriptor >= 0 else [])]

    def release(self, path: str) -> None:
        """Remove an earlier segment that is finished with."""
        with self._lock:
            descriptor = self._held.pop(path, -1)
        if descriptor >= 0:
            remove(path)
            os.close(descriptor)

    def forget(self, path: str) -> None:
        """Go on without a segment that is gone; the next line begins another one."""
        with self._lock:
            descriptor = self._held.pop(path, -1)
            if descriptor < 0 and path == self.path:
                descriptor, self._descriptor, self._size = self._descriptor, -1, 0
        if descriptor >= 0:
            os.close(descriptor)

    def close(self) -> None:
        """Let go of all segments; a later line begins a new one, and any process may adopt what is left."""
        with self._lock:
            for descriptor in (*self._held.values(), self._descriptor):
                if descriptor >= 0:
                    os.close(descriptor)
            self._held.clear()
            self._descriptor = -1
            self._size = 0

    def reopen(self) -> None:
        """After a fork, in the child: the parent's segment and lock are its own."""
        self._lock = threading.RLock()
        for descriptor in (*self._held.values(), self._descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._held.clear()
        self._descriptor, self._size, self._number, self.dropped = -1, 0, 0, 0
        self.owner = _owner()
        self.path = ""

    def _is_old(self) -> bool:
        return bool(self._size) and time.monotonic() - self._opened > ROTATE_SECONDS

    def _rotate(self) -> None:
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        before, size, earlier = self._descriptor, self._size, self.path
        while True:
            self._number += 1
            path = os.path.join(self.folder, f"{self.owner}-{self._number:06}.seg")
            try:
                descriptor = os.open(path, _FLAGS, 0o600)
            except FileExistsError:
                continue
            if try_lock(descriptor) and _is_at(descriptor, path):
                break
            os.close(descriptor)  # someone took it between the calls, found it empty and removed it
        self._descriptor, self._size, self._opened, self.path = descriptor, 0, time.monotonic(), path
        self._others += size
        if before >= 0:
            self._held[earlier] = before


class Adopted:
    """A segment of a process that is gone, locked by this one. Close it when done."""

    def __init__(self, segment: Segment, descriptor: int) -> None:
        self.segment = segment
        self._descriptor = descriptor

    def close(self) -> None:
        os.close(self._descriptor)


def adopt(segment: Segment) -> Adopted | None:
    """The segment, when its owner is gone and nobody else has it; else None."""
    try:
        descriptor = os.open(segment.path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None
    # A rival that had the lock before may have finished with it, and removed it.
    if try_lock(descriptor) and _is_at(descriptor, segment.path):
        return Adopted(segment, descriptor)
    os.close(descriptor)
    return None


def _is_at(descriptor: int, path: str) -> bool:
    """Whether an open file is still the one of that name: what is written to a removed one is lost."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def segments(folder: str) -> list[Segment]:
    """The segments in a folder, by owner and number."""
    try:
        names = os.listdir(folder)
    except OSError:
        return []
    found = []
    for name in names:
        match = _NAME.fullmatch(name)
        path = os.path.join(folder, name)
        if match is not None and _is_ours(path):
            found.append(Segment(path, match["owner"], int(match["number"])))
    return sorted(found, key=lambda segment: (segment.owner, segment.number))


def _is_ours(path: str) -> bool:
    """Whether it is a file: a pipe would be waited for, and a link leads to what nobody here has written."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def committed_offset(path: str) -> int:
    """How far a segment has been committed, in bytes: where the next one reads from."""
    return _offsets(path)[0]


def _offsets(path: str) -> tuple[int, int]:
    """(committed offset, how far it has been read: all before that is in the database, but for calls that are open)."""
    try:
        if not os.path.isfile(f"{path}.offset"):
            return 0, 0
        with open(f"{path}.offset", "rb") as file:
            committed, _, seen = file.read(60).partition(b" ")
            return int(committed or b"0"), int(seen or committed or b"0")
    except (OSError, ValueError):
        return 0, 0


def commit_offset(path: str, offset: int, seen: int) -> None:
    """Note how far a segment has been committed, and how far it has been read."""
    beside = f"{path}.offset.{os.getpid()}"
    with open(beside, "wb") as file:
        file.write(b"%d %d" % (offset, seen))
    os.replace(beside, f"{path}.offset")


def remove(path: str) -> None:
    """Remove a segment that is finished with, then its offset: a segment without an offset is read anew, no harm."""
    for name in (path, f"{path}.offset"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def read(path: str, offset: int, most: int = 4 * 1024 * 1024) -> bytes:
    """At most so many bytes of a segment from an offset on."""
    with open(path, "rb") as file:
        file.seek(offset)
        return file.read(most)


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0


def _owner() -> str:
    host = re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())[:40] or "host"
    return f"{host}-{os.getpid()}-{time.time_ns():x}"


def waiting(folder: str) -> dict[str, int]:
    """Bytes of each segment that nobody has brought into the database yet; segments without any are left out."""
    found = {}
    for segment in segments(folder):
        left = _size(segment.path) - _offsets(segment.path)[1]
        if left > 0:
            found[segment.path] = left
    return found
