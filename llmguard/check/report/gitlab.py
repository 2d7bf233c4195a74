"""GitLab's code quality report."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

from llmguard.check.report.fingerprint import fingerprints
from llmguard.check.report.place import in_file, note_in_file
from llmguard.printable import json_text, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.finding import Report

_SEVERITIES = {"error": "major", "warning": "minor", "note": "info"}


def lines(report: Report, colour: bool = False) -> Iterator[str]:
    """The report as one document. Files that could not be checked are findings here: GitLab has no other place."""
    rows: list[dict[str, Any]] = [
        {
            "description": f"{finding.rule}: {printable(finding.message)}",
            "check_name": finding.rule,
            "fingerprint": fingerprint,
            "severity": _SEVERITIES[finding.severity],
            "location": {"path": printable(finding.path), "lines": {"begin": finding.region.line}},
        }
        for finding, fingerprint in fingerprints(map(in_file, report.findings))
    ]
    for number, note in enumerate(map(note_in_file, report.unchecked)):
        path = printable(note.path)
        identity = zlib.crc32(f"{path}:{note.message}".encode())
        rows.append(
            {
                "description": f"could not be checked: {printable(note.message)}",
                "check_name": note.rule,
                "fingerprint": f"unchecked-{identity:08x}-{number}",
                "severity": "info",
                "location": {"path": path, "lines": {"begin": max(note.line, 1)}},
            }
        )
    yield json_text(rows)
