"""Sites by the client that they are called on, and what keeps such a group from the wrapper."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple

from llmguard.migrate import clients, uses
from llmguard.migrate.codemods import to_wrapper
from llmguard.migrate.mentions import is_named_by_text, mentions
from llmguard.migrate.outcome import Outcome, Why

if TYPE_CHECKING:
    from llmguard.check.judge import Judge
    from llmguard.migrate.clients import Maker
    from llmguard.migrate.importers import Importers
    from llmguard.migrate.source import Source
    from llmguard.migrate.uses import Texts


class Call(NamedTuple):
    """A call of a group: what becomes of it, and the expression that is its client."""

    outcome: Outcome
    root: ast.expr


class Group(NamedTuple):
    """A client that this file makes, and the calls on it."""

    maker: Maker
    calls: list[Call]


def roots_of(outcome: Outcome) -> Iterable[tuple[str, ast.expr]]:
    """(shape, client) for each method of the wrapper that a callee may be by its names."""
    for shape, path in to_wrapper.PATHS.items():
        root = clients.root_of(outcome.found.expression, path)
        if root is not None:
            yield shape, root


def groups_of(judge: Judge, outcomes: Iterable[Outcome]) -> list[Group]:
    """Sites by the place of this file where their client is made, when there is one such place."""
    groups: dict[tuple[str, str, int], Group] = {}
    for outcome in outcomes:
        for shape, root in roots_of(outcome):
            maker = clients.maker_of(judge, outcome.found, root)
            if maker is not None and clients.shape_of(maker.cls) == shape:
                key = (maker.kind, maker.name, id(maker.call))
                groups.setdefault(key, Group(maker, []))[1].append(Call(outcome, root))
    return list(groups.values())


def obstacle(source: Source, calls: list[Call], read: list[ast.expr] | None, asynchronous: bool) -> str:
    """The reason code for which the calls on one client cannot be the wrapper's, as far as their file tells.

    Args:
        source: their file.
        calls: all that are to move.
        read: every expression of the file that reads the client, None when nobody knows.
        asynchronous: whether the client is.
    """
    for outcome, _ in calls:
        reason = to_wrapper.obstacle(outcome.found, asynchronous)
        if reason:
            return reason
    if read is None:
        return "client-escapes"
    roots = {id(root) for _, root in calls}
    others = [node for node in read if id(node) not in roots]
    if others:
        return "client-flag" if any(_is_test(source, node) for node in others) else "client-escapes"
    return ""


def obstacle_here(source: Source, texts: Texts, importers: Importers, group: Group, asynchronous: bool) -> Why:
    """`obstacle` for a client of the file's own, which no other file may use."""
    code = obstacle(source, group.calls, mentions(source, group.maker), asynchronous)
    return Why(code) if code else used_outside(source, texts, importers, group.maker)


def _is_test(source: Source, node: ast.expr) -> bool:
    parent = source.parents.get(node)
    return isinstance(parent, (ast.UnaryOp, ast.BoolOp, ast.Compare)) or (
        isinstance(parent, (ast.If, ast.IfExp, ast.While)) and parent.test is node
    )


def replaced(source: Source, texts: Texts, maker: Maker) -> list[str] | None:
    """The places of other files that may replace what makes a client; None when its own file may."""
    made = ast.unparse(maker.call.func).rpartition(".")[2]
    if is_named_by_text(source, made) or any(
        not isinstance(node.ctx, ast.Load) for node in source.attributes.get(made, ())
    ):
        return None
    package = maker.cls.partition(".")[0]
    return texts.replacing(source.absolute, made, package) + texts.without(package)


def used_outside(source: Source, texts: Texts, importers: Importers, maker: Maker) -> Why:
    """The reason when another file of the project uses the client, or replaces what makes it."""
    names = uses.names_of(source.absolute)
    where = replaced(source, texts, maker)
    if where is None:
        return Why("test-patches-target")
    owner = maker.owner
    if maker.kind == "name" and os.path.basename(source.absolute) == "__init__.py":
        where += texts.below(source.absolute, maker.name)
    if maker.kind == "name" and not (owner is not None and owner.is_function):
        where += texts.replacing(source.absolute, maker.name)
    if maker.kind == "attribute" and owner is not None:
        guarding = texts.guarding(owner.name)
        if guarding:
            return Why("client-guarded", tuple(guarding))
        where += texts.reading(source.absolute, maker.name, names, owner.name)
    elif maker.kind == "name" and owner is not None and not owner.is_function:
        where += importers.reading(source.absolute, maker.name)
    return whose(where)


def whose(where: list[str]) -> Why:
    """The reason for a client that is used, or replaced, at these places of other files."""
    if not where:
        return Why()
    tests = tuple(place for place in where if uses.is_of_tests(place.rpartition(":")[0]))
    return Why("test-patches-target", tests) if tests else Why("client-escapes", tuple(where))


def statement_of(source: Source, maker: Maker) -> ast.stmt | None:
    """The statement that does nothing but keep the client; None when there is none that can go."""
    statement = source.parents.get(maker.call)
    if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is not maker.call:
        return None
    if isinstance(statement, ast.Assign) and len(statement.targets) != 1:
        return None
    if not _is_always_made(source, maker, statement):
        return None
    if not source.begins_line(statement) or not source.ends_line(statement):
        return None
    return statement


def _is_always_made(source: Source, maker: Maker, statement: ast.stmt) -> bool:
    """Whether a client is made before anybody can ask for it: on import, in its function, or in `__init__`."""
    parent = source.parents.get(statement)
    if isinstance(parent, ast.Module):
        return True
    if not isinstance(parent, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return False
    if maker.kind == "name":
        return True
    ends = (ast.Return, ast.Raise)
    return parent.name in ("__init__", "__post_init__") and not any(
        isinstance(node, ends) and node.lineno < statement.lineno for node in ast.walk(parent)
    )
