"""What `llmguard migrate` prints: the patch or a report on stdout; on stderr what became of the sites, file by file."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.migrate.plan import Plan
    from llmguard.migrate.verdict import Decision

_WIDTH = 120  # columns of a table that goes to no terminal


def report(plan: Plan, output_format: str, output_file: str, *, write: bool, quiet: bool) -> None:
    """Print what a migration did, or would do.

    Args:
        plan: of it.
        output_format: "text", "json" or "markdown".
        output_file: where the report goes, "" for stdout.
        write: whether it was done.
        quiet: leave out the patch.
    """
    from llmguard.migrate import report
    from llmguard.printable import json_text

    if output_format == "json":
        lines = json_text(report.as_json(plan)).split("\n")
    elif output_format == "markdown":
        lines = list(report.markdown(plan, written=write))
    else:
        lines = [] if write or quiet else list(_patch(plan))
    _put(lines, output_file)
    if output_format == "text":
        _sites(plan)
        _table(plan)
        _next_steps(plan, write=write)


def _patch(plan: Plan) -> Iterator[str]:
    """What `git apply` takes."""
    from llmguard.cli.output import difference

    moves = dict(plan.moves)
    for change in plan.changes:
        new = moves.pop(change.absolute, "")
        if new:
            yield from _moved(change.path, os.path.relpath(new))
        name = os.path.relpath(new) if new else change.path
        yield from difference(_named(change.path), change.before, change.after, _named(name))
    for path, data in plan.created:
        yield from difference(_named(os.path.relpath(path)), None, data)
    for old, new in moves.items():
        yield from _moved(os.path.relpath(old), os.path.relpath(new))


def _moved(old: str, new: str) -> list[str]:
    """How git writes a move."""
    return [
        f"diff --git a/{_named(old)} b/{_named(new)}",
        f"rename from {_named(old)}",
        f"rename to {_named(new)}",
    ]


def _named(path: str) -> str:
    """A path as a patch has it: with forward slashes."""
    return path.replace(os.sep, "/")


def _put(lines: list[str], output_file: str) -> None:
    """Lines, byte for byte: a patch holds what its files hold, whatever their encodings."""
    from llmguard.check.edit import write_whole
    from llmguard.cli.output import shown

    put = lines if output_file else map(shown, lines)
    data = "".join(line + "\n" for line in put).encode("utf-8", "surrogateescape")
    if output_file:
        write_whole(output_file, data)
    elif hasattr(sys.stdout, "buffer"):
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    else:
        sys.stdout.write(data.decode("utf-8", "replace"))


def _sites(plan: Plan) -> None:
    """A line for each site that a human should know of, with the reason and what to look at."""
    from llmguard.migrate import report
    from llmguard.migrate.verdict import Verdict

    for path, decisions in report.by_file(plan).items():
        for decision in decisions:
            if decision.verdict is not Verdict.MIGRATED or decision.reason:
                _say(f"{path}:{decision.line}: {decision.verdict.value}{_why(decision)}")
    for renamed in plan.renames:
        said = f"stays: {renamed.refused}" if renamed.refused else f"-> {renamed.new}, {renamed.places} places"
        _say(f"{renamed.old} {said}")
    for path, message in plan.errors:
        _say(f"{path}: {message}")


def _why(decision: Decision) -> str:
    from llmguard.migrate import report

    if not decision.notes:
        return ""
    places = ", ".join(decision.related[:3]) + (", ..." if len(decision.related) > 3 else "")
    return f": {'; '.join(map(report.explained, decision.notes))}{f' ({places})' if places else ''}"


def _table(plan: Plan) -> None:
    """The sites of each file by verdict, and their sums."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from llmguard.migrate import report
    from llmguard.printable import printable

    number = report.counts(plan)
    files = report.by_file(plan)
    if files:
        console = Console(stderr=True, highlight=False)
        console = console if console.is_terminal else Console(stderr=True, highlight=False, width=_WIDTH)
        table = Table(box=None, pad_edge=False)
        table.add_column("file", overflow="fold")
        for verdict in list(number)[:3]:
            table.add_column(verdict, justify="right")
        for path, decisions in files.items():
            found = [decision.verdict.value for decision in decisions]
            table.add_row(Text(printable(path)), *(str(found.count(verdict) or "") for verdict in list(number)[:3]))
        console.print(table)
    _say(", ".join(f"{count} {verdict}" for verdict, count in number.items()) + ".")


def _next_steps(plan: Plan, *, write: bool) -> None:
    from llmguard.config.source import how_to_install

    if plan.says_groq and not plan.renames:
        _say("Names of the project still say groq: --rename changes them to llm.")
    if not plan.changes:
        return
    if write:
        _say(f"Next: {how_to_install('runtime')}; then llmguard db upgrade, llmguard check.")
    else:
        _say("Nothing was written; --write does it.")


def _say(text: str) -> None:
    """A line on stderr. What it quotes is the project's own (names, places, reasons): it stays text."""
    from llmguard.printable import printable

    typer.echo(printable(text), err=True)
