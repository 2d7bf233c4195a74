"""The spool: append-only files that survive the process.

A process owns its segments by a lock on each, which the kernel frees when the process dies; whoever gets the lock of
a segment that is not its own has adopted it. Names sort in the order in which one process wrote them:
`<host>-<pid>-<start>-<number>.seg`; beside a segment, `.offset` says how far it has been committed. Where the file
system has no locks, a segment is left when the process that its name tells is gone from this host.
"""

from __future__ import annotations

import errno
import os
import threading
import time

from llmguard.usage import losses, private, segments
from llmguard.usage.locks import Lock, try_lock
from llmguard.usage.segments import Segment

ROTATE_BYTES = 8 * 1024 * 1024
ROTATE_SECONDS = 60.0
_MOST_TRIES = 100  # for a segment of our own: each fails only when somebody takes it in the same instant
#: Room that is left on a disk that the database's file shares with the spool, and how often it is looked at.
_ROOM = 2 * ROTATE_BYTES  # a segment becomes rows of about its size before it is removed; of a small disk, two thirds
_LOOK_BYTES = 32 * 1024
_NOTE_SECONDS = 0.2  # between notes of what was dropped: a kill loses no more than the last of them


class SpoolWriter:
    """The segments that this process writes. Safe in threads; `reopen` after a fork in the child.

    Args:
        folder: absolute path; it is made on the first write.
        cap: bytes of all segments in the folder above which lines are refused.
        beside: file of a database, for which room is left where it shares the spool's disk; "" for none.

    Attributes:
        dropped: lines that were refused.
        reason: why the last one was.
        short: whether the last line was refused.
    """

    def __init__(self, folder: str, cap: int, beside: str = "") -> None:
        self.folder = folder
        self.cap = cap
        self.beside = beside
        self.dropped = 0
        self.reason = ""
        self.short = False
        self._noted = 0.0
        self._lock = threading.RLock()  # a finaliser may run, and record, in the middle of a write
        self._descriptor = -1
        self._number = 0
        self._size = 0
        self._opened = 0.0
        self._others = 0  # bytes of all other segments, as last measured
        self._unlooked = 0  # bytes that were written since the room was last looked at
        self._held: dict[str, int] = {}  # earlier segments, locked until they are finished with
        self.owner = segments.new_owner()
        self.path = ""

    def append(self, line: bytes) -> bool:
        """Write a line; False when it was dropped (and counted) because the spool is full or cannot be written."""
        with self._lock:
            try:
                if self._descriptor < 0 or self._size >= ROTATE_BYTES or self._is_old():
                    self._rotate()
                if self._others + self._size + len(line) > self.cap:
                    return self._drop(f"is at its cap of {self.cap:,} bytes")
                if self._unlooked >= _LOOK_BYTES:
                    self._look()
                written = os.write(self._descriptor, line)
                self._unlooked += written
                if written < len(line):
                    self._take_back(written)
                    return self._drop(os.strerror(errno.ENOSPC))
                self._size += written
            except OSError as error:
                return self._drop(error.strerror or type(error).__name__)
            self.short = False
        return True

    def _drop(self, reason: str) -> bool:
        self.dropped += 1
        self.short, self.reason = True, reason
        if time.monotonic() - self._noted > _NOTE_SECONDS:
            self._noted = time.monotonic()
            losses.note(self.folder, self.owner, self.dropped)
        return False

    def _look(self) -> None:
        """Look whether there is room on the disk for the database too.

        Raises:
            OSError: there is not; it is looked at again with the next line.
        """
        if room(self.folder, self.beside) <= 0:
            raise OSError(errno.ENOSPC, "what is left of the disk is the database's")
        self._unlooked = 0

    def _take_back(self, written: int) -> None:
        """Take back a part of a line, that a full disk tore: it must not hide the next one."""
        try:
            os.ftruncate(self._descriptor, self._size)
        except OSError:
            self._size += written
            os.write(self._descriptor, b"\n")

    def measure(self) -> int:
        """Bytes of all segments in the folder; what `append` holds against the cap."""
        total = sum(segments.size(segment.path) for segment in segments.segments(self.folder))
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

    def release(self, path: str, *, torn: bool = False) -> None:
        """Remove an earlier segment that is finished with; one with lines that could not be read is set aside."""
        with self._lock:
            descriptor = self._held.pop(path, -1)
        if descriptor >= 0:
            (segments.set_aside if torn else segments.remove)(path)
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
        losses.note(self.folder, self.owner, self.dropped)
        losses.clear(self.folder, self.owner)

    def reopen(self) -> None:
        """After a fork, in the child: the parent's segment and lock are its own."""
        self._lock = threading.RLock()
        for descriptor in (*self._held.values(), self._descriptor):
            if descriptor >= 0:
                os.close(descriptor)
        self._held.clear()
        self._descriptor, self._size, self._number, self.dropped = -1, 0, 0, 0
        self.owner = segments.new_owner()
        self.path = ""

    def _is_old(self) -> bool:
        return bool(self._size) and time.monotonic() - self._opened > ROTATE_SECONDS

    def _rotate(self) -> None:
        private.make_folder(self.folder)
        before, size, earlier = self._descriptor, self._size, self.path
        self._unlooked = _LOOK_BYTES  # the first line looks
        if before < 0:
            losses.begin(self.folder, self.owner)
        for _ in range(_MOST_TRIES):
            self._number += 1
            path = os.path.join(self.folder, f"{self.owner}-{self._number:06}.seg")
            try:
                descriptor = private.create(path, os.O_APPEND)
            except FileExistsError:
                continue
            if try_lock(descriptor) is not Lock.THEIRS and _is_at(descriptor, path):
                break
            os.close(descriptor)  # someone took it between the calls, found it empty and removed it
        else:
            raise OSError(errno.EBUSY, "has no room for a segment of this process", self.folder)
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
        descriptor = private.open_existing(segment.path, os.O_RDWR)
    except OSError:
        return None
    lock = try_lock(descriptor)
    # A rival that had the lock before may have finished with it, and removed it.
    if (lock is Lock.OURS or (lock is Lock.NONE and _is_gone(segment))) and _is_at(descriptor, segment.path):
        return Adopted(segment, descriptor)
    os.close(descriptor)
    return None


def _is_gone(segment: Segment) -> bool:
    """Whether the process that a segment's name tells is surely gone: of this host, and no longer there. (Its number
    may have gone to another one: then the segment waits.)"""
    match = segments.NAME.fullmatch(os.path.basename(segment.path))
    if match is None or match["host"] != segments.host() or int(match["pid"]) == os.getpid():
        return False
    try:
        os.kill(int(match["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False


def _is_at(descriptor: int, path: str) -> bool:
    """Whether an open file is still the one of that name: what is written to a removed one is lost."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except OSError:
        return False


def room(folder: str, beside: str) -> int:
    """Bytes that the spool may still take of its disk, so that a database's file there has room for what it brings.

    Args:
        folder: of the spool.
        beside: the database's file; where it is on another disk, or "", nothing is kept for it.
    """
    if not beside or not hasattr(os, "statvfs"):
        return 1 << 62
    try:
        disk = os.statvfs(folder)
        if os.stat(folder).st_dev != os.stat(os.path.dirname(beside)).st_dev:
            return 1 << 62
    except OSError:
        return 1 << 62  # the database's folder is not there yet, say: writing will tell
    kept = min(_ROOM, disk.f_blocks * disk.f_frsize * 2 // 3)
    return disk.f_bavail * disk.f_frsize - kept
