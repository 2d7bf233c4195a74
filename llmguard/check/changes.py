"""The lines that changed since a revision: against its merge base with HEAD, in the work tree as it is.

Nothing is checked out, and nothing is written. Files that git does not know yet count as changed in full.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from typing import NamedTuple

from llmguard.check import git, notebook
from llmguard.errors import UncheckableError, UsageError

_HUNK = re.compile(rb"@@ -\S+ \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


class Changes(NamedTuple):
    """Changed lines.

    Attributes:
        top: absolute path of the work tree.
        base: name of the commit that the work tree is compared with.
        ranges: absolute path -> (first, last) changed lines, 1-based; files without an entry did not change.
        new: absolute paths of files that are new as a whole.
    """

    top: str
    base: str
    ranges: dict[str, list[tuple[int, int]]]
    new: frozenset[str]

    def has(self, absolute: str) -> bool:
        """Whether a file changed."""
        path = os.path.realpath(absolute)
        return path in self.ranges or path in self.new

    def lines_of(self, absolute: str, data: bytes) -> Callable[[int, int], bool]:
        """Whether any line of a region of a file (first, last) changed; of a notebook, lines of its code cells."""
        path = os.path.realpath(absolute)
        if path in self.new:
            return lambda first, last: True
        ranges = self.ranges.get(path, [])
        if path.endswith(notebook.SUFFIX):
            ranges = self._cells(path, data)
        return lambda first, last: any(start <= last and first <= end for start, end in ranges)

    def _cells(self, path: str, data: bytes) -> list[tuple[int, int]]:
        name = os.path.relpath(path, self.top).replace(os.sep, "/")
        answer = git.ask(self.top, "show", f"{self.base}:{name}")
        try:
            before = notebook.read(answer.stdout if answer is not None else b"").source
            after = notebook.read(data).source
        except UncheckableError:
            return [(1, 1 << 60)]
        matcher = difflib.SequenceMatcher(None, before.split(b"\n"), after.split(b"\n"), autojunk=False)
        return [(start + 1, end) for tag, _, _, start, end in matcher.get_opcodes() if tag in ("insert", "replace")]


def changes_since(ref: str, folder: str) -> Changes:
    """What changed in the work tree around `folder` since the merge base of `ref` and HEAD.

    Raises:
        UsageError: there is no repository, no commit, no such revision, or no merge base; it says what to do.
    """
    top = git.top_of(folder)
    if not top:
        raise UsageError("--since needs a git repository, and git: this folder is in none")
    base = _merge_base(ref, top)
    wanted = ("diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", "--find-renames", "--no-prefix")
    patch = _needed(top, *wanted, "--ignore-submodules", "--diff-filter=d", base, "--")
    others = _needed(top, "ls-files", "-z", "--others", "--exclude-standard")
    new = frozenset(os.path.realpath(os.path.join(top, os.fsdecode(name))) for name in others.split(b"\0") if name)
    return Changes(top, base, _ranges(patch, top), new)


def _merge_base(ref: str, top: str) -> str:
    if ref.startswith("-"):
        raise UsageError(f"--since: {ref!r} is no revision")
    if not _commit(top, "HEAD"):
        raise UsageError("--since: this repository has no commit yet")
    if not _commit(top, ref):
        fetch = f"git fetch origin {ref.removeprefix('origin/')}"
        raise UsageError(f"--since: there is no revision {ref!r} here; fetch it first ({fetch})")
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


def _ranges(patch: bytes, top: str) -> dict[str, list[tuple[int, int]]]:
    """The added and changed lines of each file of a patch without context."""
    found: dict[str, list[tuple[int, int]]] = {}
    current: list[tuple[int, int]] = []
    header = True
    for line in patch.split(b"\n"):
        if line.startswith(b"diff --git "):
            header = True
        elif header and line.startswith(b"+++ "):
            name = os.fsdecode(_unquoted(line[4:]))
            current = found.setdefault(os.path.realpath(os.path.join(top, name)), [])
        elif match := _HUNK.match(line):
            header = False
            first, count = int(match[1]), int(match[2] or 1)
            if count:
                current.append((first, first + count - 1))
    return found


def _unquoted(name: bytes) -> bytes:
    """A path as git prints it: in quotes, with escapes, when it holds something odd; a tab ends one with spaces."""
    name = name.removesuffix(b"\t")
    if not name.startswith(b'"'):
        return name

    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8)]) if len(code) == 3 else _LETTERS.get(code, code)

    return _ESCAPE.sub(one, name[1:-1])
