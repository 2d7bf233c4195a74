"""Blank lines where lines were taken out: no more of them than there were on either side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.migrate.edit import Edit
from llmguard.migrate.source import Span

if TYPE_CHECKING:
    from llmguard.migrate.source import Source


def tidied(source: Source, edits: list[Edit]) -> list[Edit]:
    """The edits that take out the blank lines which removals leave in excess.

    Args:
        source: the file.
        edits: of the file; those without text that cover whole lines are removals.
    """
    gone = _removed(source, edits)
    put_in = {edit.span.start for edit in edits if edit.text}
    found: list[Edit] = []
    number, last = 0, len(source.lines)
    while number < last:
        if number not in gone and source.lines[number].strip():
            number += 1
            continue
        first = number
        while number < last and (number in gone or not source.lines[number].strip()):
            number += 1
            if number < last and source.starts[number] in put_in:
                break  # what is put in there parts the blank lines
        if gone & set(range(first, number)):
            found += [_without(source, line) for line in _excess(source, gone, first, number)]
    return [edit for edit in found if edit.span.end > edit.span.start]


def _removed(source: Source, edits: list[Edit]) -> set[int]:
    gone: set[int] = set()
    starts = {start: number for number, start in enumerate(source.starts)}
    for edit in edits:
        if not edit.text and edit.span.start in starts:
            number = starts[edit.span.start]
            while number < len(source.starts) and source.starts[number] < edit.span.end:
                gone.add(number)
                number += 1
    return gone


def _excess(source: Source, gone: set[int], first: int, end: int) -> list[int]:
    """The blank lines of a run (lines from `first` to before `end`) that go."""
    blank = [number for number in range(first, end) if number not in gone]
    before = next((count for count, number in enumerate(range(first, end)) if number in gone), 0)
    after = next((count for count, number in enumerate(range(end - 1, first - 1, -1)) if number in gone), 0)
    if end == len(source.lines):
        after = min(after, 1)  # the empty line behind the last line end
    kept = max(before, after)
    if first == 0 or (not before and source.lines[first - 1].rstrip().endswith(":")):
        kept = 0 if end < len(source.lines) else kept
    return blank[kept:] if kept < len(blank) else []


def _without(source: Source, number: int) -> Edit:
    end = source.starts[number + 1] if number + 1 < len(source.starts) else len(source.text)
    return Edit(Span(source.starts[number], end), "")
