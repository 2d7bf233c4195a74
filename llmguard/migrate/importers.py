"""Who reads a name of a module in other files: asked of their imports, not of the words in them.

A text counts where it is a dotted path that may mean the module (`patch("app.llm.client")`), or a lookup by name in a
file that imports it. A module of the same name elsewhere, and what a log line says, are nobody's concern.
"""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from llmguard.migrate.reads import tree_of
from llmguard.migrate.uses import may_mean, may_name, names_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from llmguard.check.module import ModuleFacts
    from llmguard.check.project import Project
    from llmguard.migrate.uses import Texts


class Imported(NamedTuple):
    """What a file imports of a module.

    Attributes:
        names: of the module.
        modules: local names, or dotted ones, of the module itself.
        line: of the first such import.
    """

    names: set[str]
    modules: set[str]
    line: int


class Importers:
    """The files that import modules of a project.

    Args:
        project: its modules.
        texts: the bytes of its files.
    """

    def __init__(self, project: Project, texts: Texts) -> None:
        self._project = project
        self._texts = texts

    def reading(self, absolute: str, name: str, but: Collection[str] = ()) -> list[str]:
        """Where a name of a module may be read, replaced or looked up in other files: "path:line"."""
        found = []
        (stem,) = names_of(absolute)
        importing = _speaks_of(stem)
        for shown, path, data in self._texts.mentioning(stem):
            if path == absolute or path in but or not (name.encode() in data or b"*" in data or importing.search(data)):
                continue
            tree = tree_of(data)
            line = 1 if tree is None else self._read_at(tree, path, absolute, name)
            found += [f"{shown}:{line}"] if line else []
        return found

    def _read_at(self, tree: ast.Module, path: str, absolute: str, name: str) -> int:
        """The line at which a file reads a name of a module, 0 when it does not."""
        imported = self._imported(tree, path, absolute)
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if may_name(node.value, absolute, name) or (imported is not None and node.value == name):
                    return node.lineno
            elif isinstance(node, ast.Attribute) and node.attr == name:
                of = ast.unparse(node.value)
                if (imported is not None and of in imported.modules) or self._may_be(node.value, tree, path, absolute):
                    return node.lineno
        if imported is None:
            return 0
        if name in imported.names or "*" in imported.names or _is_handed_on(tree, imported.modules):
            return imported.line
        return 0

    def _may_be(self, value: ast.expr, tree: ast.Module, path: str, absolute: str) -> bool:
        """Whether what an attribute is read of may be a module that came by another one: `app.llm`, or an `llm` that is
        imported from somewhere; not what the file makes itself, nor what is surely another module."""
        (stem,) = names_of(absolute)
        if isinstance(value, ast.Attribute):
            return value.attr == stem and _is_path(value)
        if not isinstance(value, ast.Name) or value.id != stem:
            return False
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and any((alias.asname or alias.name) == stem for alias in node.names):
                module = self._module_of(node, path)
                inner = self._project.submodule(module, stem) if module is not None else None
                return inner is None or os.path.abspath(inner.path) == absolute
        return False

    def _imported(self, tree: ast.Module, path: str, absolute: str) -> Imported | None:
        """What a file imports of a module, None when nothing."""
        names: set[str] = set()
        modules: set[str] = set()
        line = 0
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    if self._is(self._project.absolute(alias.name, path), alias.name, absolute):
                        modules.add(alias.asname or alias.name)
                        line = line or node.lineno
            elif isinstance(node, ast.ImportFrom):
                for alias, is_module in self._taken(node, path, absolute):
                    if is_module:
                        modules.add(alias.asname or alias.name)
                    else:
                        names.add(alias.name)
                    line = line or node.lineno
            elif isinstance(node, ast.Constant) and isinstance(node.value, str) and may_mean(node.value, absolute):
                modules.add("")  # `import_module("app.llm")`: whatever it is called
                line = line or node.lineno
        return Imported(names, modules, line) if line else None

    def _taken(self, node: ast.ImportFrom, path: str, absolute: str) -> Iterator[tuple[ast.alias, bool]]:
        """What a `from` import takes of a module, or whether it takes the module."""
        dotted, module = node.module or "", self._module_of(node, path)
        for alias in node.names:
            if dotted and self._is(module, dotted, absolute):
                yield alias, False
                continue
            inner = self._project.submodule(module, alias.name) if module is not None else None
            if self._is(inner, f"{dotted}.{alias.name}" if dotted else alias.name, absolute):
                yield alias, True

    def _module_of(self, node: ast.ImportFrom, path: str) -> ModuleFacts | None:
        """The module of the project that a file's `from` import names."""
        dotted = node.module or ""
        if node.level:
            return self._project.relative(dotted, node.level, path)
        return self._project.absolute(dotted, path)

    def _is(self, module: object, dotted: str, absolute: str) -> bool:
        """Whether a module is the one at a path; of one that is not found, its name decides."""
        if module is not None:
            return os.path.abspath(getattr(module, "path", "")) == absolute
        return may_mean(dotted, absolute)


def _is_path(node: ast.expr) -> bool:
    """Whether an expression is a dotted name that does not begin with the object of a method."""
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name) and node.id not in ("self", "cls")


def _speaks_of(stem: str) -> re.Pattern[bytes]:
    """What imports a module of this name, or has it in a text: the others need not be parsed."""
    word = re.escape(stem)
    return re.compile(
        rf"""\bimport\b[^\n]*\b{word}\b|\bimport[ \t]*\([^)]*\b{word}\b|\bfrom[ \t][^\n]*\b{word}[ \t]+import\b"""
        rf"""|["'][\w.]*\b{word}\b""".encode()
    )


def _is_handed_on(tree: ast.Module, modules: set[str]) -> bool:
    """Whether a module is used as a value: whoever gets it can read all its names."""
    if "" in modules:
        return True
    bases = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    return any(
        isinstance(node, ast.Name) and node.id in modules and isinstance(node.ctx, ast.Load) and id(node) not in bases
        for node in ast.walk(tree)
    )
