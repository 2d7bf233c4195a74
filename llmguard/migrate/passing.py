"""Users that are passed down: a function that asks a model gets the user's identifier from its callers.

Only where all of them are known: a function that nobody hands on, decorates, overrides or replaces. The new parameter
comes last and may be left out, so that whoever calls it otherwise goes on as before.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from llmguard.migrate.callers import Caller, Callers, Looked
from llmguard.migrate.edit import Edit
from llmguard.migrate.source import Span
from llmguard.migrate.statements import appended
from llmguard.migrate.users import User, user_of
from llmguard.migrate.uses import is_of_tests

if TYPE_CHECKING:
    from llmguard.migrate.source import Found, Source
    from llmguard.migrate.statements import Function

PARAMETER = "user_id"
_DEEPEST = 3
_KEEPING = frozenset({"staticmethod", "classmethod"})


class Passing:
    """Functions that get a user from their callers.

    Args:
        home: the file that asks models.
        callers: who calls what.
        names: names, or dotted names, that surely hold the identifier; the best first.
    """

    def __init__(self, home: Looked, callers: Callers, names: tuple[str, ...]) -> None:
        self._home = home
        self._callers = callers
        self._names = names
        self._known: dict[int, User] = {}

    def down_to(self, found: Found, looked: Looked | None = None, depth: int = 0) -> User:
        """The user of a call, passed down to its function; nobody where that cannot be."""
        looked = looked or self._home
        function = _function_of(looked.source, found)
        if function is None or depth > _DEEPEST:
            return User()
        if id(function) not in self._known:
            self._known[id(function)] = User()  # for a function that calls itself
            self._known[id(function)] = self._passed(looked, function, found, depth)
        return self._known[id(function)]

    def _passed(self, looked: Looked, function: Function, found: Found, depth: int) -> User:
        callers = self._callers.of(looked, function, found)
        if function.args.kwarg and any(key.arg == PARAMETER for each in callers or () for key in each.call.keywords):
            return User()  # it is an argument of something else already
        edits: list[tuple[str, Edit]] = []
        annotations: list[str] = []
        users = []
        for caller in callers or ():
            if is_of_tests(caller.looked.source.shown):
                continue  # it goes on as it is
            user = user_of(caller.looked.judge, caller.found, self._names, asks=False)
            if not user.text:
                user = self.down_to(caller.found, caller.looked, depth + 1)
            around = caller.looked.source.ancestors(caller.call)
            if any(isinstance(parent, ast.JoinedStr) for parent in around):
                user = User()  # quotes in quotes, and places that cannot be trusted
            users.append(user)
            if not user.text:
                continue
            given = appended(caller.looked.source, caller.call, f"{PARAMETER}={user.text}")
            if given is None:
                return User()
            edits += [*user.edits, (caller.looked.source.absolute, given)]
            annotations.append(_annotation(caller, user.text))
        if not any(user.text for user in users):
            return User()
        taken = _taken(looked.source, function, next(filter(None, annotations), "object"))
        if taken is None:
            return User()
        edits.append((looked.source.absolute, taken))
        is_read, everywhere = any(user.is_read for user in users), all(user.text for user in users)
        return User(PARAMETER, is_read=is_read, edits=tuple(edits), is_everywhere=everywhere)


def _function_of(source: Source, found: Found) -> Function | None:
    """The function round a call, when it can take one more argument: of a module, or a method."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    function = next((node for node in source.ancestors(found.site.node) if isinstance(node, kinds)), None)
    if (
        function is None
        or function.name.startswith("__")
        or not isinstance(source.parents.get(function), (ast.Module, ast.ClassDef))
    ):
        return None
    if function.args.vararg or function.args.posonlyargs:
        return None
    if any(getattr(decorator, "id", "") not in _KEEPING for decorator in function.decorator_list):
        return None
    mentioned = {getattr(node, "id", "") or getattr(node, "arg", "") for node in ast.walk(function)}
    return None if PARAMETER in mentioned else function


def _taken(source: Source, function: Function, annotation: str) -> Edit | None:
    """The edit that gives a function the parameter."""
    arguments = function.args
    every = [*arguments.args, *arguments.kwonlyargs]
    typed = function.returns is not None or any(each.annotation for each in every)
    parameter = f"{PARAMETER}: {annotation} = None" if typed else f"{PARAMETER}=None"
    if not every:
        head = re.compile(rf"def\s+{function.name}\s*\(").search(source.text, source.span(function).start)
        return None if head is None else Edit(Span(head.end(), head.end()), parameter)
    ends = [source.span(each).end for each in every]  # type: ignore[arg-type]
    ends += [source.span(default).end for default in (*arguments.defaults, *arguments.kw_defaults) if default]
    last = max(ends)
    rest = source.text[last : source.span(function.body[0]).start]
    if re.match(r"\s*\)\s*[,)]", rest):
        return None  # a default in parentheses
    return Edit(Span(last, last), f", {parameter}")


def _annotation(caller: Caller, user: str) -> str:
    """The annotation of a parameter that may be left out, as the caller's own is; "" when that has none, or one that
    may mean nothing elsewhere."""
    scope = caller.found.site.scope
    while scope is not None:
        arguments = getattr(getattr(scope, "node", None), "args", None)
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs) if arguments is not None else ():
            if each.arg == user and each.annotation is not None:
                text = caller.looked.source.segment(each.annotation)
                named = set(re.findall(r"\w+", text)) - {"None", "Optional"}
                return f"{named.pop()} | None" if len(named) == 1 and named <= {"str", "int"} else ""
        scope = scope.parent  # type: ignore[assignment]
    return ""
