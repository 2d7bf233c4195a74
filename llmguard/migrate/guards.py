"""Who handles the error of making a client: a `try` round the making of the object that keeps it.

`Groq()` raises without a key, and the wrapper raises at the first call instead. Where the object is used in the same
`try`, the error meets the same handler; where it is used behind it, the handler was there for the making.
"""

from __future__ import annotations

import ast

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)


def guarded_at(tree: ast.Module, name: str) -> int:
    """The line of the first `try` that makes an object of a class, and behind which the object is used; 0 for none.

    >>> guarded_at(ast.parse("try:\\n    bot = Bot()\\nexcept Exception:\\n    bot = None\\nbot.ask()"), "Bot")
    1
    >>> guarded_at(ast.parse("try:\\n    bot = Bot()\\n    bot.ask()\\nexcept Exception:\\n    pass"), "Bot")
    0
    """
    if _is_handed_on(tree, name):  # `for cls in (Azure, Groq): try: return cls()`
        return next((node.lineno for node in ast.walk(tree) if isinstance(node, ast.Try) and node.handlers), 0)
    for scope in ast.walk(tree):
        if not isinstance(scope, _SCOPES):
            continue
        for guard in (node for node in ast.walk(scope) if isinstance(node, ast.Try) and node.handlers):
            if any(_makes(statement, name) and _is_kept(statement, guard, scope) for statement in guard.body):
                return guard.lineno
    return 0


def _is_handed_on(tree: ast.Module, name: str) -> bool:
    """Whether a class is used as a value: neither called, nor a base, nor part of an annotation."""
    plain: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            plain.add(id(node.func))
        elif isinstance(node, ast.ClassDef):
            plain.update(id(base) for base in node.bases)
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(part, ast.expr):
                plain.update(id(inner) for inner in ast.walk(part))
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load) and id(node) not in plain
        for node in ast.walk(tree)
    )


def _makes(statement: ast.AST, name: str) -> bool:
    return any(
        isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == name
        for node in ast.walk(statement)
    )


def _is_kept(statement: ast.stmt, guard: ast.Try, scope: ast.AST) -> bool:
    """Whether what a statement makes may be used behind the `try` that it stands in."""
    if isinstance(statement, ast.Expr):
        return False
    if isinstance(statement, ast.Assign) and len(statement.targets) == 1 and isinstance(statement.targets[0], ast.Name):
        inside = {id(node) for part in guard.body for node in ast.walk(part)}
        return any(
            isinstance(node, ast.Name)
            and node.id == statement.targets[0].id
            and isinstance(node.ctx, ast.Load)
            and id(node) not in inside
            for node in ast.walk(scope)
        )
    return True
