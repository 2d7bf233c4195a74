"""Renaming in Python: identifiers by tokens, dotted paths and names in strings, tables in strings, routes."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from typing import TYPE_CHECKING

from llmguard.check.finder import region_of
from llmguard.check.reading import lines_of, parse_strictly
from llmguard.errors import UncheckableError
from llmguard.migrate.rename.strings import counted, named_strings

if TYPE_CHECKING:
    from llmguard.migrate.rename.names import Names

_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+(:[A-Za-z_]\w*)?")
_ROUTE = re.compile(r"(?<=/)groq(?=/|$)")


def renamed(text: str, names: Names, tables: dict[str, str], counts: dict[str, int], *, aliases: bool) -> str:
    """The text of a Python file after the renaming; the same when it cannot be read.

    Args:
        text: of the file.
        names: what changes.
        tables: names in the database that change: old -> new.
        counts: name -> how many places changed; it is added to.
        aliases: keep routes under their old prefix too.
    """
    try:
        tree = parse_strictly(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text, newline="").readline))
    except (UncheckableError, tokenize.TokenError, SyntaxError, IndentationError):
        return text
    starts = [0, *(match.end() for match in re.finditer("\r\n|\r|\n", text))]
    named = named_strings(tree)
    edits: list[tuple[int, int, str]] = []
    for token in tokens:
        new = token.string
        if token.type == tokenize.NAME and token.string in names.map:
            new = names.map[token.string]
            counts[token.string] = counts.get(token.string, 0) + 1
        elif token.type == tokenize.STRING:
            new = _string(token, names, tables, counts, named)
        if new != token.string:
            start = starts[token.start[0] - 1] + token.start[1]
            edits.append((start, start + len(token.string), new))
    edits += _routes(tree, starts, text, aliases=aliases)
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _string(
    token: tokenize.TokenInfo, names: Names, tables: dict[str, str], counts: dict[str, int], named: set[tuple[int, int]]
) -> str:
    match = re.fullmatch(r"([A-Za-z]*)('''|\"\"\"|'|\")(.*)\2", token.string, re.DOTALL)
    if match is None:
        return token.string
    prefix, quote, body = match[1], match[2], match[3]
    changed = body
    if _DOTTED.fullmatch(body) and re.split(r"[.:]", body)[0] in names.packages:
        changed = re.sub(r"\w+", lambda part: counted(part[0], names.map, counts), body)
    elif body in names.map and token.start in named:
        changed = counted(body, names.map, counts)
    elif "f" in prefix.lower():
        changed = re.sub(r"(?<=\{)[^{}]+(?=\})", lambda hole: _in_code(hole[0], names.map, counts), body)
    changed = re.sub(r"\b\w+\b", lambda word: counted(word[0], tables, counts), changed)
    return f"{prefix}{quote}{changed}{quote}"


def _in_code(text: str, mapping: dict[str, str], counts: dict[str, int]) -> str:
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda word: counted(word[0], mapping, counts), text)


def _routes(tree: ast.Module, starts: list[int], text: str, *, aliases: bool) -> list[tuple[int, int, str]]:
    """`include_router(x.router, prefix="/api/groq/usage")`: the new prefix, and the old one as an alias behind it."""
    edits = []
    lines = lines_of(text)
    for statement in ast.walk(tree):
        call = statement.value if isinstance(statement, ast.Expr) else None
        if not isinstance(statement, ast.Expr) or not isinstance(call, ast.Call):
            continue
        prefix = next((keyword.value for keyword in call.keywords if keyword.arg == "prefix"), None)
        if getattr(call.func, "attr", "") != "include_router" or not isinstance(prefix, ast.Constant):
            continue
        old = str(prefix.value) if isinstance(prefix.value, str) else ""
        if not _ROUTE.search(old) or _ROUTE.sub("llm", old) in text:
            continue  # not Groq's, or the alias of one that is there
        region = region_of(prefix, lines)
        start, end = starts[region.line - 1] + region.column - 1, starts[region.end_line - 1] + region.end_column - 1
        edits.append((start, end, _ROUTE.sub("llm", text[start:end])))
        if aliases and call.args and statement.lineno == statement.end_lineno:
            line_end = starts[statement.lineno] if statement.lineno < len(starts) else len(text)
            router = re.sub(r"\bgroq_", "llm_", ast.unparse(call.args[0]))
            indent = " " * statement.col_offset
            alias = f'{indent}{ast.unparse(call.func)}({router}, prefix="{old}", include_in_schema=False)\n'
            edits.append((line_end, line_end, alias))
    return edits
