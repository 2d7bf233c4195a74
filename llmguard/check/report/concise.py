"""One line for each finding: `path:line:column: CODE message`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.check.report.place import cell_of
from llmguard.check.report.style import styled
from llmguard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.finding import Finding, Report, Unchecked


def lines(report: Report, colour: bool) -> Iterator[str]:
    """The report in lines."""
    for finding in (*report.findings, *report.stale):
        yield finding_line(finding, colour)
    for note in report.unchecked:
        yield unchecked_line(note, colour)


def finding_line(finding: Finding, colour: bool = False) -> str:
    """One finding. What is not certain says so."""
    where = f"{cell_of(finding)}:{finding.region.line}:{finding.region.column}:"
    place = f"{styled(printable(finding.path), colour, 'bold')}{where}"
    doubt = f" [{finding.confidence}]" if finding.confidence != "proved" else ""
    return f"{place} {styled(finding.rule, colour, 'red', 'bold')} {printable(finding.message)}{doubt}"


def unchecked_line(note: Unchecked, colour: bool = False) -> str:
    """One file, or part of one, that could not be checked."""
    text = f"could not check: {note.message}" if note.whole else note.message
    place = f"{styled(printable(note.path), colour, 'bold')}{cell_of(note)}:{max(note.line, 1)}:1:"
    return f"{place} {styled(note.rule, colour, 'yellow', 'bold')} {printable(text)}"
