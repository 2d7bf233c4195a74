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
from llmguard.config import place
from llmguard.errors import UncheckableError, UsageError

# Every option that a user's configuration or attributes could set otherwise is set.
_DIFF = (
    *("diff", "--unified=0", "--inter-hunk-context=0", "--text", "--no-color", "--no-ext-diff", "--no-textconv"),
    *("--find-renames", "--no-prefix", "--no-relative", "--ignore-submodules=all", "--diff-filter=d"),
)
_NAMES = ("diff", "--name-only", "-z", "--no-ext-diff", "--no-renames", "--no-relative", "--ignore-submodules=all")
_HUNK = re.compile(rb"@@ -\d+(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)")
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


class Changes(NamedTuple):
    """Changed lines.

    Attributes:
        bases: absolute path of a work tree (the repository's, and each submodule's) -> name of the commit that it is
            compared with.
        ranges: absolute path -> (first, last) changed lines, 1-based; files without an entry did not change.
        new: absolute paths of files that are new as a whole, and of repositories that git does not know yet.
        before: absolute path -> path in the commit, relative to its work tree.
        whole: how many files count as changed as a whole because this clone is partial and lacks what they were.
    """

    bases: dict[str, str]
    ranges: dict[str, list[tuple[int, int]]]
    new: set[str]
    before: dict[str, str]
    whole: int = 0

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
        while folder not in self.new:
            above = os.path.dirname(folder)
            if above == folder:
                return False
            folder = above
        return True

    def _compared(self, path: str, data: bytes) -> list[tuple[int, int]]:
        """Changed lines of a text that git has not compared."""
        top = place.work_tree(os.path.dirname(path))
        if top not in self.bases:
            return [(1, 1 << 60)]
        name = self.before.get(path, os.path.relpath(path, top).replace(os.sep, "/"))
        answer = git.ask(top, "cat-file", "blob", f"{self.bases[top]}:{name}", filters=False)
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
    top = place.work_tree(folder)
    if not top:
        raise UsageError("--since needs a git repository, and git: this folder is in none")
    base = _merge_base(ref, top)
    found = Changes({}, {}, set(), {})
    waiting = [(top, base)]
    while waiting:
        top, base = waiting.pop()
        found = _with_changes(found, top, base)
        waiting += _submodules(top, base, found.new)
    return found


def _with_changes(found: Changes, top: str, base: str) -> Changes:
    """Changes, and beside them those of a work tree since a commit."""
    found.bases[top] = base
    others = _needed(top, "ls-files", "-z", "--others", "--exclude-standard")
    found.new.update(_paths(top, others))
    answer = git.ask(top, *_DIFF, base, "--")
    if answer is None or answer.returncode:
        if not _is_partial(top):
            raise _failure("diff", answer)
        changed = _paths(top, _needed(top, *_NAMES, base, "--", filters=True))
        found.new.update(changed)
        return found._replace(whole=found.whole + len(changed))
    _read_patch(answer.stdout, top, found)
    return found


def _submodules(top: str, base: str, new: set[str]) -> list[tuple[str, str]]:
    """(top folder, commit it had in `base`) of the submodules that are there; those that had none are new."""
    found = []
    for row in _needed(top, "ls-files", "-s", "-z").split(b"\0"):
        if not row.startswith(b"160000 "):
            continue
        name = os.fsdecode(row.partition(b"\t")[2])
        folder = os.path.join(top, name)
        if not place.is_top(folder) or place.work_tree(folder) != folder:
            continue  # it was not initialised, or lies behind a link
        answer = git.ask(top, "rev-parse", "--verify", "--quiet", f"{base}:{name}", filters=False)
        commit = answer.stdout.strip().decode() if answer is not None and not answer.returncode else ""
        if commit and _commit(folder, commit):
            found.append((folder, commit))
        else:
            new.add(folder)
    return found


def _is_partial(top: str) -> bool:
    """Whether a clone leaves objects with its remote, where they are not fetched from here."""
    answer = git.ask(top, "config", "--get-regexp", r"^remote\..*\.promisor$", filters=False)
    return answer is not None and answer.returncode == 0


def _paths(top: str, listed: bytes) -> set[str]:
    return {os.path.realpath(os.path.join(top, os.fsdecode(name))) for name in listed.split(b"\0") if name}


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
    answer = git.ask(top, "merge-base", ref, "HEAD", filters=False)
    if answer is not None and answer.returncode == 0 and answer.stdout.strip():
        return answer.stdout.split()[0].decode()
    shallow = _needed(top, "rev-parse", "--is-shallow-repository").strip() == b"true"
    if shallow:
        what = "this clone is shallow; fetch the history first (git fetch --unshallow; fetch-depth: 0 in a workflow)"
    else:
        what = "they have no common history"
    raise UsageError(f"--since: there is no merge base of {ref!r} and HEAD: {what}")


def _commit(top: str, ref: str) -> bool:
    answer = git.ask(top, "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", filters=False)
    return answer is not None and answer.returncode == 0


def _needed(top: str, *arguments: str, filters: bool = False) -> bytes:
    answer = git.ask(top, *arguments, filters=filters)
    if answer is None or answer.returncode:
        raise _failure(arguments[0], answer)
    return answer.stdout


def _failure(command: str, answer: git.Answer | None) -> UsageError:
    said = ["no answer"] if answer is None else answer.stderr.decode("utf-8", "replace").strip().splitlines()
    return UsageError(f"git {command} failed: {said[-1] if said else 'no reason given'}")


def _read_patch(patch: bytes, top: str, found: Changes) -> None:
    """Take in the added and changed lines of each file of a patch without context, and the names that they had."""
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
            current = found.ranges.setdefault(path, [])
            found.before[path] = old
        elif left == (0, 0) and (match := _HUNK.match(line)):
            header = False
            number, left = int(match[2]), (int(match[1] or 1), int(match[3] or 1))
        elif left != (0, 0) and line[:1] in (b"+", b"-", b" "):
            kind = line[:1]
            if kind == b"+":
                current.append((number, number))
            number += kind != b"-"
            left = (left[0] - (kind != b"+"), left[1] - (kind != b"-"))


def _unquoted(name: bytes) -> bytes:
    """A path as git prints it: in quotes, with escapes, when it holds something odd; a tab ends one with spaces."""
    name = name.removesuffix(b"\t")
    if not name.startswith(b'"'):
        return name

    def one(match: re.Match[bytes]) -> bytes:
        code = match[1]
        return bytes([int(code, 8)]) if len(code) == 3 else _LETTERS.get(code, code)

    return _ESCAPE.sub(one, name[1:-1])
