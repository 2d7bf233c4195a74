"""What a call is charged: by which limits and budgets, on which counters, how much."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from llmguard.usage.limits.counting import Charge
from llmguard.usage.limits.limit import Limit
from llmguard.usage.limits.reserve import Ask, reserved

if TYPE_CHECKING:
    from llmguard.usage.limits.rules import Rules, Scope
    from llmguard.usage.limits.runs import Open


class Held(NamedTuple):
    """A charge of a call, and what it is charged for.

    Attributes:
        charge: to be reserved.
        limit: that it is for, None for a budget.
        scope: what the call is, in the scope of the limit.
        budget: that it is for.
    """

    charge: Charge
    limit: Limit | None
    scope: Scope = ()
    budget: Open | None = None

    @property
    def says(self) -> str:
        """The limit in words."""
        if self.budget is not None:
            return self.budget.says(self.charge.kind)
        assert self.limit is not None
        return self.limit.says(self.scope)

    @property
    def is_closed(self) -> bool:
        """Whether the call is refused when the database is gone."""
        return (self.budget or self.limit).on_outage == "closed"  # type: ignore[union-attr]


def charges_of(rules: Rules, fields: Mapping[str, Any], request: Any, prompt: int) -> list[Held]:
    """What a call would be charged by limits.

    Args:
        rules: that are enforced.
        fields: columns of its row.
        request: its body.
        prompt: the estimate of its tokens.

    Raises:
        RateLimitExceeded: its model has no known price, and a limit refuses such.
    """
    return charged(rules, fields, Ask(fields, request, prompt), (), strict=True)


def charged(
    rules: Rules, fields: Mapping[str, Any], ask: Ask, budgets: tuple[Open, ...], *, strict: bool
) -> list[Held]:
    """What a call is charged by limits and budgets, in the order of keys.

    Args:
        rules, fields: see `charges_of`.
        ask: what it may take.
        budgets: that are open round it.
        strict: whether a model without a known price may be refused.

    Raises:
        RateLimitExceeded: it is.
    """
    found = []
    for limit, scope in rules.of(fields):
        start, end = rules.span(limit)
        policy = limit.unpriced if strict else "allow"
        taken = reserved(limit.kind, policy, ask, partial(limit.says, scope))
        found.append(Held(Charge(limit.key(scope), start, end, limit.kind, taken, limit.most), limit, scope))
    for budget in budgets:
        for kind, most in budget.most.items():
            policy = budget.unpriced if strict else "allow"
            taken = reserved(kind, policy, ask, partial(budget.says, kind))
            found.append(Held(Charge(budget.key(kind), 0, 0, kind, taken, most), None, (), budget))
    return sorted(found, key=lambda each: each.charge[:2])
