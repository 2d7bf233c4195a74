"""How the reader takes in each kind of statement: what it binds, which scopes and blocks it opens."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check import stores
from llmguard.check.aliases import may_be_method
from llmguard.check.module import At
from llmguard.check.scopes import (
    Binding,
    Block,
    ClassScope,
    FunctionScope,
    How,
    Import,
    Scope,
)
from llmguard.check.trackers import is_tracker
from llmguard.providers import vocabulary

if TYPE_CHECKING:
    from llmguard.check.reader import Reader


def import_(reader: Reader, node: ast.Import, at: At) -> None:
    for alias in node.names:
        reader.facts.import_roots.add(alias.name)
        name = alias.asname or alias.name.partition(".")[0]
        module = alias.name if alias.asname else name
        at.scope.bind(name, Binding(How.IMPORT, None, at.scope, node.lineno, at.block, imported=Import(module, "", 0)))


def import_from(reader: Reader, node: ast.ImportFrom, at: At) -> None:
    module = node.module or ""
    for alias in node.names:
        imported = Import(module, alias.name, node.level)
        if not node.level:
            reader.facts.import_roots.add(f"{module}.{alias.name}")
        if alias.name == "*":
            reader.facts.stars.append(imported)
            continue
        name = alias.asname or alias.name
        if not node.level and module.partition(".")[0] in vocabulary.current.sdk_roots:
            reader.facts.sdk_names.add(name)
        at.scope.bind(name, Binding(How.FROM, None, at.scope, node.lineno, at.block, imported=imported))


def definition(reader: Reader, node: ast.FunctionDef | ast.AsyncFunctionDef, at: At) -> None:
    scope = FunctionScope(node, at.scope, at.block)
    if any(is_tracker(d, at.scope) for d in node.decorator_list):
        scope.block.tracked = True
    if at.scope.is_class and scope.parameters and not scope.decorated("staticmethod"):
        scope.receiver = scope.parameters[0].arg
    at.scope.bind(node.name, Binding(How.DEFINITION, None, at.scope, node.lineno, at.block, defined=scope))
    reader.body(node.body, scope, scope.block)
    signature(reader, node.args, scope, at._replace(statement=node))
    reader.push(node.returns, at._replace(statement=node))
    for decorator in node.decorator_list:
        reader.push(decorator, at._replace(statement=node, decorator=True))


def signature(reader: Reader, arguments: ast.arguments, scope: FunctionScope, at: At) -> None:
    named = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(named) - len(arguments.defaults))
    pairs = [
        *zip(named, [*defaults, *arguments.defaults], strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    for argument, default in pairs:
        block = scope.block
        scope.bind(argument.arg, Binding(How.PARAMETER, None, at.scope, argument.lineno, block))
        if argument.annotation is not None:
            scope.bind(argument.arg, Binding(How.ANNOTATION, argument.annotation, at.scope, argument.lineno, block))
        if default is not None:
            if may_be_method(reader.facts, default):
                reader.facts.aliases.add(argument.arg)
            scope.bind(argument.arg, Binding(How.VALUE, default, at.scope, argument.lineno, block))
            reader.push(default, at)
        reader.push(argument.annotation, at)
    for extra in (arguments.vararg, arguments.kwarg):
        if extra is not None:
            scope.bind(extra.arg, Binding(How.OPAQUE, None, at.scope, extra.lineno, scope.block))


def lambda_(reader: Reader, node: ast.Lambda, at: At) -> None:
    scope = FunctionScope(node, at.scope, at.block)
    node._scope = scope  # type: ignore[attr-defined]
    scope.returns.append(node.body)
    signature(reader, node.args, scope, at)
    reader.push(node.body, At(scope, scope.block, at.statement))


def class_(reader: Reader, node: ast.ClassDef, at: At) -> None:
    scope = ClassScope(node, at.scope, Block(at.block))
    reader.facts.classes.append(scope)
    at.scope.bind(node.name, Binding(How.DEFINITION, None, at.scope, node.lineno, at.block, defined=scope))
    reader.body(node.body, scope, scope.block)
    at = at._replace(statement=node)
    for child in (*node.bases, *node.keywords):
        reader.push(child, at)
    for decorator in node.decorator_list:
        reader.push(decorator, at._replace(decorator=True))


def assign(reader: Reader, node: ast.Assign, at: At) -> None:
    for target in node.targets:
        reader.bind(target, How.VALUE, node.value, at)
    reader.push(node.value, at)


def ann_assign(reader: Reader, node: ast.AnnAssign, at: At) -> None:
    reader.bind(node.target, How.ANNOTATION, node.annotation, at)
    if node.value is not None:
        reader.bind(node.target, How.VALUE, node.value, at)
        reader.push(node.value, at)
    reader.push(node.annotation, at)


def aug_assign(reader: Reader, node: ast.AugAssign, at: At) -> None:
    reader.bind(node.target, How.VALUE, node.value, at)
    reader.push(node.value, at)


def for_(reader: Reader, node: ast.For | ast.AsyncFor, at: At) -> None:
    block = Block(at.block, loop=True)
    reader.bind(node.target, How.ELEMENT, node.iter, at._replace(block=block))
    reader.body(node.orelse, at.scope, Block(at.block))
    reader.body(node.body, at.scope, block)
    reader.push(node.iter, at)


def with_(reader: Reader, node: ast.With | ast.AsyncWith, at: At) -> None:
    tracked = any(
        isinstance(item.context_expr, ast.Call) and is_tracker(item.context_expr, at.scope) for item in node.items
    )
    # The body always runs, so it is no block of its own unless the tracker makes it one.
    inner = Block(at.block, tracked=True) if tracked else at.block
    for item in node.items:
        if item.optional_vars is not None:
            reader.bind(item.optional_vars, How.VALUE, item.context_expr, at)
    reader.body(node.body, at.scope, inner)
    for item in reversed(node.items):
        reader.push(item.context_expr, at)


def try_handler(reader: Reader, node: ast.ExceptHandler, at: At) -> None:
    block = Block(at.block)
    if node.name:
        at.scope.bind(node.name, Binding(How.OPAQUE, None, at.scope, node.lineno, block))
    reader.body(node.body, at.scope, block)
    reader.push(node.type, at)


def match_case(reader: Reader, node: ast.match_case, at: At) -> None:
    block = Block(at.block)
    for part in ast.walk(node.pattern):
        name = getattr(part, "name", None) or getattr(part, "rest", None)
        if isinstance(name, str):
            at.scope.bind(name, Binding(How.OPAQUE, None, at.scope, part.lineno, block))  # type: ignore[attr-defined]
    reader.body(node.body, at.scope, block)
    reader.push(node.guard, at)


def declared(reader: Reader, node: ast.Global | ast.Nonlocal, at: At) -> None:
    for name in node.names:
        target: Scope | None = reader.facts.scope
        if isinstance(node, ast.Nonlocal):
            target = at.scope.parent
            while target is not None and (target.is_class or name not in target.bindings):
                target = target.parent
        if target is not None:
            at.scope.elsewhere[name] = target


def return_(reader: Reader, node: ast.Return, at: At) -> None:
    scope = stores.function_of(at.scope)
    if scope is not None and node.value is not None:
        scope.returns.append(node.value)
        if not isinstance(node.value, ast.Call) and may_be_method(reader.facts, node.value):
            reader.facts.aliases.add(scope.name)
    reader.push(node.value, at)
