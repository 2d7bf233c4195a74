"""Whether the model that a call names may be None: an SDK sends that as it is, the wrapper takes its default."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check.bindings import reaching_bindings
from llmguard.check.scopes import How
from llmguard.check.values import Here
from llmguard.migrate import clients

if TYPE_CHECKING:
    from llmguard.check.scopes import Binding
    from llmguard.migrate.source import Found

_DEEPEST = 6


def may_be_none(found: Found, model: ast.expr) -> bool:
    """Whether an argument of a call may be None, as far as its file tells."""
    return _may(model, Here(found.site.scope, found.site.block), found.site.node.lineno, 0)


def _may(node: ast.expr, here: Here, line: int, depth: int) -> bool:
    if depth > _DEEPEST:
        return False
    match node:
        case ast.Constant(value=value):
            return value is None
        case ast.IfExp(body=body, orelse=orelse):
            return _may(body, here, line, depth + 1) or _may(orelse, here, line, depth + 1)
        case ast.BoolOp(op=ast.Or(), values=values):
            return _may(values[-1], here, line, depth + 1)
        case ast.Call(func=func, args=args):
            reads = ast.unparse(func).rpartition(".")[2] in ("getenv", "get")
            return reads and (len(args) < 2 or _may(args[1], here, line, depth + 1))
        case ast.Name(id=name):
            scope = clients.owner_of(here.scope, name)
            bindings = scope.bindings[name] if scope is not None else []
            reaching = reaching_bindings(bindings, here, line) if scope is here.scope and bindings else bindings
            return _any(reaching, depth)
        case ast.Attribute(value=ast.Name(id=name), attr=attribute):
            owner = clients.class_of_self(here.scope, name)
            if owner is not None:
                return _any([*owner.attributes.get(attribute, ()), *owner.bindings.get(attribute, ())], depth)
    return False


def _any(bindings: list[Binding], depth: int) -> bool:
    return any(
        _may(binding.node, Here(binding.scope, binding.block), binding.line, depth + 1)
        for binding in bindings
        if binding.how is How.VALUE and binding.node is not None and not binding.path
    )
