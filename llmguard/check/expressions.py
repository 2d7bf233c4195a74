"""How the reader takes in each kind of expression: calls and mentions are noted, scopes of their own opened."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check import stores
from llmguard.check.module import At, Site
from llmguard.check.scopes import (
    Block,
    ComprehensionScope,
    How,
    last_name,
)
from llmguard.providers import vocabulary

if TYPE_CHECKING:
    from llmguard.check.reader import Reader

# Functions that look at a callable and never call it.
_LOOKS_ONLY = frozenset(
    {
        *("callable", "isinstance", "issubclass", "hasattr", "id", "repr", "str", "type", "signature", "getsource"),
        *("getdoc", "getfullargspec", "get_type_hints", "iscoroutinefunction", "isasyncgenfunction", "wraps"),
    }
)


def yield_(reader: Reader, node: ast.Yield | ast.YieldFrom, at: At) -> None:
    scope = stores.function_of(at.scope)
    if scope is not None and node.value is not None:
        scope.yields.append(node.value)
    reader.push(node.value, at)


def walrus(reader: Reader, node: ast.NamedExpr, at: At) -> None:
    scope = at.scope
    while isinstance(scope, ComprehensionScope) and scope.parent is not None:
        scope = scope.parent
    reader.bind(node.target, How.VALUE, node.value, at._replace(scope=scope))
    reader.push(node.value, at)


def comprehension(reader: Reader, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, at: At) -> None:
    scope = ComprehensionScope("", at.scope, reader.facts, Block(at.block, loop=True))
    node._scope = scope  # type: ignore[union-attr]
    inner = At(scope, scope.block, at.statement)
    for generator in node.generators:
        reader.bind(generator.target, How.ELEMENT, generator.iter, inner)
        reader.push(generator.iter, inner)
        for condition in generator.ifs:
            reader.push(condition, inner)
    if isinstance(node, ast.DictComp):
        reader.push(node.key, inner)
        reader.push(node.value, inner)
    else:
        reader.push(node.elt, inner)


def call(reader: Reader, node: ast.Call, at: At) -> None:
    reader.facts.calls.append(Site(node, at.scope, at.statement, at.block, at.decorator, at.fstring))
    if isinstance(node.func, ast.Name) and node.func.id == "isinstance" and len(node.args) == 2:
        stores.guarded(node, at.scope, at.block)
    elif isinstance(node.func, ast.Attribute) and node.func.attr == "update":
        stores.updated(node, at.scope, at.block)
    for keyword in reversed(node.keywords):
        reader.push(keyword.value, at)
    looks_only = last_name(node) in _LOOKS_ONLY
    for argument in reversed(node.args):
        if not (looks_only and isinstance(argument, (ast.Attribute, ast.Name))):
            reader.push(argument, at)
    # The callee itself is no mention; what it hangs on may hold calls.
    callee: ast.expr = node.func
    while isinstance(callee, ast.Attribute):
        callee = callee.value
    if not isinstance(callee, ast.Name):
        reader.push(callee, at)


def attribute(reader: Reader, node: ast.Attribute, at: At) -> None:
    if node.attr in vocabulary.current.method_names and isinstance(node.ctx, ast.Load):
        reader.facts.mentions.append(Site(node, at.scope, at.statement, at.block, at.decorator, at.fstring))
    value: ast.expr = node.value
    while isinstance(value, ast.Attribute):
        value = value.value
    if not isinstance(value, ast.Name):
        reader.push(value, at)


def name(reader: Reader, node: ast.Name, at: At) -> None:
    if node.id in reader.facts.sdk_names and isinstance(node.ctx, ast.Load):
        reader.facts.mentions.append(Site(node, at.scope, at.statement, at.block, at.decorator, at.fstring))


def joined(reader: Reader, node: ast.JoinedStr, at: At) -> None:
    reader.children(node, at._replace(fstring=at.fstring or node))


def ignored(reader: Reader, node: ast.AST, at: At) -> None:
    """Comparisons of callables and the like mention nothing; their operands are read for calls."""
    for part in ast.iter_child_nodes(node):
        if isinstance(part, (ast.Attribute, ast.Name)):
            while isinstance(part, ast.Attribute):
                part = part.value
            if isinstance(part, ast.Name):
                continue
        reader.push(part, at)
