"""IPython's magics, shell commands and help requests, made harmless so that the rest of a cell parses.

Code that a magic runs (`%time f()`) stays on its line and in its columns; any other magic, `!command` and `?help`
becomes `pass`, a value that comes from one becomes `None`.
"""

from __future__ import annotations

import re

# Magics behind which Python follows on the same line.
_RUNS_PYTHON = frozenset({"time", "timeit", "prun", "memit", "mprun", "lprun", "snakeviz", "debug"})
# Magics of a whole cell whose text is not run here as Python; any other cell magic is taken to run it.
_FOREIGN = frozenset(
    {
        *("bash", "sh", "zsh", "script", "cmd", "system", "sx", "!", "html", "HTML", "svg", "SVG", "latex", "markdown"),
        *("javascript", "js", "perl", "ruby", "R", "julia", "sql", "bigquery", "cython", "writefile", "file", "ai"),
        *("python2", "pypy", "mermaid", "dot", "css", "typescript", "coffeescript", "rust", "octave", "stata", "sas"),
    }
)
_OPTIONS = r"(?:\s+-\w+(?:[ =]\d+)?)*"
_LINE = re.compile(rf"(?P<before>\s*(?:[\w.,\s\[\]\"']+=\s*)?)%(?P<name>\w+){_OPTIONS}\s?(?P<rest>.*)")
_SHELL = re.compile(r"(?P<before>\s*(?:[\w.,\s\[\]\"']+=\s*)?)!")
_HELP = re.compile(r"\s*(?:\?{1,2}[\w.*]+|[\w.]+\?{1,2})\s*$")


def is_foreign(text: str) -> bool:
    """Whether a cell is of another language: its first line that says anything is a magic for one."""
    first = next((line for line in text.splitlines() if line.strip()), "").strip()
    return first.startswith("%%") and (first[2:].split() or [""])[0] in _FOREIGN


def harmless(lines: list[str]) -> list[str]:
    """The lines of a cell as Python, as many as before."""
    found: list[str] = []
    continued = False
    for line in lines:
        if continued:
            found.append("")
            continued = line.endswith("\\")
        else:
            found.append(_line(line))
            continued = found[-1] != line and line.endswith("\\") and not found[-1].endswith("\\")
    return found


def _line(line: str) -> str:
    stripped = line.lstrip()
    indent = line[: len(line) - len(stripped)]
    if not stripped or stripped.startswith("#"):
        return line
    if stripped.startswith("%%"):
        return ""
    magic = _LINE.fullmatch(line)
    if magic is not None and magic["name"] in _RUNS_PYTHON and magic["rest"]:
        before = magic["before"]
        gap = magic.start("rest") - len(before)
        # A statement needs something in front of the gap, so that the code keeps its column.
        return before + (" " * gap if before.strip() else "0" + " " * (gap - 2) + ";") + magic["rest"]
    if _HELP.fullmatch(line):
        return indent + "pass"
    other = magic or _SHELL.match(line)
    if other is None:
        return line
    return other["before"] + "None" if other["before"].strip() else indent + "pass"
