"""What `value.name` may stand for: on SDK objects, modules, and instances of the project's own classes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check import bindings, results
from llmguard.check.module import dotted
from llmguard.check.scopes import Binding, ClassScope, FunctionScope, How
from llmguard.check.values import (
    ANYTHING,
    NOTHING,
    UNKNOWN,
    Class,
    External,
    Function,
    Here,
    Instance,
    Object,
    Other,
    Partial,
    Perhaps,
    Project,
    Super,
    Text,
    Value,
    Values,
)
from llmguard.providers import index

if TYPE_CHECKING:
    from llmguard.check.infer import Inference

LONGEST = 12  # segments of an attribute path
_MOST_CLASSES = 24


def is_public_call(path: str) -> bool:
    """Whether a dotted path is known to be a client class or a generating function."""
    return index.function(path) is not None or index.client_class(path) is not None


def attribute_values(infer: Inference, node: ast.Attribute, here: Here) -> Values:
    """What an attribute expression may stand for."""
    stores = here.scope.module.stores
    if stores:
        text = dotted(node)
        if text in stores:
            stored = bindings.bound_values(infer, stores[text], here.frame, node.attr)
            if stored != ANYTHING:
                return (
                    stored
                    if _is_put_before(stores[text], here, node.lineno)
                    else stored | _of_clients(infer, node, here)
                )
    found: set[Value] = set()
    for value in infer.values(node.value, here):
        found |= member(infer, value, node.attr, here)
    return frozenset(found) or ANYTHING


def _is_put_before(stored: list[Binding], here: Here, line: int) -> bool:
    """Whether a value is put in an attribute before it is used in the same scope, or on every import; else nobody
    knows when, and whether."""
    return any(
        binding.line < line and binding.block.holds(here.block)
        if binding.scope is here.scope
        else binding.block is binding.scope.module.scope.block
        for binding in stored
    )


def _of_clients(infer: Inference, node: ast.Attribute, here: Here) -> Values:
    """What an attribute is by itself, as far as it leads to a call of an SDK: a fake in a test of the file does not
    hide the file's own calls. A class of the SDK that is patched where it is mentioned is being instrumented."""
    own = (member(infer, value, node.attr, here) for value in infer.values(node.value, here))
    patched = any(binding.scope is here.scope for binding in here.scope.module.stores[dotted(node)])
    return frozenset(
        value
        for value in frozenset().union(*own)
        if (isinstance(value, Instance) and index.client_class(value.cls) is not None)
        or (isinstance(value, External) and is_public_call(value.path) and not patched)
    )


def member(infer: Inference, value: Value, name: str, here: Here | None = None) -> Values:
    """What `value.name` may stand for."""
    match value:
        case External(path):
            return frozenset((External(f"{path}.{name}"),)) if path.count(".") < LONGEST else ANYTHING
        case Instance(path=path):
            return frozenset((value._replace(path=(*path, name)),)) if len(path) < LONGEST else ANYTHING
        case Project(module):
            return bindings.module_member(infer, module, name)
        case Object(scope):
            if name == "__class__":
                return frozenset((Class(scope),))
            return class_member(infer, scope, name, value)
        case Class(scope):
            return class_member(infer, scope, name, value)
        case Super(scope, receiver):
            return class_member(infer, scope, name, receiver, above=True)
        case Function(receiver=receiver) if name in ("__func__", "__wrapped__", "__call__"):
            return frozenset((value,)) if receiver is not None or name != "__func__" else ANYTHING
        case Partial(target) if name in ("func", "__call__"):
            return frozenset((target,))
        case Perhaps(module) if index.client_class(f"{module}.{name}") is not None or index.is_telling(
            f"{module}.{name}"
        ):
            return frozenset((External(f"{module}.{name}"),))
        case Text() | Other():
            return frozenset((Other("attribute"),)) if value != Other("None") else NOTHING
    return ANYTHING


def item_of(infer: Inference, value: Value) -> Values:
    """What `value[...]` or an element of it may be, when it is no plain container."""
    if isinstance(value, Object):
        getter = class_member(infer, value.scope, "__getitem__", value)
        return (
            frozenset().union(*(results.function_values(infer, g) for g in getter if isinstance(g, Function)))
            or ANYTHING
        )
    if isinstance(value, (Text, Other)):
        return frozenset((Other("item"),))
    if isinstance(value, Instance):
        return frozenset((value._replace(path=(*value.path, "[]")),)) if len(value.path) < LONGEST else ANYTHING
    return ANYTHING


# -- classes of the project ----------------------------------------------------------------------------------------


def class_member(infer: Inference, scope: ClassScope, name: str, receiver: Value, *, above: bool = False) -> Values:
    """An attribute of a class or its instance: own body and `self.x` stores, bases, then subclasses in the module.

    `above` leaves the class itself out, as `super()` does.
    """
    line, foreign = ancestry(infer, scope)
    if above:
        line = line[1:]
    found = _declared(infer, line, name, receiver)
    if found is not None and not _empty(found):
        return found
    outside: set[Value] = set()
    for base in foreign:
        # A class method is reached through an instance just as well: openai<1 is made of them.
        classwide = not isinstance(receiver, Object) or index.function(f"{base}.{name}") is not None
        made: Value = External(base) if classwide else Instance(base)
        outside |= member(infer, made, name)
    known = {v for v in outside if is_known(v)}
    if known:
        return frozenset(known)
    guarded = bindings.guarded_values(infer, tuple(line), name)
    if guarded:
        return guarded
    dynamic = _dynamic(infer, line, name, receiver)
    if dynamic is not None:
        return dynamic
    below = NOTHING if above else _in_subclasses(infer, scope, name, receiver)
    if below:
        return below | (found or NOTHING)
    if found is not None:
        return found | (ANYTHING if found == frozenset((Other("None"),)) else NOTHING)
    return frozenset(outside) or ANYTHING


def is_known(value: Value) -> bool:
    """Whether a value is part of an SDK that a provider's row describes."""
    if isinstance(value, External):
        return is_public_call(value.path)
    return isinstance(value, Instance) and index.client_class(value.cls) is not None


def _empty(values: Values) -> bool:
    """Nothing that helps: only None or nothing known, or a method that is abstract."""
    return all(v == UNKNOWN or v == Other("None") or (isinstance(v, Function) and is_abstract(v.scope)) for v in values)


def is_abstract(scope: FunctionScope) -> bool:
    """Whether a method leaves its answer to subclasses."""
    if scope.decorated("abstractmethod", "abstractproperty"):
        return True
    body = getattr(scope.node, "body", None)
    if not isinstance(body, list) or scope.returns or scope.yields:
        return False
    return all(
        isinstance(s, (ast.Pass, ast.Raise)) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
        for s in body
    )


def ancestry(infer: Inference, scope: ClassScope) -> tuple[list[ClassScope], list[str]]:
    """The class and its bases in the project, nearest first, and the dotted paths of the foreign ones."""
    line: list[ClassScope] = []
    foreign: list[str] = []
    pending = [scope]
    while pending and len(line) < _MOST_CLASSES:
        current = pending.pop(0)
        if current in line:
            continue
        line.append(current)
        for base in _bases(infer, current):
            match base:
                case Class(parent):
                    pending.append(parent)
                case External(path):
                    foreign.append(path)
                case Instance(cls):
                    foreign.append(cls)
    return line, foreign


def _bases(infer: Inference, scope: ClassScope) -> list[Value]:
    if scope.parent is None:
        return []
    here = Here(scope.parent, scope.block.parent or scope.block)
    found: list[Value] = []
    for base in scope.node.bases[:8]:
        node = base.value if isinstance(base, ast.Subscript) else base
        found.extend(infer.values(node, here))
    return found


def _declared(infer: Inference, line: list[ClassScope], name: str, receiver: Value) -> Values | None:
    """From the nearest class of the line that says anything; None when none does."""
    weak: Values | None = None
    for scope in line:
        found = [*scope.attributes.get(name, ()), *scope.bindings.get(name, ())]
        if not found:
            continue
        values: set[Value] = set()
        typed = any(b.how is How.ANNOTATION for b in found)
        for binding in found[:12]:
            given = _member_values(infer, binding, name, receiver)
            values |= given if given != ANYTHING or not typed else NOTHING
        answer = frozenset(values) or ANYTHING
        if not _empty(answer):
            return answer
        weak = weak | answer if weak is not None else answer
    return weak


def _member_values(infer: Inference, binding: Binding, name: str, receiver: Value) -> Values:
    if isinstance(binding.defined, FunctionScope):
        scope = binding.defined
        bound: Value | None = None if scope.decorated("staticmethod") else receiver
        if scope.is_property and isinstance(receiver, Object):
            return results.function_values(infer, Function(scope, receiver))
        return frozenset((Function(scope, bound),))
    frame = results.method_frame(binding, receiver)
    return bindings.binding_values(infer, binding, frame, name)


def _dynamic(infer: Inference, line: list[ClassScope], name: str, receiver: Value) -> Values | None:
    """`__getattr__` of the class, asked for this name."""
    if name.startswith("__"):
        return None
    for scope in line:
        for binding in scope.bindings.get("__getattr__", ()):
            if isinstance(binding.defined, FunctionScope) and len(binding.defined.parameters) > 1:
                argument = binding.defined.parameters[1].arg
                return results.function_values(infer, Function(binding.defined, receiver), {argument: name})
    return None


def _in_subclasses(infer: Inference, scope: ClassScope, name: str, receiver: Value) -> Values:
    if not isinstance(receiver, Object) or infer.depth > 30:
        return NOTHING
    found: set[Value] = set()
    for other in scope.module.classes[:64]:
        if other is scope or (name not in other.attributes and name not in other.bindings):
            continue
        line, _ = ancestry(infer, other)
        if scope in line[1:]:
            values = _declared(infer, [other], name, Object(other))
            found |= values if values is not None else NOTHING
    return frozenset(v for v in found if v not in (UNKNOWN, Other("None")))
