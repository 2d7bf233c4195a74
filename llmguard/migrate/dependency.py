"""The dependency that migrated code has: put into the project's own list, where there is one such place."""

from __future__ import annotations

import os
import re
import sys
from typing import NamedTuple

from llmguard.config.place import is_inside, project_of
from llmguard.config.source import requirement

EXTRA = "runtime"
_LARGEST = 5_000_000  # bytes of a list of dependencies
_OURS = re.compile(r"(?im)^[\s\"']*llmguard(?![\w.-])")


class Added(NamedTuple):
    """The outcome.

    Attributes:
        path: of the file that lists dependencies, "" when there is none.
        before, after: its bytes; the same when nothing changes.
        said: what to tell the user, "" for nothing.
    """

    path: str
    before: bytes
    after: bytes
    said: str


def added(folder: str) -> Added:
    """The dependency in `pyproject.toml` or `requirements.txt` of the project that a folder is of.

    Args:
        folder: with code that has changed. The lists are those of the nearest folder above that has one, within the
            project.
    """
    root = os.path.abspath(folder)
    limit = project_of(root)
    while not any(os.path.isfile(os.path.join(root, name)) for name in ("pyproject.toml", "requirements.txt")):
        above = os.path.dirname(root)
        if above == root or os.path.realpath(root) == limit:
            break
        root = above
    pyproject, requirements = os.path.join(root, "pyproject.toml"), os.path.join(root, "requirements.txt")
    for path in (pyproject, requirements):
        if os.path.lexists(path) and not is_inside(path):
            return _said(f"{os.path.basename(path)} leads out of the project")
        if os.path.isfile(path) and os.path.getsize(path) > _LARGEST:
            return _said(f"{os.path.basename(path)} is too large")
    listed = _in_pyproject(pyproject) if os.path.isfile(pyproject) else None
    has_list = os.path.isfile(requirements)
    if listed is not None and has_list:
        return _said("dependencies are listed in pyproject.toml and in requirements.txt")
    if listed is not None:
        return listed
    if has_list:
        with open(requirements, "rb") as file:
            before = file.read()
        if before.startswith((b"\xff\xfe", b"\xfe\xff")):
            return _said("requirements.txt is not in UTF-8")
        if _OURS.search(before.decode("utf-8", "replace")):
            return Added("", b"", b"", "")
        newline = b"\r\n" if b"\r\n" in before else b"\n"
        lead = b"" if not before or before.endswith((b"\n", b"\r")) else newline
        named = requirement(EXTRA)
        if not named:
            return _said("where this llmguard was installed from is not known")
        return Added(requirements, before, before + lead + named.encode() + newline, "")
    return _said("no list of dependencies was found")


def _said(why: str) -> Added:
    named = requirement(EXTRA) or f'llmguard with its extra "{EXTRA}", from where you have it,'
    return Added("", b"", b"", f"{why}: add {named} to them")


def _in_pyproject(path: str) -> Added | None:
    """The outcome for a project's table; None when it lists no dependencies."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    with open(path, "rb") as file:
        before = file.read()
    try:
        text = before.decode("utf-8")
    except UnicodeDecodeError:
        return _said("pyproject.toml is not in UTF-8")
    try:
        listed = tomllib.loads(text).get("project", {}).get("dependencies")
    except (ValueError, RecursionError, AttributeError):
        return None
    if not isinstance(listed, list):
        return None
    if any(_OURS.match(str(each)) for each in listed):
        return Added("", b"", b"", "")
    named = requirement(EXTRA)
    if not named:
        return _said("where this llmguard was installed from is not known")
    after = _with_item(text, named)
    try:
        if tomllib.loads(after)["project"]["dependencies"] != [*listed, named]:
            return _said("the dependencies in pyproject.toml could not be edited")
    except (ValueError, RecursionError, KeyError):
        return _said("the dependencies in pyproject.toml could not be edited")
    return Added(path, before, after.encode(), "")


_START = re.compile(r"(?ms)^\[project\][ \t]*(?:#[^\n]*)?$.*?^dependencies\s*=\s*\[")
_PIECE = re.compile(r"""#[^\n]*|"(?:\\.|[^"\\\n])*"|'[^'\n]*'|\]|,""")


def _with_item(text: str, requirement: str) -> str:
    """The text with the requirement as the last item of the project's dependencies; as it is where they are odd."""
    match = _START.search(text)
    if match is None:
        return text
    last, comma, closing = match.end(), True, -1
    for piece in _PIECE.finditer(text, match.end()):
        if piece[0] == "]":
            closing = piece.start()
            break
        if piece[0][0] in "\"'":
            last, comma = piece.end(), False
        elif piece[0] == ",":
            last, comma = piece.end(), True
    if closing < 0:
        return text
    inside = text[match.end() : closing]
    if "\n" not in inside:
        lead = "" if not inside.strip() else " " if comma else ", "
        return f'{text[:last]}{lead}"{requirement}"{text[last:]}'
    newline = "\r\n" if "\r\n" in text else "\n"
    indent = re.search(r"\n([ \t]+)\S", inside)
    line_end = text.rfind("\n", 0, closing) + 1
    item = f'{indent[1] if indent else "    "}"{requirement}",{newline}'
    return f"{text[:last]}{'' if comma else ','}{text[last:line_end]}{item}{text[line_end:]}"
