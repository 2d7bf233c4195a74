"""What a name may stand for: its scope is found, and every binding that can reach the use is followed."""

from __future__ import annotations

import ast
import builtins
from bisect import bisect_right
from typing import TYPE_CHECKING

from llmguard.check import annotated, attributes, results
from llmguard.check.scopes import Binding, ClassScope, FunctionScope, How, Import, Scope
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
    Project,
    Tuple,
    Value,
    Values,
)
from llmguard.providers import index

if TYPE_CHECKING:
    from llmguard.check.infer import Inference
    from llmguard.check.module import ModuleFacts

_BUILTINS = frozenset(dir(builtins))
#: Levels of expressions, calls and imports that are followed.
DEEPEST = 48

_MANY = 256  # bindings of one name that are looked at for one place


def name_values(infer: Inference, name: str, here: Here, line: int) -> Values:
    """What `name` may stand for where it is used."""
    scope: Scope | None = here.scope
    while scope is not None:
        target = scope.elsewhere.get(name, scope)
        if name in target.bindings and (target is here.scope or not target.is_class):
            reaching = target.bindings[name]
            if target is here.scope or (not here.scope.is_function and here.scope.parent is target):
                reaching = reaching_bindings(reaching, here, line)
            found = bound_values(infer, reaching, here.frame, name)
            return found if UNKNOWN not in found else found | guarded_values(infer, (here.scope, target), name)
        scope = scope.parent
    module = here.scope.module
    starred = _from_stars(infer, module, name)
    if starred is not None:
        return starred
    if name in _BUILTINS:
        return frozenset((External(f"builtins.{name}"),))
    return ANYTHING


def reaching_bindings(found: list[Binding], here: Here, line: int) -> list[Binding]:
    """Those that can give the name its value at `line`: the last one that surely ran hides all before it."""
    if len(found) == 1:
        return found
    if len(found) > _MANY:  # a name bound hundreds of times: the work must not grow with the square of them
        at = bisect_right(found, line, key=lambda binding: binding.line)
        found = found[max(0, at - _MANY // 2) : at + _MANY // 2]
    last = 0
    for binding in found:
        before = (binding.node.end_lineno or binding.line) if binding.node is not None else binding.line
        if binding.line < line and before < line and binding.block.holds(here.block) and binding.line > last:
            last = binding.line
    kept = [b for b in found if b.line >= last and (b.line <= line or here.block.in_loop or b.block.in_loop)]
    return kept or found


def bound_values(infer: Inference, found: list[Binding], frame: Frame | None, name: str) -> Values:
    """The values that these bindings give."""
    values: set[Value] = set()
    typed = any(b.how is How.ANNOTATION for b in found)
    for binding in found[:16]:
        if binding.how is How.PARAMETER:
            given = parameter_values(infer, binding, frame, name)
            values |= given if given != ANYTHING or not typed else NOTHING
        else:
            values |= binding_values(infer, binding, frame, name)
    return frozenset(values) or ANYTHING


def guarded_values(infer: Inference, scopes: tuple[Scope, ...], name: str) -> Values:
    """The SDK clients that `isinstance` tests in these scopes say a name may be."""
    found: set[Value] = set()
    for scope in dict.fromkeys(scopes):
        for binding in scope.guards.get(name, ())[:6]:
            here = Here(binding.scope, binding.block)
            kinds = binding.node.elts if isinstance(binding.node, ast.Tuple) else [binding.node]
            for kind in kinds:
                found |= annotated.instances_of(infer, kind, here)
    return frozenset(v for v in found if isinstance(v, Instance) and index.client_class(v.cls) is not None)


def binding_values(infer: Inference, binding: Binding, frame: Frame | None, name: str) -> Values:
    here = Here(binding.scope, binding.block, frame)
    match binding.how:
        case How.VALUE:
            return _unpacked(infer.values(binding.node, here), binding.path)
        case How.ELEMENT:
            return _unpacked(elements(infer, infer.values(binding.node, here)), binding.path)
        case How.ANNOTATION:
            return annotated.instances_of(infer, binding.node, here)
        case How.IMPORT | How.FROM:
            return imported_values(infer, binding.scope.module, binding.imported)
        case How.DEFINITION:
            if isinstance(binding.defined, ClassScope):
                return frozenset((Class(binding.defined),))
            if isinstance(binding.defined, FunctionScope):
                return frozenset((Function(binding.defined),))
    return ANYTHING


def _unpacked(values: Values, path: tuple[int, ...]) -> Values:
    for position in path:
        found: set[Value] = set()
        for value in values:
            if isinstance(value, Tuple):
                found |= value.values[position] if position < len(value.values) else ANYTHING
            elif isinstance(value, Items):
                found |= value.values
            else:
                found.add(UNKNOWN)
        values = frozenset(found)
    return values


def elements(infer: Inference, values: Values) -> Values:
    """What iterating over these values gives."""
    found: set[Value] = set()
    for value in values:
        match value:
            case Items(inner):
                found |= inner
            case Tuple(items):
                found |= frozenset().union(*items) if items else NOTHING
            case _:
                found |= attributes.item_of(infer, value)
    return frozenset(found)


def parameter_values(infer: Inference, binding: Binding, frame: Frame | None, name: str) -> Values:
    """What a parameter may be: from the call at hand, else as the receiver, a fixture, or from calls in the module."""
    scope = _owner(binding, name)
    while frame is not None:
        if frame.function is scope:
            if scope is not None and name == scope.receiver and frame.receiver is not None:
                return frozenset((frame.receiver,))
            given = dict(frame.arguments).get(name)
            if given is not None:
                return given
            break
        frame = frame.outer
    if scope is None:
        return ANYTHING
    if name == scope.receiver and isinstance(scope.parent, ClassScope):
        owner = scope.parent
        return frozenset((Class(owner) if scope.decorated("classmethod") else Object(owner),))
    return results.argument_values(infer, scope, name)


def _owner(binding: Binding, name: str) -> FunctionScope | None:
    """The function whose parameter a binding is; the binding's scope is the one around it."""
    block = binding.block
    owner = block.owner
    return owner if isinstance(owner, FunctionScope) else None


def imported_values(infer: Inference, module: ModuleFacts, imported: Import | None) -> Values:
    """What an import binds: a module of the project, a name in one, or something foreign."""
    if imported is None:
        return ANYTHING
    if imported.level:
        source = infer.project.relative(imported.module, imported.level, module.path)
    else:
        source = infer.project.absolute(imported.module, module.path)
    if source is not None:
        infer.pin(source)
        if not imported.name:
            return frozenset((Project(source),))
        return module_member(infer, source, imported.name)
    if imported.level:
        return ANYTHING
    return frozenset((External(f"{imported.module}.{imported.name}" if imported.name else imported.module),))


def module_member(infer: Inference, module: ModuleFacts, name: str) -> Values:
    """What `module.name` may stand for. Remembered; a cycle of imports adds nothing."""
    key = (id(module), name)
    known = infer.members.get(key)
    if known is None:
        infer.members[key] = NOTHING
        infer.depth += 1
        try:
            known = _member(infer, module, name) if infer.depth < DEEPEST else ANYTHING
        finally:
            infer.depth -= 1
        infer.members[key] = known
    return known


def _member(infer: Inference, module: ModuleFacts, name: str) -> Values:
    bound = module.scope.bindings.get(name)
    if bound is not None:
        found = bound_values(infer, bound, None, name)
        if found != ANYTHING:
            return found
    submodule = infer.project.submodule(module, name)
    if submodule is not None and submodule is not module:
        infer.pin(submodule)
        return frozenset((Project(submodule),))
    if bound is not None:
        return ANYTHING
    starred = _from_stars(infer, module, name)
    if starred is not None:
        return starred
    for getter in module.scope.bindings.get("__getattr__", ()):
        function = getter.defined
        if isinstance(function, FunctionScope) and function.parameters:
            return results.function_values(infer, Function(function), {function.parameters[0].arg: name})
    return ANYTHING


def _from_stars(infer: Inference, module: ModuleFacts, name: str) -> Values | None:
    """What a star import of the module gives for a name, None when none is known to."""
    for star in module.stars[:12]:
        if star.level:
            source = infer.project.relative(star.module, star.level, module.path)
        else:
            source = infer.project.absolute(star.module, module.path)
        if source is not None and source is not module:
            infer.pin(source)
            found = module_member(infer, source, name)
            if found not in (ANYTHING, NOTHING):
                return found
        elif not star.level and attributes.is_public_call(f"{star.module}.{name}"):
            return frozenset((External(f"{star.module}.{name}"),))
    return None
