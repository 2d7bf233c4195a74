"""A run over many files: which settings hold, what a baseline knows, what is stale."""

from __future__ import annotations

import gc
import os
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check import tracked
from llmguard.check.discover import discover, is_below
from llmguard.check.engine import NOTHING, check_module
from llmguard.check.filters import Place
from llmguard.check.finding import FileReport, Finding, Report, Unchecked
from llmguard.check.project import Project
from llmguard.check.rules import contradiction, unknown_code
from llmguard.check.screen import LARGEST
from llmguard.errors import ConfigError
from llmguard.printable import printable
from llmguard.providers import vocabulary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmguard.check.changes import Changes
    from llmguard.check.discover import File
    from llmguard.config import Configuration, Settings

_COLLECT_EVERY = 500  # files with a tree between garbage collections: facts are taken apart, so little is left to find


class Options(NamedTuple):
    """What a run is asked for, beside its settings.

    Attributes:
        baseline: leave out what the baseline knows.
        changes: only lines that changed; None for all.
        stdin: (name, bytes) of a file that is not read from disk; it is checked for the path "-".
        thorough: also what a hook has no use for: calls that are on the books, entries that are stale.
        on_file: called with (files done, files in all) after each file.
    """

    baseline: bool = True
    changes: Changes | None = None
    stdin: tuple[str, bytes] | None = None
    thorough: bool = True
    on_file: Callable[[int, int], None] | None = None


class Checked(NamedTuple):
    """One file that gave something."""

    file: File
    settings: Settings
    report: FileReport


class Extent(NamedTuple):
    """What a run looked at.

    Attributes:
        files: every file.
        noted: names (as findings show them) of files that could not be read in full.
        folders: absolute folders that were looked at as a whole.
    """

    files: list[File]
    noted: frozenset[str]
    folders: tuple[str, ...]

    def covers(self, path: str) -> bool:
        """Whether a path lies in (or is) a folder that was looked at as a whole."""
        return any(path == asked or is_below(path, asked) for asked in self.folders)


def run(paths: Iterable[str], configuration: Configuration, options: Options) -> Report:
    """A run over files and folders: see `llmguard.check.check_paths`."""
    return Run(configuration, options).over(list(paths))


class Run:
    """The state of one run."""

    def __init__(self, configuration: Configuration, options: Options) -> None:
        self.configuration = configuration
        self.options = options
        self.unchecked: list[Unchecked] = []
        self.checked: list[Checked] = []
        self._projects: dict[str, Project] = {}
        self._known_settings: set[str] = set()
        self._callbacks: dict[str, str] = {}  # project -> file that installs the LiteLLM callback
        self._looked: dict[str, str] = {}
        self._trees = 0
        self.extent = Extent([], frozenset(), ())

    def over(self, paths: list[str]) -> Report:
        """The report of a run over files and folders."""
        check_codes(self.configuration.for_folder(self.configuration.start))
        found = discover(paths, self.configuration, self.options.stdin)
        self.unchecked += found.unchecked
        files = found.files
        if self.options.changes is not None:
            files = [file for file in files if self.options.changes.has(file.absolute)]
        enabled = gc.isenabled()
        gc.disable()
        try:
            for number, file in enumerate(files, 1):
                self._file(file)
                if self.options.on_file is not None:
                    self.options.on_file(number, len(files))
        finally:
            if enabled:
                gc.enable()
        return self._report(paths, files, found.skipped)

    def _file(self, file: File) -> None:
        settings = self._settings(file)
        data = self._bytes(file)
        if data is None:
            return
        project = self.configuration.project_of(settings)
        if settings.litellm_callback == "auto" and not self._callbacks.get(project):
            self._callbacks[project] = printable(file.shown) if tracked.installs_callback(data, file.shown) else ""
        report = self._guarded(data, file, settings)
        self.unchecked += report.unchecked
        if report is not NOTHING:
            self.checked.append(Checked(file, settings, report))
            self._trees += 1
            if self._trees % _COLLECT_EVERY == 0:
                gc.collect()

    def _settings(self, file: File) -> Settings:
        settings = file.settings
        if settings.source not in self._known_settings:
            self._known_settings.add(settings.source)
            check_codes(settings)
        if not is_below(file.absolute, settings.root):
            settings = settings._replace(root=file.base)
        return settings

    def _bytes(self, file: File) -> bytes | None:
        if file.data is not None:
            return file.data
        try:
            with open(file.absolute, "rb") as handle:
                if os.fstat(handle.fileno()).st_size > LARGEST:
                    self.unchecked.append(Unchecked(file.shown, 0, f"larger than {LARGEST // 1_000_000} MB"))
                    return None
                return handle.read()
        except OSError as error:
            self.unchecked.append(Unchecked(file.shown, 0, error.strerror or "cannot be read"))
        except MemoryError:
            self.unchecked.append(Unchecked(file.shown, 0, "larger than memory"))
        return None

    def _guarded(self, data: bytes, file: File, settings: Settings) -> FileReport:
        """One file; whatever goes wrong with it is said of it and ends no run."""
        root = settings.root
        whole = self.configuration.project_of(settings)
        if whole not in self._projects:
            stdin = {file.absolute: data} if file.data is not None else None
            self._projects[whole] = Project(whole, stdin)
        key = os.path.relpath(file.absolute, root).replace(os.sep, "/") if root else file.shown.replace(os.sep, "/")
        changes, on_disk = self.options.changes, file.data is None
        changed = changes.lines_of(file.absolute, data, on_disk=on_disk) if changes is not None else None
        place = Place(file.shown, file.absolute, key, settings, changed)
        try:
            with vocabulary.extended(settings.providers, settings.sanctioned):
                return check_module(data, place, self._projects[whole], tracked_too=self.options.thorough)
        except Exception as error:  # noqa: BLE001  (one file never ends a run; the reason is reported)
            reason = " ".join(str(error).split())[:200]
            said = f"internal error, please report it: {type(error).__name__}: {reason}"
            return FileReport((), (), (Unchecked(file.shown, 0, said),))

    def _report(self, paths: list[str], files: list[File], files_skipped: int) -> Report:
        self.checked = [entry._replace(report=self._with_callback(entry)) for entry in self.checked]
        unread = {note.path for note in self.unchecked if note.whole}
        asked = tuple(os.path.abspath(path) for path in paths if self.options.changes is None and os.path.isdir(path))
        self.extent = extent = Extent(files, frozenset(note.path for note in self.unchecked), asked)
        baselined: list[Finding] = []
        stale: list[Finding] = []
        if self.options.baseline and (self.options.thorough or any(entry.report.findings for entry in self.checked)):
            from llmguard.check.debt import without_known

            self.checked, baselined, stale = without_known(self.checked, extent)
        if self.options.thorough:
            from llmguard.check.debt import stale_ignores

            stale += stale_ignores(self.checked, extent)
        reports = [entry.report for entry in self.checked]
        return Report(
            tuple(f for report in reports for f in report.findings),
            tuple(f for report in reports for f in report.tracked),
            tuple(self.unchecked),
            sum(1 for file in files if file.shown not in unread),
            files_skipped,
            tuple(f for report in reports for f in report.suppressed),
            tuple(baselined),
            tuple(stale),
            tuple((file.shown, file.data) for file in files if file.data is not None),
        )

    def _with_callback(self, entry: Checked) -> FileReport:
        """LiteLLM calls moved to the tracked ones where the project installs the callback."""
        settings, report = entry.settings, entry.report
        direct = tuple(f for f in report.findings if _is_litellm(f))
        if not direct or settings.litellm_callback == "absent":
            return report
        where = "the configuration"
        if settings.litellm_callback == "auto":
            project = self.configuration.project_of(settings)
            if not self._callbacks.get(project):
                self._callbacks[project] = self._searched(project)
            where = self._callbacks[project]
        if not where:
            return report
        moved = tuple(f._replace(tracked=f"LiteLLM callback, installed in {where}") for f in direct)
        rest = tuple(f for f in report.findings if not _is_litellm(f))
        return report._replace(findings=rest, tracked=(*report.tracked, *moved))

    def _searched(self, root: str) -> str:
        if root not in self._looked:
            self._looked[root] = tracked.callback_file(root)
        return self._looked[root]


def _is_litellm(finding: Finding) -> bool:
    """Whether a call surely is LiteLLM's: a client that nobody could resolve may be anyone's."""
    return finding.provider == "litellm" and (finding.confidence == "proved" or finding.family == "completion")


def check_codes(settings: Settings) -> None:
    """Refuse names in the settings that are no rule's.

    Raises:
        ConfigError: with the first such name.
    """
    named = {
        "select": settings.select,
        "ignore": settings.ignore,
        "severity": tuple(name for name, _ in settings.severity),
        "per-file-ignores": tuple(name for _, codes in settings.per_file_ignores for name in codes),
    }
    for key, names in named.items():
        unknown = unknown_code(names)
        if unknown:
            source = settings.source or "settings"
            raise ConfigError(source, key, f"no rule is called {unknown!r} or begins with it; see llmguard rules")
    both = contradiction(settings.select, settings.ignore)
    if both:
        raise ConfigError(settings.source or "settings", "select", f"{both!r} is in ignore too; keep one of them")
