"""The skip list by name: calls in certain modules, functions or classes that are left alone."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmguard.config import Settings


def skipped_by(path: str, function: str, settings: Settings) -> str:
    """What leaves the call in `function` (a qualified name) of the file at `path` (relative) alone, "" for nothing."""
    if settings.skip_modules:
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        names = {module, module.removeprefix("src.")}
        for pattern in settings.skip_modules:
            if any(fnmatchcase(name, pattern) for name in names):
                return f"skip-modules: {pattern}"
    if not settings.skip_names or not function:
        return ""
    parts = function.split(".")
    names = {
        *parts,
        *(".".join(parts[: end + 1]) for end in range(len(parts))),
        *(".".join(parts[s:]) for s in range(len(parts))),
    }
    for pattern in settings.skip_names:
        if any(fnmatchcase(name, pattern) for name in names):
            return f"skip-names: {pattern}"
    return ""
