"""Statements and calls: what they hold, set, and stand in; and one more argument for a call."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from llmguard.migrate.edit import Edit
from llmguard.migrate.source import Span

if TYPE_CHECKING:
    from llmguard.migrate.source import Source

Function = ast.FunctionDef | ast.AsyncFunctionDef


def call_of(statement: ast.stmt) -> ast.Call | None:
    """The call that is the value of a statement, awaited or not."""
    value = getattr(statement, "value", None)
    value = value.value if isinstance(value, ast.Await) else value
    return value if isinstance(value, ast.Call) else None


def target(statement: ast.stmt) -> str:
    """The variable that an assignment sets, "" for anything else."""
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        return statement.targets[0].id
    return ""


def bodies(source: Source, node: ast.AST) -> list[tuple[ast.AST, list[ast.stmt]]]:
    """(parent, list of statements) around a node, the innermost first, up to its function."""
    found = []
    child: ast.AST = node
    for parent in source.ancestors(node):
        for _, value in ast.iter_fields(parent):
            if isinstance(value, list) and child in value:
                found.append((parent, value))
        if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef)):
            break
        child = parent
    return found


def appended(source: Source, call: ast.Call, argument: str) -> Edit | None:
    """The edit that gives a call one more argument, behind the others; None when it cannot be done by one."""
    end = source.span(call).end
    parts = [*call.args, *(keyword.value for keyword in call.keywords)]
    if source.text[end - 1 : end] != ")" or (len(parts) == 1 and isinstance(parts[0], ast.GeneratorExp)):
        return None
    if not parts:
        return Edit(Span(end - 1, end - 1), argument)
    last = max(source.span(part).end for part in parts)
    if ")" in re.sub(r"#[^\n]*", "", source.text[last : end - 1]):
        return None  # the last argument stands in parentheses
    return Edit(Span(last, last), f",{_gap(source, parts)}{argument}")


def _gap(source: Source, parts: list[ast.expr]) -> str:
    """What stands in front of a new argument: a line end where each of the others has a line of its own."""
    last = parts[-1]
    line = source.lines[last.lineno - 1]
    own_line = re.match(r"[ \t]*(\w+[ \t]*=[ \t]*)?$", line[: _column(source, last)])
    return source.newline + source.indent(last) if len(parts) > 1 and own_line else " "


def _column(source: Source, node: ast.expr) -> int:
    return source.span(node).start - source.starts[node.lineno - 1]
