"""What a migration did or would do, as JSON and as Markdown."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from llmguard.migrate.verdict import REASONS, Verdict
from llmguard.printable import markdown as text_of
from llmguard.printable import markdown_code, printable

if TYPE_CHECKING:
    from llmguard.migrate.plan import Plan
    from llmguard.migrate.verdict import Decision

_ORDER = (Verdict.MIGRATED, Verdict.REVIEW, Verdict.MANUAL, Verdict.IGNORED)


def as_json(plan: Plan) -> dict[str, Any]:
    """The documented object."""
    return {
        "version": 1,
        "sites": [decision.as_json() for decision in plan.decisions],
        "renames": [renamed.as_json() for renamed in plan.renames],
        "files_changed": [printable(change.path) for change in plan.changes],
        "files_moved": [{"from": _shown(old), "to": _shown(new)} for old, new in plan.moves],
        "files_created": [_shown(path) for path, _ in plan.created],
        "errors": [{"path": printable(path), "message": printable(message)} for path, message in plan.errors],
    }


def _shown(path: str) -> str:
    return printable(os.path.relpath(path))


def counts(plan: Plan) -> dict[str, int]:
    """Verdict -> how many sites have it."""
    found = Counter(decision.verdict for decision in plan.decisions)
    return {verdict.value: found[verdict] for verdict in _ORDER}


def by_file(plan: Plan) -> dict[str, list[Decision]]:
    """Path -> the sites of the file that are not ignored."""
    groups: dict[str, list[Decision]] = {}
    for decision in plan.decisions:
        if decision.verdict is not Verdict.IGNORED:
            groups.setdefault(decision.path, []).append(decision)
    return groups


def explained(reason: str) -> str:
    """What a reason code means."""
    return REASONS.get(reason, reason)


def markdown(plan: Plan, *, written: bool) -> Iterator[str]:
    """Lines fit for the description of a pull request."""
    number = counts(plan)
    yield "## Language-model calls on the books"
    yield ""
    verb = "moved" if written else "would move"
    moved = number["migrated"] + number["migrated-review"]
    yield f"{moved} calls {verb}, {number['manual']} are left to do by hand, {number['ignored']} needed nothing."
    yield ""
    yield "| file | line | call | verdict | target | reason |"
    yield "|---|---|---|---|---|---|"
    for path, decisions in by_file(plan).items():
        for decision in decisions:
            target = decision.target.value if decision.target is not None else ""
            cells = (
                markdown_code(path),
                str(decision.line),
                markdown_code(decision.callee),
                decision.verdict.value,
                target,
                ", ".join(decision.notes),
            )
            yield f"| {' | '.join(cells)} |"
    said = {note for decision in plan.decisions for note in decision.notes}
    reasons = sorted(said & REASONS.keys() - {"tracked"})
    if reasons:
        yield ""
        for reason in reasons:
            yield f"- `{reason}`: {explained(reason)}"
    if plan.renames:
        yield ""
        for renamed in plan.renames:
            now = f"stays: {text_of(renamed.refused)}" if renamed.refused else f"is now {markdown_code(renamed.new)}"
            yield f"- {markdown_code(renamed.old)} {now}"
    if plan.errors:
        yield ""
        for path, message in plan.errors:
            yield f"- {markdown_code(path)}: {text_of(message)}"
