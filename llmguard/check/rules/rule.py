"""The type of a rule: which calls it is about, and what it says."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from llmguard.check.finding import Callee, Severity


class Rule(NamedTuple):
    """A rule. Its module's docstring is its documentation, under fixed headings; `llmguard explain` prints it.

    Attributes:
        code: stable code, `LLG` and three digits.
        slug: name that reads as "allow ...".
        summary: one line for lists.
        severity: how much it matters unless configured otherwise.
        applies: whether a call is the rule's; None for rules that are not about calls.
    """

    code: str
    slug: str
    summary: str
    severity: Severity = Severity.WARNING
    applies: Callable[[Callee], bool] | None = None
