"""Each finding with its source and a caret under the callee."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.check import notebook
from llmguard.check.reading import decode, lines_of
from llmguard.check.report.concise import finding_line, unchecked_line
from llmguard.check.report.place import place_of
from llmguard.check.report.style import styled
from llmguard.errors import UncheckableError
from llmguard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.finding import Finding, Report

_WIDEST = 160  # characters of a source line that are shown


def lines(report: Report, colour: bool) -> Iterator[str]:
    """The report in lines."""
    sources = _Sources(report)
    for finding in report.findings:
        yield from _finding(finding, sources, colour)
        yield ""
    for finding in report.stale:
        yield finding_line(finding, colour)
    for note in report.unchecked:
        yield unchecked_line(note, colour)
    if report.stale or report.unchecked:
        yield ""


def _finding(finding: Finding, sources: _Sources, colour: bool) -> Iterator[str]:
    region = finding.region
    doubt = f" [{finding.confidence}]" if finding.confidence != "proved" else ""
    yield f"{styled(finding.rule, colour, 'red', 'bold')} {printable(finding.message)}{doubt}"
    gutter = len(str(region.end_line))
    bar = styled("|", colour, "blue")
    arrow = styled("-->", colour, "blue")
    yield f"{' ' * gutter} {arrow} {place_of(finding)}"
    source = sources.lines(finding)
    if region.end_line > len(source):
        return
    yield f"{' ' * gutter} {bar}"
    shown = range(region.line, min(region.end_line, region.line + 3) + 1)
    for number in shown:
        text = printable(source[number - 1].expandtabs(1))
        yield f"{styled(str(number).rjust(gutter), colour, 'blue')} {bar} {text[:_WIDEST]}".rstrip()
        start = region.column if number == region.line else len(text) - len(text.lstrip()) + 1
        end = region.end_column if number == region.end_line else len(text.rstrip()) + 1
        if start <= _WIDEST:
            carets = "^" * max(1, min(end, _WIDEST) - start)
            yield f"{' ' * gutter} {bar} {' ' * (start - 1)}{styled(carets, colour, 'red', 'bold')}"
    yield f"{' ' * gutter} {bar}"


class _Sources:
    """The lines of files, read again for the excerpts; those of the last file are kept."""

    def __init__(self, report: Report) -> None:
        self._given = dict(report.sources)
        self._path = ""
        self._data = b""
        self._read: dict[int, list[str]] = {}

    def lines(self, finding: Finding) -> list[str]:
        """The lines of a finding's file, or of its cell; none when it has gone since it was checked."""
        if finding.path != self._path:
            self._path, self._data, self._read = finding.path, self._bytes(finding.path), {}
        if finding.cell not in self._read:
            try:
                self._read[finding.cell] = (
                    notebook.cell_lines(self._data, finding.cell) if finding.cell else lines_of(decode(self._data).text)
                )
            except UncheckableError:
                return []
        return self._read[finding.cell]

    def _bytes(self, path: str) -> bytes:
        given = self._given.get(path)
        if given is not None:
            return given
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            return b""
