"""The skip list by name: calls in certain modules, functions or classes that are left alone."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmguard.config import Settings


def is_skipped(path: str, function: str, settings: Settings) -> bool:
    """Whether the call in `function` (a qualified name) of the file at `path` (relative) is left alone."""
    if settings.skip_modules:
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        names = {module, module.removeprefix("src.")}
        if any(fnmatchcase(name, pattern) for name in names for pattern in settings.skip_modules):
            return True
    if not settings.skip_names or not function:
        return False
    parts = function.split(".")
    names = {
        *parts,
        *(".".join(parts[: end + 1]) for end in range(len(parts))),
        *(".".join(parts[s:]) for s in range(len(parts))),
    }
    return any(fnmatchcase(name, pattern) for name in names for pattern in settings.skip_names)
