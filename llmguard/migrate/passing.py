"""Users that are passed down: a private function that asks a model gets the user's identifier from its callers.

Only where all of them are known: a function whose name begins with an underscore, that nobody hands on, overrides or
names elsewhere. The new parameter comes last and may be left out.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING, NamedTuple

from llmguard.migrate.edit import Edit
from llmguard.migrate.source import Found, Span
from llmguard.migrate.statements import appended
from llmguard.migrate.users import User, user_of

if TYPE_CHECKING:
    from llmguard.check.judge import Judge
    from llmguard.migrate.source import Source
    from llmguard.migrate.statements import Function
    from llmguard.migrate.uses import Texts

PARAMETER = "user_id"
_DEEPEST = 3


class Caller(NamedTuple):
    """A call of a private function."""

    found: Found
    call: ast.Call


class Passing:
    """The private functions of one file, and who calls them.

    Args:
        source: the file.
        judge: its resolution.
        texts: the bytes of the project's files.
        names: names, or dotted names, that surely hold the identifier; the best first.
    """

    def __init__(self, source: Source, judge: Judge, texts: Texts, names: tuple[str, ...]) -> None:
        self._source = source
        self._judge = judge
        self._texts = texts
        self._names = names
        self._known: dict[int, User] = {}

    def down_to(self, found: Found, depth: int = 0) -> User:
        """The user of a call in a private function, passed down to it; nobody where that cannot be."""
        function = self._function_of(found)
        if function is None or depth > _DEEPEST:
            return User()
        if id(function) not in self._known:
            self._known[id(function)] = User()  # for a function that calls itself
            self._known[id(function)] = self._passed(function, found, depth)
        return self._known[id(function)]

    def _function_of(self, found: Found) -> Function | None:
        """The function round a call, when it is private and can take one more argument."""
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        function = next((node for node in self._source.ancestors(found.site.node) if isinstance(node, kinds)), None)
        if function is None or not function.name.startswith("_") or function.name.startswith("__"):
            return None
        arguments = function.args
        if arguments.vararg or arguments.kwarg or function.decorator_list:
            return None
        mentioned = {getattr(node, "id", getattr(node, "arg", "")) for node in ast.walk(function)}
        return None if PARAMETER in mentioned else function

    def _passed(self, function: Function, found: Found, depth: int) -> User:
        callers = self._callers(function, found)
        if not callers or self._is_named_elsewhere(function):
            return User()
        edits: list[Edit] = []
        annotations: list[str] = []
        users = []
        for caller in callers:
            user = user_of(self._judge, caller.found, self._names, asks=False)
            if not user.text:
                user = self.down_to(caller.found, depth + 1)
            users.append(user)
            edit = appended(self._source, caller.call, f"{PARAMETER}={user.text}") if user.text else None
            if user.text and edit is None:
                return User()
            edits += [*user.edits, *([edit] if edit is not None else [])]
            annotations.append(_annotation(caller.found, user.text))
        if not any(user.text for user in users):
            return User()
        taken = self._taken(function, next(filter(None, annotations), "object"))
        if taken is None:
            return User()
        is_read, everywhere = any(user.is_read for user in users), all(user.text for user in users)
        return User(PARAMETER, is_read=is_read, edits=(*edits, taken), is_everywhere=everywhere)

    # -- who calls a function ----------------------------------------------------------------------------------------

    def _callers(self, function: Function, found: Found) -> list[Caller] | None:
        """The calls of a function; None when it is used otherwise, or may be another one."""
        source, name = self._source, function.name
        cls = source.parents.get(function)
        owner = cls if isinstance(cls, ast.ClassDef) else None
        if owner is None and not isinstance(cls, ast.Module):
            return None
        same = [
            node
            for node in source.nodes
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name
        ]
        if len(same) > 1 and (owner is None or not self._are_strangers(owner, same)):
            return None
        uses: list[ast.expr] = [*source.attributes.get(name, ())] if owner is not None else []
        uses += [node for node in source.nodes if isinstance(node, ast.Name) and node.id == name]
        if owner is not None:
            uses = [use for use in uses if not self._is_strangers(use, owner, same)]
        callers = [self._caller(use, found) for use in uses]
        return None if None in callers else [caller for caller in callers if caller is not None]

    def _are_strangers(self, owner: ast.ClassDef, same: list[Function]) -> bool:
        """Whether no object is of two of the classes that define a method of a name."""
        others = [self._source.parents.get(node) for node in same]
        return all(
            isinstance(other, ast.ClassDef)
            and (other is owner or not self._source.families.meet(owner.name, other.name))
            for other in others
        )

    def _is_strangers(self, use: ast.expr, owner: ast.ClassDef, same: list[Function]) -> bool:
        """Whether a use is of the method of another class, which has one of that name itself."""
        around = next((node for node in self._source.ancestors(use) if isinstance(node, ast.ClassDef)), None)
        receiver = getattr(getattr(use, "value", None), "id", "")
        own = {self._source.parents.get(node) for node in same}
        return around is not owner and around in own and receiver in ("self", "cls")

    def _caller(self, use: ast.expr, found: Found) -> Caller | None:
        call = self._source.parents.get(use)
        if not isinstance(call, ast.Call) or call.func is not use or any(key.arg is None for key in call.keywords):
            return None
        site = next((site for site in self._source.facts.calls if site.node is call), None)
        return None if site is None else Caller(Found(self._source, use, site, found.callee), call)

    def _is_named_elsewhere(self, function: Function) -> bool:
        """Whether another file may call, replace or override a function."""
        return self._texts.calls_private(self._source.absolute, function.name) or any(
            text == function.name or text.endswith(f".{function.name}") for text in self._source.texts
        )

    # -- edits ---------------------------------------------------------------------------------------------------

    def _taken(self, function: Function, annotation: str) -> Edit | None:
        """The edit that gives a function the parameter."""
        source, arguments = self._source, function.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        typed = function.returns is not None or any(each.annotation for each in every)
        parameter = f"{PARAMETER}: {annotation} = None" if typed else f"{PARAMETER}=None"
        if not every:
            head = re.compile(rf"def\s+{re.escape(function.name)}\s*\(").search(
                source.text, source.span(function).start
            )
            return None if head is None else Edit(Span(head.end(), head.end()), parameter)
        ends = [source.span(each).end for each in every]  # type: ignore[arg-type]
        ends += [source.span(default).end for default in (*arguments.defaults, *arguments.kw_defaults) if default]
        last = max(ends)
        if source.text[last : last + 1] == ")" and source.text[last + 1 : last + 2] not in (":", " ", ""):
            return None  # a default in parentheses
        return Edit(Span(last, last), f", {parameter}")


def _annotation(found: Found, user: str) -> str:
    """The annotation of a parameter that may be left out, as the caller's own is; "" when that has none."""
    scope = found.site.scope
    while scope is not None:
        node = getattr(scope, "node", None)
        arguments = getattr(node, "args", None)
        for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs) if arguments is not None else ():
            if each.arg == user and each.annotation is not None:
                text = found.source.segment(each.annotation)
                return text if "None" in text or "Optional" in text else f"{text} | None"
        scope = scope.parent  # type: ignore[assignment]
    return ""
