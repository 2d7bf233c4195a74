"""`llmguard coverage`."""

from __future__ import annotations

import sys
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from llmguard.cli import options
from llmguard.printable import json_text, markdown_code, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.coverage import Coverage


class CoverageFormat(str, Enum):
    """Output formats."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


def coverage(
    paths: options.Paths = None,
    output_format: Annotated[
        CoverageFormat, typer.Option("--output-format", help="How to report.")
    ] = CoverageFormat.TEXT,
    output_file: Annotated[str, typer.Option("--output-file", metavar="FILE", help="Write the report there.")] = "",
    fail_under: Annotated[
        float | None,
        typer.Option("--fail-under", min=0, max=100, metavar="PERCENT", help="Exit with 1 below this share."),
    ] = None,
    badge: Annotated[str, typer.Option("--badge", metavar="FILE", help="Write an SVG badge there.")] = "",
    min_confidence: options.MinConfidence = "",
    baseline: options.BaselineFile = "",
    config: options.Config = "",
    isolated: options.Isolated = False,
) -> None:
    """Show which share of all call sites is tracked, by directory, provider and rule.

    A site counts as tracked when the call goes through a door, stands in a tracker block or on a tracked client, or
    is LiteLLM's where the callback is installed. Suppressed and baselined calls count as untracked.

    Exit code: 0, 1 below --fail-under, 2 wrong usage or configuration, 3 nothing was checked.
    """
    from llmguard.check import coverage as of
    from llmguard.check.run import Options, run
    from llmguard.cli.output import Progress, nothing_checked, write_text

    configuration = options.configuration(config, isolated, min_confidence=min_confidence, baseline=baseline)
    with Progress(shown=sys.stderr.isatty()) as progress:
        report = run(paths or ["."], configuration, Options(on_file=progress))
    if not report.files_checked:
        typer.echo(nothing_checked(report), err=True)
        raise typer.Exit(3)
    found = of.coverage_of(report)
    lines = list(_LINES[output_format.value](found))
    if output_file:
        write_text(output_file, lines)
    else:
        for line in lines:
            print(line)
    if badge:
        write_text(badge, [of.badge(found.total.percent).rstrip("\n")])
    if fail_under is not None and found.total.below(fail_under):
        typer.echo(
            f"llmguard: {found.total.percent:g} % of call sites are tracked, less than {fail_under:g} %", err=True
        )
        raise typer.Exit(1)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} %"


def _text(found: Coverage) -> Iterator[str]:
    total = found.total
    yield f"{total.tracked:,} of {total.call_sites:,} call sites are tracked ({_percent(total.percent)})."
    left = (("reported", found.reported), ("in the baseline", found.baselined), ("suppressed", found.suppressed))
    if total.call_sites > total.tracked:
        yield "Untracked: " + ", ".join(f"{number:,} {what}" for what, number in left if number) + "."
    for key, shares in found.by.items():
        if shares:
            width = max(len(name) for name in (*shares, key))
            yield ""
            yield f"{key.ljust(width)}  {'tracked':>9}  {'sites':>7}  {'share':>8}"
            for name, share in shares.items():
                row = f"{share.tracked:>9,}  {share.call_sites:>7,}  {_percent(share.percent):>8}"
                yield f"{printable(name).ljust(width)}  {row}"


def _json(found: Coverage) -> Iterator[str]:
    yield json_text(found.as_json())


def _markdown(found: Coverage) -> Iterator[str]:
    total = found.total
    yield f"### LLM calls tracked: {_percent(total.percent)} ({total.tracked:,} of {total.call_sites:,})"
    for key, shares in found.by.items():
        yield ""
        yield f"| {key} | tracked | sites | share |"
        yield "|---|---:|---:|---:|"
        for name, share in shares.items():
            yield f"| {markdown_code(name)} | {share.tracked:,} | {share.call_sites:,} | {_percent(share.percent)} |"


_LINES = {"text": _text, "json": _json, "markdown": _markdown}
