"""Routes: `include_router(x.router, prefix="/api/groq/usage")` gets the new prefix, and the old one as an alias."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from llmguard.check.finder import region_of
from llmguard.check.reading import lines_of, parse_strictly
from llmguard.errors import UncheckableError

_ROUTE = re.compile(r"(?<=/)groq(?=/|$)")


class Routes(NamedTuple):
    """A file after the renaming of its routes: the text, and old prefix -> new prefix."""

    text: str
    prefixes: dict[str, str]


def renamed(text: str, *, aliases: bool) -> Routes:
    """The text of a Python file with new prefixes; the same when it cannot be read.

    A call that does not have its lines for itself, and could not be repeated for the old route, keeps its prefix.

    Args:
        text: of the file, its names renamed.
        aliases: keep routes under their old prefix too.
    """
    try:
        tree = parse_strictly(text)
    except UncheckableError:
        return Routes(text, {})
    lines = lines_of(text)
    starts = [0, *(match.end() for match in re.finditer("\r\n|\r|\n", text))]
    edits: list[tuple[int, int, str]] = []
    prefixes: dict[str, str] = {}
    for statement in ast.walk(tree):
        prefix = _prefix_of(statement)
        if prefix is None or not isinstance(statement, ast.Expr):
            continue
        old = str(prefix.value)
        new = _ROUTE.sub("llm", old)
        if not _ROUTE.search(old) or new in text:
            continue  # not Groq's, or the alias of one that is there
        first = starts[statement.lineno - 1]
        below = statement.end_lineno or statement.lineno
        last = starts[below] if below < len(starts) else len(text)
        region = region_of(statement.value, lines)
        begin = starts[region.line - 1] + region.column - 1
        end = starts[region.end_line - 1] + region.end_column - 1
        if text[first:begin].strip() or (text[end:last].strip() and not text[end:last].strip().startswith("#")):
            continue
        place = region_of(prefix, lines)
        start, stop = starts[place.line - 1] + place.column - 1, starts[place.end_line - 1] + place.end_column - 1
        edits.append((start, stop, text[start:stop].replace(old, new)))
        prefixes[old] = new
        if aliases:
            newline = "\r\n" if "\r\n" in text else "\n"
            lead = "" if text[:last].endswith(("\n", "\r")) else newline
            edits.append((last, last, lead + _alias(text[first:end], statement) + newline))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return Routes(text, prefixes)


def _prefix_of(statement: ast.AST) -> ast.Constant | None:
    """The prefix that a statement mounts a router at."""
    call = statement.value if isinstance(statement, ast.Expr) else None
    if not isinstance(call, ast.Call) or getattr(call.func, "attr", "") != "include_router":
        return None
    prefix = next((keyword.value for keyword in call.keywords if keyword.arg == "prefix"), None)
    return prefix if isinstance(prefix, ast.Constant) and isinstance(prefix.value, str) else None


def _alias(text: str, statement: ast.Expr) -> str:
    """The same call for the old route, which the documentation of the interface leaves out."""
    assert isinstance(statement.value, ast.Call)
    if any(keyword.arg == "include_in_schema" for keyword in statement.value.keywords):
        return text
    head, _, _ = text.rpartition(")")
    bare = head.rstrip()
    if bare.endswith(","):
        return f"{bare} include_in_schema=False){text[len(head) + 1 :]}"
    return f"{bare}, include_in_schema=False){text[len(head) + 1 :]}"
