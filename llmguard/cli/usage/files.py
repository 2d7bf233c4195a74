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
    beside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(beside, "x", encoding="utf-8", newline="") as file:
            yield file
        os.replace(beside, path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            os.unlink(beside)
