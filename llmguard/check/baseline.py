"""The baseline: known calls that a check need not report again.

A text file with one site a line, sorted, relative to the folder that it lies in. No line numbers, dates or versions,
so that it changes only when calls come and go, and two branches merge line by line. `check` only ever reads it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from llmguard.config.place import is_inside
from llmguard.config.settings import BASELINE
from llmguard.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmguard.config import Settings

HEADER = (
    "# Direct language-model calls that are known and wait to be migrated: path::function::callee::number.",
    "# Written by llmguard baseline. Remove a line to see its call again.",
)
_LARGEST = 50_000_000  # bytes


class Baseline:
    """The entries of a file, with the line that each stands on.

    Args:
        path: absolute path of the file, which need not exist.
        entries: text of an entry -> line, 1-based.
        comments: lines that people wrote, which stay when the file is written anew.
    """

    def __init__(self, path: str, entries: dict[str, int], comments: tuple[str, ...] = ()) -> None:
        self.path = path
        self.comments = comments
        self.folder = os.path.dirname(path)
        self.entries = entries

    @classmethod
    def load(cls, path: str) -> Baseline:
        """The baseline in a file.

        Raises:
            ConfigError: it cannot be read, or a line in it is no entry; the line is named.
        """
        shown = os.path.relpath(path) if path.startswith(os.getcwd() + os.sep) else path
        if os.path.islink(path) and not is_inside(path):
            raise ConfigError(shown, "", "is a link that leads out of the project")
        try:
            if os.path.getsize(path) > _LARGEST:
                raise ConfigError(shown, "", "is too large for a baseline")
            with open(path, encoding="utf-8") as file:
                text = file.read()
        except OSError as error:
            raise ConfigError(shown, "", f"cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(shown, "", "is no baseline: it is not text in UTF-8") from None
        entries: dict[str, int] = {}
        comments: list[str] = []
        for number, line in enumerate(text.lstrip("\ufeff").split("\n"), 1):
            entry = line.rstrip("\r").strip(" \t")
            if not entry or entry.startswith("#"):
                if entry and entry not in HEADER:
                    comments.append(entry)
                continue
            if entry.startswith(("<<<<<<<", ">>>>>>>", "|||||||")) or entry == "=======":
                problem = "is left from a merge; keep the entries of both sides and remove this line"
                raise ConfigError(f"{shown}:{number}", "", problem)
            if not is_entry(entry):
                problem = f"is no entry (path::function::callee::number): {entry[:60]!r}"
                raise ConfigError(f"{shown}:{number}", "", f"{problem}; remove the line or create the baseline anew")
            entries.setdefault(entry, number)
        return cls(path, entries, tuple(comments))

    def entry(self, site: str, root: str) -> str:
        """The text of an entry for a site whose path is relative to `root`."""
        path, _, rest = site.partition("::")
        if root != self.folder:
            path = os.path.relpath(os.path.join(root, path), self.folder).replace(os.sep, "/")
        return printable_entry(f"{path}::{rest}")

    def path_of(self, entry: str) -> str:
        """The absolute path of the file that an entry is about."""
        return os.path.normpath(os.path.join(self.folder, entry.partition("::")[0]))


def printable_entry(site: str) -> str:
    """A site on one line of text: what would end the line, or is no text, is escaped."""
    text = site.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    text = text.replace("\n", "\\n").replace("\r", "\\r")
    return f"./{text}" if text[:1] in ("#", " ", "\t", "=", "<", ">", "|") else text


def is_entry(text: str) -> bool:
    """Whether a line is an entry: four parts, the last a number."""
    parts = text.rsplit("::", 3)
    return len(parts) == 4 and all(parts) and parts[3].isdecimal()


def baseline_path(settings: Settings) -> str:
    """Where the baseline of some settings lies, or would lie; "" when they have no root."""
    if settings.baseline:
        return settings.baseline
    return os.path.join(settings.root, BASELINE) if settings.root else ""


def text_of(entries: Iterable[str], comments: Iterable[str] = ()) -> str:
    """The text of a baseline file; people's own comments stand above the entries."""
    return "".join(line + "\n" for line in (*HEADER, *comments, *sorted(set(entries))))
