"""The plan: a verdict for every site that the finder reports, and the new bytes of every file that changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check.discover import below, is_excluded
from llmguard.check.finding import FileReport
from llmguard.check.notebook import SUFFIX
from llmguard.check.project import Project
from llmguard.check.run import Options as CheckOptions
from llmguard.check.run import Run
from llmguard.check.screen import LARGEST
from llmguard.config.place import is_inside
from llmguard.errors import UncheckableError
from llmguard.migrate import shared
from llmguard.migrate.decisions import Change, Decided, decided, ignored, manual
from llmguard.migrate.options import Options
from llmguard.migrate.rename import Renamed, rename
from llmguard.migrate.source import Source
from llmguard.migrate.uses import Texts
from llmguard.migrate.verdict import Decision
from llmguard.migrate.write import project_folder
from llmguard.providers import vocabulary

if TYPE_CHECKING:
    from llmguard.check.discover import File
    from llmguard.check.run import Checked
    from llmguard.config import Configuration, Settings
    from llmguard.migrate.edit import Edit
    from llmguard.migrate.shared import Shared, Use, Way


class Plan(NamedTuple):
    """What a migration would do.

    Attributes:
        decisions: one for each site, file by file, in reading order.
        changes: files with their new bytes.
        errors: files that could not be looked at: path, reason.
        files: how many files were looked at.
        renames: names that change project-wide, and those that do not.
        moves: old path -> new path, absolute.
        created: files that are new: absolute path -> bytes.
        says_groq: whether the project defines names after Groq, which a renaming would change.
    """

    decisions: tuple[Decision, ...]
    changes: tuple[Change, ...]
    errors: tuple[tuple[str, str], ...]
    files: int
    renames: tuple[Renamed, ...] = ()
    moves: tuple[tuple[str, str], ...] = ()
    created: tuple[tuple[str, bytes], ...] = ()
    says_groq: bool = False


def make_plan(
    paths: Iterable[str],
    configuration: Configuration,
    options: Options,
    on_file: Callable[[int, int], None] | None = None,
) -> Plan:
    """Look at files and folders, and decide for each site.

    Args:
        paths: files and folders, as for a check.
        configuration: says which settings hold where.
        options: what is asked for.
        on_file: called with (files done, files in all) after each file of the check.

    Raises:
        UsageError: a path does not exist.
        ConfigError: a configuration cannot be used.
    """
    paths = list(paths)
    run = Run(configuration, CheckOptions(baseline=False, on_file=on_file))
    report = run.over(paths)
    migrating = frozenset(checked.file.absolute for checked in run.checked if checked.report.findings)
    texts = Texts(_bytes_of(run), migrating)
    pieces = Planning(run, texts, options).decide()
    decisions = [decision for piece in pieces.values() for decision in sorted(piece.decisions, key=lambda d: d.line)]
    changes = [piece.change for piece in pieces.values() if piece.change is not None]
    errors = [(note.path, note.message) for note in report.unchecked]
    errors += [(shown, piece.error) for shown, piece in pieces.items() if piece.error]
    said = bool(decisions) and texts.defines_groq()
    plan = Plan(tuple(decisions), tuple(changes), tuple(errors), report.files_checked, says_groq=said)
    return _with_renames(plan, run, paths, options) if options.rename else plan


_MOST_ROUNDS = 5  # in which files ask others to pass a user on


class Planning:
    """The files of a run, decided one by one; those that share a client that can move, once more together.

    Args:
        run: the check, done.
        texts: the bytes of the project's files.
        options: what is asked for.
    """

    def __init__(self, run: Run, texts: Texts, options: Options) -> None:
        self._run = run
        self._texts = texts
        self._options = options
        self._checked = {checked.file.absolute: checked for checked in run.checked}
        self._files = {file.absolute: file for file in run.extent.files}
        self._projects: dict[str, Project] = {}

    def decide(self) -> dict[str, Decided]:
        """What becomes of each file that has a site or changes: path as shown -> decisions."""
        pieces = {path: self._file(checked) for path, checked in self._checked.items()}
        willing = shared.willing(use for piece in pieces.values() for use in piece.borrowed)
        moving = {key: way for key, their in willing.items() if (way := self._way(key, their)) is not None}
        while moving:
            concerned = dict.fromkeys(path for key in moving for path in (key.home, *(u.path for u in willing[key])))
            again = {path: self._again(path, willing, moving) for path in concerned}
            stuck = {key for piece in again.values() for key in piece.stuck}
            if not stuck:
                pieces |= again
                break
            moving = {key: way for key, way in moving.items() if key not in stuck}
        if not self._pass_users(pieces, moving):
            self._options = self._options._replace(passes_users=False)
            return self.decide()
        return {self._files[path].shown: piece for path, piece in pieces.items()}

    def _pass_users(self, pieces: dict[str, Decided], moving: Mapping[Shared, Way]) -> bool:
        """Decide the files again whose functions are to pass a user on; whether all could be written so."""
        done: dict[str, set[Edit]] = {}
        for _ in range(_MOST_ROUNDS):
            asked: dict[str, set[Edit]] = {}
            for piece in pieces.values():
                for path, edit in piece.elsewhere:
                    asked.setdefault(path, set()).add(edit)
            due = {path: edits for path, edits in asked.items() if edits != done.get(path)}
            if not due:
                return True
            for path, edits in due.items():
                if path not in self._files:
                    return False  # it is not to be touched
                checked = self._checked.get(path)
                if checked is None:
                    user = next(iter(self._checked.values()))
                    checked = user._replace(file=self._files[path], report=FileReport(()))
                pieces[path] = self._file(checked, moving, sorted(edits))
                done[path] = edits
                if pieces[path].error or pieces[path].stuck or pieces[path].change is None:
                    return False
        return False

    def _file(
        self, checked: Checked, moving: Mapping[Shared, Way] | None = None, asked: Iterable[Edit] = ()
    ) -> Decided:
        file, settings, report = checked
        silent = [*report.tracked, *report.suppressed]
        decisions = [ignored(finding) for finding in silent if finding.site]
        sites = [finding for finding in report.findings if finding.site]
        if not sites and not moving and not asked:
            return Decided(decisions)
        if file.absolute.endswith(SUFFIX):
            return Decided([*decisions, *(manual(finding, "notebook") for finding in sites)])
        try:
            source = self._source(file)
        except (OSError, UncheckableError) as error:
            reason = "syntax-error" if getattr(error, "line", 0) else "cannot-round-trip"
            return Decided([*decisions, *(manual(finding, reason) for finding in sites)], error=str(error))
        try:
            with self._vocabulary(settings) as project:
                made = decided(source, sites, project, self._texts, self._options, moving, asked)
        except Exception as error:  # noqa: BLE001  (a file that we fail on is reported, and the others move)
            undone = [manual(finding, "cannot-round-trip") for finding in sites]
            said = f"left as it is: {type(error).__name__}: {error} (a mistake of llmguard's: please report it)"
            return Decided([*decisions, *undone], error=said, stuck=frozenset(moving or ()))
        return made._replace(decisions=[*decisions, *made.decisions])

    def _again(self, path: str, willing: Mapping[Shared, list[Use]], moving: Mapping[Shared, Way]) -> Decided:
        """A file, knowing which shared clients move."""
        if path in self._checked:
            return self._file(self._checked[path], moving)
        user = next(use.path for key in moving if key.home == path for use in willing[key])
        return self._file(self._checked[user]._replace(file=self._files[path], report=FileReport(())), moving)

    def _way(self, key: Shared, their: list[Use]) -> Way | None:
        if key.home not in self._files:
            return None  # it is not to be touched
        try:
            source = self._source(self._files[key.home])
        except (OSError, UncheckableError):
            return None
        with self._vocabulary(self._checked[their[0].path].settings) as project:
            return shared.way_of(key, their, source, project, self._texts)

    def _source(self, file: File) -> Source:
        if not is_inside(file.absolute):
            raise UncheckableError("leads out of the project: it is not written")
        with open(file.absolute, "rb") as handle:
            return Source(file.shown, file.absolute, handle.read())

    @contextmanager
    def _vocabulary(self, settings: Settings) -> Iterator[Project]:
        root = self._run.configuration.project_of(settings)
        project = self._projects.setdefault(root, Project(root))
        with vocabulary.extended(settings.providers, settings.sanctioned):
            yield project
        project.release()


def _bytes_of(run: Run) -> Iterable[tuple[str, str, bytes]]:
    """All Python files of the projects, not only those that were asked for: any of them may use what would go."""
    shown = {file.absolute: file.shown for file in run.extent.files}
    roots = {run.configuration.project_of(checked.settings) for checked in run.checked}
    for root in sorted(roots - {os.sep, ""}):
        for path in below(root):
            if path.endswith(".py"):
                shown.setdefault(os.path.abspath(path), os.path.relpath(path))
    for absolute, name in shown.items():
        if absolute.endswith(SUFFIX) or not os.path.isfile(absolute) or os.path.getsize(absolute) > LARGEST:
            continue  # a pipe would be waited for
        try:
            with open(absolute, "rb") as handle:
                yield name, absolute, handle.read()
        except OSError:
            continue  # the check has said so, or it is none of ours


def folder_of(paths: Iterable[str]) -> str:
    """The folder that a migration of some paths is about: the first one, or that of the first file."""
    first = next(iter(paths), ".")
    return first if os.path.isdir(first) else os.path.dirname(first) or "."


def _with_renames(plan: Plan, run: Run, paths: list[str], options: Options) -> Plan:
    """The plan with the names changed, in the files as they are after it. A name changes in the whole project, though
    only a part of it were asked for."""
    after = {change.absolute: change for change in plan.changes}
    files = dict(project_files([project_folder(folder_of(paths))], run.configuration))
    data = {path: after[path].after if path in after else before for path, before in files.items()}
    try:
        renaming = rename(sorted(data.items()), fresh=options.fresh, aliases=options.aliases)
    except UncheckableError as error:
        return plan._replace(errors=(*plan.errors, ("--rename", f"nothing is renamed: {error}")))
    taken = {old: new for old, new in renaming.moves.items() if os.path.exists(new)}
    changes = [change._replace(after=renaming.contents.get(change.absolute, change.after)) for change in plan.changes]
    for path, new in sorted(renaming.contents.items()):
        if path not in after:
            changes.append(Change(os.path.relpath(path), path, files[path], new))
    moves = tuple((old, new) for old, new in sorted(renaming.moves.items()) if old not in taken)
    errors = (
        *plan.errors,
        *((os.path.relpath(old), f"{os.path.relpath(new)} is there already") for old, new in taken.items()),
    )
    created = tuple(sorted(renaming.created.items()))
    return plan._replace(changes=tuple(changes), errors=errors, renames=renaming.renames, moves=moves, created=created)


def project_files(folders: list[str], configuration: Configuration) -> Iterable[tuple[str, bytes]]:
    """(absolute path, bytes) of the files below some folders that git does not ignore, and no setting excludes."""
    for folder in folders:
        for name in below(folder):
            absolute = os.path.abspath(name)
            if not os.path.isfile(absolute) or os.path.islink(absolute) or os.path.getsize(absolute) > LARGEST:
                continue  # a pipe would be waited for
            if is_excluded(absolute, configuration.for_file(absolute), configuration, os.path.abspath(folder)):
                continue
            try:
                with open(absolute, "rb") as handle:
                    yield absolute, handle.read()
            except OSError:
                continue  # listed, and gone
