"""Who else uses what a migration would take away: in the file itself, and in the other files of the project."""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING

from llmguard.check.reading import decode, parse_strictly
from llmguard.errors import UncheckableError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmguard.migrate.clients import Maker
    from llmguard.migrate.source import Source


_WORDS = re.compile(rb"[A-Za-z_]\w*")
_CLASSES = re.compile(rb"^[ \t]*class[ \t]+(\w+)", re.MULTILINE)


class Texts:
    """The bytes of all files of the project, to be searched for what speaks of the files that migrate.

    Args:
        files: (path as shown, absolute path, bytes).
        migrating: absolute paths of those that migrate; None for all.
    """

    def __init__(self, files: Iterable[tuple[str, str, bytes]], migrating: frozenset[str] | None = None) -> None:
        self._files = list(files)
        names: set[bytes] = set()
        for _, path, data in self._files:
            if migrating is None or path in migrating:
                names.update(name.encode() for name in names_of(path))
                names.update(_CLASSES.findall(data))
        #: Name of a module or class that migrates -> numbers of the files that mention it. One pass, for all questions.
        self._speaking: dict[bytes, list[int]] = {}
        for number, (_, _, data) in enumerate(self._files):
            for word in names.intersection(_WORDS.findall(data)) if names else ():
                self._speaking.setdefault(word, []).append(number)

    def holds(self, text: bytes) -> bool:
        """Whether some file holds a text (with any blank space before its last sign)."""
        head, _, tail = text.rpartition(b" ")
        pattern = re.compile(re.escape(head) + rb"\s*" + re.escape(tail) + rb"[^=]")
        return any(head in data and pattern.search(data) for _, _, data in self._files)

    def _about(self, *names: str) -> list[tuple[str, str, bytes]]:
        """The files that mention one of these names."""
        numbers = {number for name in names for number in self._speaking.get(name.encode(), ())}
        return [self._files[number] for number in sorted(numbers)]

    def imported_from(self, module: str, name: str) -> bool:
        """Whether some file imports a name from a module of this name."""
        return any(_imports(data, module, name) for _, _, data in self._about(module))

    def reading(self, absolute: str, attribute: str, modules: tuple[str, ...], *beside: str) -> list[str]:
        """The files, but for one, that may read an attribute of an object from one of these modules."""
        return [
            shown
            for shown, path, data in self._about(*modules, *beside)
            if path != absolute and attribute.encode() in data and _may_read(data, attribute, modules)
        ]

    def outside(self, absolute: str, name: str, *beside: str) -> list[str]:
        """The files, but for one, in which a name stands, and one of the names of a module or class too."""
        word = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(name)}(?![A-Za-z0-9_])".encode())
        return [shown for shown, path, data in self._about(*beside) if path != absolute and word.search(data)]


def names_of(absolute: str) -> tuple[str, ...]:
    """The names by which other files speak of a module."""
    stem = os.path.splitext(os.path.basename(absolute))[0]
    return (os.path.basename(os.path.dirname(absolute)) if stem == "__init__" else stem,)


def _may_read(data: bytes, attribute: str, modules: tuple[str, ...]) -> bool:
    """Whether `x.attribute` in a file may be of an object from one of these modules: not when `x`, or what makes it,
    is imported from another one."""
    try:
        tree = parse_strictly(decode(data).text)
    except UncheckableError:
        return True
    origin: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                module = alias.name if alias.name in modules else (node.module or "").rpartition(".")[2]
                origin[alias.asname or alias.name] = module
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = getattr(node.value.func, "id", "")
            for target in node.targets:
                if isinstance(target, ast.Name) and made in origin:
                    origin.setdefault(target.id, origin[made])
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == attribute:
            root: ast.expr = node.value
            while isinstance(root, (ast.Attribute, ast.Call, ast.Subscript)):
                root = root.func if isinstance(root, ast.Call) else root.value
            if not isinstance(root, ast.Name) or origin.get(root.id, modules[0]) in modules:
                return True
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and attribute in node.value.split("."):
            return True
    return False


def _imports(data: bytes, module: str, name: str) -> bool:
    line = rf"from\s+[\w.]*\b{re.escape(module)}\s+import\s+[^\n]*\b{re.escape(name)}\b"
    return re.search(line.encode(), data) is not None


def mentions(source: Source, maker: Maker) -> list[ast.expr] | None:
    """The expressions in a file that read a client's name; None when it is used in a way that nobody can follow."""
    if maker.kind == "inline":
        return [maker.call]
    found: list[ast.expr] = []
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and node.value == maker.name:
            return None  # getattr, __all__, patch.object
        if isinstance(node, (ast.Global, ast.Nonlocal)) and maker.name in node.names:
            return None
        if isinstance(node, ast.keyword) and node.arg == maker.name and maker.kind == "attribute":
            continue
        if maker.kind == "attribute" and isinstance(node, ast.Attribute) and node.attr == maker.name:
            if isinstance(node.ctx, ast.Load):
                found.append(node)
            elif not _is_store_of(source, node, maker):
                if _class_around(source, node) is _node_of(maker):
                    return None
        elif maker.kind == "name" and isinstance(node, ast.Name) and node.id == maker.name:
            if isinstance(node.ctx, ast.Load):
                found.append(node)
            elif not _is_store_of(source, node, maker):
                if _shares_scope(source, node, maker):
                    return None
    if maker.kind == "attribute":
        return [node for node in found if _belongs(source, node, maker)]
    return [node for node in found if _shares_scope(source, node, maker)]


def _node_of(maker: Maker) -> ast.AST | None:
    return getattr(maker.owner, "node", None)


def _is_store_of(source: Source, node: ast.expr, maker: Maker) -> bool:
    statement = source.parents.get(node)
    return isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is maker.call


def _class_around(source: Source, node: ast.AST) -> ast.AST | None:
    return next((parent for parent in source.ancestors(node) if isinstance(parent, ast.ClassDef)), None)


def _belongs(source: Source, node: ast.expr, maker: Maker) -> bool:
    """Whether `x.name` may be the attribute at hand: not when it is `self.name` of another class."""
    around = _class_around(source, node)
    own = _node_of(maker)
    receiver = getattr(getattr(node, "value", None), "id", "")
    if around is not None and around is not own and receiver in ("self", "cls"):
        bases = [base for base in getattr(around, "bases", []) if getattr(base, "id", "") == getattr(own, "name", "")]
        return bool(bases)
    return True


def _shares_scope(source: Source, node: ast.AST, maker: Maker) -> bool:
    """Whether a variable of this name means the one at hand: nearest function that binds it, else the module."""
    own = _node_of(maker)  # None: the module
    for parent in source.ancestors(node):
        if isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
            if parent is own:
                return True
            if _binds(parent, maker.name):
                return False
        elif isinstance(parent, ast.ClassDef) and parent is own:
            return True
    return own is None


def _binds(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, name: str) -> bool:
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
    if any(argument is not None and argument.arg == name for argument in named):
        return True
    return any(
        isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load)
        for node in ast.walk(function)
    )
