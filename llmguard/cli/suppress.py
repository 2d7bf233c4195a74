"""`llmguard suppress`."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from llmguard.cli import options


def suppress(
    paths: options.Paths = None,
    reason: Annotated[
        str, typer.Option("--reason", metavar="TEXT", help="Why these calls stay as they are. Needed.")
    ] = "",
    select: options.Select = "",
    ignore: options.Ignore = "",
    min_confidence: options.MinConfidence = "",
    dry_run: options.DryRun = False,
    config: options.Config = "",
    isolated: options.Isolated = False,
) -> None:
    """Put a suppression comment with a reason above every call that is reported now.

    For calls that are meant to stay; for debt that is to be paid later use a baseline. A file whose program would
    change is left as it is. Exit code: 0, 1 some calls could not be suppressed, 2 wrong usage or configuration,
    3 nothing was checked.
    """
    from llmguard.check.fix import suppressions
    from llmguard.check.report.summary import count
    from llmguard.check.run import Options, run
    from llmguard.cli.output import Progress, nothing_checked, write_changes
    from llmguard.errors import UsageError

    text = " ".join(reason.split())
    if not text or "#" in text:
        raise UsageError("--reason must say why, without a #")
    configuration = options.configuration(config, isolated, select, ignore, min_confidence)
    with Progress(shown=sys.stderr.isatty()) as progress:
        report = run(paths or ["."], configuration, Options(on_file=progress))
    if not report.files_checked:
        typer.echo(nothing_checked(report), err=True)
        raise typer.Exit(3)
    changes, refusals = suppressions(report.findings, text)
    write_changes(changes, refusals, dry_run=dry_run)
    number = sum(len(change.findings) for change in changes)
    verb = "would be suppressed" if dry_run else "suppressed"
    typer.echo(f"{count(number, 'call')} {verb} in {count(len(changes), 'file')}.", err=dry_run)
    raise typer.Exit(1 if refusals else 0)
