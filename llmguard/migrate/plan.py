"""The plan: a verdict for every site that the finder reports, and the new bytes of every file that changes."""

from __future__ import annotations

import ast
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check.discover import below
from llmguard.check.notebook import SUFFIX
from llmguard.check.project import Project
from llmguard.check.run import Options as CheckOptions
from llmguard.check.run import Run
from llmguard.errors import UncheckableError
from llmguard.migrate.edit import Edit, OverlapError, applied, within
from llmguard.migrate.file import FileMigration, Outcome
from llmguard.migrate.options import Options
from llmguard.migrate.rename import Renamed, rename
from llmguard.migrate.source import Found, Source, Span, found_in
from llmguard.migrate.uses import Texts
from llmguard.migrate.verdict import Decision, Verdict
from llmguard.providers import vocabulary

if TYPE_CHECKING:
    from llmguard.check.finding import Finding
    from llmguard.check.run import Checked
    from llmguard.config import Configuration


class Change(NamedTuple):
    """A file that changes: its path as shown, where it is, and its bytes before and after."""

    path: str
    absolute: str
    before: bytes
    after: bytes


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
    """

    decisions: tuple[Decision, ...]
    changes: tuple[Change, ...]
    errors: tuple[tuple[str, str], ...]
    files: int
    renames: tuple[Renamed, ...] = ()
    moves: tuple[tuple[str, str], ...] = ()
    created: tuple[tuple[str, bytes], ...] = ()


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
    decisions: list[Decision] = []
    changes: list[Change] = []
    errors = [(note.path, note.message) for note in report.unchecked]
    for checked in run.checked:
        found = _planned(checked, run, texts, options)
        decisions += found.decisions
        changes += found.changes
        errors += found.errors
    plan = Plan(tuple(decisions), tuple(changes), tuple(errors), report.files_checked)
    return _with_renames(plan, paths, options) if options.rename else plan


def _bytes_of(run: Run) -> Iterable[tuple[str, str, bytes]]:
    """All Python files of the projects, not only those that were asked for: any of them may use what would go."""
    shown = {file.absolute: file.shown for file in run.extent.files}
    roots = {run.configuration.project_of(checked.settings) for checked in run.checked}
    for root in sorted(roots - {os.sep, ""}):
        for path in below(root):
            if path.endswith(".py"):
                shown.setdefault(os.path.abspath(path), os.path.relpath(path))
    for absolute, name in shown.items():
        if absolute.endswith(SUFFIX):
            continue
        try:
            with open(absolute, "rb") as handle:
                yield name, absolute, handle.read()
        except OSError:
            continue  # the check has said so, or it is none of ours


def _planned(checked: Checked, run: Run, texts: Texts, options: Options) -> Plan:
    file, settings, report = checked
    silent = [*report.tracked, *report.suppressed]
    decisions = [_ignored(finding) for finding in silent if finding.site]
    sites = [finding for finding in report.findings if finding.site]
    if not sites:
        return Plan(tuple(decisions), (), (), 1)
    if file.absolute.endswith(SUFFIX):
        decisions += [_manual(finding, "notebook") for finding in sites]
        return Plan(tuple(decisions), (), (), 1)
    try:
        with open(file.absolute, "rb") as handle:
            source = Source(file.shown, file.absolute, handle.read())
    except (OSError, UncheckableError) as error:
        reason = "syntax-error" if "syntax" in str(error) or "invalid" in str(error) else "cannot-round-trip"
        decisions += [_manual(finding, reason) for finding in sites]
        return Plan(tuple(decisions), (), ((file.shown, str(error)),), 1)
    with vocabulary.extended(settings.providers, settings.sanctioned):
        project = Project(run.configuration.project_of(settings))
        decided, change, error_text = moved(source, sites, project, texts, options)
    decisions += decided
    errors = ((file.shown, error_text),) if error_text else ()
    return Plan(tuple(sorted(decisions, key=lambda d: d.line)), (change,) if change else (), errors, 1)


def moved(
    source: Source, findings: list[Finding], project: Project, texts: Texts, options: Options
) -> tuple[list[Decision], Change | None, str]:
    """What becomes of one file: a decision for each finding, the change, and why there is none where one was due."""
    judge, found = found_in(source, project)
    by_place = {(finding.region.line, finding.region.column): finding for finding in findings}
    pairs: list[tuple[Finding, Found]] = []
    for site in found:
        finding = _finding_of(source, site, by_place)
        if finding is not None:
            pairs.append((finding, site))
    wanted = [site for finding, site in pairs if not options.providers or finding.provider in options.providers]
    migration = FileMigration(source, judge, wanted, texts, options)
    outcomes = {id(outcome.found): outcome for outcome in migration.decide()}
    decisions = [
        _decided(source, finding, outcomes[id(site)], migration.edits)
        if id(site) in outcomes
        else _manual(finding, "deselected")
        for finding, site in pairs
    ]
    seen = {id(finding) for finding, _ in pairs}
    decisions += [_manual(finding, "syntax-error") for finding in findings if id(finding) not in seen]
    if not migration.edits:
        return decisions, None, ""
    try:
        text = applied(source.text, migration.edits)
        after = source.encoded(text)
        _check_result(source, text)
    except (OverlapError, UncheckableError, SyntaxError) as error:
        undone = [_manual(finding, "cannot-round-trip") for finding, _ in pairs]
        return undone, None, f"left as it is: {error}"
    return decisions, Change(source.shown, source.absolute, source.data, after), ""


def _finding_of(source: Source, site: Found, by_place: dict[tuple[int, int], Finding]) -> Finding | None:
    span = source.span(site.expression)
    line = site.expression.lineno
    return by_place.get((line, span.start - source.starts[line - 1] + 1))


def _check_result(source: Source, text: str) -> None:
    """Refuse a result that no longer runs where the file did.

    Raises:
        SyntaxError: it does not parse with the oldest grammar that the file parses with.
    """
    for minor in range(7, 15):
        try:
            ast.parse(source.text, feature_version=(3, minor))
        except (SyntaxError, ValueError):
            continue
        ast.parse(text, feature_version=(3, minor))
        return
    ast.parse(text)


def _decided(source: Source, finding: Finding, outcome: Outcome, edits: list[Edit]) -> Decision:
    statement = outcome.found.site.statement
    span = source.span(statement)
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.For, ast.With, ast.Try)):
        span = source.span(outcome.found.site.node)
    before = source.text[span.start : span.end]
    after = ""
    if outcome.target is not None:
        after = applied(before, within(edits, span))
        if after == before and outcome.edits:
            edit = outcome.edits[0]
            whole = Span(source.starts[source.text.count("\n", 0, edit.span.start)], edit.span.end)
            before, after = (
                source.text[whole.start : whole.end],
                applied(source.text[whole.start : whole.end], within([edit], whole)),
            )
    return Decision(
        finding.path,
        finding.region.line,
        finding.region.end_line,
        finding.callee,
        finding.site,
        outcome.verdict,
        outcome.target,
        outcome.reason,
        before,
        after,
    )


def _ignored(finding: Finding) -> Decision:
    reason = "tracked" if finding.tracked else "suppressed"
    return _of(finding, Verdict.IGNORED, reason)


def _manual(finding: Finding, reason: str) -> Decision:
    return _of(finding, Verdict.MANUAL, reason)


def _of(finding: Finding, verdict: Verdict, reason: str) -> Decision:
    region = finding.region
    return Decision(finding.path, region.line, region.end_line, finding.callee, finding.site, verdict, None, reason)


def shown_root(paths: Iterable[str]) -> str:
    """The folder whose journal a migration of some paths uses: that of the first one."""
    first = next(iter(paths), ".")
    return first if os.path.isdir(first) else os.path.dirname(first) or "."


def _with_renames(plan: Plan, paths: list[str], options: Options) -> Plan:
    """The plan with the names changed, in the files as they are after it."""
    after = {change.absolute: change for change in plan.changes}
    files = dict(project_files(paths))
    data = {path: after[path].after if path in after else before for path, before in files.items()}
    renaming = rename(sorted(data.items()), fresh=options.fresh, aliases=options.aliases)
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


def project_files(paths: list[str]) -> Iterable[tuple[str, bytes]]:
    """(absolute path, bytes) of the files below some folders that git does not ignore; of all where there is no git."""
    for path in paths:
        folder = path if os.path.isdir(path) else os.path.dirname(path) or "."
        for name in below(folder):
            absolute = os.path.abspath(name)
            try:
                with open(absolute, "rb") as handle:
                    yield absolute, handle.read()
            except OSError:
                continue  # listed, and gone
