"""Reads a module's tree into facts, in one pass with a stack of its own: no recursion, so no input is too deep."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from llmguard.check import stores
from llmguard.check.aliases import may_be_method
from llmguard.check.module import Site
from llmguard.check.scopes import (
    Binding,
    Block,
    ClassScope,
    ComprehensionScope,
    FunctionScope,
    How,
    Import,
    Scope,
    last_name,
)
from llmguard.doors import TRACKER_BLOCKS
from llmguard.providers.index import SDK_ROOTS
from llmguard.providers.tokens import METHOD_NAMES

if TYPE_CHECKING:
    from llmguard.check.module import ModuleFacts


class _At(NamedTuple):
    """Where the reader is."""

    scope: Scope
    block: Block
    statement: ast.stmt
    decorator: bool = False
    fstring: ast.JoinedStr | None = None


class Reader:
    def __init__(self, facts: ModuleFacts) -> None:
        self.facts = facts
        self.stack: list[tuple[ast.AST, _At]] = []

    def read(self, tree: ast.Module) -> None:
        for statement in reversed(tree.body):
            self.stack.append((statement, _At(self.facts.scope, self.facts.scope.block, statement)))
        while self.stack:
            node, at = self.stack.pop()
            handler = _HANDLERS.get(type(node))
            if handler is not None:
                handler(self, node, at)
            elif isinstance(node, ast.stmt):
                self.compound(node, at)
            else:
                self.children(node, at)

    # -- traversal ---------------------------------------------------------------------------------------------

    def push(self, node: ast.AST | None, at: _At) -> None:
        if node is not None:
            self.stack.append((node, at))

    def children(self, node: ast.AST, at: _At) -> None:
        found: list[ast.AST] = []
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                found.append(value)
            elif isinstance(value, list):
                found.extend(item for item in value if isinstance(item, ast.AST))
        for child in reversed(found):
            if not isinstance(child, (ast.expr_context, ast.Constant)):
                self.stack.append((child, at))

    def body(self, statements: list[ast.stmt], scope: Scope, block: Block) -> None:
        for statement in reversed(statements):
            self.stack.append((statement, _At(scope, block, statement)))

    def compound(self, node: ast.stmt, at: _At) -> None:
        """Any other statement: its lists of statements become blocks, its expressions are read in place."""
        at = at._replace(statement=node)
        loop = isinstance(node, (ast.For, ast.AsyncFor, ast.While))
        expressions: list[ast.AST] = []
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                # try and with bodies always run: they are part of the block they stand in
                flat = name in ("body", "finalbody") and type(node).__name__ in ("Try", "TryStar")
                self.body(value, at.scope, at.block if flat else Block(at.block, loop=loop))
            elif isinstance(value, list):
                expressions.extend(item for item in value if isinstance(item, ast.AST))
            elif isinstance(value, ast.AST):
                expressions.append(value)
        for expression in reversed(expressions):
            self.stack.append((expression, at))

    # -- bindings ----------------------------------------------------------------------------------------------

    def bind(self, target: ast.AST, how: How, value: ast.expr | None, at: _At, path: tuple[int, ...] = ()) -> None:
        """Bind every name and attribute in an assignment target."""
        if value is not None and how <= How.ELEMENT and may_be_method(self.facts, value):
            self.facts.aliases.update(last_name(part) for part in ast.walk(target))
        todo: list[tuple[ast.AST, tuple[int, ...]]] = [(target, path)]
        while todo:
            node, path = todo.pop()
            line = getattr(node, "lineno", at.statement.lineno)
            binding = Binding(how, value, at.scope, line, at.block, path)
            if isinstance(node, ast.Name):
                at.scope.bind(node.id, binding)
            elif isinstance(node, ast.Attribute):
                stores.store(node, binding, at.scope)
                self.push(node.value, at)
            elif isinstance(node, (ast.Tuple, ast.List)):
                todo.extend((item, (*path, index)) for index, item in enumerate(node.elts))
            elif isinstance(node, ast.Starred):
                todo.append((node.value, ()))
            elif isinstance(node, ast.Subscript):
                stores.validated(node.value, node.slice, binding, at.scope)
                # `clients["a"] = OpenAI()`: what goes in can come out
                if how is How.VALUE and value is not None and not path:
                    element = ast.copy_location(ast.List(elts=[value], ctx=ast.Load()), value)
                    todo.append((node.value, path))
                    value = element
                self.push(node.slice, at)

    # -- statements --------------------------------------------------------------------------------------------

    def import_(self, node: ast.Import, at: _At) -> None:
        for alias in node.names:
            self.facts.import_roots.add(alias.name)
            name = alias.asname or alias.name.partition(".")[0]
            module = alias.name if alias.asname else name
            at.scope.bind(
                name, Binding(How.IMPORT, None, at.scope, node.lineno, at.block, imported=Import(module, "", 0))
            )

    def import_from(self, node: ast.ImportFrom, at: _At) -> None:
        module = node.module or ""
        for alias in node.names:
            imported = Import(module, alias.name, node.level)
            if not node.level:
                self.facts.import_roots.add(f"{module}.{alias.name}")
            if alias.name == "*":
                self.facts.stars.append(imported)
                continue
            name = alias.asname or alias.name
            if not node.level and module.partition(".")[0] in SDK_ROOTS:
                self.facts.sdk_names.add(name)
            at.scope.bind(name, Binding(How.FROM, None, at.scope, node.lineno, at.block, imported=imported))

    def definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef, at: _At) -> None:
        scope = FunctionScope(node, at.scope, at.block)
        if any(last_name(d) in TRACKER_BLOCKS for d in node.decorator_list):
            scope.block.tracked = True
        if at.scope.is_class and scope.parameters and not scope.decorated("staticmethod"):
            scope.receiver = scope.parameters[0].arg
        at.scope.bind(node.name, Binding(How.DEFINITION, None, at.scope, node.lineno, at.block, defined=scope))
        self.body(node.body, scope, scope.block)
        self.signature(node.args, scope, at._replace(statement=node))
        self.push(node.returns, at._replace(statement=node))
        for decorator in node.decorator_list:
            self.push(decorator, at._replace(statement=node, decorator=True))

    def signature(self, arguments: ast.arguments, scope: FunctionScope, at: _At) -> None:
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
                if may_be_method(self.facts, default):
                    self.facts.aliases.add(argument.arg)
                scope.bind(argument.arg, Binding(How.VALUE, default, at.scope, argument.lineno, block))
                self.push(default, at)
            self.push(argument.annotation, at)
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                scope.bind(extra.arg, Binding(How.OPAQUE, None, at.scope, extra.lineno, scope.block))

    def lambda_(self, node: ast.Lambda, at: _At) -> None:
        scope = FunctionScope(node, at.scope, at.block)
        node._scope = scope  # type: ignore[attr-defined]
        scope.returns.append(node.body)
        self.signature(node.args, scope, at)
        self.push(node.body, _At(scope, scope.block, at.statement))

    def class_(self, node: ast.ClassDef, at: _At) -> None:
        scope = ClassScope(node, at.scope, Block(at.block))
        self.facts.classes.append(scope)
        at.scope.bind(node.name, Binding(How.DEFINITION, None, at.scope, node.lineno, at.block, defined=scope))
        self.body(node.body, scope, scope.block)
        at = at._replace(statement=node)
        for child in (*node.bases, *node.keywords):
            self.push(child, at)
        for decorator in node.decorator_list:
            self.push(decorator, at._replace(decorator=True))

    def assign(self, node: ast.Assign, at: _At) -> None:
        for target in node.targets:
            self.bind(target, How.VALUE, node.value, at)
        self.push(node.value, at)

    def ann_assign(self, node: ast.AnnAssign, at: _At) -> None:
        self.bind(node.target, How.ANNOTATION, node.annotation, at)
        if node.value is not None:
            self.bind(node.target, How.VALUE, node.value, at)
            self.push(node.value, at)
        self.push(node.annotation, at)

    def aug_assign(self, node: ast.AugAssign, at: _At) -> None:
        self.bind(node.target, How.VALUE, node.value, at)
        self.push(node.value, at)

    def for_(self, node: ast.For | ast.AsyncFor, at: _At) -> None:
        block = Block(at.block, loop=True)
        self.bind(node.target, How.ELEMENT, node.iter, at._replace(block=block))
        self.body(node.orelse, at.scope, Block(at.block))
        self.body(node.body, at.scope, block)
        self.push(node.iter, at)

    def with_(self, node: ast.With | ast.AsyncWith, at: _At) -> None:
        tracked = any(
            isinstance(item.context_expr, ast.Call) and last_name(item.context_expr) in TRACKER_BLOCKS
            for item in node.items
        )
        # The body always runs, so it is no block of its own unless the tracker makes it one.
        inner = Block(at.block, tracked=True) if tracked else at.block
        for item in node.items:
            if item.optional_vars is not None:
                self.bind(item.optional_vars, How.VALUE, item.context_expr, at)
        self.body(node.body, at.scope, inner)
        for item in reversed(node.items):
            self.push(item.context_expr, at)

    def try_handler(self, node: ast.ExceptHandler, at: _At) -> None:
        block = Block(at.block)
        if node.name:
            at.scope.bind(node.name, Binding(How.OPAQUE, None, at.scope, node.lineno, block))
        self.body(node.body, at.scope, block)
        self.push(node.type, at)

    def match_case(self, node: ast.match_case, at: _At) -> None:
        block = Block(at.block)
        for part in ast.walk(node.pattern):
            name = getattr(part, "name", None) or getattr(part, "rest", None)
            if isinstance(name, str):
                at.scope.bind(name, Binding(How.OPAQUE, None, at.scope, part.lineno, block))  # type: ignore[attr-defined]
        self.body(node.body, at.scope, block)
        self.push(node.guard, at)

    def declared(self, node: ast.Global | ast.Nonlocal, at: _At) -> None:
        for name in node.names:
            target: Scope | None = self.facts.scope
            if isinstance(node, ast.Nonlocal):
                target = at.scope.parent
                while target is not None and (target.is_class or name not in target.bindings):
                    target = target.parent
            if target is not None:
                at.scope.elsewhere[name] = target

    def return_(self, node: ast.Return, at: _At) -> None:
        scope = stores.function_of(at.scope)
        if scope is not None and node.value is not None:
            scope.returns.append(node.value)
            if not isinstance(node.value, ast.Call) and may_be_method(self.facts, node.value):
                self.facts.aliases.add(scope.name)
        self.push(node.value, at)

    # -- expressions -------------------------------------------------------------------------------------------

    def yield_(self, node: ast.Yield | ast.YieldFrom, at: _At) -> None:
        scope = stores.function_of(at.scope)
        if scope is not None and node.value is not None:
            scope.yields.append(node.value)
        self.push(node.value, at)

    def walrus(self, node: ast.NamedExpr, at: _At) -> None:
        scope = at.scope
        while isinstance(scope, ComprehensionScope) and scope.parent is not None:
            scope = scope.parent
        self.bind(node.target, How.VALUE, node.value, at._replace(scope=scope))
        self.push(node.value, at)

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp, at: _At) -> None:
        scope = ComprehensionScope("", at.scope, self.facts, Block(at.block, loop=True))
        node._scope = scope  # type: ignore[union-attr]
        inner = _At(scope, scope.block, at.statement)
        for generator in node.generators:
            self.bind(generator.target, How.ELEMENT, generator.iter, inner)
            self.push(generator.iter, inner)
            for condition in generator.ifs:
                self.push(condition, inner)
        if isinstance(node, ast.DictComp):
            self.push(node.key, inner)
            self.push(node.value, inner)
        else:
            self.push(node.elt, inner)

    def call(self, node: ast.Call, at: _At) -> None:
        self.facts.calls.append(Site(node, at.scope, at.statement, at.block, at.decorator, at.fstring))
        if isinstance(node.func, ast.Name) and node.func.id == "isinstance" and len(node.args) == 2:
            stores.guarded(node, at.scope, at.block)
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "update":
            stores.updated(node, at.scope, at.block)
        for keyword in reversed(node.keywords):
            self.push(keyword.value, at)
        for argument in reversed(node.args):
            self.push(argument, at)
        # The callee itself is no mention; what it hangs on may hold calls.
        callee: ast.expr = node.func
        while isinstance(callee, ast.Attribute):
            callee = callee.value
        if not isinstance(callee, ast.Name):
            self.push(callee, at)

    def attribute(self, node: ast.Attribute, at: _At) -> None:
        if node.attr in METHOD_NAMES and isinstance(node.ctx, ast.Load):
            self.facts.mentions.append(Site(node, at.scope, at.statement, at.block, at.decorator, at.fstring))
        value: ast.expr = node.value
        while isinstance(value, ast.Attribute):
            value = value.value
        if not isinstance(value, ast.Name):
            self.push(value, at)

    def name(self, node: ast.Name, at: _At) -> None:
        if node.id in self.facts.sdk_names and isinstance(node.ctx, ast.Load):
            self.facts.mentions.append(Site(node, at.scope, at.statement, at.block, at.decorator, at.fstring))

    def joined(self, node: ast.JoinedStr, at: _At) -> None:
        self.children(node, at._replace(fstring=at.fstring or node))

    def ignored(self, node: ast.AST, at: _At) -> None:
        """Comparisons of callables and the like mention nothing; their operands are read for calls."""
        for part in ast.iter_child_nodes(node):
            if isinstance(part, (ast.Attribute, ast.Name)):
                while isinstance(part, ast.Attribute):
                    part = part.value
                if isinstance(part, ast.Name):
                    continue
            self.push(part, at)


_HANDLERS: dict[type, Any] = {
    ast.Import: Reader.import_,
    ast.ImportFrom: Reader.import_from,
    ast.FunctionDef: Reader.definition,
    ast.AsyncFunctionDef: Reader.definition,
    ast.Lambda: Reader.lambda_,
    ast.ClassDef: Reader.class_,
    ast.Assign: Reader.assign,
    ast.AnnAssign: Reader.ann_assign,
    ast.AugAssign: Reader.aug_assign,
    ast.For: Reader.for_,
    ast.AsyncFor: Reader.for_,
    ast.With: Reader.with_,
    ast.AsyncWith: Reader.with_,
    ast.ExceptHandler: Reader.try_handler,
    ast.match_case: Reader.match_case,
    ast.Global: Reader.declared,
    ast.Nonlocal: Reader.declared,
    ast.Return: Reader.return_,
    ast.Yield: Reader.yield_,
    ast.YieldFrom: Reader.yield_,
    ast.NamedExpr: Reader.walrus,
    ast.ListComp: Reader.comprehension,
    ast.SetComp: Reader.comprehension,
    ast.GeneratorExp: Reader.comprehension,
    ast.DictComp: Reader.comprehension,
    ast.Call: Reader.call,
    ast.Attribute: Reader.attribute,
    ast.Name: Reader.name,
    ast.Compare: Reader.ignored,
} | ({ast.JoinedStr: Reader.joined} if sys.version_info < (3, 12) else {})
