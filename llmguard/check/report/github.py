"""GitHub's workflow commands: an annotation for each finding.

GitHub shows at most ten annotations of a kind in a step, so the most certain findings come first and the last line
says how many there are in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.check.finding import Confidence
from llmguard.check.report.place import in_file, note_in_file
from llmguard.check.report.summary import summary
from llmguard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.finding import Report

_LEVELS = {"error": "error", "warning": "warning", "note": "notice"}


def lines(report: Report, colour: bool = False) -> Iterator[str]:
    """The report in lines."""
    for finding in map(in_file, sorted(report.findings, key=lambda f: -Confidence(f.confidence).rank)):
        region = finding.region
        place = f"file={_property(printable(finding.path))},line={region.line},endLine={region.end_line}"
        if region.line == region.end_line:
            place += f",col={region.column},endColumn={region.end_column}"
        level, title = _LEVELS[finding.severity], _property(f"llmguard {finding.rule}")
        yield f"::{level} {place},title={title}::{_data(printable(finding.message))}"
    for finding in report.stale:
        place = f"file={_property(printable(finding.path))},line={finding.region.line}"
        yield f"::notice {place},title={_property(f'llmguard {finding.rule}')}::{_data(printable(finding.message))}"
    for note in map(note_in_file, report.unchecked):
        place = f"file={_property(printable(note.path))},line={max(note.line, 1)}"
        yield f"::warning {place},title={_property(f'llmguard {note.rule}')}::{_data(printable(note.message))}"
    yield summary(report)


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
