"""Output formats, one file each. A format is a function from a report to lines of text."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from llmguard.check.engine import Report
from llmguard.check.report import concise, full, github, gitlab, json_lines, json_report, junit, markdown, sarif

#: Name on the command line -> the format.
FORMATS: dict[str, Callable[[Report, bool], Iterable[str]]] = {
    "full": full.lines,
    "concise": concise.lines,
    "json": json_report.lines,
    "json-lines": json_lines.lines,
    "sarif": sarif.lines,
    "github": github.lines,
    "gitlab": gitlab.lines,
    "junit": junit.lines,
    "markdown": markdown.lines,
}

#: Formats for people, behind which a summary is printed; the others say all that there is to say themselves.
FOR_PEOPLE = frozenset({"full", "concise"})
