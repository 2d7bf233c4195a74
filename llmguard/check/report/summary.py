"""The last line of a report for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmguard.check.engine import Report


def summary(report: Report) -> str:
    """Counts of files, findings, tracked calls, skipped files and what could not be read."""
    parts = [f"{_count(len(report.findings), 'finding')} in {_count(report.files_checked, 'file')}"]
    if report.tracked:
        parts.append(f"{_count(len(report.tracked), 'call')} tracked already")
    if report.files_skipped:
        parts.append(f"{_count(report.files_skipped, 'file')} skipped")
    whole = sum(1 for note in report.unchecked if note.whole)
    partly = len({note.path for note in report.unchecked if not note.whole})
    if whole:
        parts.append(f"{_count(whole, 'file')} could not be read")
    if partly:
        parts.append(f"{_count(partly, 'file')} read in part or with a note")
    return ", ".join(parts) + "."


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
