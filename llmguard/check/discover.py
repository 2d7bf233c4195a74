"""Which files to check: git's own list in a repository, else a walk; exclusions always win.

Regular Python files only, each once however many links lead to it. What looks like one and is none (a FIFO, a
dangling link) is reported, not opened.
"""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check import git, globs
from llmguard.check.finding import Unchecked
from llmguard.config import place
from llmguard.config.settings import DEFAULT_EXCLUDE
from llmguard.errors import ConfigError, UsageError
from llmguard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmguard.config import Configuration, Glob, Settings

SUFFIXES = (".py", ".pyi", ".pyw", ".ipynb")


class File(NamedTuple):
    """A file to check.

    Attributes:
        shown: its path as findings show it.
        absolute: its absolute path.
        base: absolute path of the folder that was asked for.
        settings: what holds there.
        data: its bytes where they come from stdin, None for a file on disk.
    """

    shown: str
    absolute: str
    base: str
    settings: Settings
    data: bytes | None = None


class Discovered(NamedTuple):
    """Files in order, how many exclusions took out, and what could not be looked at."""

    files: list[File]
    skipped: int
    unchecked: list[Unchecked]


def discover(paths: Iterable[str], configuration: Configuration, stdin: tuple[str, bytes] | None = None) -> Discovered:
    """The files that `paths` stand for.

    Args:
        paths: files and folders; "-" is `stdin`.
        configuration: says which settings hold where.
        stdin: name and bytes of the file that "-" stands for.

    Raises:
        UsageError: a path does not exist.
        ConfigError: a configuration on the way cannot be used.
    """
    search = _Search(configuration)
    for path in paths:
        if path == "-" and stdin is not None:
            search.take(*stdin)
        elif os.path.isdir(path):
            for name in below(path):
                search.offer(name, given=False, base=path)
        elif os.path.lexists(path):
            search.offer(path, given=True, base=os.path.dirname(path))
        else:
            raise UsageError(f"{printable(path)}: no such file or folder")
    return Discovered(search.files, search.skipped, search.unchecked)


class _Search:
    def __init__(self, configuration: Configuration) -> None:
        self.configuration = configuration
        self.files: list[File] = []
        self.skipped = 0
        self.unchecked: list[Unchecked] = []
        self._seen: set[tuple[int, int]] = set()
        self._compiled: set[str] = set()
        _compile(configuration.for_folder(configuration.start))

    def take(self, name: str, data: bytes) -> None:
        """Take in what was read from stdin, unless a file of that name is left out."""
        absolute = os.path.abspath(name)
        settings = self._settings(absolute)
        if is_excluded(absolute, settings, self.configuration, os.path.dirname(absolute)):
            self.skipped += 1
        else:
            self.files.append(File(shown_path(name), absolute, os.path.dirname(absolute), settings, data))

    def offer(self, path: str, *, given: bool, base: str) -> None:
        """Take a file in, leave it out, or note why it cannot be read. `given`: named by the user, not found."""
        if path.endswith(os.sep):
            self.unchecked.append(Unchecked(shown_path(path), 0, "the folder cannot be read"))
            return
        name = os.path.basename(path)
        python = name.endswith(SUFFIXES)
        if not python and not given and "." in name:
            return
        absolute = os.path.abspath(path)
        settings = self._settings(absolute)
        if is_excluded(absolute, settings, self.configuration, os.path.abspath(base)):
            self.skipped += 1
            return
        shown = shown_path(path)
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
        self.files.append(File(shown, absolute, os.path.abspath(base), settings))

    def _settings(self, absolute: str) -> Settings:
        settings = self.configuration.for_file(absolute)
        if settings.source not in self._compiled:
            _compile(settings)
            self._compiled.add(settings.source)
        return settings


def is_excluded(absolute: str, settings: Settings, configuration: Configuration, base: str) -> bool:
    """Whether settings leave a file out.

    Args:
        absolute: where it is.
        settings: that hold for it.
        configuration: that they are of.
        base: the folder that was asked for.
    """
    root = settings.root or base
    if any(globs.matches_located(absolute, pattern, root) for pattern in settings.exclude):
        return True
    outer = configuration.excluding(os.path.dirname(absolute))
    if outer is not None and any(globs.matches_located(absolute, p, outer.root) for p in outer.exclude):
        return True
    # Below what was asked for: a run on a folder inside site-packages means that folder.
    inside = _relative(absolute, base)
    return inside is not None and bool(globs.matches(inside, DEFAULT_EXCLUDE))


def _compile(settings: Settings) -> None:
    item: str | Glob = ""
    key = "exclude"
    try:
        for item in settings.exclude:
            globs.compiled(globs.pattern_of(item))
        key = "per-file-ignores"
        for item, _ in settings.per_file_ignores:
            globs.compiled(globs.pattern_of(item))
    except re.error as error:
        pattern = globs.pattern_of(item)
        raise ConfigError(settings.source or "settings", key, f"{pattern!r} is no glob: {error}") from None


def is_below(path: str, folder: str) -> bool:
    """Whether an absolute path lies below an absolute folder."""
    return bool(folder) and path.startswith(folder.rstrip(os.sep) + os.sep)


def _relative(path: str, root: str) -> str | None:
    return path[len(root.rstrip(os.sep)) + 1 :].replace(os.sep, "/") if is_below(path, root) else None


def shown_path(path: str) -> str:
    """A path as findings show it: relative to the working directory where under it."""
    inside = _relative(os.path.abspath(path), os.getcwd())
    return inside if inside is not None else path


def has_shebang(path: str) -> bool:
    """Whether a file without a suffix is a Python script."""
    try:
        with open(path, "rb") as file:
            first = file.read(128).split(b"\n", 1)[0]
    except OSError:
        return False
    return first.startswith(b"#!") and b"python" in first


def below(folder: str) -> Iterator[str]:
    """The files below a folder that git does not ignore, sorted; all of them outside of a repository."""
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        if current != folder and (os.path.islink(current) or not os.path.isdir(current)):
            yield current
            continue
        # A folder that git lists is a submodule, or a repository in this one.
        listed = _listed_by_git(current)
        if listed:
            waiting.extend(reversed(listed))
        else:
            # Outside a repository; ignored as a whole, and asked for all the same; or a submodule that is not there.
            yield from _walk(current)


def _listed_by_git(folder: str) -> list[str] | None:
    """Tracked files, and untracked ones that are not ignored; None outside a repository, without git, and for a
    folder that git lists as such, which is no repository (a submodule that was not initialised)."""
    top = place.work_tree(folder)
    below_top = os.path.relpath(os.path.realpath(folder), top) if top else "."
    limit = [] if below_top == "." else ["--", git.pathspec(below_top)]
    asked = ("ls-files", "-z", "--cached", "--others", "--exclude-standard", *limit)
    answer = git.ask(top, *asked, filters=False) if top else None
    if answer is None or answer.returncode != 0:
        return None
    lead = len(below_top) + 1 if limit else 0
    names = dict.fromkeys(os.fsdecode(name)[lead:] for name in answer.stdout.split(b"\0") if name)
    if "" in names:
        return None
    inside = [name if folder == "." else os.path.join(folder, name) for name in names]
    # A file that was deleted but not yet staged as such is no file to check.
    return sorted(path for path in inside if _is_there(path))


def _is_there(path: str) -> bool:
    """Whether a path exists; one that may not be looked at does, as far as anyone can say."""
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _walk(folder: str) -> Iterator[str]:
    """Files below a folder, sorted; links to folders are not followed, so there are no loops."""
    stack = [folder]
    while stack:
        current = stack.pop()
        try:
            entries = sorted(os.scandir(current), key=lambda entry: entry.name)
        except OSError:
            yield current + os.sep  # said of the folder: its files are not ours to see
            continue
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
