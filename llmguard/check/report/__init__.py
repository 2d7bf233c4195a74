"""Output formats, one file each. A format is a function from a report to lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from llmguard.check.engine import Report
from llmguard.check.report import concise, full, json_report

#: Name on the command line -> the format.
FORMATS: dict[str, Callable[[Report, bool], Iterable[str]]] = {
    "full": full.lines,
    "concise": concise.lines,
    "json": json_report.lines,
}
