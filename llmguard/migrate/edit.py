"""Edits of a text: pieces that are replaced; what lies outside of them stays byte for byte."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from llmguard.migrate.source import Span


class Edit(NamedTuple):
    """Text in place of a span; an empty span is an insertion. Of two at one place the first in order comes first."""

    span: Span
    text: str


class OverlapError(ValueError):
    """Two edits of one text overlap."""


def applied(text: str, edits: Iterable[Edit]) -> str:
    """The text after all edits.

    Raises:
        OverlapError: two of them overlap.

    >>> applied("abc", [Edit(Span(1, 2), "B"), Edit(Span(3, 3), "!")])
    'aBc!'
    """
    pieces, at = [], 0
    for span, new in sorted(edits, key=lambda edit: (edit.span.start, edit.span.end)):
        if span.start < at:
            raise OverlapError(f"edits overlap at {span.start}")
        pieces += [text[at : span.start], new]
        at = span.end
    return "".join([*pieces, text[at:]])


def within(edits: Iterable[Edit], span: Span) -> list[Edit]:
    """The edits that lie inside a span, moved to its beginning."""
    return [
        Edit(Span(edit.span.start - span.start, edit.span.end - span.start), edit.text)
        for edit in edits
        if span.start <= edit.span.start and edit.span.end <= span.end
    ]
