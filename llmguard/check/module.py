"""Facts of one module: scopes and what binds each name, stores to `self.x`, imports, every call with the statement
and block it stands in, and every generating method that is mentioned without being called.
"""

from __future__ import annotations

import ast
from typing import NamedTuple

from llmguard.check.scopes import Binding, Block, ClassScope, Import, Scope


class Site(NamedTuple):
    """A call, or a mention of something callable, and where it stands."""

    node: ast.expr
    scope: Scope
    statement: ast.stmt
    block: Block
    decorator: bool = False
    fstring: ast.JoinedStr | None = None  # before Python 3.12, positions inside an f-string cannot be trusted


class ModuleFacts:
    """What one module says. `path` as given, `name` its dotted module name ("" when unknown)."""

    def __init__(self, path: str, name: str = "", *, is_package: bool = False) -> None:
        self.path = path
        self.name = name
        self.is_package = is_package
        self.scopes: list[Scope] = []
        self.scope = Scope("", None, self, Block(None))
        self.stars: list[Import] = []
        self.import_roots: set[str] = set()
        self.calls: list[Site] = []
        self.mentions: list[Site] = []
        self.sdk_names: set[str] = set()  # names imported from an SDK
        self.aliases: set[str] = set()  # last names of what may stand for a generating method
        self.classes: list[ClassScope] = []
        self.stores: dict[str, list[Binding]] = {}  # dotted text of `a.b.c = value`, other than self.x

    def dismantle(self) -> None:
        """Take the facts apart when nobody will ask them again: they are full of cycles."""
        for scope in self.scopes:
            scope.dismantle()
        self.scopes.clear()
        self.calls.clear()
        self.mentions.clear()
        self.classes.clear()
        self.stores.clear()

    @classmethod
    def of(cls, tree: ast.Module, path: str, name: str = "", *, is_package: bool = False) -> ModuleFacts:
        """The facts of a parsed module."""
        from llmguard.check.reader import Reader  # the reader fills what is declared here

        facts = cls(path, name, is_package=is_package)
        Reader(facts).read(tree)
        return facts


def dotted(node: ast.AST) -> str:
    """The source text of a pure dotted name, "" for anything else."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return ""
    parts.append(node.id)
    return ".".join(reversed(parts))


class At(NamedTuple):
    """Where the reader is while it reads a module."""

    scope: Scope
    block: Block
    statement: ast.stmt
    decorator: bool = False
    fstring: ast.JoinedStr | None = None
