"""Where a finding is, in words: `path:line:column`, in a notebook `path:cell 3:line:column`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.check.finding import Finding, Region
from llmguard.printable import printable

if TYPE_CHECKING:
    from llmguard.check.finding import Unchecked


def cell_of(where: Finding | Unchecked) -> str:
    """`:cell 3` for what lies in a notebook's cell."""
    return f":cell {where.cell}" if where.cell else ""


def place_of(finding: Finding) -> str:
    """Path, cell, line and column."""
    return f"{printable(finding.path)}{cell_of(finding)}:{finding.region.line}:{finding.region.column}"


def in_file(finding: Finding) -> Finding:
    """A finding for a service that knows files only: its cell goes into the message, its region is the file's start."""
    if not finding.cell:
        return finding
    where = f"cell {finding.cell}, line {finding.region.line}: "
    return finding._replace(region=Region(1, 1, 1, 2), message=where + finding.message)


def note_in_file(note: Unchecked) -> Unchecked:
    """The same for what could not be checked."""
    return note._replace(line=1, message=f"cell {note.cell}, {note.message}") if note.cell else note
