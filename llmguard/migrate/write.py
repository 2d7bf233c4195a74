"""Writing: all files of a plan or none, each whole, and a run that dies can be finished by the next.

The new files are written beside the old ones first; then a journal says that they are all there; only then are they
put in their places, one by one, and the journal goes last. Whoever finds a journal finishes what it says.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
from typing import TYPE_CHECKING, Any

from llmguard.check import git
from llmguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmguard.migrate.decisions import Change

JOURNAL = ".llmguard-migrate.json"
_NEW = ".llmguard-new"
_STATUS = (
    *("status", "--porcelain", "-z", "--untracked-files=all", "--ignored"),
    *("--ignore-submodules=all", "--no-renames"),
)


def dirty(changes: Iterable[Change]) -> list[str]:
    """The files of a plan that hold changes which git does not have. Outside of a repository nobody has an opinion;
    inside of one that cannot be asked (git is not installed), every file counts."""
    found = []
    for folder, group in _by_folder(changes).items():
        top = git.work_tree(folder)
        if not top:
            continue
        names = [os.path.relpath(os.path.realpath(change.absolute), top) for change in group]
        answer = git.ask(top, *_STATUS, "--", *map(git.pathspec, names))
        if answer is None or answer.returncode:
            found += [change.path for change in group]
        elif answer.stdout:
            told = {os.fsdecode(line[3:]) for line in answer.stdout.split(b"\0")}
            found += [change.path for change, name in zip(group, names, strict=True) if name in told]
    return sorted(found)


def _by_folder(changes: Iterable[Change]) -> dict[str, list[Change]]:
    """The changes by the folder that holds the file, behind links."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(os.path.dirname(os.path.realpath(change.absolute)), []).append(change)
    return groups


def write(
    changes: Iterable[Change],
    root: str,
    moves: Iterable[tuple[str, str]] = (),
    created: Iterable[tuple[str, bytes]] = (),
) -> None:
    """Write all files of a plan, or none.

    Args:
        changes: files with their bytes before and after.
        root: folder of the journal.
        moves: (old path, new path), after the changes.
        created: (path, bytes) of files that are not there yet.

    Raises:
        UsageError: a file has changed since it was read, or cannot be written; nothing was changed then.
    """
    changes = list(changes)
    entries = []
    try:
        for change in changes:
            target = os.path.realpath(change.absolute)
            if _digest_of(target) != _digest(change.before):
                raise UsageError(f"{change.path} has changed since the plan was made; run again")
            if not os.access(target, os.W_OK):
                raise UsageError(f"{change.path} cannot be written: it is read-only")
            entries.append({"path": target, "before": _digest(change.before), "after": _digest(change.after)})
            _write_new(target, change.after)
        for path, data in created:
            if os.path.exists(path):
                raise UsageError(f"{path} is there already")
            entries.append({"path": path, "before": "", "after": _digest(data)})
            _write_new(path, data)
        _write_journal(root, entries, list(moves))
    except BaseException as error:
        for path in (*(entry["path"] for entry in entries), os.path.join(root, JOURNAL)):
            with contextlib.suppress(OSError):
                os.unlink(path + _NEW)
        if not isinstance(error, OSError):
            raise  # Ctrl-C too
        raise UsageError(f"{error.filename}: {error.strerror}; nothing was changed") from None
    finish(root)


def _write_new(target: str, data: bytes) -> None:
    with open(target + _NEW, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    if os.path.exists(target):
        shutil.copymode(target, target + _NEW)


def _write_journal(root: str, entries: list[dict[str, Any]], moves: list[tuple[str, str]]) -> None:
    path = os.path.join(root, JOURNAL)
    with open(path + _NEW, "w", encoding="utf-8") as file:
        json.dump({"version": 1, "files": entries, "moves": moves}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + _NEW, path)


def finish(root: str) -> list[str]:
    """Finish what a journal says; the files that somebody has changed in the meantime, which are left alone.

    Raises:
        UsageError: the journal cannot be read, or a file cannot be written: the journal stays.
    """
    path = os.path.join(root, JOURNAL)
    try:
        with open(path, encoding="utf-8") as file:
            journal = json.load(file)
        entries = [(str(entry["path"]), entry["before"]) for entry in journal["files"]]
        moves = [(str(old), str(new)) for old, new in journal.get("moves", [])]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} cannot be read ({error}); remove it when no migration is running") from None
    left = []
    try:
        for target, before in entries:
            new = target + _NEW
            if not os.path.exists(new):
                continue  # done by the run that died
            if _digest_of(target) == before:
                os.replace(new, target)
            else:
                os.unlink(new)
                left.append(target)
        for old, new in moves:
            if os.path.exists(old) and not os.path.exists(new):
                _move(old, new)
        os.unlink(path)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; run again to finish") from None
    return left


def _move(old: str, new: str) -> None:
    """Move a file, in git's index too where it is there."""
    old, new = (os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) for path in (old, new))
    answer = git.ask(os.path.dirname(old), "mv", "--", old, new)
    if answer is None or answer.returncode:
        os.rename(old, new)


def journal_folder(folder: str) -> str:
    """Where the journal of a folder is: in the repository that holds it, else in the folder itself."""
    here = os.path.abspath(folder)
    while not os.path.exists(os.path.join(here, ".git")):
        above = os.path.dirname(here)
        if above == here:
            return folder
        here = above
    return os.path.relpath(here) if here != os.path.abspath(folder) else folder


def pending(root: str) -> bool:
    """Whether a run has died in the middle of writing."""
    return os.path.exists(os.path.join(root, JOURNAL))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest_of(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return _digest(file.read())
    except FileNotFoundError:
        return ""
