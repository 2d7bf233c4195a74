"""Jupyter notebooks: the code cells as one module, with magics made harmless, and the way back to the cells.

A line magic that runs Python (`%time f()`) leaves its code where it stands; any other magic, `!command` and `?help`
becomes `pass`. Cells of another language (`%%bash`, or by their metadata) are left out. Lines keep their numbers
within the cell; columns are those of the cell, but behind an assignment from a shell command.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from typing import TYPE_CHECKING, Any, NamedTuple

from llmguard.check.reading import lines_of, parse_strictly
from llmguard.errors import UncheckableError

if TYPE_CHECKING:
    from llmguard.check.finding import FileReport, Finding, Unchecked

SUFFIX = ".ipynb"
#: Magics in whose line, or in whose cell, Python follows.
_RUNS_PYTHON = frozenset({"time", "timeit", "prun", "memit", "mprun", "lprun", "capture", "debug"})
_LINE_MAGIC = re.compile(r"(?P<indent>\s*)%(?P<name>\w+)(?P<options>(?:\s+-\w+(?:\s+\d+)?)*)\s?(?P<rest>.*)")
_SHELL = re.compile(r"(?P<before>\s*(?:[\w.,\s\[\]\"']+=\s*)?)(?:!|%%|%[A-Za-z])")
_HELP = re.compile(r"\s*(?:\?{1,2}[\w.*]+|[\w.]+\?{1,2})\s*$")


class Notebook(NamedTuple):
    """The Python of a notebook.

    Attributes:
        source: one module in UTF-8, cells one after the other.
        starts: line of the module on which each code cell begins.
        numbers: number of each code cell among all cells, from 1.
    """

    source: bytes
    starts: tuple[int, ...]
    numbers: tuple[int, ...]

    def placed(self, report: FileReport) -> FileReport:
        """A report about `source`, with its places in cells."""
        return report._replace(
            findings=tuple(map(self._finding, report.findings)),
            tracked=tuple(map(self._finding, report.tracked)),
            suppressed=tuple(map(self._finding, report.suppressed)),
            unchecked=tuple(map(self._unchecked, report.unchecked)),
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

    def _unchecked(self, note: Unchecked) -> Unchecked:
        cell, before = self._cell(note.line)
        return note._replace(line=max(note.line - before, 1), cell=cell)


def read(data: bytes) -> Notebook:
    """The Python of a notebook's bytes.

    Raises:
        UncheckableError: it is no notebook of version 3 or 4.
    """
    cells = _cells(data)
    lines: list[str] = []
    starts: list[int] = []
    numbers: list[int] = []
    for number, cell in enumerate(cells, 1):
        text = _text(cell)
        if cell.get("cell_type") == "code" and _is_python(cell, text):
            starts.append(len(lines) + 1)
            numbers.append(number)
            lines += _python(text)
    return Notebook("\n".join(lines).encode("utf-8", "surrogatepass"), tuple(starts), tuple(numbers))


def cell_lines(data: bytes, number: int) -> list[str]:
    """The lines of a cell as the notebook shows them.

    Raises:
        UncheckableError: it is no notebook.
    """
    cells = _cells(data)
    return lines_of(_text(cells[number - 1])) if 0 < number <= len(cells) else []


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
    language = _below(document, "metadata", "language_info").get("name", "python")
    return cells if str(language).lower() in ("python", "ipython") else []


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
    first = text.lstrip().partition("\n")[0]
    return not first.startswith("%%") or first[2:].partition(" ")[0].strip() in _RUNS_PYTHON


def _python(text: str) -> list[str]:
    """The lines of a cell as Python that parses; a cell that parses as it is has no magics."""
    lines = lines_of(text)
    try:
        parse_strictly(text)
        return lines
    except UncheckableError:
        pass  # magics, or real errors: those are reported when the module is parsed
    found: list[str] = []
    continued = False
    for line in lines:
        if continued:
            found.append("")
        else:
            found.append(_without_magic(line))
        continued = (continued or found[-1] != line) and line.endswith("\\")
    return found


def _without_magic(line: str) -> str:
    stripped = line.lstrip()
    if not stripped or stripped.startswith("#"):
        return line
    magic = _LINE_MAGIC.fullmatch(line)
    if stripped.startswith("%%"):
        return ""
    if magic is not None and magic["name"] in _RUNS_PYTHON and magic["rest"]:
        # The indentation stays, and the code keeps its columns: what stands before it becomes an expression.
        before = line[: magic.start("rest")]
        width = len(before) - len(magic["indent"])
        return magic["indent"] + "0".ljust(width - 1) + ";" + magic["rest"] if width > 1 else line
    if _HELP.fullmatch(line):
        return line[: len(line) - len(stripped)] + "pass"
    shell = _SHELL.match(line)
    if shell is not None and (not shell["before"].strip() or "=" in shell["before"]):
        if not shell["before"].strip():
            return line[: len(line) - len(stripped)] + "pass"
        if line[shell.end() - 1] == "!" or _LINE_MAGIC.fullmatch(line[shell.end("before") :]):
            return shell["before"] + "None"
    return line
