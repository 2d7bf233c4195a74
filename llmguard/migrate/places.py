"""Where the clients behind a name are made: the places at which they can be tracked."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check.scopes import How
from llmguard.check.values import Here, Instance
from llmguard.migrate import clients
from llmguard.providers import index

if TYPE_CHECKING:
    from llmguard.check.judge import Judge
    from llmguard.migrate.source import Found, Source


def is_resource(judge: Judge, found: Found, node: ast.expr) -> bool:
    """Whether an expression is a part of a client (`client.chat`), not the client."""
    judge.infer.refill()
    values = judge.infer.values(node, Here(found.site.scope, found.site.block))
    return any(isinstance(v, Instance) and v.path and index.client_class(v.cls) is not None for v in values)


def is_module(found: Found, node: ast.expr) -> bool:
    """Whether an expression is (or may be) an imported module: that cannot be tracked."""
    while isinstance(node, ast.Attribute):
        node = node.value
    if not isinstance(node, ast.Name):
        return False
    scope = clients.owner_of(found.site.scope, node.id)
    bindings = scope.bindings[node.id] if scope is not None else []
    return any(binding.how is How.IMPORT for binding in bindings)


def makers(judge: Judge, found: Found, node: ast.expr) -> list[ast.expr]:
    """The constructor calls in this file that give a name its clients; none when something else may."""
    bindings = clients.bindings_of(found.site.scope, node)
    if isinstance(node, ast.Attribute) and _stores(found.source, node.attr) > len(bindings):
        return []  # something else is put there too
    made: list[ast.expr] = []
    for binding in bindings:
        if binding.how is How.ANNOTATION:
            continue
        if binding.how is not How.VALUE or binding.path or binding.node is None:
            return []
        here = Here(binding.scope, binding.block)
        inside = [
            call
            for call in ast.walk(binding.node)
            if isinstance(call, ast.Call) and clients.class_made(judge, call, here)
        ]
        if not inside and not (isinstance(binding.node, ast.Constant) and binding.node.value is None):
            return []
        if any(
            isinstance(parent, ast.Lambda) for call in inside for parent in _up_to(found.source, call, binding.node)
        ):
            return []
        made += inside
        if any(not _is_made(leaf) for leaf in _leaves(binding.node)):
            return []  # `client or Groq()`: what is given is to be tracked too
    return made


def _stores(source: Source, attribute: str) -> int:
    return sum(
        isinstance(node, ast.Attribute) and node.attr == attribute and not isinstance(node.ctx, ast.Load)
        for node in source.nodes
    )


def _up_to(source: Source, node: ast.AST, top: ast.AST) -> list[ast.AST]:
    found = []
    parent: ast.AST | None = node
    while parent is not None and parent is not top:
        found.append(parent)
        parent = source.parents.get(parent)
    return found


def _is_made(leaf: ast.expr) -> bool:
    """Whether what an expression may be is made in it: `Groq()`, `Groq().chat`; None counts."""
    while isinstance(leaf, ast.Attribute):
        leaf = leaf.value
    return not isinstance(leaf, ast.Name)


def _leaves(node: ast.expr) -> list[ast.expr]:
    """What an expression may be, conditions aside."""
    if isinstance(node, ast.IfExp):
        return _leaves(node.body) + _leaves(node.orelse)
    if isinstance(node, ast.BoolOp):
        return [leaf for value in node.values for leaf in _leaves(value)]
    if isinstance(node, ast.NamedExpr):
        return _leaves(node.value)
    return [node]
