"""What a value of an annotated type may be: `OpenAI | None`, `"Client"`, `Annotated[...]`, `list[Groq]`, `type[T]`."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check.values import (
    ANYTHING,
    NONE,
    UNKNOWN,
    Class,
    External,
    Here,
    Instance,
    Items,
    Object,
    Other,
    Text,
    Tuple,
    Value,
    Values,
)

if TYPE_CHECKING:
    from llmguard.check.infer import Inference

_MODULES = ("typing", "typing_extensions", "collections", "builtins", "contextlib", "types", "concurrent", "asyncio")
_ALIASES = frozenset(
    {"Union", "Optional", "Annotated", "ClassVar", "Final", "Required", "NotRequired", "ReadOnly", "InitVar"}
)
_LAST_IS_RESULT = frozenset({"Callable", "Coroutine"})
_SAME = frozenset(
    {
        "Awaitable",
        "AsyncContextManager",
        "ContextManager",
        "AbstractContextManager",
        "AbstractAsyncContextManager",
        "Future",
        "Task",
    }
)
_KEYED = frozenset({"dict", "Dict", "Mapping", "MutableMapping", "OrderedDict", "defaultdict", "DefaultDict"})
_CONTAINERS = frozenset(
    {
        *(
            "list",
            "List",
            "Sequence",
            "MutableSequence",
            "set",
            "Set",
            "frozenset",
            "FrozenSet",
            "Iterable",
            "Iterator",
        ),
        *("AsyncIterable", "AsyncIterator", "Generator", "AsyncGenerator", "Collection", "deque", "Deque"),
    }
)
_TYPES = frozenset({"type", "Type"})


def _form(path: str) -> str:
    """The name of a typing form or standard container, "" for any other path."""
    root, _, name = path.rpartition(".")
    return name if root.partition(".")[0] in _MODULES or root == "dataclasses" else ""


def is_type_form(value: External) -> bool:
    """Whether subscripting this gives a type, not an item."""
    return bool(_form(value.path))


def _arguments(node: ast.Subscript) -> list[ast.expr]:
    return node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]


def instances_of(infer: Inference, node: ast.expr | None, here: Here) -> Values:
    """What an expression annotated with `node` may be."""
    if node is None:
        return ANYTHING
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parsed = _parsed(infer, node.value)
        return instances_of(infer, parsed, here) if parsed is not None else ANYTHING
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return instances_of(infer, node.left, here) | instances_of(infer, node.right, here)
    if isinstance(node, ast.Subscript):
        special = _subscripted(infer, node, here)
        if special is not None:
            return special
    found: set[Value] = set()
    for value in infer.values(node, here):
        found |= _instance(infer, value, here)
    return frozenset(found) or ANYTHING


def _subscripted(infer: Inference, node: ast.Subscript, here: Here) -> Values | None:
    """An annotation with arguments, or None when its base is no typing form."""
    found: set[Value] = set()
    arguments = _arguments(node)
    for base in infer.values(node.value, here):
        form = _form(base.path) if isinstance(base, External) else ""
        if not form:
            return None
        if form in _ALIASES:
            if form == "Annotated":
                found |= instances_of(infer, arguments[0], here)
                for extra in arguments[1:]:
                    found |= frozenset(v for v in infer.values(extra, here) if isinstance(v, (Instance, Object)))
            else:
                for argument in arguments:
                    found |= instances_of(infer, argument, here)
        elif form in _TYPES or form in _LAST_IS_RESULT:
            # A class is what makes its instance when called, so it stands for `Callable[..., C]` too.
            found |= classes_of(infer, arguments[-1], here)
        elif form in _SAME:
            found |= instances_of(infer, arguments[-1], here)
        elif form in _KEYED:
            found.add(Items(instances_of(infer, arguments[-1], here)))
        elif form in _CONTAINERS:
            found.add(Items(instances_of(infer, arguments[0], here)))
        elif form in ("tuple", "Tuple"):
            if len(arguments) == 2 and isinstance(arguments[1], ast.Constant):
                found.add(Items(instances_of(infer, arguments[0], here)))
            else:
                found.add(Tuple(tuple(instances_of(infer, a, here) for a in arguments)))
        else:
            found.add(UNKNOWN if form != "Literal" else Other("Literal"))
    return frozenset(found)


def classes_of(infer: Inference, node: ast.expr, here: Here) -> Values:
    """The classes that a type expression names."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        parsed = _parsed(infer, node.value)
        return classes_of(infer, parsed, here) if parsed is not None else ANYTHING
    return frozenset(v for v in infer.values(node, here) if isinstance(v, (External, Class))) or ANYTHING


def generic_values(infer: Inference, path: str, node: ast.Subscript, here: Here) -> Values:
    """A subscripted typing form as a value: `Union[A, B]` kept in a name is the classes A and B."""
    form = _form(path)
    if form in _ALIASES:
        arguments = _arguments(node)
        return frozenset().union(
            *(classes_of(infer, a, here) for a in (arguments[:1] if form == "Annotated" else arguments))
        )
    return frozenset((Other("type"),))


def _instance(infer: Inference, value: Value, here: Here) -> Values:
    match value:
        case External(path):
            form = _form(path)
            if form:
                return ANYTHING if form in ("Any", "object", "Self") else frozenset((Other(form),))
            return frozenset((Instance(path),))
        case Class(scope):
            return frozenset((Object(scope),))
        case Text(text):
            parsed = _parsed(infer, text)
            return instances_of(infer, parsed, here) if parsed is not None else ANYTHING
        case Other():
            return frozenset((NONE,)) if value == NONE else frozenset((value,))
        case Instance() | Object():
            return frozenset((value,))  # TypeVar(bound=...), NewType: resolved to an instance already
    return ANYTHING


def _parsed(infer: Inference, text: str) -> ast.expr | None:
    if len(text) > 400 or infer.depth > 40:
        return None
    try:
        node = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    infer.pin(node)
    return node
