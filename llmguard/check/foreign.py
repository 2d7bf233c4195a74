"""What calling something foreign gives: SDK clients first of all, and the few library calls that hand a client on."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check import annotated, attributes, bindings
from llmguard.check.strings import joined_url, texts_of
from llmguard.check.values import (
    ANYTHING,
    HOLE,
    NOTHING,
    OWN_APPLICATION,
    Class,
    External,
    Here,
    Instance,
    Items,
    Object,
    Partial,
    Perhaps,
    Text,
    Value,
    Values,
)
from llmguard.doors import TRACK_CLIENT
from llmguard.providers import index, vocabulary
from llmguard.providers.lookalikes import PASS_THROUGH

if TYPE_CHECKING:
    from llmguard.check.infer import Inference

_PARTIALS = frozenset({"functools.partial", "functools.partialmethod"})
_IMPORTERS = frozenset({"importlib.import_module", "builtins.__import__"})
_FIELDS = frozenset({"field", "Field", "PrivateAttr", "ib", "attrib", "Factory", "mapped_column"})
_INJECTED = frozenset({"Depends", "Security", "Provide", "Inject"})
_SEQUENCES = frozenset(
    {"list", "tuple", "set", "frozenset", "iter", "sorted", "reversed", "filter", "cycle", "repeat", "deque", "chain"}
)
_BASE_URLS = ("base_url", "azure_endpoint", "api_base", "endpoint", "host", "url")


def foreign_result(infer: Inference, callee: External | Instance, node: ast.Call, here: Here) -> Values:
    """What calling a foreign callable may give."""
    if isinstance(callee, Instance):
        return _method_result(infer, callee, node, here)
    path = callee.path
    root, _, name = path.rpartition(".")
    if path in vocabulary.current.client_makers:
        return frozenset((Instance(path, tracked=True),))
    if path in TRACK_CLIENT:
        return frozenset(
            v._replace(tracked=True) if isinstance(v, Instance) else v for v in _argument(infer, node, 0, here)
        )
    if path in PASS_THROUGH:
        passed = _argument(infer, node, PASS_THROUGH[path], here)
        if name == "cast":
            declared = annotated.instances_of(infer, node.args[0], here) if node.args else ANYTHING
            return passed | declared if passed and passed != ANYTHING else declared
        also: Values = frozenset((Instance("instructor.Instructor"),)) if root == "instructor" else NOTHING
        return passed | also
    if name == "urljoin":
        return joined_url(infer, node, here)
    if path in _PARTIALS:
        return frozenset(Partial(v) for v in _argument(infer, node, 0, here)) or ANYTHING
    if path in _IMPORTERS or ("import" in name.lower() and not _is_sdk(path)):
        return _imported(infer, node, here)
    if name in _FIELDS:
        return _field(infer, node, here)
    if name == "ContextVar":
        kept = infer.union([k.value for k in node.keywords if k.arg == "default"], here)
        return frozenset((Items(kept),)) if kept else ANYTHING
    if name in _INJECTED:
        return frozenset().union(*(_called(infer, v, node, here) for v in _argument(infer, node, 0, here))) or ANYTHING
    if root in ("builtins", "itertools", "collections", "typing", "typing_extensions"):
        return _builtin(infer, name, node, here)
    made = index.made_by(path, _constants(infer, node, here))
    if made is not None:
        return frozenset((Instance(made),))
    # A class method that gives an instance: `GenerativeModel.from_pretrained(...)`.
    known = index.client_class(root) if root else None
    if known is not None and index.plain(known[0], (name,)) in known[1].returns:
        return _method_result(infer, Instance(root, (name,)), node, here)
    base_url = _base_url(infer, node, here)
    result: Value = Instance(path, (), base_url, plain=_is_plain(node, base_url))
    return frozenset((result, *_perhaps_sdk(node))) if known is None else frozenset((result,))


def _perhaps_sdk(node: ast.Call) -> list[Value]:
    """`require("anthropic")`: a helper that nobody can look into may give the SDK that it is told to."""
    first = node.args[0] if node.args else None
    if isinstance(first, ast.Constant) and isinstance(first.value, str) and _is_sdk(first.value):
        return [Perhaps(first.value)]
    return []


def _is_sdk(path: str) -> bool:
    return bool(index.owners(path))


def _method_result(infer: Inference, callee: Instance, node: ast.Call, here: Here) -> Values:
    if not callee.path:
        return frozenset((callee._replace(path=("()",)),))
    known = index.client_class(callee.cls)
    if known is not None:
        provider, client = known
        returned = client.returns.get(index.plain(provider, callee.path))
        if returned == "":
            options = _base_url(infer, node, here)
            plain = callee.plain and not node.args and not node.keywords
            return frozenset((callee._replace(path=(), base_url=options or callee.base_url, plain=plain),))
        if returned is not None:
            root = index.owners(callee.cls)[0][0]
            return frozenset((callee._replace(cls=f"{root}.{returned}", path=()),))
    if callee.path[-1] in ("__enter__", "__aenter__", "__await__"):
        return frozenset((callee._replace(path=callee.path[:-1]),))
    if callee.path[-1] in ("enter_context", "enter_async_context"):
        return _argument(infer, node, 0, here) or ANYTHING
    made = index.made_by(".".join((callee.cls, *callee.path)), _constants(infer, node, here))
    if made is not None:
        return frozenset((Instance(made),))
    if len(callee.path) >= attributes.LONGEST:
        return ANYTHING
    return frozenset((callee._replace(path=(*callee.path, "()")),))


def _argument(infer: Inference, node: ast.Call, position: int, here: Here) -> Values:
    positional = [a for a in node.args if not isinstance(a, ast.Starred)]
    if position < len(positional):
        return infer.values(positional[position], here)
    for keyword in node.keywords:
        if keyword.arg in ("client", "func", "dependency"):
            return infer.values(keyword.value, here)
    return NOTHING


def _called(infer: Inference, value: Value, node: ast.Call, here: Here) -> Values:
    """What calling a value without arguments gives."""
    from llmguard.check.results import result_of  # results needs this module

    empty = ast.copy_location(ast.Call(func=node.func, args=[], keywords=[]), node)
    return result_of(infer, value, empty, here)


def _field(infer: Inference, node: ast.Call, here: Here) -> Values:
    """A dataclass or pydantic field: what its default or its factory gives."""
    found: set[Value] = set()
    for keyword in node.keywords:
        if keyword.arg in ("default_factory", "factory"):
            for value in infer.values(keyword.value, here):
                found |= _called(infer, value, node, here)
        elif keyword.arg == "default":
            found |= infer.values(keyword.value, here)
    if node.args:
        found |= infer.values(node.args[0], here)
    return frozenset(found) or ANYTHING


def _imported(infer: Inference, node: ast.Call, here: Here) -> Values:
    """`importlib.import_module("openai")` and foreign helpers with "import" in their name."""
    found: set[Value] = set()
    for argument in [*node.args[:2], *(k.value for k in node.keywords[:2])]:
        for value in infer.values(argument, here):
            if isinstance(value, Text) and HOLE not in value.text and value.text.strip():
                module = infer.project.absolute(value.text, here.scope.module.path)
                if module is not None:
                    from llmguard.check.values import Project

                    infer.pin(module)
                    found.add(Project(module))
                elif value.text.replace(".", "").isidentifier() and (not found or _is_sdk(value.text)):
                    found.add(External(value.text))
    return frozenset(found) or ANYTHING


def _builtin(infer: Inference, name: str, node: ast.Call, here: Here) -> Values:
    positional = [a for a in node.args if not isinstance(a, ast.Starred)]
    if name == "getattr" and len(positional) >= 2:
        found: set[Value] = set()
        names = [t for t in texts_of(infer, positional[1], here) if t.isidentifier()]
        for value in infer.values(positional[0], here):
            for attribute in names:
                found |= attributes.member(infer, value, attribute, here)
        if len(positional) > 2 and not found:
            found |= infer.values(positional[2], here)
        return frozenset(found) or ANYTHING
    if name == "type" and len(positional) == 1:
        kinds = infer.values(positional[0], here)
        return (
            frozenset(
                Class(v.scope) if isinstance(v, Object) else External(v.cls)
                for v in kinds
                if isinstance(v, Object) or (isinstance(v, Instance) and not v.path)
            )
            or ANYTHING
        )
    if name in ("next", "max", "min", "choice") and positional:
        return bindings.elements(infer, infer.values(positional[0], here)) or ANYTHING
    if name in _SEQUENCES and positional:
        return frozenset(
            (Items(bindings.elements(infer, infer.values(positional[-1 if name == "filter" else 0], here))),)
        )
    if name in ("dict", "OrderedDict", "defaultdict", "ChainMap") and node.keywords:
        return frozenset((Items(infer.union([k.value for k in node.keywords], here)),))
    if name in ("staticmethod", "classmethod") and positional:
        return infer.values(positional[0], here)
    if name == "TypeVar":
        bound = next((k.value for k in node.keywords if k.arg == "bound"), None)
        return (
            annotated.instances_of(infer, bound, here)
            if bound is not None
            else infer.union(positional[1:], here) or ANYTHING
        )
    if name == "NewType" and len(positional) == 2:
        return infer.values(positional[1], here)
    return frozenset((Instance(f"builtins.{name}"),)) if name in ("object", "property") else ANYTHING


def _constants(infer: Inference, node: ast.Call, here: Here) -> dict[int | str, str]:
    """The arguments of a call that are one known text, by position and keyword."""
    pairs: list[tuple[int | str, ast.expr]] = [*enumerate(node.args[:3])]
    pairs += [(k.arg, k.value) for k in node.keywords if k.arg]
    found: dict[int | str, str] = {}
    for key, argument in pairs[:12]:
        texts = texts_of(infer, argument, here)
        if len(texts) == 1 and HOLE not in texts[0]:
            found[key] = texts[0]
    return found


def _is_plain(node: ast.Call, base_url: str) -> bool:
    """Whether a client is made with nothing but a key, and perhaps a place, which then is known."""
    given = {keyword.arg for keyword in node.keywords}
    return not node.args and given <= {"api_key", "base_url"} and ("base_url" not in given or bool(base_url))


def _base_url(infer: Inference, node: ast.Call, here: Here) -> str:
    """The base URL that a client (or the URL that a request) is made with, as far as it is known; holes are left in."""
    if getattr(node.func, "attr", getattr(node.func, "id", "")) == "Request" and node.args:
        return texts_of(infer, node.args[0], here)[0]
    for keyword in node.keywords:
        if keyword.arg in _BASE_URLS:
            known = [t for t in texts_of(infer, keyword.value, here) if t.strip(HOLE)]
            if known:
                return known[0]
        elif keyword.arg in ("transport", "app"):
            return OWN_APPLICATION
    if node.args and getattr(node.func, "attr", "") == "ClientSession":
        return texts_of(infer, node.args[0], here)[0].strip(HOLE)
    return ""
