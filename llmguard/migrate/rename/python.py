"""Renaming in Python: identifiers by tokens, dotted paths and names in strings, tables in strings."""

from __future__ import annotations

import io
import re
import tokenize
from typing import TYPE_CHECKING

from llmguard.check.reading import parse_strictly
from llmguard.errors import UncheckableError
from llmguard.migrate.rename.strings import counted, in_annotations, named_strings

if TYPE_CHECKING:
    from llmguard.migrate.rename.names import Names

#: The text between the holes of an f-string is a token of its own from Python 3.12 on.
_MIDDLE = getattr(tokenize, "FSTRING_MIDDLE", -1)
#: A text that is SQL, and one that is the name of a table and perhaps of its schema or column.
_SQL = re.compile(
    r"\b(SELECT|INSERT|UPDATE|DELETE|FROM|JOIN|INTO|TABLE|INDEX|VIEW|REFRESH|ALTER|DROP|TRUNCATE|FUNCTION|CALL|EXECUTE)\b",
    re.IGNORECASE,
)
_NAMED = re.compile(r"\w+(\.\w+)*(\(\))?")
_IS_ALEMBIC = re.compile(r"^down_revision\b", re.MULTILINE)


def renamed(text: str, names: Names, tables: dict[str, str], counts: dict[str, int]) -> str:
    """The text of a Python file after the renaming; the same when it cannot be read.

    Args:
        text: of the file.
        names: what changes.
        tables: names in the database that change: old -> new.
        counts: name -> how many places changed; it is added to.
    """
    try:
        tree = parse_strictly(text)
        tokens = list(tokenize.generate_tokens(io.StringIO(text, newline="").readline))
    except (UncheckableError, tokenize.TokenError, SyntaxError, IndentationError):
        return text
    starts = [0, *(match.end() for match in re.finditer("\r\n|\r|\n", text))]
    named, annotated = named_strings(tree, text), in_annotations(tree, text)
    if _IS_ALEMBIC.search(text):
        tables = {}  # it may have been applied
    edits: list[tuple[int, int, str]] = []
    for token in tokens:
        new = token.string
        if token.type == tokenize.NAME and token.string in names.map:
            new = names.map[token.string]
            counts[token.string] = counts.get(token.string, 0) + 1
        elif token.type == tokenize.STRING:
            new = _string(token, names, tables, counts, named, annotated)
        elif token.type == _MIDDLE:
            start = starts[token.start[0] - 1] + token.start[1]
            end = starts[token.end[0] - 1] + token.end[1]
            if "groq" in text[start:end]:
                said = re.sub(r"\b\w+\b", lambda word: counted(word[0], tables, counts), text[start:end])
                edits.append((start, end, said))
        if new != token.string:
            start = starts[token.start[0] - 1] + token.start[1]
            edits.append((start, start + len(token.string), new))
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def _string(
    token: tokenize.TokenInfo,
    names: Names,
    tables: dict[str, str],
    counts: dict[str, int],
    named: set[tuple[int, int]],
    annotated: set[tuple[int, int]],
) -> str:
    match = re.fullmatch(r"([A-Za-z]*)('''|\"\"\"|'|\")(.*)\2", token.string, re.DOTALL)
    if match is None:
        return token.string
    prefix, quote, body = match[1], match[2], match[3]
    changed = body
    if token.start in annotated:
        changed = _in_code(body, names.map, counts)
    elif names.is_path(body):
        changed = re.sub(r"\w+", lambda part: counted(part[0], names.map, counts), body)
    elif body in names.map and token.start in named:
        changed = counted(body, names.map, counts)
    elif "f" in prefix.lower():
        changed = re.sub(r"(?<=\{)[^{}]+(?=\})", lambda hole: _in_code(hole[0], names.map, counts), body)
    if tables and (_SQL.search(body) or _NAMED.fullmatch(body)):
        changed = re.sub(r"\b\w+\b", lambda word: counted(word[0], tables, counts), changed)
    return f"{prefix}{quote}{changed}{quote}"


def _in_code(text: str, mapping: dict[str, str], counts: dict[str, int]) -> str:
    return re.sub(r"\b[A-Za-z_]\w*\b", lambda word: counted(word[0], mapping, counts), text)
