"""Who reads a client in the file that makes it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmguard.migrate.clients import Maker
    from llmguard.migrate.source import Source

#: Bases that surely do nothing with the attributes of a class.
_HARMLESS = frozenset({"object", "ABC", "Protocol", "Generic"})
#: What reads all attributes of an object.
_WHOLE = frozenset({"__dict__", "vars", "asdict", "astuple", "__getattr__", "__getattribute__", "locals", "globals"})
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def mentions(source: Source, maker: Maker) -> list[ast.expr] | None:
    """The expressions in a file that may read a client; None when it is used in a way that nobody can follow."""
    if maker.kind == "inline":
        return [maker.call]
    if maker.kind == "name":
        return named(source, maker.name, getattr(maker.owner, "node", None), maker.call)
    return None if _is_spoken_of(source, maker.name) else _of_attribute(source, maker)


def named(source: Source, name: str, own: ast.AST | None = None, made: ast.Call | None = None) -> list[ast.expr] | None:
    """The reads of a variable in a file; None when something else is put there, or names are looked up.

    Args:
        source: the file.
        name: the variable.
        own: the function whose variable it is, None for one of the module.
        made: the call that gives it its value.
    """
    if _is_spoken_of(source, name):
        return None
    found: list[ast.expr] = []
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.Name) or node.id != name or (made is not None and _is_store_of(source, node, made)):
            continue
        if not _means(source, node, name, own):
            continue
        if not isinstance(node.ctx, ast.Load):
            return None
        found.append(node)
    return found


def _is_spoken_of(source: Source, name: str) -> bool:
    """Whether a text is the name (getattr, __all__, patch.object), or a scope declares it."""
    return any(
        (isinstance(node, ast.Constant) and node.value == name)
        or (isinstance(node, (ast.Global, ast.Nonlocal)) and name in node.names)
        for node in ast.walk(source.tree)
    )


def _of_attribute(source: Source, maker: Maker) -> list[ast.expr] | None:
    own = getattr(maker.owner, "node", None)
    classes = {node.name: node for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef)}
    if own is None or not _is_closed(own, classes):
        return None
    found: list[ast.expr] = []
    for node in ast.walk(source.tree):
        if getattr(node, "id", getattr(node, "attr", "")) in _WHOLE:
            return None
        if not isinstance(node, ast.Attribute) or node.attr != maker.name or _is_store_of(source, node, maker.call):
            continue
        around = _class_around(source, node)
        receiver = getattr(node.value, "id", "")
        if around is not None and around is not own and receiver in ("self", "cls"):
            if _stores(around, maker.name) and not _related(around, own, classes):
                continue  # its own
        if not isinstance(node.ctx, ast.Load):
            return None
        found.append(node)
    return found


def _is_closed(own: ast.ClassDef, classes: dict[str, ast.ClassDef], depth: int = 0) -> bool:
    """Whether all bases of a class are in the file, or harmless."""
    for base in own.bases:
        name = ast.unparse(base).partition("[")[0].rpartition(".")[2]
        if name in _HARMLESS:
            continue
        if name not in classes or depth > 9 or not _is_closed(classes[name], classes, depth + 1):
            return False
    return True


def _ancestry(node: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> set[str]:
    found: set[str] = set()
    pending = [node]
    while pending:
        for base in pending.pop().bases:
            name = ast.unparse(base).partition("[")[0].rpartition(".")[2]
            if name not in found:
                found.add(name)
                if name in classes:
                    pending.append(classes[name])
    return found


def _related(one: ast.ClassDef, other: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> bool:
    return other.name in _ancestry(one, classes) or one.name in _ancestry(other, classes)


def _stores(cls: ast.ClassDef, name: str) -> bool:
    """Whether a class sets `self.name` itself."""
    return any(
        isinstance(node, ast.Attribute) and node.attr == name and isinstance(node.ctx, ast.Store)
        for node in ast.walk(cls)
    )


def _means(source: Source, node: ast.AST, name: str, own: ast.AST | None) -> bool:
    """Whether a variable of this name is the one at hand: the innermost scope that binds it decides."""
    for parent in source.ancestors(node):
        if parent is own:
            return True
        if isinstance(parent, _SCOPES) and _binds(parent, name):
            return False
    return own is None


def _binds(scope: ast.AST, name: str) -> bool:
    """Whether a function, lambda or comprehension binds a name itself; those inside it have their own."""
    arguments = getattr(scope, "args", None)
    if arguments is not None:
        named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs, arguments.vararg, arguments.kwarg]
        if any(argument is not None and argument.arg == name for argument in named):
            return True
    if isinstance(scope, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        parts: list[ast.AST] = [generator.target for generator in scope.generators]
        return any(isinstance(node, ast.Name) and node.id == name for part in parts for node in ast.walk(part))
    return any(
        (isinstance(node, ast.Name) and node.id == name and not isinstance(node.ctx, ast.Load))
        or (isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and node.name == name)
        for node in _inside(scope)
    )


def _inside(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of the scopes in it."""
    pending = list(ast.iter_child_nodes(scope))
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, (*_SCOPES, ast.ClassDef)):
            pending.extend(ast.iter_child_nodes(node))


def _is_store_of(source: Source, node: ast.expr, made: ast.Call) -> bool:
    statement = source.parents.get(node)
    return isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is made


def _class_around(source: Source, node: ast.AST) -> ast.ClassDef | None:
    return next((parent for parent in source.ancestors(node) if isinstance(parent, ast.ClassDef)), None)
