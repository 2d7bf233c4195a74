"""What `check --fix` and `suppress` write: suppression comments that go, and comments that come."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check.edit import decoded, edited, inserted, same_program
from llmguard.check.reading import parse_strictly
from llmguard.check.suppress import extent
from llmguard.errors import UncheckableError
from llmguard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from llmguard.check.finding import Finding


class Change(NamedTuple):
    """A file before and after, with the findings that the change settles."""

    path: str
    before: bytes
    after: bytes
    findings: tuple[Finding, ...]


class Refusal(NamedTuple):
    """A file that is left as it is, and why."""

    path: str
    reason: str


def fixes(findings: Iterable[Finding]) -> tuple[list[Change], list[Refusal]]:
    """The changes that settle those of the findings that have a fix."""
    changes: list[Change] = []
    refusals: list[Refusal] = []
    for path, group in _by_path(f for f in findings if f.fix is not None):
        try:
            before = _read(path, group)
            after = edited(before, [(f.region, f.fix or "") for f in group])
        except UncheckableError as error:
            refusals.append(Refusal(path, str(error)))
            continue
        if same_program(before, after):
            changes.append(Change(path, before, after, tuple(group)))
        else:
            refusals.append(Refusal(path, "cannot be edited: the file would not parse to the same program"))
    return changes, refusals


def suppressions(findings: Iterable[Finding], reason: str) -> tuple[list[Change], list[Refusal]]:
    """The changes that put a suppression comment with a reason above each finding's statement."""
    changes: list[Change] = []
    refusals: list[Refusal] = []
    for path, group in _by_path(f for f in findings if f.site):
        try:
            before = _read(path, group)
            after = inserted(before, _comments(before, group, reason))
        except UncheckableError as error:
            refusals.append(Refusal(path, str(error)))
            continue
        if same_program(before, after):
            changes.append(Change(path, before, after, tuple(group)))
        else:
            refusals.append(Refusal(path, "a comment above the statement would change the program; write it by hand"))
    return changes, refusals


def _comments(data: bytes, findings: list[Finding], reason: str) -> dict[int, str]:
    """Line -> comment to put above it."""
    statements = list(_extents(parse_strictly(decoded(data)[1].removeprefix("\ufeff"))))
    codes: dict[int, set[str]] = {}
    for finding in findings:
        around = [span for span in statements if span[0] <= finding.region.line <= span[1]]
        first = max(around, default=(finding.region.line, 0))[0]
        codes.setdefault(first, set()).add(finding.rule)
    return {line: f"# llmguard: ignore[{', '.join(sorted(found))}] {reason}" for line, found in codes.items()}


def _extents(tree: ast.Module) -> Iterable[tuple[int, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            yield extent(node)


def _by_path(findings: Iterable[Finding]) -> list[tuple[str, list[Finding]]]:
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(finding.path, []).append(finding)
    return sorted(groups.items())


def _read(path: str, findings: list[Finding]) -> bytes:
    if any(finding.cell for finding in findings):
        raise UncheckableError("is a notebook, which is not edited")
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise UncheckableError(f"{printable(path)}: {error.strerror}") from None
