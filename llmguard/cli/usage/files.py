"""A file that is written whole, or not at all, in pieces."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from llmguard.errors import UsageError


@contextmanager
def written_whole(path: str) -> Iterator[TextIO]:
    """A text file to write to, in place of what is at `path` once the block has ended well; "-" is stdout.

    Raises:
        UsageError: it cannot be written.
    """
    if path == "-":
        yield sys.stdout
        return
    target = os.path.realpath(path)
    beside = f"{target}.{os.getpid()}.tmp"
    try:
        if path.startswith(("/dev/", "/proc/")) or (os.path.exists(target) and not os.path.isfile(target)):
            with open(target, "w", encoding="utf-8", newline="") as device:  # a pipe or a device is not replaced
                yield device
            return
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(beside, target)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            os.unlink(beside)
