"""`llmguard check`."""

from __future__ import annotations

import os
import sys
import time
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from llmguard.cli import options
from llmguard.printable import printable

if TYPE_CHECKING:
    from llmguard.check.changes import Changes
    from llmguard.check.finding import Report
    from llmguard.config import Configuration


class Format(str, Enum):
    """Output formats."""

    FULL = "full"
    CONCISE = "concise"
    JSON = "json"
    JSON_LINES = "json-lines"
    SARIF = "sarif"
    GITHUB = "github"
    GITLAB = "gitlab"
    JUNIT = "junit"
    MARKDOWN = "markdown"


_Paths = Annotated[
    list[str] | None,
    typer.Argument(
        help="Files and folders, - for stdin; the working directory when none is given.", show_default=False
    ),
]
_OutputFormat = Annotated[Format, typer.Option("--output-format", help="How to report.")]
_OutputFile = Annotated[
    str,
    typer.Option("--output-file", metavar="FILE", help="Write the report there; a summary still goes to stdout."),
]
_Since = Annotated[
    str,
    typer.Option("--since", metavar="REF", help="Report only lines that changed since the merge base with REF."),
]
_NoBaseline = Annotated[bool, typer.Option("--no-baseline", help="Report what the baseline knows, too.")]
_Fix = Annotated[bool, typer.Option("--fix", help="Remove suppression comments that are not used (LLG801).")]
_Diff = Annotated[
    bool, typer.Option("--diff", help="Show what --fix would change, and nothing else; exit with 1 when it would.")
]
_ExitZero = Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 even when there are findings.")]
_FailOnUnchecked = Annotated[
    bool, typer.Option("--fail-on-unchecked", help="Exit with 1 when a file could not be checked in full.")
]
_FailOnStale = Annotated[
    bool, typer.Option("--fail-on-stale", help="Exit with 1 for stale ignores and baseline entries.")
]
_ShowTracked = Annotated[
    bool, typer.Option("--show-tracked", help="List the calls that are on the books already, with the reason.")
]
_ShowSuppressed = Annotated[
    bool, typer.Option("--show-suppressed", help="List the calls that are suppressed, with the reason.")
]
_Statistics = Annotated[bool, typer.Option("--statistics", help="Count findings by rule, provider and directory.")]
_ShowFiles = Annotated[bool, typer.Option("--show-files", help="List the files that would be checked, and exit.")]
_StdinFilename = Annotated[
    str, typer.Option("--stdin-filename", metavar="FILE", help="What the source on stdin is called, and lies.")
]
_NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Use no cache. (There is none on disk in this version; nothing changes.)")
]
_Verbose = Annotated[
    bool, typer.Option("--verbose", "-v", help="Say which configuration was read and how long it took.")
]


def check(
    paths: _Paths = None,
    output_format: _OutputFormat = Format.FULL,
    output_file: _OutputFile = "",
    select: options.Select = "",
    ignore: options.Ignore = "",
    min_confidence: options.MinConfidence = "",
    since: _Since = "",
    baseline: options.BaselineFile = "",
    no_baseline: _NoBaseline = False,
    fix: _Fix = False,
    diff: _Diff = False,
    exit_zero: _ExitZero = False,
    fail_on_unchecked: _FailOnUnchecked = False,
    fail_on_stale: _FailOnStale = False,
    show_tracked: _ShowTracked = False,
    show_suppressed: _ShowSuppressed = False,
    statistics: _Statistics = False,
    show_files: _ShowFiles = False,
    stdin_filename: _StdinFilename = "",
    config: options.Config = "",
    isolated: options.Isolated = False,
    no_cache: _NoCache = False,
    quiet: options.Quiet = False,
    verbose: _Verbose = False,
) -> None:
    """Find direct language-model calls.

    Exit code: 0 nothing to report (or --exit-zero), 1 findings, 2 wrong usage, configuration or an internal error,
    3 nothing was checked.
    """
    from llmguard.errors import UsageError

    if baseline and no_baseline:
        raise UsageError("--baseline and --no-baseline exclude each other")
    if baseline and not os.path.isfile(baseline):
        raise UsageError(f"--baseline: {baseline}: no such file; llmguard baseline create writes one")
    configuration = options.configuration(config, isolated, select, ignore, min_confidence, baseline)
    if show_files:
        _list_files(paths or ["."], configuration, since)
        return
    started = time.monotonic()
    report = _run(paths or ["."], configuration, since, stdin_filename, use_baseline=not no_baseline, quiet=quiet)
    if diff:
        raise typer.Exit(1 if _fixed(report, dry_run=True) is not report else 0)
    if fix:
        report = _fixed(report, dry_run=False)
    if fail_on_stale:
        report = report._replace(findings=(*report.findings, *report.stale), stale=())
    _print(report, output_format, output_file, quiet=quiet)
    if output_format.value in ("full", "concise") or output_file:
        _print_extras(report, show_tracked=show_tracked, show_suppressed=show_suppressed, statistics=statistics)
        if not quiet:
            _print_summary(report, since)
    if verbose:
        _say_configuration(configuration, time.monotonic() - started)
    raise typer.Exit(_exit_code(report, exit_zero, fail_on_unchecked, since))


def _run(
    paths: list[str],
    configuration: Configuration,
    since: str,
    stdin_filename: str,
    *,
    use_baseline: bool,
    quiet: bool,
) -> Report:
    from llmguard.check.run import Options, run
    from llmguard.cli.output import Progress
    from llmguard.errors import UsageError

    stdin, changes = None, None
    if "-" in paths:
        if paths != ["-"]:
            raise UsageError("- (stdin) stands alone, without other paths")
        stdin = (stdin_filename or "stdin.py", sys.stdin.buffer.read())
    elif stdin_filename:
        raise UsageError("--stdin-filename belongs to the path - (stdin)")
    if since:
        changes = _changes(since)
    with Progress(shown=not quiet and sys.stderr.isatty()) as progress:
        return run(paths, configuration, Options(baseline=use_baseline, changes=changes, stdin=stdin, on_file=progress))


def _changes(since: str) -> Changes:
    from llmguard.check.changes import changes_since

    changes = changes_since(since, os.getcwd())
    if changes.whole:
        typer.echo(
            f"--since: this clone is partial, so that {changes.whole} changed files count as changed as a whole; "
            f"git diff {since} fetches what is missing",
            err=True,
        )
    return changes


def _list_files(paths: list[str], configuration: Configuration, since: str) -> None:
    from llmguard.check.discover import discover

    changes = _changes(since) if since else None
    found = discover(paths, configuration)
    for file in found.files:
        if changes is None or changes.has(file.absolute):
            typer.echo(printable(file.shown))
    for note in found.unchecked:
        typer.echo(f"{printable(note.path)}: {note.message}", err=True)
    if not found.files:
        raise typer.Exit(3)


def _fixed(report: Report, *, dry_run: bool) -> Report:
    """Write (or show) the fixes; what they settle is no finding any more."""
    from llmguard.check.fix import fixes
    from llmguard.check.report.summary import count
    from llmguard.cli.output import write_changes
    from llmguard.errors import UsageError

    if report.sources:
        raise UsageError("--fix and --diff need a file, not stdin")
    changes, refusals = fixes(report.findings)
    write_changes(changes, refusals, dry_run=dry_run)
    settled = [finding for change in changes for finding in change.findings]
    if not settled:
        return report
    verb = "would be removed" if dry_run else "removed"
    print(f"{count(len(settled), 'unused suppression')} {verb} in {count(len(changes), 'file')}.", file=sys.stderr)
    return report._replace(findings=tuple(f for f in report.findings if f not in settled))


def _print(report: Report, output_format: Format, output_file: str, *, quiet: bool) -> None:
    from llmguard.check.report import lines_of_report
    from llmguard.cli.output import has_colour, write_text

    if output_file:
        write_text(output_file, lines_of_report(output_format.value, report))
    else:
        for line in lines_of_report(output_format.value, report, has_colour()):
            print(line)


def _print_extras(report: Report, *, show_tracked: bool, show_suppressed: bool, statistics: bool) -> None:
    from llmguard.check.report.place import place_of

    if show_tracked:
        for call in report.tracked:
            print(f"{place_of(call)}: tracked: {call.callee} ({printable(call.tracked)})")
    if show_suppressed:
        for call in report.suppressed:
            print(f"{place_of(call)}: suppressed: {call.rule} {call.callee} ({printable(call.suppressed)})")
    if statistics:
        from llmguard.check.report.statistics import lines

        for line in lines(report):
            print(line)


def _print_summary(report: Report, since: str) -> None:
    from llmguard.check.report.summary import summary
    from llmguard.cli.output import nothing_checked

    if report.files_checked or report.findings:
        print(summary(report))
    elif since and not report.unchecked:
        print(f"No Python file changed since the merge base with {since}.")
    else:
        print(nothing_checked(report))


def _say_configuration(configuration: Configuration, seconds: float) -> None:
    here = configuration.for_folder(os.getcwd())
    typer.echo(f"configuration: {here.source or 'none'}; root: {here.root}; {seconds:.2f} s", err=True)
    for source in configuration.sources():
        if source != here.source:
            typer.echo(f"configuration: {source}", err=True)


def _exit_code(report: Report, exit_zero: bool, fail_on_unchecked: bool, since: str) -> int:
    if not report.files_checked and not report.findings:
        return 0 if since and not report.unchecked else 3
    if exit_zero:
        return 0
    return 1 if report.findings or (fail_on_unchecked and report.unchecked) else 0
