"""The attributes that every object of a class has."""

from __future__ import annotations

import ast
import re


def is_field(cls: ast.ClassDef, name: str) -> bool:
    """Whether every object of a class has an attribute: a field of a dataclass or a model, or one that `__init__` sets
    before it does anything with the object."""
    plain = not cls.bases and not cls.decorator_list
    for statement in cls.body:
        if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef)) and statement.name == "__init__":
            return _is_set_first(statement, name)
        if isinstance(statement, (ast.AnnAssign, ast.Assign)):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if name in map(ast.unparse, targets):
                said = ast.unparse(statement.value) if statement.value is not None else ""
                bases = " ".join(map(ast.unparse, cls.bases))
                return not plain and "init=False" not in said and not re.search(r"TypedDict|Protocol|ABC", bases)
    return False


def _is_set_first(init: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    receiver = init.args.args[0].arg if init.args.args else ""
    for statement in init.body:
        targets = getattr(statement, "targets", [getattr(statement, "target", None)])
        if any(isinstance(target, ast.Attribute) and target.attr == name for target in targets):
            return True
        for node in ast.walk(statement):
            if isinstance(node, ast.Return) or (isinstance(node, ast.Call) and _owner(node) == receiver):
                return False
    return False


def _owner(call: ast.Call) -> str:
    """The name that the callee of a call begins with."""
    node: ast.expr = call.func
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""
