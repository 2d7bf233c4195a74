"""Who calls a function of the project: its calls in all files, as resolution knows them.

Only files that mention its name are looked at, and of those only the places where the name stands; whether such a place
means the function is asked of imports and definitions, not of the word.
"""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check.judge import Judge
from llmguard.check.values import Function as FunctionValue
from llmguard.check.values import Here
from llmguard.errors import UncheckableError
from llmguard.migrate.reads import tree_of
from llmguard.migrate.source import Found, Source
from llmguard.migrate.uses import names_of

if TYPE_CHECKING:
    from llmguard.check.project import Project
    from llmguard.migrate.statements import Function
    from llmguard.migrate.uses import File, Texts

#: Calls that replace what their second argument names.
_REPLACING = frozenset({"object", "setattr"})
_MOST_FILES = 60  # that a function is looked for in: a name that stands in more is nobody's


class Looked(NamedTuple):
    """A file that is looked at: itself, and its resolution."""

    source: Source
    judge: Judge


class Caller(NamedTuple):
    """A call of a function: the file, the call as a site, and its node."""

    looked: Looked
    found: Found
    call: ast.Call


class Callers:
    """The calls of functions, in the files of a project.

    Args:
        project: its modules.
        texts: the bytes of its files.
    """

    def __init__(self, project: Project, texts: Texts) -> None:
        self._project = project
        self._texts = texts
        self._looked: dict[str, Looked | None] = {}

    def of(self, home: Looked, function: Function, like: Found) -> list[Caller] | None:
        """The calls of a function; None when it may be used otherwise, or replaced.

        Args:
            home: its file.
            function: a function of a module, or a method.
            like: a site, whose callee the calls get (nobody reads it).
        """
        self._looked.setdefault(home.source.absolute, home)
        files = self._files(home.source, function)
        if len(files) > _MOST_FILES or self._is_overridden(home, function):
            return None
        found: list[Caller] = []
        for looked in (home, *(self._look(*file) for file in files)):
            if looked is None or _is_replaced(looked.source, function.name, home.source):
                return None
            for use in _uses(looked.source, function.name):
                if not self._means(looked, use, home.source, function):
                    continue
                caller = _caller(looked, use, like)
                if caller is None:
                    return None
                found.append(caller)
        return found

    def _files(self, home: Source, function: Function) -> list[File]:
        """The other files that may call a function: they mention its name, and its module or class."""
        cls = home.parents.get(function)
        near = {file[1] for name in names_of(home.absolute) for file in self._texts.mentioning(name)}
        if isinstance(cls, ast.ClassDef):
            near |= {file[1] for file in self._texts.mentioning(cls.name)}
        used = re.compile(rf"{'[.]' if isinstance(cls, ast.ClassDef) else ''}\b{function.name}\b".encode())
        return [
            file
            for file in self._texts.mentioning(function.name)
            if file[1] in near and file[1] != home.absolute and used.search(file[2])
        ]

    def _look(self, shown: str, absolute: str, data: bytes) -> Looked | None:
        if absolute not in self._looked:
            try:
                source = Source(shown, absolute, data)
            except UncheckableError:
                self._looked[absolute] = None
            else:
                self._looked[absolute] = Looked(source, Judge(source.facts, self._project))
        return self._looked[absolute]

    def _means(self, looked: Looked, use: ast.expr, home: Source, function: Function) -> bool:
        """Whether a name, or an attribute, is the function, and nothing else."""
        source, judge = looked
        if isinstance(use, ast.Attribute) and isinstance(use.value, ast.Name) and use.value.id in ("self", "cls"):
            around = next((node for node in source.ancestors(use) if isinstance(node, ast.ClassDef)), None)
            cls = home.parents.get(function)
            if source is home and isinstance(cls, ast.ClassDef) and around is not None:
                meets = source.families.meet(cls.name, around.name)
                return around is cls or (meets and not _defines(around, function.name))
        here = _here(source, use)
        if here is None:
            return False
        judge.infer.refill()
        values = judge.infer.values(use, here)
        return bool(values) and all(
            isinstance(value, FunctionValue)
            and value.scope.module.path == home.absolute
            and getattr(value.scope.node, "lineno", 0) == function.lineno
            for value in values
        )

    def _is_overridden(self, home: Looked, function: Function) -> bool:
        """Whether a call of a method may mean one of a class that is made from its class."""
        cls = home.source.parents.get(function)
        if not isinstance(cls, ast.ClassDef):
            return False
        pending, seen = [cls.name], {cls.name}
        while pending:
            base = pending.pop()
            files = self._texts.mentioning(base)
            if len(files) > _MOST_FILES:
                return True
            for _, absolute, data in files:
                tree = home.source.tree if absolute == home.source.absolute else tree_of(data)
                for node in ast.walk(tree) if tree is not None else ():
                    if isinstance(node, ast.ClassDef) and base in map(_last, node.bases) and node.name not in seen:
                        if _defines(node, function.name):
                            return True
                        seen.add(node.name)
                        pending.append(node.name)
        return False


def _uses(source: Source, name: str) -> list[ast.expr]:
    """Where a name stands, or an attribute of that name."""
    named: list[ast.expr] = [node for node in source.nodes if isinstance(node, ast.Name) and node.id == name]
    return [*named, *source.attributes.get(name, ())]


def _here(source: Source, use: ast.expr) -> Here | None:
    """Where an expression is evaluated: as the call is that it is a part of."""
    inside = {id(use), *(id(node) for node in source.ancestors(use))}
    best = None
    for site in source.facts.calls:
        if id(site.node) in inside and (best is None or site.node.lineno >= best.node.lineno):
            best = site
    return Here(best.scope, best.block) if best is not None else None


def _caller(looked: Looked, use: ast.expr, like: Found) -> Caller | None:
    source = looked.source
    call = source.parents.get(use)
    if not isinstance(call, ast.Call) or call.func is not use or any(key.arg is None for key in call.keywords):
        return None
    site = next((site for site in source.facts.calls if site.node is call), None)
    return None if site is None else Caller(looked, Found(source, use, site, like.callee), call)


def _is_replaced(source: Source, name: str, home: Source) -> bool:
    """Whether a file may put something in the place of a function of another one: in a test, say."""
    if any(
        not isinstance(node.ctx, ast.Load) and _last(node.value) != "self" for node in source.attributes.get(name, ())
    ):
        return True
    stem = os.path.splitext(os.path.basename(home.absolute))[0]
    if any(text.endswith(f".{name}") and stem in text.split(".") for text in source.texts):
        return True
    return any(
        isinstance(node, ast.Call)
        and _last(node.func) in _REPLACING
        and len(node.args) > 1
        and isinstance(node.args[1], ast.Constant)
        and node.args[1].value == name
        for node in source.nodes
    )


def _defines(cls: ast.ClassDef, name: str) -> bool:
    return any(getattr(statement, "name", "") == name for statement in cls.body)


def _last(node: ast.expr) -> str:
    return ast.unparse(node).partition("[")[0].rpartition(".")[2]
