"""Folders and files of this user only: whatever the umask, never through a link, never another user's."""

from __future__ import annotations

import contextlib
import errno
import os
import stat

_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_CLOEXEC = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_NONBLOCK = getattr(os, "O_NONBLOCK", 0)  # a pipe in the place of a file is not waited for
_HAS_OWNERS = hasattr(os, "geteuid")


def make_folder(path: str) -> None:
    """Make a folder, and those above it that are not there, for this user only; one that is there is made so.

    Raises:
        OSError: it cannot be made, is no folder, or belongs to another user.
    """
    missing = []
    while not os.path.lexists(path):
        missing.append(path)
        path = os.path.dirname(path)
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):  # another process is making it too
            os.mkdir(folder, 0o700)
            os.chmod(folder, 0o700)  # a umask may have taken from the user's own rights
        path = folder
    status = os.lstat(path)
    if not stat.S_ISDIR(status.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "is no folder (a link is none)", path)
    if _HAS_OWNERS and status.st_uid != os.geteuid():
        raise PermissionError(errno.EPERM, "belongs to another user", path)
    if _HAS_OWNERS and status.st_mode & 0o077:
        os.chmod(path, 0o700)


def why_unusable(path: str) -> str:
    """Why `make_folder` would not do, as far as can be seen without making one; "" when nothing speaks against it."""
    above = path
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    try:
        status = os.stat(above) if above != path else os.lstat(path)
    except OSError as error:
        return f"is out of reach ({error.strerror})"
    if not stat.S_ISDIR(status.st_mode):
        return "is no folder" if above == path else f"lies below {above}, which is no folder"
    if above == path and _HAS_OWNERS and status.st_uid != os.geteuid():
        return "belongs to another user"
    return "" if os.access(above, os.W_OK | os.X_OK) else "is read-only for this user"


def create(path: str, flags: int = 0) -> int:
    """A descriptor of a new file, to write, for this user only.

    Raises:
        OSError: it cannot be made, or is there already.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _CLOEXEC | flags, 0o600)
    if hasattr(os, "fchmod"):
        os.fchmod(descriptor, 0o600)
    return descriptor


def open_existing(path: str, flags: int = os.O_RDONLY) -> int:
    """A descriptor of a plain file that is there.

    Raises:
        OSError: it is not there, or is a link, a pipe or anything else.
    """
    descriptor = os.open(path, flags | _NOFOLLOW | _CLOEXEC | _NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no plain file", path)
    return descriptor


def open_or_create(path: str) -> int:
    """A descriptor of a plain file, to write, which is made when it is not there.

    Raises:
        OSError: it cannot be made, or is no plain file.
    """
    with contextlib.suppress(FileExistsError):
        return create(path)
    return open_existing(path, os.O_RDWR)


def is_plain(path: str) -> bool:
    """Whether it is a plain file of this user: a pipe would be waited for, a link leads to what nobody here wrote."""
    try:
        status = os.lstat(path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and (not _HAS_OWNERS or status.st_uid in (os.geteuid(), 0))


def read_small(path: str, most: int) -> bytes:
    """At most so many bytes of a plain file.

    Raises:
        OSError: see `open_existing`.
    """
    with open(open_existing(path), "rb") as file:
        return file.read(most)


def replace(path: str, data: bytes) -> None:
    """Put a small file in its place, whole.

    Raises:
        OSError: it cannot be written; the one before stays.
    """
    beside = f"{path}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    with open(create(beside), "wb") as file:
        file.write(data)
    os.replace(beside, path)
