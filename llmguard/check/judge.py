"""What a call reaches: by resolution first, by shape and keywords where resolution ends."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check import web_requests
from llmguard.check.finding import Callee, Confidence
from llmguard.check.infer import Inference
from llmguard.check.module import dotted
from llmguard.check.scopes import How, last_name
from llmguard.check.shapes import by_shape
from llmguard.check.tracked import door_entry, door_reached
from llmguard.check.values import (
    UNKNOWN,
    Class,
    External,
    Function,
    Here,
    Instance,
    Object,
    Other,
    Partial,
    Project,
    Value,
    Values,
)
from llmguard.doors import TRACK_CLIENT, WRAPPED, is_trackable
from llmguard.providers import Family, Provider, index, vocabulary
from llmguard.providers.lookalikes import INVOKERS, STAND_INS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmguard.check.module import ModuleFacts, Site
    from llmguard.check.project import Project as ProjectModules


class Judge:
    """Decides for one module. `candidates` gives every expression that reaches a model, with what it reaches."""

    def __init__(self, facts: ModuleFacts, project: ProjectModules) -> None:
        self.facts = facts
        self.infer = Inference(project)
        self.infer.pin(facts)
        self.names = vocabulary.current.method_names | web_requests.NAMES

    def candidates(self) -> list[tuple[ast.expr, Site, Callee]]:
        """(callee expression, where, what) of every call and mention that reaches a model."""
        found: dict[int, tuple[ast.expr, Site, Callee]] = {}
        for site in self.facts.calls:
            node = site.node
            if isinstance(node, ast.Call) and self._worth_asking(node, site):
                self.infer.refill()
                for expression, callee in self._called(node, site):
                    found.setdefault(id(expression), (expression, site, callee))
        for site in self.facts.mentions:
            if id(site.node) not in found:
                self.infer.refill()
                mentioned = self.of_mention(site)
                if mentioned is not None:
                    found[id(site.node)] = (site.node, site, mentioned)
        return self._without_kept(list(found.values()))

    def _without_kept(self, found: list[tuple[ast.expr, Site, Callee]]) -> list[tuple[ast.expr, Site, Callee]]:
        """Without the mentions that only give a callable a name here: the calls of that name are found themselves."""
        called = {dotted(expression) for expression, _, callee in found if not callee.reference} - {""}
        return [
            (expression, site, callee)
            for expression, site, callee in found
            if not (callee.reference and called & _kept_names(expression, site.statement))
        ]

    def _worth_asking(self, node: ast.Call, site: Site) -> bool:
        """Whether the last names of a callee leave it open that it reaches a model. Cheap, for most calls do not."""
        func = node.func
        if isinstance(func, ast.Name):
            if func.id in self.names or func.id in self.facts.aliases:
                return True
            if func.id == "getattr":
                return len(node.args) > 1 and getattr(node.args[1], "value", None) in self.names
            bound = site.scope.module.scope.bindings.get(func.id)
            return bound is not None and bound[0].how in (How.FROM, How.VALUE)
        if not isinstance(func, ast.Attribute):
            return True
        if func.attr in self.facts.aliases or func.attr in _INVOKER_NAMES:
            return True
        if func.attr in self.names:
            before = vocabulary.current.previous_names.get(func.attr)
            return before is None or last_name(func.value) in before
        if not isinstance(func.value, ast.Name):
            return False
        owner = site.scope.enclosing_class()
        if owner is not None and func.value.id == "self":
            # Not the class's own: a base in another module may have put a method there.
            return bool(owner.node.bases) and func.attr not in owner.bindings and func.attr not in owner.attributes
        bound = site.scope.module.scope.bindings.get(func.value.id)
        return bound is not None and bound[0].how in (How.FROM, How.IMPORT)

    def _called(self, node: ast.Call, site: Site) -> Iterable[tuple[ast.expr, Callee]]:
        callee = self.of_call(node, site)
        if callee is not None:
            yield node.func, callee
            return
        if isinstance(node.func, ast.Name) and node.func.id == "getattr":
            taken = self._resolved(self.infer.values(node, Here(site.scope, site.block)))
            if taken is not None:
                yield node, self._on_the_books(taken, site)._replace(reference=True)
            return
        handed = self._handed_over(node, site)
        if handed is not None:
            target = self._resolved(self.infer.values(handed, Here(site.scope, site.block)))
            if target is None and isinstance(handed, ast.Attribute):
                target = by_shape(self.infer, handed, node, site)
            if target is not None:
                if self._is_tracked(handed, Here(site.scope, site.block)):
                    target = target._replace(tracked="on a tracked client")
                yield handed, self._on_the_books(target, site)

    def of_call(self, node: ast.Call, site: Site) -> Callee | None:
        """What a call reaches, None when it is no model."""
        here = Here(site.scope, site.block)
        values = self.infer.values(node.func, here)
        target = self._resolved(values)
        if target is None and not _settled(values):
            target = web_requests.of_request(self.infer, node, site)
            if target is None:
                target = by_shape(self.infer, node.func, node, site)
        if target is None:
            return None
        if any(isinstance(value, Instance) and value.tracked for value in values) or self._is_tracked(node.func, here):
            target = target._replace(tracked="on a tracked client")
        return self._on_the_books(target, site)

    def _is_tracked(self, node: ast.expr, here: Here) -> bool:
        """Whether a path begins with `track(...)`, of a client that nobody knows perhaps."""
        while isinstance(node, ast.Attribute):
            node = node.value
        if not isinstance(node, ast.Call):
            return False
        return any(isinstance(v, External) and v.path in TRACK_CLIENT for v in self.infer.values(node.func, here))

    def of_mention(self, site: Site) -> Callee | None:
        """What a callable that is passed on, or kept, would reach."""
        target = self._resolved(self.infer.values(site.node, Here(site.scope, site.block)))
        if target is None:
            return None
        return self._on_the_books(target, site)._replace(reference=True)

    def _handed_over(self, node: ast.Call, site: Site) -> ast.expr | None:
        """The argument that a call calls: `asyncio.to_thread(f)`, `loop.run_in_executor(None, f)`."""
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        position = INVOKERS.get(name)
        if position is None and name in _INVOKER_NAMES:
            for value in self.infer.values(node.func, Here(site.scope, site.block)):
                if isinstance(value, External) and value.path in INVOKERS:
                    position = INVOKERS[value.path]
        if position is None or position >= len(node.args):
            return None
        argument = node.args[position]
        return argument if isinstance(argument, (ast.Attribute, ast.Name)) else None

    def _on_the_books(self, target: Callee, site: Site) -> Callee:
        if not target.tracked and site.block.tracked:
            return target._replace(tracked="inside a tracker block")
        return target

    def _resolved(self, values: Values) -> Callee | None:
        """The generating callable among these values; the most telling one where there are several."""
        hits: list[tuple[int, str, Provider, Family, str]] = []
        wrapped: set[str] = set()
        trackable = True
        for value in values:
            hit = generating(value)
            if hit is not None:
                provider, family, instance = hit
                door = door_reached(value) if provider.name == vocabulary.THROUGH_DOOR else ""
                url = instance.base_url if instance is not None else ""
                tracked = f"through {door}" if door else ""
                if instance is not None and instance.tracked:
                    tracked = "on a tracked client"
                served = index.by_host(url) if url and provider.dialect in ("openai", "azure_openai") else None
                provider = served or provider
                wrapped.add(_wrapped(value, provider, family, is_served=served is not None or not url))
                trackable &= instance is not None and is_trackable(instance.cls)
                hits.append((vocabulary.current.order[provider.name], provider.name, provider, family, tracked))
        if not hits:
            return None
        _, _, provider, family, tracked = min(hits, key=lambda hit: (hit[0], hit[1], hit[3]))
        stand_in = wrapped.pop() if len(wrapped) == 1 else ""
        return Callee(
            provider.name,
            provider.title,
            family,
            Confidence.PROVED,
            tracked=tracked,
            wrapped=stand_in,
            trackable=trackable,
        )


def _wrapped(value: Value, provider: Provider, family: Family, *, is_served: bool) -> str:
    """The provider that the wrapper must be told to send what a value sends, "" when it cannot send it.

    Args:
        value: what is called.
        provider: who answers.
        family: of the call.
        is_served: the client's place is its SDK's own, or that of a provider that is known.
    """
    match value:
        case External("litellm.completion" | "litellm.acompletion"):
            return "litellm"
        case Instance(cls, path, plain=True) if cls in WRAPPED and is_served:
            _, shape, _ = WRAPPED[cls]
            method = ("messages", "create") if shape == "messages" else ("chat", "completions", "create")
            known = provider.dialect == ("anthropic" if shape == "messages" else "openai")
            return provider.name if path == method and known else ""
    return ""


def _kept_names(expression: ast.expr, statement: ast.stmt) -> set[str]:
    """The dotted texts of the variables and attributes that an assignment gives the bare expression to."""
    if isinstance(statement, (ast.Assign, ast.AnnAssign)) and statement.value is expression:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {dotted(target) for target in targets}
    return set()


_INVOKER_NAMES = frozenset(path.rpartition(".")[2] for path in INVOKERS)


def generating(value: Value) -> tuple[Provider, Family, Instance | None] | None:
    """What calling a value generates, with the client it is called on."""
    match value:
        case External(path):
            hit = index.function(path)
            return (*hit, None) if hit is not None else None
        case Instance(cls, path):
            known = index.generates(cls, path)
            return (*known, value) if known is not None else None
        case Partial(target):
            return generating(target)
        case Function(scope):
            entry = door_entry(scope)
            return (vocabulary.current.providers[-1], entry[2], None) if entry is not None else None
    return None


def _settled(values: Values) -> bool:
    """Whether what is called is known well enough to say that it is no model by itself."""
    known = [v for v in values if v != UNKNOWN and v != Other("None")]
    if any(isinstance(v, (Function, Class, Object, Project)) for v in known):
        return True
    for value in known:
        path = value.path if isinstance(value, External) else value.cls if isinstance(value, Instance) else ""
        if path.partition(".")[0] in STAND_INS:
            return True
        if isinstance(value, Instance) and index.client_class(value.cls) is not None:
            return True
    return False
