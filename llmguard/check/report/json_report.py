"""JSON, version 1. Keys may be added; none is ever renamed or removed within a version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from llmguard.check.discover import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.engine import Report

VERSION = 1


def lines(report: Report, colour: bool = False) -> Iterator[str]:
    """The report as one document. ASCII only, so that any stdout can carry it."""
    document = {
        "version": VERSION,
        "findings": [{**f.as_json(), "path": printable(f.path)} for f in report.findings],
        "files_checked": report.files_checked,
        "files_skipped": report.files_skipped,
        "tracked": len(report.tracked),
        "errors": [
            {"path": printable(u.path), "line": u.line, "rule": "LLG901" if u.whole else "LLG902", "message": u.message}
            for u in report.unchecked
        ],
    }
    yield json.dumps(document, indent=2)
