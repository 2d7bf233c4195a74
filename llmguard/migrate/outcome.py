"""What became of one site while its file is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from llmguard.migrate.verdict import Target, Verdict

if TYPE_CHECKING:
    from llmguard.migrate.edit import Edit
    from llmguard.migrate.source import Found


class Why(NamedTuple):
    """Why a client cannot go: a reason code ("" when it can), and the places that make it so."""

    code: str = ""
    related: tuple[str, ...] = ()


class Outcome:
    """What became of one site."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.verdict = Verdict.MANUAL
        self.target: Target | None = None
        self.notes: tuple[str, ...] = ()
        self.related: tuple[str, ...] = ()
        self.edits: list[Edit] = []

    @property
    def reason(self) -> str:
        """The most important of what is to be said of it."""
        return self.notes[0] if self.notes else ""

    def refused(self, why: Why) -> None:
        """Its client cannot go; the call may move all the same."""
        self.notes, self.related = ((why.code,) if why.code else ()), why.related

    def moved(self, target: Target, *notes: str, review: bool = False) -> None:
        """It moved. Notes are reason codes, the most important one first."""
        self.target, self.notes = target, tuple(dict.fromkeys(note for note in notes if note))
        self.verdict = Verdict.REVIEW if review else Verdict.MIGRATED

    def left_out(self) -> None:
        """It moves only to targets that are not asked for."""
        self.verdict, self.notes = Verdict.IGNORED, ("deselected",)

    def was_tracked(self) -> None:
        """Its client is on the books already, though the check cannot see it."""
        self.verdict, self.notes = Verdict.IGNORED, ("tracked",)

    def stays(self, reason: str) -> None:
        """It is for a human."""
        self.verdict, self.notes = Verdict.MANUAL, (reason,)
