"""JSON, version 1. Keys may be added; none is ever renamed or removed within a version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmguard.printable import json_text, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.finding import Finding, Report, Unchecked

VERSION = 1


def lines(report: Report, colour: bool = False) -> Iterator[str]:
    """The report as one document. ASCII only, so that any stdout can carry it."""
    document = {
        "version": VERSION,
        "findings": [finding_object(finding) for finding in report.findings],
        "files_checked": report.files_checked,
        "files_skipped": report.files_skipped,
        "tracked": len(report.tracked),
        "suppressed": len(report.suppressed),
        "baselined": len(report.baselined),
        "stale": [finding_object(finding) for finding in report.stale],
        "errors": [error_object(note) for note in report.unchecked],
    }
    yield json_text(document)


def finding_object(finding: Finding) -> dict[str, Any]:
    """A finding as JSON knows it."""
    shown = {name: printable(getattr(finding, name)) for name in ("path", "site", "message")}
    return {**finding.as_json(), **shown}


def error_object(note: Unchecked) -> dict[str, Any]:
    """What could not be checked, as JSON knows it."""
    row = {"path": printable(note.path), "line": note.line, "rule": note.rule, "message": printable(note.message)}
    return {**row, "cell": note.cell} if note.cell else row
