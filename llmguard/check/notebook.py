"""Jupyter notebooks: the code cells as one module, and the way back to the cells.

Each cell is parsed by itself, so that a broken one hides no other; what of it cannot be parsed is blanked and named.
Lines and columns are those of the cell. Cells of another language (`%%bash`, or by their metadata) are left out.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

from llmguard.check import magics
from llmguard.check.finding import Unchecked
from llmguard.check.reading import Parsed, lines_of, parse, parse_strictly
from llmguard.errors import UncheckableError

if TYPE_CHECKING:
    from llmguard.check.finding import FileReport, Finding

SUFFIX = ".ipynb"


class Notebook(NamedTuple):
    """The Python of a notebook.

    Attributes:
        lines: of one module, cells one after the other with a line between them; magics are harmless.
        readable: the same, without the lines that cannot be parsed.
        starts: line of the module on which each code cell begins.
        numbers: number of each code cell among all cells, from 1.
        failed: (first line, last line, reason) of what cannot be parsed, lines of the module.
    """

    lines: list[str]
    readable: list[str]
    starts: list[int]
    numbers: list[int]
    failed: list[tuple[int, int, str]]

    def parsed(self) -> Parsed:
        """The tree of the module, and what is not in it."""
        return Parsed(parse_strictly("\n".join(self.readable)), tuple(self.failed))

    def placed(self, report: FileReport, path: str) -> FileReport:
        """A report about the module, with its places in cells."""
        return report._replace(
            findings=tuple(map(self._finding, report.findings)),
            tracked=tuple(map(self._finding, report.tracked)),
            suppressed=tuple(map(self._finding, report.suppressed)),
            unchecked=tuple(self._unchecked(path)),
        )

    def _cell(self, line: int) -> tuple[int, int]:
        """(number of the cell, line before its first) for a line of the module."""
        at = bisect_right(self.starts, line) - 1
        return (self.numbers[at], self.starts[at] - 1) if at >= 0 else (0, 0)

    def _finding(self, finding: Finding) -> Finding:
        region = finding.region
        cell, before = self._cell(region.line)
        moved = region._replace(line=region.line - before, end_line=region.end_line - before)
        return finding._replace(region=moved, cell=cell)

    def _unchecked(self, path: str) -> list[Unchecked]:
        notes = []
        for first, last, reason in self.failed:
            cell, before = self._cell(first)
            said = Unchecked.unparsed(path, first - before, last - before, reason)
            notes.append(said._replace(cell=cell))
        return notes


def read(data: bytes) -> Notebook:
    """The Python of a notebook's bytes.

    Raises:
        UncheckableError: it is no notebook of version 3 or 4.
    """
    notebook = Notebook([], [], [], [], [])
    for number, cell in enumerate(_cells(data), 1):
        text = _text(cell)
        if cell.get("cell_type") == "code" and _is_python(cell, text):
            _add(notebook, number, text)
    return notebook


def cell_lines(data: bytes, number: int) -> list[str]:
    """The lines of a cell as the notebook shows them.

    Raises:
        UncheckableError: it is no notebook.
    """
    cells = _cells(data)
    return lines_of(_text(cells[number - 1])) if 0 < number <= len(cells) else []


def _add(notebook: Notebook, number: int, text: str) -> None:
    """Add a cell to the module."""
    before = ""  # the line in front of it keeps comments of two cells apart
    lines = lines_of(text)
    readable = lines
    failed: tuple[tuple[int, int, str], ...] = ()
    if not _parses(text):
        lines = magics.harmless(lines)
        if _is_indented(lines) and _parses("\n".join(["if 1:", *lines])):
            before = "if 1:"  # a cell may be indented as a whole
            readable = lines
        else:
            failed = parse("\n".join(lines)).failed
            gone = {line for first, last, _ in failed for line in range(first, last + 1)}
            readable = ["" if at in gone else line for at, line in enumerate(lines, 1)]
            if not _parses("\n".join(readable)):
                failed = ((1, len(lines), failed[0][2] if failed else "invalid syntax"),)
                readable = [""] * len(lines)
    start = len(notebook.lines) + 2
    notebook.starts.append(start)
    notebook.numbers.append(number)
    notebook.failed.extend((first + start - 1, last + start - 1, reason) for first, last, reason in failed)
    notebook.lines.extend([before, *lines])
    notebook.readable.extend([before, *readable])


def _parses(text: str) -> bool:
    try:
        parse_strictly(text)
    except UncheckableError:
        return False
    return True


def _is_indented(lines: list[str]) -> bool:
    return next((line[:1].isspace() for line in lines if line.strip()), False)


def _text(cell: dict[str, Any]) -> str:
    source = cell.get("source", cell.get("input", ""))
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _cells(data: bytes) -> list[dict[str, Any]]:
    try:
        document = json.loads(data.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise UncheckableError(f"is no notebook: {' '.join(str(error).split())}") from None
    cells = None
    if isinstance(document, dict):
        sheets = document.get("worksheets")
        first = sheets[0] if isinstance(sheets, list) and sheets and isinstance(sheets[0], dict) else {}
        cells = document.get("cells", first.get("cells"))
    if not isinstance(cells, list) or not all(isinstance(cell, dict) for cell in cells):
        raise UncheckableError("is no notebook: it has no list of cells")
    told = (
        _below(document, "metadata", "language_info").get("name"),
        _below(document, "metadata", "kernelspec").get("language"),
    )
    language = next((str(name) for name in told if name), "python")
    return cells if language.lower() in ("python", "ipython") else []


def _below(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The object at a path of keys, an empty one where there is none."""
    for key in keys:
        inner = document.get(key)
        document = inner if isinstance(inner, dict) else {}
    return document


def _is_python(cell: dict[str, Any], text: str) -> bool:
    """Whether a cell holds Python: its metadata and its first line say so."""
    if _below(cell, "metadata", "vscode").get("languageId", "python") != "python":
        return False
    return not magics.is_foreign(text)
