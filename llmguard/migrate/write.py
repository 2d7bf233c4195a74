"""Writing: all files of a plan or none, each whole, and a run that dies can be finished by the next.

The new files are written beside the old ones first; then a journal says that they are all there; only then are they
put in their places, one by one, and the journal goes last. The next run finishes what a journal says. It lies in the
user's own state directory, keyed by the project, where no repository can put one, and what it says is believed of files
of the project only, whose new content is the one that was written.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
from typing import TYPE_CHECKING, Any

from llmguard.check import git
from llmguard.check.edit import has_other_names, written_beside
from llmguard.config import place
from llmguard.config.place import is_inside, project_of
from llmguard.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmguard.migrate.decisions import Change

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
        top = place.work_tree(folder)
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
) -> list[str]:
    """Write all files of a plan, or none.

    Args:
        changes: files with their bytes before and after.
        root: folder of the project.
        moves: (old path, new path), after the changes.
        created: (path, bytes) of files that are not there yet.

    Returns:
        The files whose other hard links keep what they were.

    Raises:
        UsageError: a file has changed since it was read, cannot be written, or leads out of the project; nothing was
            changed then.
    """
    changes, moves = list(changes), list(moves)
    entries: list[dict[str, str]] = []
    linked = [change.path for change in changes if has_other_names(change.absolute)]
    journal = journal_of(root)
    begun = f"{journal}.begun"
    _claim([os.path.realpath(change.absolute) for change in changes] + [path for path, _ in created], begun, root)
    try:
        for path in (*(change.absolute for change in changes), *(path for move in moves for path in move)):
            if not is_inside(path):
                raise UsageError(f"{path}: leads out of the project; nothing was changed")
        for change in changes:
            target = os.path.realpath(change.absolute)
            if _digest_of(target) != _digest(change.before):
                raise UsageError(f"{change.path} has changed since the plan was made; run again")
            if not os.access(target, os.W_OK):
                raise UsageError(f"{change.path} cannot be written: it is read-only")
            entries.append({"path": target, "before": _digest(change.before), "after": _digest(change.after)})
            _write_new(target, change.after)
        for path, data in created:
            if os.path.lexists(path) or not is_inside(path):
                raise UsageError(f"{path} is there already, or leads out of the project; nothing was changed")
            entries.append({"path": path, "before": "", "after": _digest(data)})
            _write_new(path, data)
        _write_journal(journal, root, entries, moves)
    except BaseException as error:
        for entry in entries:
            with contextlib.suppress(OSError):
                os.unlink(entry["path"] + _NEW)
        if not isinstance(error, OSError):
            raise  # Ctrl-C too
        raise UsageError(f"{error.filename}: {error.strerror}; nothing was changed") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(begun)
    finish(root)
    return linked


def _write_new(target: str, data: bytes) -> None:
    written_beside(target, data, target + _NEW)


def _claim(targets: list[str], begun: str, root: str) -> None:
    """Say in the state directory which new files there will be. One that stands there already, and is none that a run
    which died was writing, is somebody's own and not ours to lose.

    Raises:
        UsageError: there is one, or it cannot be said.
    """
    dead: set[str] = set()
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        dead = {entry["path"] for entry in _read_journal(begun, root)["files"]}
    for target in targets:
        if os.path.lexists(target + _NEW) and target not in dead:
            raise UsageError(f"{target}{_NEW} is there already; move it away. Nothing was changed")
    try:
        _write_journal(begun, root, [{"path": target} for target in {*targets, *dead}], [])
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; nothing was changed") from None


def _write_journal(path: str, root: str, entries: list[dict[str, str]], moves: list[tuple[str, str]]) -> None:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    document = {"version": 1, "project": project_of(root), "files": entries, "moves": moves}
    os.replace(written_beside(path, json.dumps(document).encode()), path)


def finish(root: str) -> list[str]:
    """Finish what a journal says; the files that somebody has changed in the meantime, which are left alone.

    Raises:
        UsageError: the journal cannot be read, or a file cannot be written: the journal stays.
    """
    path = journal_of(root)
    try:
        journal = _read_journal(path, root)
        entries = [(str(entry["path"]), entry["before"], entry["after"]) for entry in journal["files"]]
        moves = [(str(old), str(new)) for old, new in journal["moves"]]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read ({error}); remove it when no migration is running") from None
    left = []
    try:
        for target, before, after in entries:
            new = target + _NEW
            if os.path.islink(new) or not os.path.exists(new):
                continue  # done by the run that died
            if _digest_of(target) == before and _digest_of(new) == after and is_inside(target):
                os.replace(new, target)
            else:
                os.unlink(new)
                left.append(target)
        for old, new in moves:
            if os.path.exists(old) and not os.path.lexists(new) and is_inside(old, root) and is_inside(new, root):
                _move(old, new)
        os.unlink(path)
    except OSError as error:
        raise UsageError(f"{error.filename}: {error.strerror}; run again to finish") from None
    return left


def _read_journal(path: str, root: str) -> dict[str, Any]:
    """What a journal says.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError, KeyError, TypeError, AttributeError, RecursionError: it is none, or not ours.
    """
    with open(path, encoding="utf-8") as file:
        _check_ours(file.fileno(), path)
        journal: dict[str, Any] = json.load(file)
    if journal["project"] != project_of(root):
        raise ValueError("it is another project's")
    return journal


def _check_ours(descriptor: int, path: str) -> None:
    """Refuse a journal of another user, or one that others may write.

    Raises:
        ValueError: it is one.
    """
    status = os.fstat(descriptor)
    mine = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not status.st_mode & 0o022)
    if os.path.islink(path) or not mine:
        raise ValueError("it is not this user's own")


def _move(old: str, new: str) -> None:
    """Move a file, in git's index too where it is there."""
    old, new = (os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)) for path in (old, new))
    answer = git.ask(os.path.dirname(old), "mv", "--", old, new)
    if answer is None or answer.returncode:
        os.rename(old, new)


def project_folder(folder: str) -> str:
    """The project that a folder is of, as a path to show: the repository that holds it, else the folder itself."""
    top = place.top_above(os.path.abspath(folder))
    return os.path.relpath(top) if top and top != os.path.abspath(folder) else folder


def journal_of(root: str) -> str:
    """Where the journal of a project is."""
    key = hashlib.sha256(os.fsencode(project_of(root))).hexdigest()[:32]
    return os.path.join(state_directory(), "migrate", f"{key}.json")


def state_directory() -> str:
    """The user's state directory for llmguard; a temporary one of the user's own where there is no home."""
    base = os.environ.get("XDG_STATE_HOME") or os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/.local/state")
    if os.path.isabs(base) and _is_writable(base):
        return os.path.join(base, "llmguard")
    return os.path.join(tempfile.gettempdir(), f"llmguard-{getattr(os, 'getuid', int)()}")


def _is_writable(folder: str) -> bool:
    """Whether a folder, or the nearest one above it that is there, may be written in."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return os.access(folder, os.W_OK)


def pending(root: str) -> bool:
    """Whether a run has died in the middle of writing."""
    return os.path.exists(journal_of(root))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _digest_of(path: str) -> str:
    try:
        with open(path, "rb") as file:
            return _digest(file.read())
    except FileNotFoundError:
        return ""
