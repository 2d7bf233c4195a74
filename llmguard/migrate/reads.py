"""What a file reads of an attribute, and whether that may be a client's."""

from __future__ import annotations

import ast
from functools import lru_cache
from typing import NamedTuple

from llmguard.check.reading import decode, parse_strictly
from llmguard.errors import UncheckableError
from llmguard.migrate.families import Families

#: What is read of a client.
_OF_CLIENTS = frozenset(
    {
        *("chat", "completions", "messages", "api_key", "base_url", "close", "with_options", "copy", "models", "beta"),
        *("embeddings", "audio", "files", "responses", "images", "batches", "with_raw_response", "organization"),
    }
)


class Root(NamedTuple):
    """What an attribute is read of, or put in.

    Attributes:
        name: that it begins with, "" for none.
        direct: nothing stands between.
        of_client: something of a client is read of it.
        put: something is put there, or it is looked up by a text.
    """

    name: str
    direct: bool = True
    of_client: bool = False
    put: bool = False


class Reads(NamedTuple):
    """What a file reads of an attribute.

    Attributes:
        own: it is `self.x` in a class that does not set it: of a base or a mixin, perhaps.
        stored: a class with bases sets it on itself, or defines it.
        roots: for each other read: see `Root`.
        origin: name -> (last part of the module, name there) that it, or what makes it, is imported from.
        named: whether a text of the file names the attribute.
    """

    own: bool
    stored: bool
    roots: tuple[Root, ...]
    origin: dict[str, tuple[str, str]]
    named: bool

    def may_be_of(self, modules: tuple[str, ...], near: frozenset[str], *, about: bool) -> bool:
        """Whether it may be an attribute of an object from one of these modules.

        Args:
            modules: their names.
            near: the names of the modules that mention one of them, or a class of theirs.
            about: whether the file mentions one of them, or a class of theirs.
        """
        if self.own or (about and (self.named or self.stored)):
            return True
        if self.may_be_put(modules, near):
            return True
        for name, direct, of_client, _ in self.roots:
            module, original = self.origin.get(name, ("", ""))
            ours = name not in self.origin or module in modules or original in modules
            if about and ours:
                return True
            if module in near:
                return True  # what a function there gives
            if of_client and module not in _KNOWN_ELSEWHERE and (ours or not direct):
                return True  # what a getter gives, or nobody knows what
        return False

    def may_be_put(self, modules: tuple[str, ...], near: frozenset[str]) -> bool:
        """Whether something may be put in the attribute of an object from one of these modules; not when the object
        is surely from another."""
        for root in self.roots:
            module, original = self.origin.get(root.name, ("", ""))
            if root.put and (root.name not in self.origin or module in near or {module, original} & set(modules)):
                return True
        return False


@lru_cache(maxsize=256)
def tree_of(data: bytes) -> ast.Module | None:
    """The tree of a file; None for one that cannot be parsed."""
    try:
        return parse_strictly(decode(data).text)
    except UncheckableError:
        return None


def reads_of(data: bytes, attribute: str) -> Reads | None:
    """What a file reads of an attribute; None for one that cannot be parsed."""
    tree = tree_of(data)
    if tree is None:
        return None
    families = Families(tuple(ast.walk(tree)))
    parents = {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}
    own = named = stored = False
    roots = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr == attribute:
            name = _root(node.value)
            if name in ("self", "cls"):
                around = _class_around(node, parents)
                own |= around is None or not families.stores(around, attribute)
                stored |= isinstance(node.ctx, ast.Store) and around is not None and bool(around.bases)
            else:
                of_client = getattr(parents.get(node), "attr", "") in _OF_CLIENTS
                put = not isinstance(node.ctx, ast.Load)
                roots.append(Root(name, isinstance(node.value, ast.Name), of_client, put))
        elif isinstance(node, ast.ClassDef) and node.bases:
            stored |= attribute in Families((node,)).defined
        elif isinstance(node, ast.Call) and _looks_up(node, attribute):
            roots.append(Root(_root(node.args[0]), put=True))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            named |= attribute in node.value.split(".")
    return Reads(own, stored, tuple(dict.fromkeys(roots)), _origins(tree), named)


def _root(node: ast.expr) -> str:
    while isinstance(node, (ast.Attribute, ast.Call, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def _looks_up(node: ast.Call, attribute: str) -> bool:
    """Whether a call reads, sets or replaces an attribute by its name: `patch.object(service, "client")`."""
    called = getattr(node.func, "attr", getattr(node.func, "id", ""))
    if called not in _BY_NAME or len(node.args) < 2 or not isinstance(node.args[1], ast.Constant):
        return False
    return node.args[1].value == attribute


_BY_NAME = frozenset({"getattr", "setattr", "hasattr", "delattr", "object", "setitem"})
_KNOWN_ELSEWHERE = frozenset({"fastapi", "starlette", "flask", "django", "pytest"})


def _class_around(node: ast.AST, parents: dict[ast.AST, ast.AST]) -> ast.ClassDef | None:
    parent = parents.get(node)
    while parent is not None and not isinstance(parent, ast.ClassDef):
        parent = parents.get(parent)
    return parent


def _origins(tree: ast.Module) -> dict[str, tuple[str, str]]:
    origin: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                origin[alias.asname or alias.name] = ((node.module or "").rpartition(".")[2], alias.name)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = getattr(node.value.func, "id", "")
            for target in node.targets:
                if isinstance(target, ast.Name) and made in origin:
                    origin.setdefault(target.id, origin[made])
    return origin
