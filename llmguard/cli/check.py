"""`llmguard check`."""

from __future__ import annotations

import os
import sys
import time
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmguard.config import CONFIDENCES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmguard.check.engine import Report
    from llmguard.config import Settings

_PROGRESS_AFTER = 1.0  # seconds


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
    typer.Argument(help="Files and folders; the working directory when none is given.", show_default=False),
]


def check(
    paths: _Paths = None,
    output_format: Annotated[Format, typer.Option("--output-format", help="How to report.")] = Format.FULL,
    output_file: Annotated[
        str,
        typer.Option("--output-file", metavar="FILE", help="Write the report there; a summary still goes to stdout."),
    ] = "",
    select: Annotated[
        str,
        typer.Option("--select", metavar="CODES", help="Report only these codes, prefixes or names, comma-separated."),
    ] = "",
    ignore: Annotated[str, typer.Option("--ignore", metavar="CODES", help="Do not report these.")] = "",
    min_confidence: Annotated[
        str,
        typer.Option(
            "--min-confidence", metavar="|".join(CONFIDENCES), help="Least confidence to report [default: likely]."
        ),
    ] = "",
    exit_zero: Annotated[bool, typer.Option("--exit-zero", help="Exit with 0 even when there are findings.")] = False,
    fail_on_unchecked: Annotated[
        bool, typer.Option("--fail-on-unchecked", help="Exit with 1 when a file could not be checked in full.")
    ] = False,
    show_tracked: Annotated[
        bool, typer.Option("--show-tracked", help="List the calls that are on the books already, with the reason.")
    ] = False,
    show_files: Annotated[
        bool, typer.Option("--show-files", help="List the files that would be checked, and exit.")
    ] = False,
    config: Annotated[
        str,
        typer.Option(
            "--config", metavar="FILE", help="Read this pyproject.toml or llmguard.yaml instead of searching."
        ),
    ] = "",
    isolated: Annotated[bool, typer.Option("--isolated", help="Read no configuration file.")] = False,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Use no cache. (There is none on disk in this version; nothing changes.)")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print findings only: no summary, no progress.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Say which configuration was read and how long it took.")
    ] = False,
) -> None:
    """Find direct language-model calls.

    Exit code: 0 nothing to report (or --exit-zero), 1 findings, 2 wrong usage, configuration or an internal error,
    3 nothing was checked.
    """
    settings = _settings(config, isolated, select, ignore, min_confidence)
    if show_files:
        _list_files(paths or ["."], settings)
        return
    started = time.monotonic()
    from llmguard.check import check_paths

    with _Progress(shown=not quiet and sys.stderr.isatty()) as progress:
        report = check_paths(paths or ["."], settings, on_file=progress)
    _print(report, output_format, output_file, show_tracked=show_tracked, quiet=quiet)
    if verbose:
        source = settings.source or "none"
        typer.echo(f"configuration: {source}; root: {settings.root}; {time.monotonic() - started:.2f} s", err=True)
    raise typer.Exit(_exit_code(report, exit_zero, fail_on_unchecked))


def _settings(config: str, isolated: bool, select: str, ignore: str, min_confidence: str) -> Settings:
    from llmguard.config import find_settings
    from llmguard.errors import UsageError

    if config and isolated:
        raise UsageError("--config and --isolated exclude each other")
    settings = find_settings(os.getcwd(), explicit=config, isolated=isolated)
    changes: dict[str, Any] = {}
    for option, key in ((select, "select"), (ignore, "ignore")):
        if option:
            changes[key] = tuple(part.strip() for part in option.split(",") if part.strip())
    if min_confidence:
        if min_confidence not in CONFIDENCES:
            raise UsageError(f"--min-confidence must be one of {', '.join(CONFIDENCES)}, not {min_confidence!r}")
        changes["min_confidence"] = min_confidence
    for key in ("select", "ignore"):
        if key in changes:
            _known_codes(changes[key])
    return settings._replace(**changes)


def _known_codes(names: tuple[str, ...]) -> None:
    from llmguard.check.rules import unknown_code
    from llmguard.errors import UsageError

    unknown = unknown_code(names)
    if unknown:
        raise UsageError(f"no rule is called {unknown!r} or begins with it; see llmguard rules")


def _list_files(paths: list[str], settings: Settings) -> None:
    from llmguard.check.discover import discover, printable

    found = discover(paths, settings)
    for shown, _, _ in found.files:
        typer.echo(printable(shown))
    for note in found.unchecked:
        typer.echo(f"{printable(note.path)}: {note.message}", err=True)
    if not found.files:
        raise typer.Exit(3)


def _print(report: Report, output_format: Format, output_file: str, *, show_tracked: bool, quiet: bool) -> None:
    from llmguard.check.report import FOR_PEOPLE, lines_of_report
    from llmguard.check.report.concise import finding_line
    from llmguard.check.report.summary import summary

    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    if output_file:
        _write(output_file, lines_of_report(output_format.value, report))
    else:
        for line in lines_of_report(output_format.value, report, colour):
            print(line)
        if output_format.value not in FOR_PEOPLE:
            return
    if show_tracked:
        for call in report.tracked:
            print(f"{finding_line(call, colour).partition(call.rule)[0]} tracked: {call.callee} ({call.tracked})")
    if not quiet:
        print(summary(report) if report.files_checked or report.findings else _nothing(report))


def _write(path: str, lines: Iterable[str]) -> None:
    """Write a report whole or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    from llmguard.errors import UsageError

    beside = f"{path}.{os.getpid()}.tmp"
    try:
        with open(beside, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(line + "\n" for line in lines)
        os.replace(beside, path)
    except OSError as error:
        raise UsageError(f"{path}: cannot be written: {error.strerror}") from None


def _nothing(report: Report) -> str:
    if report.files_skipped:
        number = report.files_skipped
        which = "the one Python file is" if number == 1 else f"all {number:,} Python files are"
        return f"Nothing was checked: {which} excluded."
    if report.unchecked:
        return "Nothing was checked: no file could be read."
    return "Nothing was checked: no Python files were found."


def _exit_code(report: Report, exit_zero: bool, fail_on_unchecked: bool) -> int:
    if not report.files_checked and not report.findings:
        return 3
    if exit_zero:
        return 0
    return 1 if report.findings or (fail_on_unchecked and report.unchecked) else 0


class _Progress:
    """A progress bar on stderr, once a run takes longer than a second."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._started = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> _Progress:
        return self

    def __call__(self, done: int, total: int) -> None:
        if not self._shown or time.monotonic() - self._started < _PROGRESS_AFTER:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("checking", total=total)
        self._bar.update(self._task, completed=done)

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.stop()
