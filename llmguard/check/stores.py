"""What is stored where no plain name is bound: `self.x`, `app.state.x`, validators, isinstance tests."""

from __future__ import annotations

import ast

from llmguard.check.module import dotted
from llmguard.check.scopes import Binding, Block, ClassScope, FunctionScope, How, Scope, last_name


def function_of(scope: Scope | None) -> FunctionScope | None:
    """The function that a scope lies in (or is)."""
    while scope is not None and not isinstance(scope, FunctionScope):
        scope = scope.parent
    return scope


def receiver_class(node: ast.expr, scope: Scope) -> ClassScope | None:
    """The class when `node` is the receiver (`self`, `cls`) of the method that `scope` lies in."""
    if not isinstance(node, ast.Name):
        return None
    inner: Scope | None = scope
    while inner is not None:
        if isinstance(inner, FunctionScope) and inner.receiver == node.id and isinstance(inner.parent, ClassScope):
            return inner.parent
        inner = inner.parent
    return None


def store(node: ast.Attribute, binding: Binding, scope: Scope) -> None:
    """`self.x = value` belongs to the class, `a.b.c = value` to the module under its text."""
    owner = receiver_class(node.value, scope)
    if owner is not None:
        owner.attributes.setdefault(node.attr, []).append(binding)
    else:
        text = dotted(node)
        if text:
            scope.module.stores.setdefault(text, []).append(binding)


def validated(holder: ast.expr, key: ast.expr | None, binding: Binding, scope: Scope) -> None:
    """`values["client"] = ...` in a validator of a model class is a store to the attribute of that name."""
    function, owner = function_of(scope), scope.enclosing_class()
    if function is None or owner is None or not isinstance(holder, ast.Name) or not isinstance(key, ast.Constant):
        return
    validator = any("valid" in last_name(d) or "init" in last_name(d) for d in function.decorators)
    if validator and isinstance(key.value, str):
        owner.attributes.setdefault(key.value, []).append(binding)


def updated(node: ast.Call, scope: Scope, block: Block) -> None:
    """`values.update({"client": ...})`, as `validated`."""
    holder = node.func.value if isinstance(node.func, ast.Attribute) else node.func
    pairs: list[tuple[ast.expr | None, ast.expr]] = [(ast.Constant(k.arg), k.value) for k in node.keywords if k.arg]
    for argument in node.args:
        if isinstance(argument, ast.Dict):
            pairs.extend(zip(argument.keys, argument.values, strict=True))
    for key, value in pairs:
        validated(holder, key, Binding(How.VALUE, value, scope, node.lineno, block), scope)


def guarded(node: ast.Call, scope: Scope, block: Block) -> None:
    """`isinstance(client, OpenAI)`: what the name may be, where nothing else says it."""
    target, kind = node.args
    binding = Binding(How.ANNOTATION, kind, scope, node.lineno, block)
    if isinstance(target, ast.Name):
        scope.guards.setdefault(target.id, []).append(binding)
    elif isinstance(target, ast.Attribute):
        owner = receiver_class(target.value, scope)
        if owner is not None:
            owner.guards.setdefault(target.attr, []).append(binding)
