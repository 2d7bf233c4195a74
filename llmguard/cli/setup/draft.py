"""The files of a project as they would be: steps draft, one place writes."""

from __future__ import annotations

import errno
import os
import stat
from typing import NamedTuple


class Step(NamedTuple):
    """One thing that init can do.

    Attributes:
        title: what, in a few words.
        path: the file it is about, relative to the project.
        after: its new content; None when there is nothing to write.
        said: what to tell the user: why nothing is written, or what is left to do by hand.
    """

    title: str
    path: str
    after: bytes | None = None
    said: str = ""


class Draft:
    """A project's files, with the changes that were accepted so far.

    Args:
        root: absolute folder of the project.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self.changed: dict[str, bytes] = {}

    def read(self, path: str) -> bytes | None:
        """The content of a file (relative path) as it would be; None when there is none."""
        if path in self.changed:
            return self.changed[path]
        return self.on_disk(path)

    def on_disk(self, path: str) -> bytes | None:
        """The content of a file as it is now.

        Raises:
            OSError: it cannot be read, or is none (a pipe would be waited for).
        """
        try:
            if not stat.S_ISREG(os.stat(os.path.join(self.root, path)).st_mode):
                raise OSError(errno.EINVAL, "is no regular file", path)
            with open(os.path.join(self.root, path), "rb") as file:
                return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def has(self, path: str) -> bool:
        """Whether there is a file or folder of that name."""
        return path in self.changed or os.path.lexists(os.path.join(self.root, path))

    def accept(self, step: Step) -> None:
        """Take a step's change in."""
        if step.after is not None:
            self.changed[step.path] = step.after

    def write(self) -> list[str]:
        """Write every change, each file whole or not at all.

        Returns:
            The paths that were written.

        Raises:
            UsageError: a file cannot be written, or a link leads out of the project.
        """
        from llmguard.check.edit import refuse_outside, write_whole

        for path in self.changed:
            refuse_outside(os.path.join(self.root, path), self.root)
        for path, data in self.changed.items():
            target = os.path.join(self.root, path)
            os.makedirs(os.path.dirname(target), exist_ok=True)
            write_whole(target, data, within=self.root)
        return list(self.changed)


def newline_of(data: bytes) -> str:
    """The line end that a file uses."""
    return "\r\n" if b"\r\n" in data else "\n"


def appended(data: bytes, text: str, *, blank: bool = True) -> bytes:
    """A file with text at its end, in its own line ends, behind a blank line."""
    end = newline_of(data)
    before = data.decode("utf-8")
    if before and not before.endswith("\n"):
        before += end
    if before.strip() and blank:
        before += end
    return (before + text.replace("\n", end)).encode()
