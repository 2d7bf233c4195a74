"""What an expression may stand for: the one place where every kind of expression is looked at.

`Inference.values` asks `bindings` for names, `attributes` for attributes, `results` for calls and `annotated` for
types. It is flow-insensitive but for one thing: a binding that surely ran before the use hides those before it.
Work is bounded in depth and steps; what lies beyond is `UNKNOWN`, never an error.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check import annotated, attributes, bindings, results, strings
from llmguard.check.scopes import last_name
from llmguard.check.values import (
    ANYTHING,
    NONE,
    NOTHING,
    Class,
    External,
    Frame,
    Function,
    Here,
    Items,
    Other,
    Partial,
    Text,
    Tuple,
    Value,
    Values,
)

if TYPE_CHECKING:
    from llmguard.check.module import ModuleFacts, Site
    from llmguard.check.project import Project

_MOST_VALUES = 24
_STEPS = 4_000  # for one call
_STEPS_IN_ALL = 60_000


class Inference:
    """Resolution for one file. Results are remembered, so ask one object for all of a file's calls."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.steps = _STEPS
        self._spent = 0
        self.depth = 0
        self._known: dict[tuple[int, Frame | None], Values] = {}
        self.returned: dict[Frame, Values] = {}
        self.members: dict[tuple[int, str], Values] = {}
        self._pinned: list[object] = []
        self._callers: dict[int, dict[str, list[Site]]] = {}

    def refill(self) -> None:
        """Begin a new question: its steps are counted from here, within what one file may take in all."""
        self._spent += _STEPS - self.steps
        self.steps = min(_STEPS, _STEPS_IN_ALL - self._spent)

    def pin(self, owner: object) -> None:
        """Keep an object alive, so that nodes keep their identity while results are remembered."""
        self._pinned.append(owner)

    def callers(self, module: ModuleFacts, name: str) -> list[Site]:
        """The calls in a module whose callee's last name is `name`."""
        index = self._callers.get(id(module))
        if index is None:
            index = self._callers[id(module)] = {}
            for site in module.calls:
                index.setdefault(last_name(site.node), []).append(site)
        return index.get(name, [])

    def values(self, node: ast.expr | None, here: Here) -> Values:
        """Everything that `node` may stand for at this place."""
        if node is None:
            return NOTHING
        key = (id(node), here.frame)
        known = self._known.get(key)
        if known is not None:
            return known
        self.steps -= 1
        if self.depth >= bindings.DEEPEST or self.steps < 0:
            return ANYTHING
        self._known[key] = NOTHING  # a cycle adds nothing
        self.depth += 1
        try:
            found = self._look(node, here)
        finally:
            self.depth -= 1
        if len(found) > _MOST_VALUES:
            found = ANYTHING
        if self.steps < 0:
            self._known.pop(key, None)  # cut short: the next question may find more
        else:
            self._known[key] = found
        return found

    def _look(self, node: ast.expr, here: Here) -> Values:
        match node:
            case ast.Name():
                return bindings.name_values(self, node.id, here, node.lineno)
            case ast.Attribute():
                return attributes.attribute_values(self, node, here)
            case ast.Call():
                return results.call_values(self, node, here)
            case ast.Constant(value=value):
                if isinstance(value, str):
                    return frozenset((Text(value),))
                return frozenset((NONE if value is None else Other(type(value).__name__),))
            case ast.Await() | ast.Starred() | ast.NamedExpr():
                return self.values(node.value, here)
            case ast.IfExp():
                return self.values(node.body, here) | self.values(node.orelse, here)
            case ast.BoolOp():
                return self.union(node.values, here)
            case ast.JoinedStr() | ast.BinOp():
                if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
                    return self.union([node.left, node.right], here)
                return strings.string_values(self, node, here)
            case ast.Tuple():
                if any(isinstance(item, ast.Starred) for item in node.elts):
                    return frozenset((Items(self.union(node.elts, here)),))
                return frozenset((Tuple(tuple(self.values(item, here) for item in node.elts[:32])),))
            case ast.List() | ast.Set():
                return frozenset((Items(self.union(node.elts, here)),))
            case ast.Dict():
                return frozenset((Items(self.union(node.values, here)),))
            case ast.Subscript():
                return self._subscript(node, here)
            case ast.Lambda():
                scope = getattr(node, "_scope", None)
                return frozenset((Function(scope),)) if scope is not None else ANYTHING
            case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
                scope = getattr(node, "_scope", None)
                if scope is None:
                    return ANYTHING
                inner = Here(scope, scope.block, here.frame)
                element = node.value if isinstance(node, ast.DictComp) else node.elt
                return frozenset((Items(self.values(element, inner)),))
            case ast.Compare() | ast.UnaryOp():
                return frozenset((Other("bool"),))
        return ANYTHING

    def union(self, nodes: list[ast.expr] | list[ast.expr | None], here: Here) -> Values:
        """The values of several expressions together; of a long display only the first ones are looked at."""
        found: set[Value] = set()
        for node in nodes[:32]:
            found |= self.values(node, here)
        return frozenset(found)

    def _subscript(self, node: ast.Subscript, here: Here) -> Values:
        found: set[Value] = set()
        for value in self.values(node.value, here):
            match value:
                case Items(values):
                    found |= values
                case Tuple(items):
                    index = node.slice.value if isinstance(node.slice, ast.Constant) else None
                    if isinstance(index, int) and -len(items) <= index < len(items):
                        found |= items[index]
                    else:
                        found |= frozenset().union(*items) if items else NOTHING
                case External() if annotated.is_type_form(value):
                    found |= annotated.generic_values(self, value.path, node, here)
                case External() | Class() | Partial():
                    found.add(value)
                case _:
                    found |= attributes.item_of(self, value)
        return frozenset(found) or ANYTHING
