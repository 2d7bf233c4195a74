"""Calls whose receiver cannot be resolved, judged by attribute names and keywords, never by a variable's name."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check.finding import Callee, Confidence
from llmguard.check.values import UNKNOWN, External, Here, Instance, Items, Object, Other, Text, Tuple, Value
from llmguard.providers import PROVIDERS, Provider, Shape, index
from llmguard.providers.lookalikes import LOOKALIKES, STAND_INS

if TYPE_CHECKING:
    from llmguard.check.infer import Inference
    from llmguard.check.module import ModuleFacts, Site
    from llmguard.check.scopes import Scope

#: (path reversed, provider, shape), longest path first, by last name.
_SHAPES: dict[str, list[tuple[tuple[str, ...], Provider, Shape]]] = {}
for _provider in PROVIDERS:
    for _shape in _provider.shapes:
        _path = tuple(reversed(_shape.path.split(".")))
        _SHAPES.setdefault(_path[0], []).append((_path, _provider, _shape))
for _group in _SHAPES.values():
    _group.sort(key=lambda entry: -len(entry[0]))

# Keywords that all kinds of functions have: on something foreign they and one name say too little.
_EVERYDAY = frozenset({"model", "messages", "prompt", "input"})
_TRANSPARENT = frozenset().union(*(p.transparent for p in PROVIDERS)) | {"preview"}


def by_shape(infer: Inference, func: ast.expr, call: ast.Call, site: Site) -> Callee | None:
    """What a call looks like, None when it looks like no model.

    Args:
        infer: the resolution at hand.
        func: the callee expression.
        call: the call whose keywords count (that of `to_thread` when `func` is handed to it).
        site: where it stands.
    """
    tail = _tail(infer, func, site)
    if not tail or tail[0] not in _SHAPES or site.decorator:
        return None
    foreign = False
    if isinstance(func, ast.Attribute):
        verdict = _receiver(infer, func, site, STAND_INS if _is_unmistakable(tail) else LOOKALIKES)
        if verdict is None:
            return None
        foreign = verdict
    elif any(isinstance(v, External) for v in infer.values(func, Here(site.scope, site.block))):
        return None  # a foreign function of that name is not ours to judge
    for path, provider, shape in _SHAPES[tail[0]]:
        if tail[: len(path)] != path or (foreign and len(path) == 1 and shape.needs <= _EVERYDAY):
            continue
        confidence = _confidence(shape, provider, call, site.scope.module, foreign)
        if confidence is not None:
            provider = _likelier(provider, shape, site.scope.module)
            return Callee(provider.name, provider.title, shape.family, confidence)
        return None
    return None


def _tail(infer: Inference, func: ast.expr, site: Site) -> tuple[str, ...]:
    """The attribute names of a callee from the last one back, transparent ones left out.

    A name that the module binds is a variable, whose name says nothing; only an unbound one (a star import) counts.
    """
    names: list[str] = []
    outermost = func
    while isinstance(func, ast.Attribute) and len(names) < 8:
        if func.attr not in _TRANSPARENT:
            names.append(func.attr)
        func = func.value
    if isinstance(func, ast.Name) and (func is outermost or not _is_bound(func.id, site)):
        names.append(func.id)
    return tuple(names)


def _is_bound(name: str, site: Site) -> bool:
    scope: Scope | None = site.scope
    while scope is not None:
        if name in scope.bindings or name in scope.elsewhere:
            return True
        scope = scope.parent
    return False


def _is_unmistakable(tail: tuple[str, ...]) -> bool:
    """Whether the attribute names alone admit nothing else: a client may hang on anything (`ctx.bot.llm`)."""
    return any(
        shape.unseen == "likely" and not shape.needs and tail[: len(path)] == path
        for path, _, shape in _SHAPES[tail[0]]
    )


def _receiver(infer: Inference, func: ast.Attribute, site: Site, others: frozenset[str]) -> bool | None:
    """Whether the receiver is something foreign (True) or open (False); None when it is known to be no client.

    `others` are the import roots whose objects are none.
    """
    here = Here(site.scope, site.block)
    foreign = False
    node: ast.expr = func.value
    for value in infer.values(node, here):
        verdict = _known(value, others)
        if verdict is None:
            return None
        foreign = foreign or verdict
    # What the receiver hangs on tells as much: a mock's attribute is a mock.
    while isinstance(node, ast.Attribute):
        node = node.value
    if any(
        _known(value, others) is None for value in infer.values(node, here) if isinstance(value, (Instance, External))
    ):
        return None
    return foreign


def _known(value: Value, others: frozenset[str]) -> bool | None:
    match value:
        case External(path) | Instance(path):
            if path.partition(".")[0] in others:
                return None
            if isinstance(value, Instance) and value.tracked:
                return False  # made by a door: what it is called for counts, as tracked
            if isinstance(value, Instance) and index.client_class(value.cls) is not None:
                return None  # the SDK's class is known, and this is none of its generating calls
            return True
        case Items() | Tuple() | Text():
            return None
        case Other():
            return None if value not in (UNKNOWN, Other("None")) else False
        case Object():
            return False
    return False


def _confidence(
    shape: Shape, provider: Provider, call: ast.Call, module: ModuleFacts, foreign: bool
) -> Confidence | None:
    names = {k.arg for k in call.keywords if k.arg}
    evident = has_evidence(module, provider)
    if names & shape.refuses or (shape.evidence and not evident):
        return None
    if shape.needs <= names and (not shape.any_of or shape.any_of & names) and (shape.needs or shape.any_of):
        return Confidence.LIKELY
    if shape.unseen == "likely":
        return Confidence.LIKELY
    hidden = any(k.arg is None for k in call.keywords)
    if hidden and shape.unseen and names & (shape.needs | shape.any_of):
        return Confidence.LIKELY
    single = "." not in shape.path
    if single and not evident:
        return None
    by_position = single and bool(call.args) and isinstance(call.func, ast.Attribute)
    if (hidden or by_position) and shape.unseen and not foreign:
        return Confidence.LIKELY if evident else Confidence.POSSIBLE
    return None


def has_evidence(module: ModuleFacts, provider: Provider) -> bool:
    """Whether a module imports one of the provider's SDKs."""
    return any(index.under(imported, root) for imported in module.import_roots for root in provider.modules)


def _likelier(provider: Provider, shape: Shape, module: ModuleFacts) -> Provider:
    """The provider to name: one that the module imports and that has this call, else whom the shape is known by."""
    if has_evidence(module, provider):
        return provider
    for other in PROVIDERS:
        paths = (path for client in other.clients for path in client.calls)
        if has_evidence(module, other) and any(path.endswith(shape.path) for path in paths):
            return other
    return provider
