"""What commands print and write: reports, differences, progress."""

from __future__ import annotations

import difflib
import os
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from llmguard.check.finding import Report
    from llmguard.check.fix import Change, Refusal

_PROGRESS_AFTER = 1.0  # seconds


def has_colour() -> bool:
    """Whether stdout is a terminal that shows colours."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def write_text(path: str, lines: Iterable[str]) -> None:
    """Write lines to a file, whole or not at all.

    Raises:
        UsageError: the file cannot be written.
    """
    from llmguard.check.edit import write_whole

    write_whole(path, "".join(line + "\n" for line in lines).encode("utf-8", "backslashreplace"))


def difference(path: str, before: bytes | None, after: bytes, new_path: str = "") -> Iterator[str]:
    """A unified diff of a file (None before it is there), which moves when it has a new path, in lines."""
    old, new = (_lines((data or b"").decode("utf-8", "surrogateescape")) for data in (before, after))
    name = "/dev/null" if before is None else _quoted(f"a/{path}")
    for line in difflib.unified_diff(old, new, name, _quoted(f"b/{new_path or path}")):
        yield line.removesuffix("\n")
        if not line.endswith("\n"):
            yield "\\ No newline at end of file"


def shown(line: str) -> str:
    """A line of a patch for stdout. It stays as it is, so that it can be applied; but on a terminal nothing in it moves
    the cursor, and in the log of a CI service none is a command (`--output-file` has it as it is)."""
    from llmguard.printable import printable

    if sys.stdout is not None and sys.stdout.isatty():
        return "\t".join(map(printable, line.split("\t")))
    if os.environ.get("CI") and ("##" in line or "::" in line):
        return printable(line)
    return line


def _quoted(name: str) -> str:
    """A file's name as git writes it: between quotes when it holds what would end the line or the name."""
    if not any(sign < " " or sign in '"\\' for sign in name):
        return name
    return '"' + "".join(f"\\{ord(s):03o}" if s < " " else f"\\{s}" if s in '"\\' else s for s in name) + '"'


def _lines(text: str) -> list[str]:
    """The lines with their ends; a carriage return ends none, as git has it."""
    lines = [line + "\n" for line in text.split("\n")]
    lines[-1] = lines[-1].removesuffix("\n")
    return lines if lines[-1] else lines[:-1]


def write_changes(changes: list[Change], refusals: list[Refusal], *, dry_run: bool) -> None:
    """Write changed files, or print what would change; say which files are left as they are."""
    from llmguard.check.edit import has_other_names, write_whole
    from llmguard.config.place import is_inside
    from llmguard.printable import printable

    for change in changes:
        if not is_inside(change.path):
            print(f"{printable(change.path)}: left as it is: leads out of the project", file=sys.stderr)
        elif dry_run:
            for line in difference(printable(change.path), change.before, change.after):
                print(shown(line))
        else:
            if has_other_names(change.path):
                print(f"{printable(change.path)}: its other hard links keep what it was", file=sys.stderr)
            write_whole(change.path, change.after)
    for refusal in refusals:
        print(f"{printable(refusal.path)}: left as it is: {refusal.reason}", file=sys.stderr)


def nothing_checked(report: Report) -> str:
    """Why a report is about no file."""
    if report.files_skipped:
        number = report.files_skipped
        which = "the one Python file is" if number == 1 else f"all {number:,} Python files are"
        return f"Nothing was checked: {which} excluded."
    if report.unchecked:
        return "Nothing was checked: no file could be read."
    return "Nothing was checked: no Python files were found."


class Progress:
    """A progress bar on stderr, once a run takes longer than a second."""

    def __init__(self, *, shown: bool) -> None:
        self._shown = shown
        self._started = time.monotonic()
        self._bar: Any = None
        self._task: Any = None

    def __enter__(self) -> Progress:
        return self

    def __call__(self, done: int, total: int) -> None:
        if not self._shown or time.monotonic() - self._started < _PROGRESS_AFTER:
            return
        if self._bar is None:
            from rich.console import Console
            from rich.progress import Progress

            self._bar = Progress(console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("checking", total=total)
        self._bar.update(self._task, completed=done)

    def __exit__(self, *exc_info: object) -> None:
        if self._bar is not None:
            self._bar.stop()
