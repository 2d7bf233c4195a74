"""Markdown for a pull-request comment: a table of the findings, the most certain first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.check.finding import Confidence
from llmguard.check.report.place import cell_of
from llmguard.check.report.summary import summary
from llmguard.printable import markdown, markdown_code

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.finding import Report

_MOST_ROWS = 100  # a comment holds 65,536 characters


def lines(report: Report, colour: bool = False) -> Iterator[str]:
    """The report in lines."""
    yield "### llmguard: direct language-model calls"
    yield ""
    yield summary(report)
    if report.findings:
        yield ""
        yield "| where | rule | what |"
        yield "|---|---|---|"
        ordered = sorted(report.findings, key=lambda f: -Confidence(f.confidence).rank)
        for finding in ordered[:_MOST_ROWS]:
            doubt = f" ({finding.confidence})" if finding.confidence != "proved" else ""
            where = markdown_code(f"{finding.path}{cell_of(finding)}:{finding.region.line}")
            yield f"| {where} | {finding.rule} | {markdown(finding.message)}{doubt} |"
        if len(ordered) > _MOST_ROWS:
            yield ""
            yield f"... and {len(ordered) - _MOST_ROWS:,} more."
    if report.unchecked:
        yield ""
        yield "Not checked in full:"
        yield ""
        for note in report.unchecked[:_MOST_ROWS]:
            yield f"- {markdown_code(note.path)}: {markdown(note.message)}"
