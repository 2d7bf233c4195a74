"""Who reads a client in the file that makes it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmguard.migrate.clients import Maker
    from llmguard.migrate.source import Source

#: What reads all attributes of an object.
_WHOLE = frozenset(
    {
        *("__dict__", "vars", "asdict", "astuple", "__getattr__", "__getattribute__", "__setattr__", "locals"),
        *("globals", "eval", "exec", "getmembers", "__slots__", "__getstate__", "__reduce__"),
    }
)
#: What reads variables by their names.
_BY_NAME = frozenset({"locals", "globals", "eval", "exec"})
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
    if _is_spoken_of(source, name) or any(getattr(node, "id", "") in _BY_NAME for node in source.nodes):
        return None
    found: list[ast.expr] = []
    for node in source.nodes if own is None else ast.walk(own):
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
    return name in source.declared or is_named_by_text(source, name)


def is_named_by_text(source: Source, name: str) -> bool:
    """Whether a text of a file names something: a dotted path with it, a field of a format, or the name itself where
    things are looked up by their names. `TITLE = "Groq"` names nothing."""
    if not any(name in text for text in source.texts):
        return False
    word = re.escape(name)
    pattern = re.compile(rf"[\w.]*\.{word}(\.[\w.]*)?|.*\{{[\w.]*\.{word}\b.*", re.DOTALL)
    for node in source.nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and name in node.value:
            if pattern.fullmatch(node.value) or (node.value.partition(".")[0] == name and _is_looked_up(source, node)):
                return True
    return False


def _is_looked_up(source: Source, node: ast.Constant) -> bool:
    """Whether a text stands where things are looked up, or exported, by their names."""
    for parent in source.ancestors(node):
        if isinstance(parent, ast.Call):
            return ast.unparse(parent.func).rpartition(".")[2] in _LOOKS_UP
        if isinstance(parent, ast.Subscript):
            return parent.slice is node
        if isinstance(parent, (ast.For, ast.comprehension)):
            return True  # `for name in ("client", "other"): setattr(self, name, ...)`
        if isinstance(parent, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
            targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
            return any(ast.unparse(target) in ("__all__", "__slots__") for target in targets)
        if isinstance(parent, ast.stmt):
            return False
    return False


#: Functions that look things up by their names.
_LOOKS_UP = frozenset(
    {
        *("getattr", "setattr", "hasattr", "delattr", "attrgetter", "methodcaller", "object", "patch", "setitem"),
        *("delitem", "multiple", "get", "pop", "import_module", "__import__", "update", "eval", "exec"),
    }
)


def _of_attribute(source: Source, maker: Maker) -> list[ast.expr] | None:
    own = getattr(maker.owner, "node", None)
    families = source.families
    if own is None or not families.is_closed(own.name) or _is_open(source) or maker.name in families.defined:
        return None
    found: list[ast.expr] = []
    for node in source.attributes.get(maker.name, ()):
        if _is_store_of(source, node, maker.call):
            continue
        around = _class_around(source, node)
        receiver = getattr(node.value, "id", "")
        if around is not None and around is not own and receiver in ("self", "cls"):
            if families.stores(around, maker.name) and not families.meet(around.name, own.name):
                continue  # its own
        if not isinstance(node.ctx, ast.Load):
            return None
        found.append(node)
    return found


@lru_cache(maxsize=4)
def _is_open(source: Source) -> bool:
    """Whether a file reads or sets attributes whose names nobody can read."""
    return any(
        getattr(node, "id", getattr(node, "attr", getattr(node, "name", ""))) in _WHOLE or _sets_any(node)
        for node in source.nodes
    )


def _sets_any(node: ast.AST) -> bool:
    """Whether attributes are set whose names nobody can read: `setattr(self, name, value)`."""
    return (
        isinstance(node, ast.Call)
        and getattr(node.func, "id", "") in ("setattr", "delattr", "getattr", "hasattr")
        and len(node.args) > 1
        and not isinstance(node.args[1], ast.Constant)
    )


def _means(source: Source, node: ast.AST, name: str, own: ast.AST | None) -> bool:
    """Whether a variable of this name is the one at hand: the innermost scope that binds it decides."""
    path = [node]
    for parent in source.ancestors(node):
        if parent is own and _is_inside(parent, path):
            return True
        if isinstance(parent, _SCOPES) and _is_inside(parent, path) and _binds(parent, name):
            return False
        path.append(parent)
    return own is None


def _is_inside(scope: ast.AST, path: list[ast.AST]) -> bool:
    """Whether a node is evaluated in a scope round it: defaults, decorators and the first iterable are not.

    Args:
        scope: the scope.
        path: the nodes from the node up to the scope.
    """
    if isinstance(scope, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return path[-1] in scope.body
    if isinstance(scope, ast.Lambda):
        return path[-1] is scope.body
    if isinstance(scope, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
        return path[-1] is not scope.generators[0] or len(path) < 2 or path[-2] is not scope.generators[0].iter
    return True


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
