"""Who a call is for: the name at hand that surely holds the user's identifier."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.check.scopes import How
from llmguard.migrate import clients

if TYPE_CHECKING:
    from llmguard.check.scopes import Binding
    from llmguard.migrate.source import Found


def user_id(found: Found, names: tuple[str, ...]) -> str:
    """The first of some names, or dotted names, that is surely bound where a call stands; "" for none.

    A parameter of a function around the call is; so is a variable that the same function (or the module, for a call
    outside of functions) has set before, in the block of the call or one around it, and the variable of a loop in it.
    `self.x` is when the class sets it.
    """
    for name in names:
        root, _, attribute = name.partition(".")
        owner = clients.owner_of(found.site.scope, root)
        if owner is None or owner.is_class or root in found.source.deleted:
            continue
        bindings = owner.bindings[root]
        if any(binding.how is How.PARAMETER for binding in bindings):
            if not _is_receiver(found, root) or _is_set(found, root, attribute):
                return name
        elif owner is found.site.scope and any(_is_sure(found, root, binding) for binding in bindings):
            return name
    return ""


def _is_sure(found: Found, name: str, binding: Binding) -> bool:
    """Whether a binding has surely happened when the call is reached."""
    call = found.site.node
    if binding.how is How.VALUE and binding.node is not None:
        ended = binding.node.end_lineno or binding.line
        return ended < call.lineno and binding.block.holds(found.site.block)
    if binding.how is How.ELEMENT:
        return any(
            isinstance(loop, (ast.For, ast.AsyncFor))
            and name in {node.id for node in ast.walk(loop.target) if isinstance(node, ast.Name)}
            and loop.body[0].lineno <= call.lineno <= (loop.body[-1].end_lineno or 0)
            for loop in found.source.ancestors(call)
        )
    return False


def _is_receiver(found: Found, name: str) -> bool:
    return clients.class_of_self(found.site.scope, name) is not None


def _is_set(found: Found, receiver: str, attribute: str) -> bool:
    """Whether the class round a call sets an attribute of its instances itself."""
    owner = clients.class_of_self(found.site.scope, receiver)
    first = attribute.partition(".")[0]
    return owner is not None and bool(first) and (first in owner.attributes or first in owner.bindings)
