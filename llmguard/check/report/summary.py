"""The last line of a report for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmguard.check.finding import Report


def summary(report: Report) -> str:
    """Counts of files, findings, tracked calls, skipped files and what could not be read."""
    parts = [f"{count(len(report.findings), 'finding')} in {count(report.files_checked, 'file')}"]
    if report.tracked:
        parts.append(f"{count(len(report.tracked), 'call')} tracked already")
    if report.baselined:
        parts.append(f"{len(report.baselined):,} more in the baseline")
    if report.suppressed:
        parts.append(f"{len(report.suppressed):,} suppressed")
    if report.stale:
        parts.append(f"{count(len(report.stale), 'stale entry')}")
    if report.files_skipped:
        parts.append(f"{count(report.files_skipped, 'file')} skipped")
    whole = sum(1 for note in report.unchecked if note.whole)
    partly = len({note.path for note in report.unchecked if not note.whole})
    if whole:
        parts.append(f"{count(whole, 'file')} could not be read")
    if partly:
        parts.append(f"{count(partly, 'file')} read in part or with a note")
    return ", ".join(parts) + "."


def count(number: int, noun: str) -> str:
    """A number with its noun: "1 file", "1,200 files"."""
    plural = f"{noun.removesuffix('y')}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"
