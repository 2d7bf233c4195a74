"""What became of a call site: a verdict, the target it moved to, and the reason when it did not."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from llmguard.printable import printable


class Verdict(str, Enum):
    """Every site that the finder reports has one."""

    MIGRATED = "migrated"
    REVIEW = "migrated-review"  # runs the same; a human should look
    MANUAL = "manual"
    IGNORED = "ignored"  # on the books already, suppressed, or left out by the settings

    def __str__(self) -> str:
        return self.value


class Target(str, Enum):
    """Where a call can move, best first."""

    WRAPPER = "to-wrapper"
    USING = "using"
    CLIENT = "to-tracked-client"
    TRACKER = "wrap-in-tracker"

    def __str__(self) -> str:
        return self.value


#: Reason code -> what it means, and what to do. A code is on a site that is manual, or that moved to a lesser target.
REASONS: dict[str, str] = {
    "async-context-needed": "the call would have to be awaited where nothing can be: use the synchronous twin",
    "blocks-loop": "the call blocks the event loop, as it did; awaited (--await), it would let others in between",
    "bound-method-reference": "the method is kept or passed on: track its client, or put its call into a tracker block",
    "cannot-round-trip": "the file does not come back byte for byte: migrate it by hand",
    "client-conditional": "the client is made on a condition, late, or with more on its line: it stays",
    "client-elsewhere": "the client is made elsewhere, and stays",
    "client-escapes": "the client is used for something else too: it stays",
    "client-flag": "the client is also a flag (`if client`): it stays",
    "client-guarded": "the error of making the client is handled apart from the calls: it stays",
    "client-headers": "an option of the client cannot be said at the call: the client stays",
    "comments": "comments stand inside what would go: it stays",
    "custom-endpoint": "the base URL is known only at run time: the client stays",
    "deselected": "left out by --only, --exclude or --provider",
    "foreign-statement": "the statement cannot be moved into a block: wrap it by hand in llm_tracker.track_llm_call()",
    "fstring": "the call stands in an f-string: it stays, on a client that is tracked",
    "injected-client": "the client comes from outside, and stays",
    "kwargs-opaque": "unpacked arguments may hold names of the wrapper's: the call stays, on a view of its client",
    "logged-by-hand": "usage is logged by hand too, and stays: the call is counted twice there",
    "model-unknown": "the model may be None, which the wrapper would not send: the call stays, on a view of its client",
    "no-user-id": "no user id was found: the row has none (--user-id names what holds it)",
    "no-user-id-everywhere": "some of the callers have no user id: their rows have none",
    "notebook": "notebooks are not written: use track(client) in the cell that makes the client",
    "parse-api": "the wrapper has no such method: the call stays as it is, on a view of its client",
    "provider-dynamic": "the provider is known only at run time: the client stays",
    "raw-response": "the raw response is asked for: the call stays as it is, on a view of its client",
    "suppressed": "a comment or the configuration says that it stays",
    "syntax-error": "the file, or this part of it, cannot be parsed",
    "test-patches-target": "tests replace the client: it stays",
    "tracked": "on the books already",
    "unawaited-coroutine": "the coroutine is not awaited where it is made: the call stays, on a view of its client",
    "unresolved-client": "the client is not known for sure: the call is recorded if it is one",
    "user-attribute": "the user's identifier is read from an attribute at the call: is it always there?",
    "yields-now": "a blocking call that now yields to the loop",
}


class Decision(NamedTuple):
    """The verdict on one site; the fields are those of the JSON report.

    Attributes:
        path: of the file, as the check shows it.
        line, end_line: of the callee, in the file before the edit.
        callee: as written.
        site: identity without line numbers, as the check has it.
        verdict: see `Verdict`.
        target: where it moved, None when it did not.
        reason: a code of `REASONS`, the first of `notes`; "" when there is nothing to say.
        before, after: the statement's text; `after` is "" for a site that stays.
        related: "path:line" of what the reason speaks of, in other files: tests that replace the client, say.
        notes: all the codes of `REASONS` that hold, the most important one first.
    """

    path: str
    line: int
    end_line: int
    callee: str
    site: str
    verdict: Verdict
    target: Target | None = None
    reason: str = ""
    before: str = ""
    after: str = ""
    related: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """The documented object."""
        return {
            **self._asdict(),
            "path": printable(self.path),
            "site": printable(self.site),
            "related": [printable(place) for place in self.related],
            "notes": list(self.notes),
            "verdict": self.verdict.value,
            "target": self.target.value if self.target is not None else "",
        }
