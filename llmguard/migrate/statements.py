"""Statements: what they hold, set, and stand in."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

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
