"""Changes of source files: bytes outside of them stay as they are, and a file is replaced whole or not at all."""

from __future__ import annotations

import ast
import contextlib
import io
import os
import re
import stat
import tokenize
from collections.abc import Iterable

from llmguard.check.finding import Region
from llmguard.check.reading import parse_strictly
from llmguard.config.place import is_inside, project_of
from llmguard.errors import UncheckableError, UsageError

_LINE = re.compile("[^\r\n]*(?:\r\n|\r|\n|\\Z)")


def edited(data: bytes, edits: Iterable[tuple[Region, str]]) -> bytes:
    """The bytes of a Python file with the text of some regions replaced.

    A line on which nothing is left is taken out; so is blank space that an edit leaves at a line's end.

    Raises:
        UncheckableError: the file is not valid in its encoding, or does not survive decoding and encoding.
    """
    encoding, text = decoded(data)
    lines = _LINE.findall(text)
    for region, new in sorted(edits, reverse=True):
        line = lines[region.line - 1]
        body = line.rstrip("\r\n")
        left = body[: region.column - 1] + new + body[region.end_column - 1 :]
        if not new:
            left = left.rstrip() if left.strip() else ""
        lines[region.line - 1] = left + line[len(body) :] if left or not body else ""
    return encoded("".join(lines), encoding)


def inserted(data: bytes, additions: dict[int, str]) -> bytes:
    """The bytes of a Python file with a line put in above some lines (1-based), indented as these are.

    Raises:
        UncheckableError: as for `edited`.
    """
    encoding, text = decoded(data)
    lines = _LINE.findall(text)
    ending = next((line[len(line.rstrip("\r\n")) :] for line in lines if line.rstrip("\r\n") != line), "\n")
    for number, added in sorted(additions.items(), reverse=True):
        below = lines[number - 1]
        indent = below[: len(below) - len(below.lstrip())].strip("\f")
        lines.insert(number - 1, f"{indent}{added}{ending}")
    return encoded("".join(lines), encoding)


def encoded(text: str, encoding: str) -> bytes:
    """The bytes of a text.

    Raises:
        UncheckableError: the encoding lacks a character of it, or is one that writes no programs (`idna`).
    """
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as error:
        raise UncheckableError(f"cannot be edited: {encoding} has no {text[error.start]!r}") from None
    except (UnicodeError, LookupError) as error:
        raise UncheckableError(f"cannot be edited: {error}") from None


def decoded(data: bytes) -> tuple[str, str]:
    """(encoding, text) of a Python file; the encoding keeps a byte order mark.

    Raises:
        UncheckableError: see `edited`.
    """
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(data).readline)
        text = data.decode(encoding)
    except (SyntaxError, UnicodeError, LookupError) as error:
        raise UncheckableError(f"cannot be edited: {error}") from None
    if encoded(text, encoding) != data:
        raise UncheckableError(f"cannot be edited: its bytes are not what {encoding} would write")
    return encoding, text


def same_program(before: bytes, after: bytes) -> bool:
    """Whether two versions of a file parse to the same tree."""
    try:
        trees = [parse_strictly(decoded(data)[1].removeprefix("\ufeff")) for data in (before, after)]
        return ast.dump(trees[0]) == ast.dump(trees[1])
    except (UncheckableError, RecursionError):
        return False


def write_whole(path: str, data: bytes, within: str = "") -> None:
    """Replace a file at once, or leave it as it was. Its permissions and its owner stay; a link stays a link.

    Args:
        path: of the file.
        data: its new content.
        within: a folder of the project that the file must lie in, behind all links; "" for a path that the user gave.

    Raises:
        UsageError: it cannot be written, or lies outside of the project.
    """
    if within:
        refuse_outside(path, within)
        if os.path.exists(path) and not os.path.isfile(path):
            raise UsageError(f"{path}: is no regular file: not written")
    target = os.path.realpath(path)
    try:
        if os.path.exists(path) and not os.path.isfile(path):
            with open(path, "wb") as file:  # a pipe or a device is written to, never replaced
                file.write(data)
            return
        if os.path.exists(target) and not os.access(target, os.W_OK):
            raise UsageError(f"{path}: cannot be written: it is read-only")
        beside = written_beside(target, data)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None
    try:
        os.replace(beside, target)
    except OSError as error:
        os.unlink(beside)
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def written_beside(target: str, data: bytes, beside: str = "") -> str:
    """Write a new file beside the one that it will replace, with its permissions and, where we may, its owner.

    Args:
        target: what it will replace, if it is there.
        data: its content.
        beside: its path; one that nobody can foresee when "". What has that name is removed, never followed.

    Raises:
        OSError: it cannot be written; nothing is left of it.
    """
    beside = beside or f"{target}.{os.urandom(8).hex()}.tmp"
    with contextlib.suppress(FileNotFoundError):
        os.unlink(beside)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with open(descriptor, "wb") as file:
            _keep_owner(target, descriptor)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        os.unlink(beside)
        raise
    return beside


def _keep_owner(target: str, descriptor: int) -> None:
    """Give an open file the owner and the permissions of the one that it will replace, if that is there."""
    if not hasattr(os, "fchown"):
        return  # Windows has neither
    try:
        before = os.stat(target)
    except FileNotFoundError:
        return
    now = os.fstat(descriptor)
    if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        with contextlib.suppress(PermissionError):  # only root gives files away
            os.fchown(descriptor, before.st_uid, before.st_gid)
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def has_other_names(path: str) -> bool:
    """Whether a file has further hard links, which a replaced file no longer shares its content with."""
    try:
        return os.stat(path).st_nlink > 1
    except OSError:
        return False


def refuse_outside(path: str, within: str) -> None:
    """Refuse to write what lies outside of the project that a folder belongs to, links followed.

    Raises:
        UsageError: it does.
    """
    if not is_inside(path, within):
        raise UsageError(f"{path}: leads out of the project ({project_of(within)}): not written")
