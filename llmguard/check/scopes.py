"""The parts that facts are made of: scopes, the blocks of statements in them, and what binds a name."""

from __future__ import annotations

import ast
from enum import IntEnum
from typing import TYPE_CHECKING, NamedTuple, Optional

if TYPE_CHECKING:
    from llmguard.check.module import ModuleFacts


_NO_NODE = ast.Lambda(args=ast.arguments([], [], None, [], [], None, []), body=ast.Constant(None))


class Block:
    """A list of statements that run one after the other. `tracked`: inside a tracker block."""

    __slots__ = ("in_loop", "owner", "parent", "tracked")

    def __init__(
        self, parent: Block | None, *, tracked: bool = False, loop: bool = False, owner: Scope | None = None
    ) -> None:
        self.parent: Block | None = parent
        self.owner: Scope | None = (
            owner if owner is not None or parent is None else parent.owner
        )  # the function it is part of
        self.tracked: bool = tracked or (parent is not None and parent.tracked)
        self.in_loop: bool = loop or (parent is not None and parent.in_loop)

    def holds(self, other: Block | None) -> bool:
        """Whether `other` is this block or lies in it."""
        while other is not None:
            if other is self:
                return True
            other = other.parent
        return False


class How(IntEnum):
    """How a binding gives a name its value."""

    VALUE = 0  # the value of `node`
    ELEMENT = 1  # an element of `node` (for, comprehension)
    ANNOTATION = 2  # an instance of the type that `node` names
    IMPORT = 3  # `import a.b` / `import a.b as c`
    FROM = 4  # `from a import b`
    DEFINITION = 5  # def or class
    PARAMETER = 6
    OPAQUE = 7  # something nobody can follow (except ... as, match captures, del)


class Import(NamedTuple):
    """`from {"." * level}{module} import {name}`; name "" is a plain import of the module."""

    module: str
    name: str
    level: int


class Binding(NamedTuple):
    """One way in which a name gets a value.

    Attributes:
        how: see `How`.
        node: the expression that is evaluated, if any.
        scope: the scope in which it is evaluated.
        line: 1-based line of the binding.
        block: the block that holds it.
        path: positions to unpack from the value: `a, (b, c) = value` binds c by (1, 1).
        imported: for IMPORT and FROM.
        defined: for DEFINITION, the scope of the function or class.
    """

    how: How
    node: Optional[ast.expr]  # noqa: UP045  (NamedTuple evaluates its annotations on 3.10 tools)
    scope: Scope
    line: int
    block: Block
    path: tuple[int, ...] = ()
    imported: Import | None = None
    defined: Scope | None = None


class Scope:
    """A module, class, function, lambda or comprehension, with the names bound in it."""

    __slots__ = ("bindings", "block", "elsewhere", "guards", "module", "name", "parent", "qualname")

    is_class = False
    is_function = False

    def __init__(self, name: str, parent: Scope | None, module: ModuleFacts, block: Block) -> None:
        self.name = name
        self.parent = parent
        self.module = module
        self.block = block
        self.bindings: dict[str, list[Binding]] = {}
        self.guards: dict[str, list[Binding]] = {}  # isinstance() tests
        self.elsewhere: dict[str, Scope] = {}  # names declared global or nonlocal
        outer = parent.qualname if parent is not None else ""
        self.qualname: str = f"{outer}.{name}" if outer and name else outer or name
        module.scopes.append(self)

    def dismantle(self) -> None:
        """Let go of everything, so that a module that nobody needs is freed without the collector's help."""
        self.bindings.clear()
        self.guards.clear()
        self.elsewhere.clear()
        self.parent = None
        self.block.owner = self.block.parent = None

    def bind(self, name: str, binding: Binding) -> None:
        target = self.elsewhere.get(name, self)
        target.bindings.setdefault(name, []).append(binding)

    def enclosing_class(self) -> ClassScope | None:
        scope: Scope | None = self
        while scope is not None:
            if isinstance(scope, ClassScope):
                return scope
            scope = scope.parent
        return None


class ClassScope(Scope):
    """A class. `attributes` are the stores to `self.x` in its methods."""

    __slots__ = ("attributes", "node")

    is_class = True

    def __init__(self, node: ast.ClassDef, parent: Scope, block: Block) -> None:
        super().__init__(node.name, parent, parent.module, block)
        self.node = node
        self.attributes: dict[str, list[Binding]] = {}

    def dismantle(self) -> None:
        super().dismantle()
        self.attributes.clear()


class FunctionScope(Scope):
    """A function or lambda. `returns` and `yields` are the expressions that leave it."""

    __slots__ = ("_relevant", "node", "parameters", "receiver", "returns", "yields")

    is_function = True

    def __init__(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, parent: Scope, block: Block) -> None:
        super().__init__(getattr(node, "name", ""), parent, parent.module, Block(block, owner=self))
        self.node = node
        arguments = node.args
        self.parameters: list[ast.arg] = [*arguments.posonlyargs, *arguments.args]
        self.receiver = ""  # name of the first parameter of a method
        self.returns: list[ast.expr] = []
        self.yields: list[ast.expr] = []
        self._relevant: frozenset[str] | None = None

    @property
    def decorators(self) -> list[ast.expr]:
        return getattr(self.node, "decorator_list", [])

    def decorated(self, *names: str) -> bool:
        """Whether a decorator's last name is one of these."""
        return any(last_name(d) in names for d in self.decorators)

    def dismantle(self) -> None:
        super().dismantle()
        self.returns.clear()
        self.yields.clear()
        self.node = _NO_NODE

    def relevant(self) -> frozenset[str]:
        """The parameters on which the result may depend: only these are worth following from a call into the body."""
        if self._relevant is None:
            seen: set[str] = set()
            pending: list[ast.expr] = [*self.returns, *self.yields]
            while pending and len(seen) < 200:
                for node in ast.walk(pending.pop()):
                    if isinstance(node, ast.Name) and node.id not in seen:
                        seen.add(node.id)
                        pending.extend(
                            b.node
                            for b in self.bindings.get(node.id, ())
                            if b.how <= How.ELEMENT and b.node is not None
                        )
            arguments = self.node.args
            self._relevant = frozenset(seen & {a.arg for a in (*self.parameters, *arguments.kwonlyargs)})
        return self._relevant

    @property
    def is_property(self) -> bool:
        return any(
            "property" in last_name(d) or last_name(d) in ("reify", "lazy", "getter", "computed_field")
            for d in self.decorators
        )


class ComprehensionScope(Scope):
    """A comprehension or generator expression."""

    __slots__ = ()


def last_name(node: ast.AST) -> str:
    """The last identifier of a dotted expression, calls looked through: `a.b.c(...)` -> "c"."""
    while hasattr(node, "func"):
        node = node.func
    return getattr(node, "attr", None) or getattr(node, "id", None) or ""
