"""Which files to check: git's own list in a repository, else a walk; exclusions always win.

Regular Python files only, each once however many links lead to it. What looks like one and is none (a FIFO, a
dangling link) is reported, not opened.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check import globs
from llmguard.check.finding import Unchecked
from llmguard.config import DEFAULT_EXCLUDE
from llmguard.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmguard.config import Settings

SUFFIXES = (".py", ".pyi", ".pyw")


class Discovered(NamedTuple):
    """Files in order, as (path as given, absolute path, folder asked for); how many exclusions took out; problems."""

    files: list[tuple[str, str, str]]
    skipped: int
    unchecked: list[Unchecked]


def discover(paths: Iterable[str], settings: Settings) -> Discovered:
    """The files that `paths` stand for.

    Raises:
        UsageError: a path does not exist.
    """
    search = _Search(settings)
    for path in paths:
        if os.path.isdir(path):
            for name in _below(path):
                search.offer(name, given=False, base=path)
        elif os.path.lexists(path):
            search.offer(path, given=True, base=os.path.dirname(path))
        else:
            raise UsageError(f"{printable(path)}: no such file or folder")
    return Discovered(search.files, search.skipped, search.unchecked)


def printable(path: str) -> str:
    """A path that any terminal can show: bytes that are no text are escaped."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


class _Search:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.root = settings.root or os.getcwd()
        _compile(settings)
        self.files: list[tuple[str, str, str]] = []
        self.skipped = 0
        self.unchecked: list[Unchecked] = []
        self._seen: set[tuple[int, int]] = set()

    def offer(self, path: str, *, given: bool, base: str) -> None:
        """Take a file in, leave it out, or note why it cannot be read. `given`: named by the user, not found."""
        name = os.path.basename(path)
        python = name.endswith(SUFFIXES)
        if not python and (not given or name.endswith(".ipynb")) and "." in name:
            return
        absolute = os.path.abspath(path)
        if self._excluded(absolute, base):
            self.skipped += 1
            return
        shown = _shown(path)
        try:
            status = os.stat(path)
        except OSError as error:
            if python or given:
                reason = "dangling link" if os.path.islink(path) else error.strerror or "cannot be read"
                self.unchecked.append(Unchecked(shown, 0, reason))
            return
        if not stat.S_ISREG(status.st_mode):
            if python or given:
                self.unchecked.append(Unchecked(shown, 0, "not a regular file"))
            return
        identity = (status.st_dev, status.st_ino)
        if identity in self._seen or not (python or given or has_shebang(path)):
            return
        self._seen.add(identity)
        self.files.append((shown, absolute, os.path.abspath(base)))

    def _excluded(self, absolute: str, base: str) -> bool:
        relative = _relative(absolute, self.root)
        if relative is not None and globs.matches(relative, self.settings.exclude):
            return True
        # Below what was asked for: a run on a folder inside site-packages means that folder.
        below = _relative(absolute, os.path.abspath(base))
        return below is not None and bool(globs.matches(below, DEFAULT_EXCLUDE))


def _compile(settings: Settings) -> None:
    pattern = ""
    try:
        for pattern in settings.exclude:
            globs.compiled(pattern)
    except re.error as error:
        raise ConfigError(settings.source or "settings", "exclude", f"{pattern!r} is no glob: {error}") from None


def _relative(path: str, root: str) -> str | None:
    prefix = root.rstrip(os.sep) + os.sep
    return path[len(prefix) :].replace(os.sep, "/") if path.startswith(prefix) else None


def _shown(path: str) -> str:
    """A path as findings show it: relative to the working directory where under it."""
    below = _relative(os.path.abspath(path), os.getcwd())
    return below if below is not None else path


def has_shebang(path: str) -> bool:
    """Whether a file without a suffix is a Python script."""
    try:
        with open(path, "rb") as file:
            first = file.read(128).split(b"\n", 1)[0]
    except OSError:
        return False
    return first.startswith(b"#!") and b"python" in first


def _below(folder: str) -> Iterator[str]:
    listed = _listed_by_git(folder)
    if not listed:
        # Outside a repository; or the folder is ignored as a whole, and asked for all the same.
        yield from _walk(folder)
        return
    for path in listed:
        if os.path.isdir(path) and not os.path.islink(path):
            yield from _below(path)  # a submodule, or a repository in this one
        else:
            yield path


def _listed_by_git(folder: str) -> list[str] | None:
    """Tracked files, and untracked ones that are not ignored; None outside a repository or without git."""
    command = ["git", "-C", folder, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=60, check=False, env=git_environment())
    except (OSError, subprocess.SubprocessError):
        return None
    if done.returncode != 0:
        return None
    names = dict.fromkeys(os.fsdecode(name) for name in done.stdout.split(b"\0") if name)
    inside = [name if folder == "." else os.path.join(folder, name) for name in names]
    # A file that was deleted but not yet staged as such is no file to check.
    return sorted(path for path in inside if os.path.lexists(path))


def git_environment() -> dict[str, str]:
    """The environment for asking git about a folder: without what git tells its own hooks about another one."""
    told = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX")
    return {name: value for name, value in os.environ.items() if name not in told}


def _walk(folder: str) -> Iterator[str]:
    """Files below a folder, sorted; links to folders are not followed, so there are no loops."""
    stack = [folder]
    while stack:
        current = stack.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError:
            continue  # a folder that may not be read: its files are not ours to see
        folders = []
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if not globs.matches(entry.name + "/", DEFAULT_EXCLUDE) and not globs.matches(
                    entry.name + "/x", DEFAULT_EXCLUDE
                ):
                    folders.append(entry.path)
            else:
                yield entry.path.removeprefix("./")
        stack.extend(reversed(folders))
