"""The lines that changed since a revision: against its merge base with HEAD, in the work tree as it is.

Nothing is checked out, and nothing is written. Files that git does not know yet count as changed in full.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from typing import NamedTuple

from llmguard.check import git, notebook, reading
from llmguard.errors import UncheckableError, UsageError

# Every option that a user's configuration or attributes could set otherwise is set.
_DIFF = (
    *("diff", "--unified=0", "--inter-hunk-context=0", "--text", "--no-color", "--no-ext-diff", "--no-textconv"),
    *("--find-renames", "--no-prefix", "--no-relative", "--submodule=diff", "--diff-filter=d"),
)
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


class Changes(NamedTuple):
    """Changed lines.

    Attributes:
        top: absolute path of the work tree.
        base: name of the commit that the work tree is compared with.
        ranges: absolute path -> (first, last) changed lines, 1-based; files without an entry did not change.
        new: absolute paths of files that are new as a whole, and of repositories that git does not know yet.
        before: absolute path -> path in `base`, relative to `top`.
    """

    top: str
    base: str
    ranges: dict[str, list[tuple[int, int]]]
    new: frozenset[str]
    before: dict[str, str]

    def has(self, absolute: str) -> bool:
        """Whether a file changed."""
        path = os.path.realpath(absolute)
        return path in self.ranges or self._is_new(path)

    def lines_of(self, absolute: str, data: bytes, *, on_disk: bool = True) -> Callable[[int, int], bool]:
        """Whether any line of a region of a file (first, last) changed; of a notebook, lines of its code cells.

        Args:
            absolute: path of the file.
            data: its bytes.
            on_disk: these are the ones in the work tree, which git has compared.
        """
        path = os.path.realpath(absolute)
        if self._is_new(path):
            return lambda first, last: True
        ranges = self.ranges.get(path, [])
        if path.endswith(notebook.SUFFIX) or not on_disk:
            ranges = self._compared(path, data)
        return lambda first, last: any(start <= last and first <= end for start, end in ranges)

    def _is_new(self, path: str) -> bool:
        if path in self.new:
            return True
        folder = os.path.dirname(path)
        while len(folder) > len(self.top):
            if folder in self.new:
                return True
            folder = os.path.dirname(folder)
        return False

    def _compared(self, path: str, data: bytes) -> list[tuple[int, int]]:
        """Changed lines of a text that git has not compared."""
        name = self.before.get(path, os.path.relpath(path, self.top).replace(os.sep, "/"))
        answer = git.ask(self.top, "show", f"{self.base}:{name}")
        before = answer.stdout if answer is not None and answer.returncode == 0 else b""
        try:
            matcher = difflib.SequenceMatcher(None, _lines(path, before), _lines(path, data), autojunk=False)
        except UncheckableError:
            return [(1, 1 << 60)]
        return [(start + 1, end) for tag, _, _, start, end in matcher.get_opcodes() if tag in ("insert", "replace")]


def _lines(path: str, data: bytes) -> list[str]:
    if not path.endswith(notebook.SUFFIX):
        return reading.lines_of(reading.decode(data).text)
    return notebook.read(data).lines if data else []


def changes_since(ref: str, folder: str) -> Changes:
    """What changed in the work tree around `folder` since the merge base of `ref` and HEAD.

    Raises:
        UsageError: there is no repository, no commit, no such revision, or no merge base; it says what to do.
    """
    top = git.top_of(folder)
    if not top:
        raise UsageError("--since needs a git repository, and git: this folder is in none")
    base = _merge_base(ref, top)
    patch = _needed(top, *_DIFF, base, "--")
    others = _needed(top, "ls-files", "-z", "--others", "--exclude-standard")
    new = frozenset(os.path.realpath(os.path.join(top, os.fsdecode(name))) for name in others.split(b"\0") if name)
    ranges, before = _read_patch(patch, top)
    return Changes(top, base, ranges, new, before)


def _merge_base(ref: str, top: str) -> str:
    if ref.startswith("-"):
        raise UsageError(f"--since: {ref!r} is no revision")
    if not _commit(top, "HEAD"):
        raise UsageError("--since: this repository has no commit yet")
    if not _commit(top, ref):
        fetch = (
            f"; fetch it first (git fetch origin {ref.removeprefix('origin/')})" if ref.startswith("origin/") else ""
        )
        raise UsageError(f"--since: there is no revision {ref!r} here{fetch}")
    answer = git.ask(top, "merge-base", ref, "HEAD")
    if answer is not None and answer.returncode == 0 and answer.stdout.strip():
        return answer.stdout.split()[0].decode()
    shallow = _needed(top, "rev-parse", "--is-shallow-repository").strip() == b"true"
    if shallow:
        what = "this clone is shallow; fetch the history first (git fetch --unshallow; fetch-depth: 0 in a workflow)"
    else:
        what = "they have no common history"
    raise UsageError(f"--since: there is no merge base of {ref!r} and HEAD: {what}")


def _commit(top: str, ref: str) -> bool:
    answer = git.ask(top, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
    return answer is not None and answer.returncode == 0


def _needed(top: str, *arguments: str) -> bytes:
    answer = git.ask(top, *arguments)
    if answer is None or answer.returncode:
        said = b"no answer" if answer is None else answer.stderr.strip().splitlines()[-1:] or [b"no reason given"]
        reason = (said if isinstance(said, bytes) else said[0]).decode("utf-8", "replace")
        raise UsageError(f"git {arguments[0]} failed: {reason}")
    return answer.stdout


def _read_patch(patch: bytes, top: str) -> tuple[dict[str, list[tuple[int, int]]], dict[str, str]]:
    """(added and changed lines of each file, name that it had) of a patch without context."""
    ranges: dict[str, list[tuple[int, int]]] = {}
    before: dict[str, str] = {}
    current: list[tuple[int, int]] = []
    old = ""
    header = True
    number, left = 0, (0, 0)  # of the new file; (old, new) lines that are left of a hunk
    for line in patch.split(b"\n"):
        if left == (0, 0) and line.startswith(b"diff --git "):
            header, old = True, ""
        elif header and line.startswith(b"--- "):
            old = os.fsdecode(_unquoted(line[4:]))
        elif header and line.startswith(b"+++ "):
            path = os.path.realpath(os.path.join(top, os.fsdecode(_unquoted(line[4:]))))
            current = ranges.setdefault(path, [])
            before[path] = old
        elif left == (0, 0) and (match := _HUNK.match(line)):
            header = False
            number, left = int(match[2]), (int(match[1] or 1), int(match[3] or 1))
        elif left != (0, 0) and line[:1] in (b"+", b"-", b" "):
            # Lines are counted one by one: a submodule's part has context around its changes.
            kind = line[:1]
            if kind == b"+":
                current.append((number, number))
            number += kind != b"-"
            left = (left[0] - (kind != b"+"), left[1] - (kind != b"-"))
    return ranges, before


def _unquoted(name: bytes) -> bytes:
    """A path as git prints it: in quotes, with escapes, when it holds something odd; a tab ends one with spaces."""
    name = name.removesuffix(b"\t")
    if not name.startswith(b'"'):
        return name

    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8)]) if len(code) == 3 else _LETTERS.get(code, code)

    return _ESCAPE.sub(one, name[1:-1])
