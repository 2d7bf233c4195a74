"""Path globs as people know them from .gitignore, anchored to a folder.

`tests/` is a folder of that name anywhere below (never `contests/`); a pattern with a slash inside is anchored;
`**` crosses folders, `*` and `?` do not.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmguard.config import Glob


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """The expression that a relative path with forward slashes must match to be excluded (as itself or below)."""
    body = pattern.strip().replace("\\", "/").removeprefix("./")
    folder_only = body.endswith("/")
    body = body.strip("/")
    anchored = "/" in body or pattern.startswith("/")
    tail = "/.*" if folder_only else "(?:/.*)?"
    return re.compile(("" if anchored else "(?:.*/)?") + _translate(body) + tail, re.DOTALL)


def _translate(body: str) -> str:
    parts: list[str] = []
    at = 0
    while at < len(body):
        char = body[at]
        if body.startswith("**/", at):
            parts.append("(?:[^/]+/)*")
            at += 3
        elif body.startswith("**", at):
            parts.append(".*")
            at += 2
        elif char == "*":
            parts.append("[^/]*")
            at += 1
        elif char == "?":
            parts.append("[^/]")
            at += 1
        elif char == "[" and "]" in body[at + 2 :]:
            end = body.index("]", at + 2)
            inside = body[at + 1 : end].replace("\\", "\\\\")
            parts.append(f"[{'^' + inside[1:] if inside[0] in '!^' else inside}]")
            at = end + 1
        else:
            parts.append(re.escape(char))
            at += 1
    return "".join(parts)


def matches(path: str, patterns: tuple[str, ...]) -> str:
    """The first pattern that a relative path matches, "" when none does."""
    return next((pattern for pattern in patterns if compiled(pattern).fullmatch(path)), "")


def pattern_of(item: str | Glob) -> str:
    """The pattern as it was written."""
    return item if isinstance(item, str) else item.pattern


def matches_located(absolute: str, item: str | Glob, root: str) -> bool:
    """Whether the file at an absolute path matches a pattern, below the folder that the pattern is relative to."""
    folder = (root if isinstance(item, str) else item.folder).rstrip(os.sep) + os.sep
    if not absolute.startswith(folder):
        return False
    below = absolute[len(folder) :].replace(os.sep, "/")
    return compiled(pattern_of(item)).fullmatch(below) is not None
