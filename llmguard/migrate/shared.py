"""Clients that one module makes and others import: they move to the wrapper in all their files, or in none.

A first look at each file notes how it uses the clients of others (`Use`); `way_of` decides, with the module that makes
a client at hand, whether it can move; the files concerned are then decided again, knowing that.
"""

from __future__ import annotations

import ast
import os
import sys
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from llmguard import doors
from llmguard.check.scopes import How
from llmguard.check.values import Here, Instance
from llmguard.migrate import clients, groups
from llmguard.migrate.clients import Maker
from llmguard.migrate.importers import Importers
from llmguard.migrate.mentions import named
from llmguard.migrate.outcome import Outcome, Why
from llmguard.migrate.source import found_in

if TYPE_CHECKING:
    from llmguard.check.judge import Judge
    from llmguard.check.project import Project
    from llmguard.migrate.groups import Call
    from llmguard.migrate.source import Source
    from llmguard.migrate.uses import Texts


class Shared(NamedTuple):
    """A client that a module keeps in a variable: the module's absolute path, the variable."""

    home: str
    name: str


class Borrowed(NamedTuple):
    """The calls of a file on a client that another makes.

    Attributes:
        key: the client.
        cls: dotted path of its class.
        statement: the import by which the file has it, or its module.
        local: the name that the import binds.
        direct: whether that name is the client, not its module.
        calls: those that the finder reports.
    """

    key: Shared
    cls: str
    statement: ast.Import | ast.ImportFrom
    local: str
    direct: bool
    calls: list[Call]


class Use(NamedTuple):
    """How a file uses a client that another makes: where, why it cannot move there, and whether the file would no
    longer import the module afterwards."""

    key: Shared
    path: str
    why: Why
    leaves: bool


class Way(NamedTuple):
    """How the calls on a client are said without it: its class, and its options (name -> expression)."""

    cls: str
    options: dict[str, str]


def key_of(source: Source, maker: Maker) -> Shared | None:
    """The key of a client that a file makes, None for one that no other file can import."""
    is_global = maker.kind == "name" and maker.owner is source.facts.scope
    return Shared(source.absolute, maker.name) if is_global else None


def borrowed_in(judge: Judge, source: Source, outcomes: Iterable[Outcome]) -> list[Borrowed]:
    """The sites of a file that stand on clients which other modules of the project keep in variables."""
    found: dict[tuple[Shared, str], Borrowed] = {}
    for outcome in outcomes:
        for shape, root in groups.roots_of(outcome):
            local = root.value if isinstance(root, ast.Attribute) else root
            statement = _import_of(source, local, outcome) if isinstance(local, ast.Name) else None
            if statement is None or not isinstance(local, ast.Name):
                continue
            key = _home_of(judge.infer.project, source.facts.path, statement, local.id, root)
            cls = _class_of(judge, root, outcome) if key is not None else ""
            if key is not None and clients.shape_of(cls) == shape:
                new = Borrowed(key, cls, statement, local.id, local is root, [])
                found.setdefault((key, local.id), new).calls.append(groups.Call(outcome, root))
    return list(found.values())


def _import_of(source: Source, name: ast.Name, outcome: Outcome) -> ast.Import | ast.ImportFrom | None:
    """The one import, at the top level of the file, that gives a name its value."""
    scope = clients.owner_of(outcome.found.site.scope, name.id)
    if scope is not source.facts.scope:
        return None
    bindings = scope.bindings[name.id]
    if len(bindings) != 1 or bindings[0].how not in (How.IMPORT, How.FROM):
        return None
    for statement in source.tree.body:
        if isinstance(statement, (ast.Import, ast.ImportFrom)):
            if any((alias.asname or alias.name) == name.id for alias in statement.names):
                return statement
    return None


def _home_of(
    project: Project, near: str, statement: ast.Import | ast.ImportFrom, local: str, root: ast.expr
) -> Shared | None:
    """The module and variable that an imported name, or an attribute of an imported module, stands for."""
    alias = next(alias for alias in statement.names if (alias.asname or alias.name) == local)
    if isinstance(statement, ast.Import):
        module, name = project.absolute(alias.name, near), ""
    else:
        dotted = statement.module or ""
        level = statement.level
        module = project.relative(dotted, level, near) if level else project.absolute(dotted, near)
        name = alias.name
    if isinstance(root, ast.Attribute):
        if module is not None and name:
            module = project.submodule(module, name)
        name = root.attr
    if module is None or not name or name not in module.scope.bindings or module.path == near:
        return None
    return Shared(module.path, name)


def _class_of(judge: Judge, root: ast.expr, outcome: Outcome) -> str:
    """The class of a client, "" when it may be something else."""
    judge.infer.refill()
    values = judge.infer.values(root, Here(outcome.found.site.scope, outcome.found.site.block))
    made = {value.cls if isinstance(value, Instance) and not value.path else "" for value in values}
    return made.pop() if len(made) == 1 else ""


def use_of(source: Source, texts: Texts, importers: Importers, borrowed: Borrowed) -> Use:
    """How a file uses a client that another makes."""
    key, local = borrowed.key, borrowed.local
    read = named(source, local) if borrowed.direct else _of_module(source, local, key.name)
    reason = groups.obstacle(source, borrowed.calls, read, doors.WRAPPED[borrowed.cls][2])
    if not source.begins_line(borrowed.statement) or not source.ends_line(borrowed.statement):
        reason = reason or "client-escapes"
    around = importers.reading(source.absolute, local) + texts.replacing(source.absolute, local)
    if os.path.basename(source.absolute) == "__init__.py":
        around.append(source.shown)  # what it imports, others import from it
    leaves = len(borrowed.statement.names) == 1 and is_read_up(source, borrowed)
    return Use(key, source.absolute, Why(reason) if reason else groups.whose(around), leaves)


def is_read_up(source: Source, borrowed: Borrowed) -> bool:
    """Whether the imported name is read by the calls at hand alone."""
    return borrowed.direct or len(named(source, borrowed.local) or ()) == len(borrowed.calls)


def _of_module(source: Source, local: str, name: str) -> list[ast.expr] | None:
    """The reads of a variable of an imported module; None when the module is handed on, or names are looked up."""
    read = named(source, local)
    found: list[ast.expr] = []
    for node in read if read is not None else ():
        parent = source.parents.get(node)
        if not isinstance(parent, ast.Attribute):
            return None
        if parent.attr == name:
            if not isinstance(parent.ctx, ast.Load):
                return None
            found.append(parent)
    return found if read is not None else None


def maker_at(judge: Judge, source: Source, name: str) -> Maker | None:
    """What makes the client in a module's variable, when there is one such call."""
    scope = source.facts.scope
    return clients.single(judge, scope.bindings.get(name, []), "name", name, scope)


def willing(noted: Iterable[Use]) -> dict[Shared, list[Use]]:
    """The shared clients whose users, of those that are looked at, could all do without them."""
    found: dict[Shared, list[Use]] = defaultdict(list)
    for use in noted:
        found[use.key].append(use)
    return {key: their for key, their in found.items() if not any(use.why.code for use in their)}


def way_of(key: Shared, their: list[Use], source: Source, project: Project, texts: Texts) -> Way | None:
    """How the calls on a shared client are said without it; None when it has to stay.

    Args:
        key: the client.
        their: its uses in other files.
        source: the module that makes it.
        project: that the module is of.
        texts: the bytes of the project's files.
    """
    judge, sites = found_in(source, project)
    maker = maker_at(judge, source, key.name)
    if maker is None or groups.statement_of(source, maker) is None or os.path.basename(key.home) == "__init__.py":
        return None
    if any(use.leaves for use in their) and not _does_nothing(source, judge):
        return None  # nobody would import the module any more, and what else it does would not happen
    outcomes = [Outcome(found) for found in sites]
    own = next((g for g in groups.groups_of(judge, outcomes) if g.maker.call is maker.call), groups.Group(maker, []))
    provider, _, asynchronous = doors.WRAPPED[maker.cls]
    if groups.obstacle(source, own.calls, named(source, key.name, None, maker.call), asynchronous):
        return None
    options = clients.options_of(source, texts, maker, provider, elsewhere=True)
    if isinstance(options, str) or groups.replaced(source, texts, maker) != []:
        return None
    users = {use.path for use in their}
    return None if Importers(project, texts).reading(key.home, key.name, users) else Way(maker.cls, options)


def _does_nothing(source: Source, judge: Judge) -> bool:
    """Whether importing a module does nothing but define names."""
    for statement in source.tree.body:
        match statement:
            case ast.FunctionDef(decorator_list=[], args=args) | ast.AsyncFunctionDef(decorator_list=[], args=args):
                if not all(_only_reads(node, judge, source) for node in ast.walk(args)):
                    return False
                continue
            case ast.Expr(value=ast.Constant()) | ast.AnnAssign(value=None):
                continue
            case ast.Import(names=names):
                roots = {alias.name.partition(".")[0] for alias in names}
            case ast.ImportFrom(module=module, level=0):
                roots = {(module or "").partition(".")[0]}
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                if not all(_only_reads(node, judge, source) for node in ast.walk(value)):
                    return False
                continue
            case _:
                return False
        if not roots <= (sys.stdlib_module_names | doors.TRACKABLE):
            return False
    return True


def _only_reads(node: ast.AST, judge: Judge, source: Source) -> bool:
    if not isinstance(node, ast.Call):
        return not isinstance(node, (ast.Await, ast.Yield, ast.YieldFrom, ast.NamedExpr))
    if clients.environment_variable(node) or ast.unparse(node.func) in ("os.getenv", "os.environ.get"):
        return True
    return bool(clients.class_made(judge, node, Here(source.facts.scope, source.facts.scope.block)))
