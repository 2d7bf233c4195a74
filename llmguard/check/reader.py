"""Reads a module's tree into facts, in one pass with a stack of its own: no recursion, so no input is too deep."""

from __future__ import annotations

import ast
import sys
from typing import TYPE_CHECKING, Any

from llmguard.check import expressions, statements, stores
from llmguard.check.aliases import may_be_method
from llmguard.check.module import At
from llmguard.check.scopes import (
    Binding,
    Block,
    How,
    Scope,
    last_name,
)

if TYPE_CHECKING:
    from llmguard.check.module import ModuleFacts


class Reader:
    def __init__(self, facts: ModuleFacts) -> None:
        self.facts = facts
        self.stack: list[tuple[ast.AST, At]] = []

    def read(self, tree: ast.Module) -> None:
        for statement in reversed(tree.body):
            self.stack.append((statement, At(self.facts.scope, self.facts.scope.block, statement)))
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

    def push(self, node: ast.AST | None, at: At) -> None:
        if node is not None:
            self.stack.append((node, at))

    def children(self, node: ast.AST, at: At) -> None:
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
            self.stack.append((statement, At(scope, block, statement)))

    def compound(self, node: ast.stmt, at: At) -> None:
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

    def bind(self, target: ast.AST, how: How, value: ast.expr | None, at: At, path: tuple[int, ...] = ()) -> None:
        """Bind every name and attribute in an assignment target."""
        if value is not None and how <= How.ELEMENT and may_be_method(self.facts, value):
            self.facts.aliases.update(last_name(part) for part in ast.walk(target))
        pending: list[tuple[ast.AST, tuple[int, ...]]] = [(target, path)]
        while pending:
            node, path = pending.pop()
            line = getattr(node, "lineno", at.statement.lineno)
            binding = Binding(how, value, at.scope, line, at.block, path)
            if isinstance(node, ast.Name):
                at.scope.bind(node.id, binding)
            elif isinstance(node, ast.Attribute):
                stores.store(node, binding, at.scope)
                self.push(node.value, at)
            elif isinstance(node, (ast.Tuple, ast.List)):
                pending.extend((item, (*path, index)) for index, item in enumerate(node.elts))
            elif isinstance(node, ast.Starred):
                pending.append((node.value, ()))
            elif isinstance(node, ast.Subscript):
                stores.validated(node.value, node.slice, binding, at.scope)
                # `clients["a"] = OpenAI()`: what goes in can come out
                if how is How.VALUE and value is not None and not path:
                    element = ast.copy_location(ast.List(elts=[value], ctx=ast.Load()), value)
                    pending.append((node.value, path))
                    value = element
                self.push(node.slice, at)


_HANDLERS: dict[type, Any] = {
    ast.Import: statements.import_,
    ast.ImportFrom: statements.import_from,
    ast.FunctionDef: statements.definition,
    ast.AsyncFunctionDef: statements.definition,
    ast.Lambda: statements.lambda_,
    ast.ClassDef: statements.class_,
    ast.Assign: statements.assign,
    ast.AnnAssign: statements.ann_assign,
    ast.AugAssign: statements.aug_assign,
    ast.For: statements.for_,
    ast.AsyncFor: statements.for_,
    ast.With: statements.with_,
    ast.AsyncWith: statements.with_,
    ast.ExceptHandler: statements.try_handler,
    ast.match_case: statements.match_case,
    ast.Global: statements.declared,
    ast.Nonlocal: statements.declared,
    ast.Return: statements.return_,
    ast.Yield: expressions.yield_,
    ast.YieldFrom: expressions.yield_,
    ast.NamedExpr: expressions.walrus,
    ast.ListComp: expressions.comprehension,
    ast.SetComp: expressions.comprehension,
    ast.GeneratorExp: expressions.comprehension,
    ast.DictComp: expressions.comprehension,
    ast.Call: expressions.call,
    ast.Attribute: expressions.attribute,
    ast.Name: expressions.name,
    ast.Compare: expressions.ignored,
} | ({ast.JoinedStr: expressions.joined} if sys.version_info < (3, 12) else {})
