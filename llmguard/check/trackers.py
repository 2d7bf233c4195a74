"""Context managers and decorators that put the calls inside them on the books."""

from __future__ import annotations

import ast

from llmguard.check.module import dotted
from llmguard.check.scopes import How, Scope, last_name
from llmguard.doors import TRACKER_BLOCKS
from llmguard.providers import vocabulary


def is_tracker(node: ast.expr, scope: Scope) -> bool:
    """Whether an expression (a call, or a decorator) is a tracker: llmguard's by its name, one's own by its import.

    A name that is not imported (an object's attribute, say) is judged by its last part.
    """
    if last_name(node) in TRACKER_BLOCKS:
        return True
    own = [door.name for door in vocabulary.current.own_doors if door.kind == "tracker"]
    if not own:
        return False
    while isinstance(node, ast.Call):
        node = node.func
    path = _imported(dotted(node), scope)
    if path is None:
        return any(last_name(node) == name.rpartition(".")[2] for name in own)
    return any(name == path or name.endswith("." + path) for name in own)


def _imported(name: str, scope: Scope) -> str | None:
    """The dotted path that an imported name stands for (without the package of a relative import), else None."""
    first, _, rest = name.partition(".")
    inner: Scope | None = scope
    while inner is not None:
        for binding in inner.bindings.get(first, ()):
            if binding.imported is not None and binding.how in (How.IMPORT, How.FROM):
                parts = (binding.imported.module, binding.imported.name, rest)
                return ".".join(part for part in parts if part)
        inner = inner.parent
    return None
