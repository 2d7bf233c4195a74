"""What a log says of a call that can be said at the call: expressions that mean the same there."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.migrate.statements import Function, bodies, call_of

if TYPE_CHECKING:
    from llmguard.migrate.source import Source


def _surely_bound(source: Source, function: Function, statement: ast.stmt) -> set[str]:
    """Names that are bound when a call is reached: parameters, and what statements in front of it have set, in its
    block and those around it."""
    arguments = function.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    names = {argument.arg for argument in every if argument is not None}
    for parent, body in bodies(source, statement):
        targets: list[ast.AST] = [
            other
            for other in body
            if other.lineno < statement.lineno and isinstance(other, (ast.Assign, ast.AnnAssign, ast.AugAssign))
        ]
        if isinstance(parent, (ast.For, ast.AsyncFor)) and body is parent.body:
            targets.append(parent.target)
        if isinstance(parent, (ast.With, ast.AsyncWith)):
            targets += [item.optional_vars for item in parent.items if item.optional_vars is not None]
        names |= {
            node.id
            for target in targets
            for node in ast.walk(target)
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
    return names


def carried(source: Source, log: ast.stmt, name: str, function: Function, statement: ast.stmt) -> str:
    """The text of an argument of a log, when all that it names is there before the call."""
    call = call_of(log)
    assert call is not None
    value = next((keyword.value for keyword in call.keywords if keyword.arg == name), None)
    if value is None or (isinstance(value, ast.Constant) and value.value is None):
        return ""
    between = [node for node in ast.walk(function) if statement.lineno <= getattr(node, "lineno", 0) < log.lineno]
    changed = {_root(node) for node in between if not isinstance(getattr(node, "ctx", ast.Load()), ast.Load)}
    changed |= {_changed_by(node) for node in between}
    before = _surely_bound(source, function, statement) - changed
    before |= {"len", "str", "int", "bool", "sum"}
    if bodies(source, log)[0][1] is not bodies(source, statement)[0][1] and not _is_safe(source, log, value):
        return ""  # what guards the log may guard this
    names = {node.id for node in ast.walk(value) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    if not names <= before or any(isinstance(node, ast.Await) for node in ast.walk(value)):
        return ""
    return source.segment(value)


def _is_safe(source: Source, log: ast.stmt, value: ast.expr) -> bool:
    """Whether an argument of a log can be evaluated without the `if` or `try` round it."""
    if isinstance(value, ast.Name):
        return True
    if any(isinstance(node, (ast.Attribute, ast.Subscript, ast.BinOp)) for node in ast.walk(value)):
        return False
    tests = [parent.test for parent, _ in bodies(source, log) if isinstance(parent, ast.If)]
    tested = {node.id for test in tests for node in ast.walk(test) if isinstance(node, ast.Name)}
    return not any(isinstance(node, ast.Name) and node.id in tested for node in ast.walk(value))


def _root(node: ast.AST) -> str:
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
        node = node.value
    return getattr(node, "id", "")


def _changed_by(node: ast.AST) -> str:
    """The variable that a call of its method may change, "" for none."""
    return _root(node.func.value) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else ""


def says(log: ast.stmt, name: str) -> bool:
    """Whether a log has an argument that says something."""
    call = call_of(log)
    assert call is not None
    return any(
        keyword.arg == name and not (isinstance(keyword.value, ast.Constant) and keyword.value.value is None)
        for keyword in call.keywords
    )
