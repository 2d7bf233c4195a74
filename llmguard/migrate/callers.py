"""Who calls a function of the project: its calls in all files, as resolution knows them.

Only files that mention its name are looked at, and of those only the places where the name stands; whether such a place
means the function is asked of imports and definitions, not of the word.
"""

from __future__ import annotations

import ast
import re
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check.judge import Judge
from llmguard.check.values import Function as FunctionValue
from llmguard.check.values import Here
from llmguard.errors import UncheckableError
from llmguard.migrate.families import last_of
from llmguard.migrate.reads import tree_of
from llmguard.migrate.source import Found, Source
from llmguard.migrate.uses import names_of

if TYPE_CHECKING:
    from llmguard.check.project import Project
    from llmguard.migrate.statements import Function
    from llmguard.migrate.uses import File, Texts

#: Calls that replace what their second argument names.
_REPLACING = frozenset({"object", "setattr"})
#: What makes an object of what it is given.
_STAND_INS = frozenset({"SimpleNamespace", "Namespace", "Mock", "MagicMock", "AsyncMock", "type", "namedtuple"})
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
        if len(files) > _MOST_FILES or self._is_replaced(home.source, function.name):
            return None
        kin = self._kin(home, function)
        if kin is None:
            return None
        found: list[Caller] = []
        for looked in (home, *(self._look(*file) for file in files)):
            if looked is None:
                return None
            for use in _uses(looked.source, function.name):
                if not self._means(looked, use, home.source, function, alone=not kin):
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

    def _means(self, looked: Looked, use: ast.expr, home: Source, function: Function, *, alone: bool) -> bool:
        """Whether a name, or an attribute, is the function, and nothing else.

        Args:
            looked: the file that it stands in.
            use: the name, or the attribute.
            home: the file of the function.
            function: the function.
            alone: no other class has a method of its name; else an object whose class is only said to be this one may
                be of another.
        """
        source, judge = looked
        cls = home.parents.get(function)
        if isinstance(use, ast.Attribute) and isinstance(use.value, ast.Name) and use.value.id in ("self", "cls"):
            around = next((node for node in source.ancestors(use) if isinstance(node, ast.ClassDef)), None)
            if around is cls or source is not home or not alone or around is None or not isinstance(cls, ast.ClassDef):
                return around is cls
            return source.families.meet(cls.name, around.name)
        if isinstance(cls, ast.ClassDef) and not alone:
            return False
        here = _here(source, use)
        if here is None:  # in a table of functions, say: whoever has it can look at its parameters
            return isinstance(use, ast.Name) and isinstance(use.ctx, ast.Load) and _is_global(source, use)
        judge.infer.refill()
        values = judge.infer.values(use, here)
        return bool(values) and all(
            isinstance(value, FunctionValue)
            and value.scope.module.path == home.absolute
            and getattr(value.scope.node, "lineno", 0) == function.lineno
            for value in values
        )

    def _kin(self, home: Looked, function: Function) -> list[str] | None:
        """The other classes of the project, or their files, that have a method of this name; None where an object may
        be of one of them and of the function's class, or of a class made from it."""
        cls = home.source.parents.get(function)
        if not isinstance(cls, ast.ClassDef):
            return []
        files = self._texts.mentioning(function.name)
        if len(files) > _MOST_FILES:
            return None
        others: list[str] = []
        for _, absolute, data in files:
            if absolute != home.source.absolute:
                others += [absolute] if function.name in _puts_in(data).methods else []
                continue
            for node in home.source.nodes:
                if isinstance(node, ast.ClassDef) and node is not cls and _defines(node, function.name):
                    others.append(node.name)
                elif isinstance(node, ast.Call) and any(key.arg == function.name for key in node.keywords):
                    others += [last_of(node.func)] if last_of(node.func) in _STAND_INS else []
        return None if others and self._has_heirs(home.source, cls) else others

    def _has_heirs(self, home: Source, cls: ast.ClassDef) -> bool:
        """Whether a class of the project is made from a class, or may be."""
        files = self._texts.mentioning(cls.name)
        if len(files) > _MOST_FILES:
            return True
        for _, absolute, data in files:
            tree = home.tree if absolute == home.absolute else tree_of(data)
            if tree is None:
                return True
            names = {cls.name}
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom):
                    names |= {alias.asname for alias in node.names if alias.name == cls.name and alias.asname}
            if any(isinstance(n, ast.ClassDef) and names & set(map(last_of, n.bases)) for n in ast.walk(tree)):
                return True
        return False

    def _is_replaced(self, home: Source, name: str) -> bool:
        """Whether some file may put something in the place of a function, or of its module: a test, say."""
        (stem,) = names_of(home.absolute)
        files = {file[1]: file for word in (name, stem) for file in self._texts.mentioning(word)}
        return any(_puts_in(data).replaces(name, stem) for _, _, data in files.values())


class PutIn(NamedTuple):
    """What a file puts in the place of something, by the last names.

    Attributes:
        names: that are set on something, or given to what replaces them.
        texts: the last parts of its dotted texts.
        modules: the last parts of those that are given to a patch.
        methods: names of the methods of its classes, and of what it gives to stand-ins.
        is_open: it looks at all members of something, or cannot be parsed.
    """

    names: frozenset[str]
    texts: frozenset[str]
    modules: frozenset[str]
    methods: frozenset[str]
    is_open: bool

    def replaces(self, name: str, stem: str) -> bool:
        """Whether a function, or its module, may be meant."""
        return self.is_open or name in self.names | self.texts or stem in self.names | self.modules


@lru_cache(maxsize=20_000)
def _puts_in(data: bytes) -> PutIn:
    tree = tree_of(data)
    names: set[str] = set()
    texts: set[str] = set()
    modules: set[str] = set()
    methods: set[str] = set()
    is_open = tree is None
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Attribute):
            if not isinstance(node.ctx, ast.Load) and last_of(node.value) != "self":
                names.add(node.attr)
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and "." in node.value and node.value.replace(".", "").isidentifier():
                texts.add(node.value.rpartition(".")[2])
        elif isinstance(node, ast.ClassDef):
            methods |= {getattr(statement, "name", "") for statement in node.body}
        elif isinstance(node, ast.Call):
            called = last_of(node.func)
            given = [arg.value if isinstance(arg, ast.Constant) else None for arg in node.args[:2]]
            is_open |= called == "getmembers"
            if called == "multiple":
                names |= {key.arg for key in node.keywords if key.arg}
            if called in _STAND_INS:
                methods |= {key.arg for key in node.keywords if key.arg}
            if called in _REPLACING and len(given) > 1 and isinstance(given[1], str):
                names.add(given[1])
            if called in ("patch", *_REPLACING) and given and isinstance(given[0], str):
                modules.add(given[0].rpartition(".")[2])
    return PutIn(frozenset(names), frozenset(texts), frozenset(modules), frozenset(methods), is_open)


def _uses(source: Source, name: str) -> list[ast.expr]:
    """Where a name stands, or an attribute of that name."""
    named: list[ast.expr] = [node for node in source.nodes if isinstance(node, ast.Name) and node.id == name]
    return [*named, *source.attributes.get(name, ())]


def _is_global(source: Source, use: ast.Name) -> bool:
    """Whether a name is none of a function's own variables."""
    functions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
    return not any(
        (isinstance(node, ast.Name) and node.id == use.id and not isinstance(node.ctx, ast.Load))
        or (isinstance(node, ast.arg) and node.arg == use.id)
        for parent in source.ancestors(use)
        if isinstance(parent, functions)
        for node in ast.walk(parent)
    )


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


def _defines(cls: ast.ClassDef, name: str) -> bool:
    return any(getattr(statement, "name", "") == name for statement in cls.body)
