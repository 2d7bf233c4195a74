"""The classes of a file: which an object may be of together, what each sets on itself and defines."""

from __future__ import annotations

import ast
from functools import cached_property

#: Bases that surely do nothing with the attributes of a class.
_HARMLESS = frozenset({"object", "ABC", "Protocol", "Generic"})


class Families:
    """The classes of a file, by their names.

    Args:
        nodes: of the file.
    """

    def __init__(self, nodes: tuple[ast.AST, ...]) -> None:
        self._classes = {node.name: node for node in nodes if isinstance(node, ast.ClassDef)}
        self._bases = {name: [last_of(base) for base in node.bases] for name, node in self._classes.items()}
        self._stored: dict[int, frozenset[str]] = {}

    def is_closed(self, name: str, depth: int = 0) -> bool:
        """Whether all bases of a class are in the file, or harmless."""
        return all(
            base in _HARMLESS or (base in self._classes and depth < 10 and self.is_closed(base, depth + 1))
            for base in self._bases.get(name, ())
        )

    def meet(self, one: str, other: str) -> bool:
        """Whether an object may be of both classes."""
        return one == other or other in self._together.get(one, ())

    @cached_property
    def _together(self) -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for name in self._classes:
            lineage = self._lineage(name)
            if len(lineage) > 1:
                for each in lineage:
                    found.setdefault(each, set()).update(lineage)
        return found

    def _lineage(self, name: str) -> set[str]:
        found, pending = {name}, [name]
        while pending:
            for base in self._bases.get(pending.pop(), ()):
                if base not in found:
                    found.add(base)
                    pending.append(base)
        return found

    def stores(self, cls: ast.ClassDef, attribute: str) -> bool:
        """Whether a class sets an attribute of its instances itself."""
        if id(cls) not in self._stored:
            self._stored[id(cls)] = frozenset(
                node.attr
                for node in ast.walk(cls)
                if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            )
        return attribute in self._stored[id(cls)]

    @cached_property
    def defined(self) -> frozenset[str]:
        """What classes have themselves, as a default, a method or a property."""
        found: set[str] = set()
        for node in self._classes.values():
            for statement in node.body:
                if isinstance(statement, ast.AnnAssign) and statement.value is not None:
                    found.add(ast.unparse(statement.target))
                elif isinstance(statement, ast.Assign):
                    found.update(map(ast.unparse, statement.targets))
                elif isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    found.add(statement.name)
        return frozenset(found)


def last_of(base: ast.expr) -> str:
    return ast.unparse(base).partition("[")[0].rpartition(".")[2]
