"""What became of one site while its file is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmguard.migrate.verdict import Target, Verdict

if TYPE_CHECKING:
    from llmguard.migrate.edit import Edit
    from llmguard.migrate.source import Found


class Why(NamedTuple):
    """Why a call does not move to the wrapper: a reason code ("" when it does), and the places that make it so."""

    code: str = ""
    related: tuple[str, ...] = ()


class Outcome:
    """What became of one site."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.verdict = Verdict.MANUAL
        self.target: Target | None = None
        self.reason = ""
        self.related: tuple[str, ...] = ()
        self.edits: list[Edit] = []

    def refused(self, why: Why) -> None:
        """The wrapper is not for it; another target may be."""
        self.reason, self.related = why

    def moved(self, target: Target, reason: str = "", *, review: bool = False) -> None:
        """It moved."""
        self.target, self.reason = target, reason
        self.verdict = Verdict.REVIEW if review else Verdict.MIGRATED

    def left_out(self) -> None:
        """It moves only to targets that are not asked for."""
        self.verdict, self.reason = Verdict.IGNORED, "deselected"

    def was_tracked(self) -> None:
        """Its client is on the books already, though the check cannot see it."""
        self.verdict, self.reason = Verdict.IGNORED, "tracked"

    def stays(self, reason: str) -> None:
        """It is for a human."""
        self.verdict, self.reason = Verdict.MANUAL, reason
