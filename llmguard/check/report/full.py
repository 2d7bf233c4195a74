"""Each finding with its source and a caret under the callee."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from llmguard.check.discover import printable
from llmguard.check.reading import decode, lines_of
from llmguard.check.report.concise import unchecked_line
from llmguard.check.report.style import styled
from llmguard.errors import UncheckableError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.engine import Report
    from llmguard.check.finding import Finding

_WIDEST = 160  # characters of a source line that are shown


def lines(report: Report, colour: bool) -> Iterator[str]:
    """The report in lines."""
    for finding in report.findings:
        yield from _finding(finding, colour)
        yield ""
    for note in report.unchecked:
        yield unchecked_line(note, colour)
    if report.unchecked:
        yield ""


def _finding(finding: Finding, colour: bool) -> Iterator[str]:
    region = finding.region
    doubt = f" [{finding.confidence}]" if finding.confidence != "proved" else ""
    yield f"{styled(finding.rule, colour, 'red', 'bold')} {finding.message}{doubt}"
    gutter = len(str(region.end_line))
    bar = styled("|", colour, "blue")
    arrow = styled("-->", colour, "blue")
    yield f"{' ' * gutter} {arrow} {printable(finding.path)}:{region.line}:{region.column}"
    source = _source(finding.path)
    if region.end_line > len(source):
        return
    yield f"{' ' * gutter} {bar}"
    shown = range(region.line, min(region.end_line, region.line + 3) + 1)
    for number in shown:
        text = source[number - 1].expandtabs(1)
        yield f"{styled(str(number).rjust(gutter), colour, 'blue')} {bar} {text[:_WIDEST]}".rstrip()
        start = region.column if number == region.line else len(text) - len(text.lstrip()) + 1
        end = region.end_column if number == region.end_line else len(text.rstrip()) + 1
        if start <= _WIDEST:
            carets = "^" * max(1, min(end, _WIDEST) - start)
            yield f"{' ' * gutter} {bar} {' ' * (start - 1)}{styled(carets, colour, 'red', 'bold')}"
    yield f"{' ' * gutter} {bar}"


@lru_cache(maxsize=8)
def _source(path: str) -> list[str]:
    """The lines of a file; none when it has gone since it was checked."""
    try:
        with open(path, "rb") as file:
            return lines_of(decode(file.read()).text)
    except (OSError, UncheckableError):
        return []
