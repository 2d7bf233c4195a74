"""Output formats, one file each: `lines(report, colour)` gives a report's lines of text.

A format is loaded when it is asked for; the hook needs one of them only.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmguard.check.finding import Report

#: Name on the command line -> module in this package.
FORMATS = {
    "full": "full",
    "concise": "concise",
    "json": "json_report",
    "json-lines": "json_lines",
    "sarif": "sarif",
    "github": "github",
    "gitlab": "gitlab",
    "junit": "junit",
    "markdown": "markdown",
}

#: Formats for people, behind which a summary is printed; the others say all that there is to say themselves.
FOR_PEOPLE = frozenset({"full", "concise"})


def lines_of_report(name: str, report: Report, colour: bool = False) -> Iterable[str]:
    """The report in the format of that name."""
    lines: Iterable[str] = import_module(f"llmguard.check.report.{FORMATS[name]}").lines(report, colour)
    return lines
