"""What an expression may stand for: the small closed set of values that resolution works with.

A set of these is the answer to "what can this name be?". `UNKNOWN` in a set says that the set is incomplete.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from llmguard.check.module import ModuleFacts
    from llmguard.check.scopes import Block, ClassScope, FunctionScope, Scope


class External(NamedTuple):
    """A module, class or function from outside the project, by its dotted path: `openai.OpenAI`."""

    path: str


class Instance(NamedTuple):
    """What is reached from an instance of an external class by an attribute path.

    `cls` is the dotted path of what was called to make it. A call in the path is the segment "()". `plain`: it was
    made here, with nothing but a key and a place that is known.
    """

    cls: str
    path: tuple[str, ...] = ()
    base_url: str = ""
    tracked: bool = False
    plain: bool = False


class Project(NamedTuple):
    """A module of the project."""

    module: ModuleFacts


class Class(NamedTuple):
    """A class defined in the project."""

    scope: ClassScope


class Object(NamedTuple):
    """An instance of a class defined in the project."""

    scope: ClassScope


class Super(NamedTuple):
    """`super()` in a method: an instance whose own class is left out of the look-up."""

    scope: ClassScope
    receiver: Value


class Function(NamedTuple):
    """A function defined in the project; `receiver` is what it is bound to when it is a method."""

    scope: FunctionScope
    receiver: Value | None = None


class Partial(NamedTuple):
    """`functools.partial` of a callable, and whatever else calls what it was given."""

    target: Value


class Items(NamedTuple):
    """A container; `values` is what any of its elements may be."""

    values: frozenset[Value]


class Tuple(NamedTuple):
    """A tuple of known length."""

    values: tuple[frozenset[Value], ...]


class Perhaps(NamedTuple):
    """What a foreign helper made from an SDK's name: its module, if what is taken from it is a client of it."""

    module: str


class Text(NamedTuple):
    """A string. Unknown pieces are HOLE characters."""

    text: str


class Other(NamedTuple):
    """Known, and of no interest: a number, None, the result of an arithmetic operation."""

    kind: str


class Unknown(NamedTuple):
    """Anything at all."""

    mark: str = "?"


HOLE = "\x00"
#: Base URL of an HTTP client that calls an application in its own process.
OWN_APPLICATION = "/"
UNKNOWN = Unknown()
NONE = Other("None")
NOTHING: frozenset[Value] = frozenset()
ANYTHING: frozenset[Value] = frozenset((UNKNOWN,))

Value = (
    External
    | Instance
    | Project
    | Class
    | Object
    | Super
    | Function
    | Partial
    | Items
    | Tuple
    | Perhaps
    | Text
    | Other
    | Unknown
)
Values = frozenset[Value]


class Frame(NamedTuple):
    """The arguments of one call, while the body of the called function is looked at."""

    function: FunctionScope
    arguments: tuple[tuple[str, Values], ...]
    receiver: Value | None
    outer: Frame | None = None


class Here(NamedTuple):
    """Where an expression stands: names mean what they mean there."""

    scope: Scope
    block: Block
    frame: Frame | None = None
