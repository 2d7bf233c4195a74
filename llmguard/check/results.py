"""What a call may give: an SDK's client, an instance of a project's class, or what a project's function returns."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check import annotated, attributes, bindings, foreign, tracked
from llmguard.check.scopes import Binding, FunctionScope, Scope
from llmguard.check.strings import string_method
from llmguard.check.values import (
    ANYTHING,
    NOTHING,
    UNKNOWN,
    Class,
    External,
    Frame,
    Function,
    Here,
    Instance,
    Items,
    Object,
    Other,
    Partial,
    Super,
    Text,
    Tuple,
    Value,
    Values,
)

if TYPE_CHECKING:
    from llmguard.check.infer import Inference
_MOST_CALLERS = 8
_ENTERED = ("contextmanager", "asynccontextmanager", "fixture", "async_fixture")
_CONTAINER_METHODS = frozenset({"get", "pop", "setdefault", "popleft", "get_nowait"})


def call_values(infer: Inference, node: ast.Call, here: Here) -> Values:
    """What a call expression may give."""
    if isinstance(node.func, ast.Attribute):
        taken = _from_container(infer, node.func, here)
        if taken is None:
            taken = string_method(infer, node, here)
        if taken is not None:
            return taken
    if isinstance(node.func, ast.Name) and node.func.id == "super":
        return _super(here)
    found: set[Value] = set()
    for callee in infer.values(node.func, here):
        found |= result_of(infer, callee, node, here)
    return frozenset(found) or ANYTHING


def _from_container(infer: Inference, func: ast.Attribute, here: Here) -> Values | None:
    """`clients.get("a")`, `clients.values()`, `clients.items()` on containers; None when it is something else."""
    if func.attr not in _CONTAINER_METHODS and func.attr not in ("values", "items", "copy"):
        return None
    holders = [v for v in infer.values(func.value, here) if isinstance(v, Items)]
    if not holders:
        return None
    inside: Values = frozenset().union(*(v.values for v in holders))
    if func.attr in ("values", "copy"):
        return frozenset((Items(inside),))
    if func.attr == "items":
        return frozenset((Items(frozenset((Tuple((ANYTHING, inside)),))),))
    return inside or ANYTHING


def _super(here: Here) -> Values:
    """`super()`: the bases of the class that the code stands in, as the object at hand."""
    owner = here.scope.enclosing_class()
    if owner is None:
        return ANYTHING
    frame = here.frame
    while frame is not None and not isinstance(frame.receiver, (Object, Class)):
        frame = frame.outer
    function: Scope | None = here.scope
    while function is not None and not isinstance(function, FunctionScope):
        function = function.parent
    default: Value = Class(owner) if function is not None and function.decorated("classmethod") else Object(owner)
    receiver = frame.receiver if frame is not None and frame.receiver is not None else default
    return frozenset((Super(owner, receiver),))


def result_of(infer: Inference, callee: Value, node: ast.Call, here: Here) -> Values:
    """What calling one value gives, with the arguments of `node`."""
    match callee:
        case External() | Instance():
            return foreign.foreign_result(infer, callee, node, here)
        case Class(scope):
            return frozenset((Object(scope),))
        case Function():
            given = function_values(infer, callee, call=node, here=here)
            return tracked.clients_of(callee.scope, given)
        case Partial(target):
            return result_of(infer, target, node, here)
        case Object(scope):
            found: set[Value] = set()
            for method in attributes.class_member(infer, scope, "__call__", callee):
                if isinstance(method, (Function, Instance)):
                    found |= result_of(infer, method, node, here)
            return frozenset(found) or ANYTHING
        case Other():
            return frozenset((callee,)) if callee != Other("None") else NOTHING
    return ANYTHING


def method_frame(binding: Binding, receiver: Value) -> Frame | None:
    """The frame in which an attribute's value is looked at: the receiver is the one at hand, not the class itself."""
    scope: Scope | None = binding.scope
    while scope is not None and not isinstance(scope, FunctionScope):
        scope = scope.parent
    if scope is None or not scope.receiver:
        return None
    # Arguments stay open: they are looked for among the calls in the module.
    return Frame(scope, (), receiver)


def function_values(
    infer: Inference,
    function: Function,
    texts: dict[str, str] | None = None,
    *,
    call: ast.Call | None = None,
    here: Here | None = None,
) -> Values:
    """What a function of the project gives when it is called.

    Args:
        infer: the resolution at hand.
        function: which, and what it is bound to.
        texts: arguments known as text.
        call: the call that gives the other arguments ...
        here: ... and where it stands.
    """
    scope = function.scope
    given: dict[str, Values] = {name: frozenset((Text(text),)) for name, text in (texts or {}).items()}
    if call is not None and here is not None:
        given |= _arguments(infer, function, call, here)
    frame = Frame(scope, tuple(sorted(given.items())), function.receiver)
    known = infer.returned.get(frame)
    if known is not None:
        return known
    infer.returned[frame] = NOTHING  # recursion adds nothing
    found = _body_values(infer, scope, frame)
    if infer.steps < 0:
        infer.returned.pop(frame, None)
    else:
        infer.returned[frame] = found
    return found


def _body_values(infer: Inference, scope: FunctionScope, frame: Frame) -> Values:
    inside = Here(scope, scope.block, frame)
    found: set[Value] = set()
    for node in scope.returns[:16]:
        found |= infer.values(node, inside)
    if scope.yields:
        yielded = infer.union(scope.yields, inside)
        if scope.decorated(*_ENTERED):
            found |= yielded
        else:
            found.add(Items(yielded))
    annotation = getattr(scope.node, "returns", None)
    if annotation is not None and scope.parent is not None:
        outside = Here(scope.parent, scope.block.parent or scope.block)
        declared = annotated.instances_of(infer, annotation, outside)
        if scope.decorated(*_ENTERED):
            declared = bindings.elements(infer, frozenset(v for v in declared if isinstance(v, Items))) or declared
        if declared != ANYTHING:
            found.discard(UNKNOWN)
            found |= declared
    if not found:
        return frozenset((Other("None"),)) if not attributes.is_abstract(scope) else ANYTHING
    return frozenset(found)


def _arguments(infer: Inference, function: Function, call: ast.Call, here: Here) -> dict[str, Values]:
    """Values of the arguments that the function's result depends on."""
    relevant = function.scope.relevant()
    if not relevant:
        return {}
    names = [p.arg for p in function.scope.parameters]
    if function.scope.receiver and function.receiver is not None:
        names = names[1:]
    given: dict[str, Values] = {}
    pairs = [*zip(names, call.args, strict=False), *((k.arg, k.value) for k in call.keywords if k.arg)]
    for name, node in pairs[:24]:
        if isinstance(node, ast.Starred):
            break
        if name in relevant and not isinstance(node, (ast.List, ast.Dict, ast.Set, ast.BinOp, ast.Compare)):
            values = infer.values(node, here)
            if values != ANYTHING and not all(isinstance(v, Other) for v in values):
                given[name] = values
    return given


def argument_values(infer: Inference, scope: FunctionScope, name: str) -> Values:
    """What a parameter may be, from fixtures of the same name and from the calls in the module."""
    if infer.depth > 30:
        return ANYTHING
    module = scope.module
    for binding in module.scope.bindings.get(name, ()):
        if isinstance(binding.defined, FunctionScope) and binding.defined.decorated("fixture", "async_fixture"):
            return function_values(infer, Function(binding.defined))
    called = scope.name
    method = bool(scope.receiver)
    if called in ("__init__", "__new__", "__post_init__") and scope.parent is not None:
        called, method = scope.parent.name, True
    names = [p.arg for p in scope.parameters][1 if method else 0 :]
    found: set[Value] = set()
    for site in infer.callers(module, called)[:_MOST_CALLERS]:
        call = site.node
        if not isinstance(call, ast.Call):
            continue
        node = next((k.value for k in call.keywords if k.arg == name), None)
        if node is None and name in names and names.index(name) < len(call.args):
            node = call.args[names.index(name)]
        if node is not None and not isinstance(node, (ast.Starred, ast.Constant)):
            found |= infer.values(node, Here(site.scope, site.block))
    found.discard(UNKNOWN)
    return frozenset(found) | ANYTHING
