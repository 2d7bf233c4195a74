"""Path globs as people know them from .gitignore, anchored to a folder.

`tests/` is a folder of that name anywhere below (never `contests/`); a pattern with a slash inside is anchored;
`**` crosses folders, `*` and `?` do not. A pattern may come from a repository that wants to keep us busy: matching
takes time in proportion to the pattern and the path, whatever they are.
"""

from __future__ import annotations

import os
import re
import warnings
from fnmatch import translate
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    from llmguard.config import Glob

_WILD = re.compile(r"[*?\[]")
_CLASS = re.compile(r"\[([!^]?)(\]?[^\]]*)\]")
_ANY = "**"


class Pattern(NamedTuple):
    """A pattern, by the names of folders and files that a path must have.

    Attributes:
        name: the one name that the pattern is, without wildcards, anywhere in a path; "" for other patterns.
        parts: what each name must be: `_ANY` for any number of names, else whether a name is right.
        folder_only: what matches must have something below it.
    """

    name: str
    parts: tuple[str | Callable[[str], object], ...]
    folder_only: bool

    def matches(self, path: str) -> bool:
        """Whether a relative path with forward slashes, or a folder that it lies in, is what the pattern says."""
        names = _names(path)
        if self.folder_only:
            names = names[:-1]
        if self.name:
            return self.name in names
        return _leads(self.parts, names)


@lru_cache(maxsize=4096)
def _names(path: str) -> tuple[str, ...]:
    return tuple(path.split("/"))


def _leads(parts: tuple[str | Callable[[str], object], ...], names: tuple[str, ...]) -> bool:
    """Whether the parts are those of a path's beginning. After a `**` the first place that fits is as good as any."""
    at = part = 0
    again: tuple[int, int] | None = None  # where to go on behind the last `**`: (part, name)
    while part < len(parts):
        wanted = parts[part]
        if isinstance(wanted, str):
            again = (part + 1, at)
            part += 1
        elif at < len(names) and wanted(names[at]):
            part, at = part + 1, at + 1
        elif again is not None and again[1] < len(names):
            part, at = again[0], again[1] + 1
            again = (part, at)
        else:
            return False
    return bool(parts) and (parts[-1] != _ANY or at < len(names))


@lru_cache(maxsize=512)
def compiled(pattern: str) -> Pattern:
    """A pattern, ready to match.

    Raises:
        re.error: a class of characters in it makes no sense.
    """
    for found in _CLASS.finditer(pattern):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sets in sets, which a glob does not have
            re.compile(found[0].replace("\\", "/"))
    body = pattern.strip().replace("\\", "/").removeprefix("./")
    folder_only = body.endswith("/")
    anchored = "/" in body.strip("/") or pattern.startswith("/")
    body = body.strip("/")
    if not anchored and not _WILD.search(body):
        return Pattern(body, (), folder_only)
    parts: list[str | Callable[[str], object]] = [] if anchored else [_ANY]
    for text in body.split("/"):
        if text.startswith(_ANY) and parts[-1:] != [_ANY]:
            parts.append(_ANY)  # `src/**.py`: whatever ends so below src
        if text != _ANY:
            negated = _CLASS.sub(lambda found: f"[{'!' if found[1] else ''}{found[2]}]", text)
            parts.append(re.compile(translate(negated)).match if _WILD.search(text) else text.__eq__)
    return Pattern("", tuple(parts), folder_only)


def matches(path: str, patterns: tuple[str, ...]) -> str:
    """The first pattern that a relative path matches, "" when none does."""
    return next((pattern for pattern in patterns if compiled(pattern).matches(path)), "")


def pattern_of(item: str | Glob) -> str:
    """The pattern as it was written."""
    return item if isinstance(item, str) else item.pattern


def matches_located(absolute: str, item: str | Glob, root: str) -> bool:
    """Whether the file at an absolute path matches a pattern, below the folder that the pattern is relative to."""
    folder = (root if isinstance(item, str) else item.folder).rstrip(os.sep) + os.sep
    if not absolute.startswith(folder):
        return False
    return compiled(pattern_of(item)).matches(absolute[len(folder) :].replace(os.sep, "/"))
