"""What became of one site while its file is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.migrate.verdict import Target, Verdict

if TYPE_CHECKING:
    from llmguard.migrate.edit import Edit
    from llmguard.migrate.source import Found


class Outcome:
    """What became of one site."""

    def __init__(self, found: Found) -> None:
        self.found = found
        self.verdict = Verdict.MANUAL
        self.target: Target | None = None
        self.reason = ""
        self.edits: list[Edit] = []

    def moved(self, target: Target, reason: str = "", *, review: bool = False) -> None:
        """It moved."""
        self.target, self.reason = target, reason
        self.verdict = Verdict.REVIEW if review else Verdict.MIGRATED

    def stays(self, reason: str) -> None:
        """It is for a human."""
        self.verdict, self.reason = Verdict.MANUAL, reason
