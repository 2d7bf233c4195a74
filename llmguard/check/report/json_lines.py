"""JSON lines: one finding an object, one object a line, ASCII; what could not be checked follows with its rule."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.check.report.json_report import error_object, finding_object
from llmguard.printable import json_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.finding import Report


def lines(report: Report, colour: bool = False) -> Iterator[str]:
    """The report in lines."""
    for finding in (*report.findings, *report.stale):
        yield json_text(finding_object(finding), None)
    for note in report.unchecked:
        yield json_text(error_object(note), None)
