"""A lock on an open file that ends with the process, however it ends."""

from __future__ import annotations

import errno
import sys
from enum import Enum


class Lock(Enum):
    """What came of trying to lock a file."""

    OURS = "ours"
    THEIRS = "theirs"  # another process has it
    NONE = "none"  # the file system has no locks (NFS without its lock service, some FUSE file systems)


if sys.platform == "win32":
    import msvcrt

    def try_lock(descriptor: int) -> Lock:
        """Lock the file for this process, or say why not."""
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            return Lock.THEIRS if error.errno in (errno.EACCES, errno.EDEADLK) else Lock.NONE
        return Lock.OURS

else:
    import fcntl

    def try_lock(descriptor: int) -> Lock:
        """Lock the file for this process, or say why not."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            held = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EINTR)
            return Lock.THEIRS if error.errno in held else Lock.NONE
        return Lock.OURS
