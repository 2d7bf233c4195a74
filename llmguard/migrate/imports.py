"""Imports that edits need, and where they go."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from llmguard.migrate.edit import Edit
from llmguard.migrate.source import Span

if TYPE_CHECKING:
    from llmguard.migrate.source import Source


def name_for(source: Source, name: str, module: str) -> str:
    """The name under which a file imports one of ours: itself, unless that means something else there."""
    if _imports(source, module, name):
        return name
    return f"llmguard_{name}" if {name, "*"} & source.names or source.is_starred else name


def _imports(source: Source, module: str, name: str) -> bool:
    """Whether a file has the import already, at its top."""
    return any(
        isinstance(node, ast.ImportFrom)
        and not node.level
        and node.module == module
        and any(alias.name == name and alias.asname in (None, name) for alias in node.names)
        for node in source.tree.body
    )


def added(source: Source, wanted: dict[str, dict[str, str]], after: ast.stmt | None) -> list[Edit]:
    """The edit that imports names (module -> name -> name in the file) which the file does not import yet.

    Args:
        source: the file.
        wanted: what to import.
        after: the import that they follow (that of the SDK, which is known to work there); the last of the leading
            imports when it is None.
    """
    lines = []
    for module, names in sorted(wanted.items()):
        missing = {name: called for name, called in names.items() if not _imports(source, module, name)}
        if missing:
            parts = [name if name == called else f"{name} as {called}" for name, called in sorted(missing.items())]
            lines.append(f"from {module} import {', '.join(parts)}")
    if not lines:
        return []
    anchor = after if after is not None else _last_leading(source)
    newline = source.newline
    if anchor is None:
        return [_at_top(source, lines)]
    number = anchor.end_lineno or anchor.lineno
    if not source.ends_line(anchor):  # more follows on its line, which may use the names
        at = source.starts[anchor.lineno - 1]
        return [Edit(Span(at, at), "".join(line + newline for line in lines))]
    if number < len(source.starts):
        at = source.starts[number]
        return [Edit(Span(at, at), "".join(line + newline for line in lines))]
    at = len(source.text)  # the import is the last line, without a line end
    return [Edit(Span(at, at), "".join(newline + line for line in lines))]


def behind_imports(source: Source, statement: ast.stmt) -> int:
    """Where the code behind an import begins that the module begins with; right behind the import otherwise."""
    last = _last_leading(source)
    anchor = last if last is not None and last.lineno >= statement.lineno else statement
    return source.line_after(anchor)


def _last_leading(source: Source) -> ast.stmt | None:
    """The last import of those that the module begins with."""
    last: ast.stmt | None = None
    for statement in source.tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            last = statement
        elif not _is_docstring(statement):
            break
    return last


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _at_top(source: Source, lines: list[str]) -> Edit:
    """The edit that puts imports in front of the code, behind docstring and header; comments of the first statement
    stay with it."""
    newline = source.newline
    body = source.tree.body
    first = body[1] if len(body) > 1 and _is_docstring(body[0]) else body[0]
    number = min([first.lineno, *(decorator.lineno for decorator in getattr(first, "decorator_list", []))]) - 1
    top = number
    while top and source.lines[top - 1].lstrip().startswith("#") and not _is_header(source.lines[top - 1]):
        top -= 1
    if top == 0 and number:
        # All comments down from the first line: they are the file's, but for one that speaks of the first statement.
        ours = [line for line in range(number) if _SUPPRESSION.search(source.lines[line])]
        top = min(ours, default=number)
    at = source.starts[top]
    blank = newline * (2 if isinstance(first, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) else 1)
    lead = newline if top and source.lines[top - 1].strip() and not source.lines[top - 1].startswith("#") else ""
    return Edit(Span(at, at), lead + "".join(line + newline for line in lines) + blank)


#: A suppression that stands above its statement.
_SUPPRESSION = re.compile(r"#\s*(?:llmguard:\s*ignore(?!-file)|noqa)\b", re.IGNORECASE)


def _is_header(line: str) -> bool:
    return line.startswith("#!") or "coding" in line
