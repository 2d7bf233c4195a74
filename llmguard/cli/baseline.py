"""`llmguard baseline create|update|prune|show`."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from llmguard.cli import options

if TYPE_CHECKING:
    from llmguard.check.debt import Survey

app = typer.Typer(
    help="Keep calls that are known apart from new ones: a file that check reads and only these commands write.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def create(
    paths: options.Paths = None,
    select: options.Select = "",
    ignore: options.Ignore = "",
    min_confidence: options.MinConfidence = "",
    baseline: options.BaselineFile = "",
    dry_run: options.DryRun = False,
    config: options.Config = "",
    isolated: options.Isolated = False,
) -> None:
    """Write a baseline with every call that is reported now. Refuses to touch one that is there.

    Exit code: 0, 2 wrong usage or configuration, 3 nothing was checked.
    """
    from llmguard.errors import UsageError

    surveys = _surveys(paths, options.configuration(config, isolated, select, ignore, min_confidence, baseline))
    for survey in surveys:
        if survey.exists:
            raise UsageError(f"{_shown(survey)}: is there already; use llmguard baseline update")
    for number, survey in enumerate(surveys):
        if survey.current or number == 0:
            _write(survey, survey.current, dry_run=dry_run)


@app.command()
def update(
    paths: options.Paths = None,
    select: options.Select = "",
    ignore: options.Ignore = "",
    min_confidence: options.MinConfidence = "",
    baseline: options.BaselineFile = "",
    dry_run: options.DryRun = False,
    config: options.Config = "",
    isolated: options.Isolated = False,
) -> None:
    """Add the calls that are reported now, and remove stale entries. With PATHS nothing is removed.

    Exit code: 0, 2 wrong usage or configuration, 3 nothing was checked.
    """
    for survey in _surveys(paths, options.configuration(config, isolated, select, ignore, min_confidence, baseline)):
        kept = survey.entries if paths or survey.outside else survey.entries - survey.stale
        if survey.exists or survey.current:
            _write(survey, kept | survey.current, dry_run=dry_run)


@app.command()
def prune(
    baseline: options.BaselineFile = "",
    dry_run: options.DryRun = False,
    config: options.Config = "",
    isolated: options.Isolated = False,
) -> None:
    """Remove stale entries, add nothing: the baseline can only shrink. Looks at the whole project.

    Exit code: 0, 2 wrong usage or configuration (no baseline, or not run from the folder that it covers),
    3 nothing was checked.
    """
    from llmguard.errors import UsageError

    surveys = [s for s in _surveys(None, options.configuration(config, isolated, baseline=baseline)) if s.exists]
    if not surveys:
        raise UsageError("there is no baseline to prune; llmguard baseline create writes one")
    for survey in surveys:
        if survey.outside:
            folder = _common_folder(survey)
            raise UsageError(f"{_shown(survey)}: covers more than this folder; run prune in {folder}")
        _write(survey, survey.entries - survey.stale, dry_run=dry_run)


@app.command()
def show(
    paths: options.Paths = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    baseline: options.BaselineFile = "",
    config: options.Config = "",
    isolated: options.Isolated = False,
) -> None:
    """List the entries: known ones, stale ones (-), and calls that are not in the baseline (+).

    Exit code: 0, 2 wrong usage or configuration, 3 nothing was checked.
    """
    from llmguard.printable import json_text, printable

    surveys = _surveys(paths, options.configuration(config, isolated, baseline=baseline))
    if as_json:
        print(json_text({"version": 1, "baselines": [_object(survey) for survey in surveys]}))
        return
    for survey in surveys:
        new = survey.current - survey.entries
        for entry in sorted(survey.entries | new):
            sign = "-" if entry in survey.stale else "+" if entry in new else " "
            print(f"{sign} {printable(entry)}")
        known = len(survey.entries) - len(survey.stale)
        there = "" if survey.exists else " (no such file)"
        print(f"{_shown(survey)}{there}: {known:,} known, {len(survey.stale):,} stale, {len(new):,} not in it.")


def _object(survey: Survey) -> dict[str, object]:
    return {
        "path": _shown(survey),
        "known": sorted(survey.entries - survey.stale),
        "stale": sorted(survey.stale),
        "new": sorted(survey.current - survey.entries),
    }


def _surveys(paths: list[str] | None, configuration: object) -> list[Survey]:
    """What each baseline on the way says and what is there, the outermost first."""
    from llmguard.check.debt import surveys
    from llmguard.check.run import Options, Run
    from llmguard.cli.output import Progress, nothing_checked
    from llmguard.config import Configuration

    assert isinstance(configuration, Configuration)
    with Progress(shown=sys.stderr.isatty()) as progress:
        run = Run(configuration, Options(baseline=False, on_file=progress))
        report = run.over(paths or ["."])
    if not report.files_checked:
        typer.echo(nothing_checked(report), err=True)
        raise typer.Exit(3)
    return surveys(run.checked, run.extent)


def _write(survey: Survey, entries: set[str], *, dry_run: bool) -> None:
    from llmguard.check.baseline import text_of
    from llmguard.check.edit import refuse_outside, write_whole
    from llmguard.check.report.summary import count
    from llmguard.cli.output import difference, shown

    text = text_of(entries, survey.comments).encode()
    before = None
    if survey.exists:
        with open(survey.path, "rb") as file:
            before = file.read()
    if dry_run:
        for line in difference(_shown(survey), before, text):
            print(shown(line))
    elif text != before:
        folder = os.path.dirname(survey.path)
        refuse_outside(survey.path, folder)
        os.makedirs(folder, exist_ok=True)
        write_whole(survey.path, text, within=folder)
    added, removed = len(entries - survey.entries), len(survey.entries - entries)
    changes = ", ".join(
        part for part in (f"{added:,} added" * bool(added), f"{removed:,} removed" * bool(removed)) if part
    )
    print(
        f"{_shown(survey)}: {count(len(entries), 'entry')} ({changes or 'nothing changed'}).",
        file=sys.stderr if dry_run else None,
    )


def _common_folder(survey: Survey) -> str:
    """The folder that holds every file of a baseline, and this one."""
    from llmguard.check.baseline import Baseline

    baseline = Baseline(survey.path, {})
    return os.path.commonpath([os.getcwd(), *(os.path.dirname(baseline.path_of(entry)) for entry in survey.entries)])


def _shown(survey: Survey) -> str:
    from llmguard.check.discover import shown_path
    from llmguard.printable import printable

    return printable(shown_path(survey.path))
