"""JUnit XML: a failed test case for each finding, an error for each file that could not be checked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from llmguard.check.report.place import cell_of, place_of
from llmguard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.finding import Report

# Characters that XML 1.0 cannot carry.
_FORBIDDEN = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")


def lines(report: Report, colour: bool = False) -> Iterator[str]:
    """The report as one document, in lines. Without findings there is one test case, which passes."""
    failures, errors = len(report.findings), len(report.unchecked)
    tests = failures + errors or 1
    counts = f'tests="{tests}" failures="{failures}" errors="{errors}"'
    yield '<?xml version="1.0" encoding="UTF-8"?>'
    yield f'<testsuites name="llmguard" {counts}>'
    yield f'  <testsuite name="llmguard check" {counts} skipped="0" time="0">'
    for finding in report.findings:
        path = printable(finding.path)
        place = place_of(finding)
        yield _case(path, f"{finding.rule} {place}")
        said = f"type={_attribute(finding.rule)} message={_attribute(printable(finding.message))}"
        yield f"      <failure {said}>{_text(f'{place}: {printable(finding.message)}')}</failure>"
        yield "    </testcase>"
    for note in report.unchecked:
        path = printable(note.path)
        yield _case(path, f"{note.rule} {path}{cell_of(note)}:{max(note.line, 1)}")
        yield f"      <error type={_attribute(note.rule)} message={_attribute(printable(note.message))}/>"
        yield "    </testcase>"
    if not failures + errors:
        yield f'    <testcase classname="llmguard" name="{report.files_checked} files checked" time="0"/>'
    yield "  </testsuite>"
    yield "</testsuites>"


def _case(path: str, name: str) -> str:
    return f'    <testcase classname={_attribute(path)} name={_attribute(name)} time="0">'


def _attribute(text: str) -> str:
    return quoteattr(_FORBIDDEN.sub("?", text))


def _text(text: str) -> str:
    return escape(_FORBIDDEN.sub("?", text))
