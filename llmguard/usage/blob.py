"""Git's hash of a source file as it ran: right for trees that are not committed, and without git.

A file may be edited while a program runs. One that has changed since the process began is what ran only if it compiles
to the very code that is running.
"""

from __future__ import annotations

import hashlib
import os
import time
from types import CodeType
from typing import NamedTuple

_BEGAN = time.time()
_LARGEST = 4_000_000  # bytes of a source file
_MOST_KEPT = 10_000
_known: dict[str, File] = {}


class File(NamedTuple):
    """What is known of a file.

    Attributes:
        blob: git's hash of its content, "" when it is not what runs, or cannot be read.
        lines: its lines as bytes, where it has more than ASCII; else None.
    """

    blob: str = ""
    lines: list[bytes] | None = None


def file_of(code: CodeType) -> File:
    """The file that a code is from; read once a process."""
    name = code.co_filename
    try:
        return _known[name]
    except KeyError:
        found = _read(name, code)
        if len(_known) < _MOST_KEPT:
            _known[name] = found
        return found


def blob_of(data: bytes) -> str:
    """Git's name of a content.

    >>> blob_of(b"")
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _read(name: str, code: CodeType) -> File:
    try:
        with open(name, "rb") as file:
            changed = os.fstat(file.fileno()).st_mtime
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST or (changed >= _BEGAN - 1 and not _runs(data, name, code)):
            return File()
    except (OSError, ValueError):
        return File()
    return File(blob_of(data), None if data.isascii() else data.splitlines())


def _runs(data: bytes, name: str, code: CodeType) -> bool:
    """Whether a source compiles to a code."""
    try:
        waiting = [compile(data, name, "exec", dont_inherit=True)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    while waiting:
        each = waiting.pop()
        if each == code:
            return True
        waiting += [constant for constant in each.co_consts if isinstance(constant, CodeType)]
    return False
