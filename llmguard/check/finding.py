"""What a check finds: a call site with its identity, and the finding that a rule makes of it."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from llmguard.check.module import Site
    from llmguard.providers.provider import Family


class Confidence(str, Enum):
    """How sure it is that the call reaches a model."""

    PROVED = "proved"  # the receiver resolves to a provider's class
    LIKELY = "likely"  # unresolved, but shape and keywords admit nothing else
    POSSIBLE = "possible"

    @property
    def rank(self) -> int:
        return _RANKS[self]

    def __str__(self) -> str:
        return self.value


_RANKS = {Confidence.PROVED: 2, Confidence.LIKELY: 1, Confidence.POSSIBLE: 0}


class Severity(str, Enum):
    """How much it matters."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"

    def __str__(self) -> str:
        return self.value


class Region(NamedTuple):
    """A place in a file: lines and columns 1-based, columns in characters, `end_column` exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Callee(NamedTuple):
    """What a call reaches.

    Attributes:
        provider: name of the provider's row.
        title: how people write the provider.
        family: see `Family`.
        confidence: see `Confidence`.
        reference: the callable is mentioned, not called.
        tracked: why the call is on the books already, "" when it is not.
        wrapped: the provider to name to the wrapper, which then sends the same request to the same place; "" when
            it cannot, or when that is not sure.
        trackable: whether `track` is sure to know the client.
    """

    provider: str
    title: str
    family: Family
    confidence: Confidence
    reference: bool = False
    tracked: str = ""
    wrapped: str = ""
    trackable: bool = False


class Call(NamedTuple):
    """A call of a model in a file, as the finder reports it.

    Attributes:
        region: of the callee expression.
        callee: what it reaches.
        text: the callee as written, on one line.
        function: qualified name of the function around it, "" at module level.
        ordinal: 1 for the first call of this callee in this function, 2 for the second, ...
        node: the LibCST node of the call (of the expression, for a reference); None when only `ast` could read it.
        site: the same call in the module's facts.
    """

    region: Region
    callee: Callee
    text: str
    function: str
    ordinal: int
    node: Any
    site: Site

    def identity(self, path: str) -> str:
        """The site: stable against moves within the file, free of line numbers."""
        return f"{path}::{self.function or '<module>'}::{self.text}::{self.ordinal}"


class Finding(NamedTuple):
    """One line of a report; the fields are those of the JSON output, where they are documented.

    Attributes:
        path: as given, relative to the working directory where under it.
        rule: code of the rule.
        site: identity without line numbers, "" for findings that are about no call.
        tracked: why the call is on the books already, "" when it is not.
        suppressed: what keeps the finding from being reported (a comment with its reason, a skip list), "" for none.
        cell: number of a notebook's cell, counted over all its cells from 1; lines are then those of the cell.
        fix: text to put in place of `region`; None when there is no fix.
    """

    path: str
    region: Region
    rule: str
    family: str
    provider: str
    callee: str
    function: str
    site: str
    confidence: str
    severity: str
    message: str
    tracked: str = ""
    suppressed: str = ""
    cell: int = 0
    fix: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The documented object of the JSON formats."""
        row: dict[str, Any] = {
            "path": self.path,
            "line": self.region.line,
            "column": self.region.column,
            "end_line": self.region.end_line,
            "end_column": self.region.end_column,
            "rule": self.rule,
            "family": self.family,
            "provider": self.provider,
            "callee": self.callee,
            "function": self.function,
            "site": self.site,
            "confidence": self.confidence,
            "severity": self.severity,
            "message": self.message,
        }
        row.update({name: getattr(self, name) for name in ("tracked", "suppressed", "cell") if getattr(self, name)})
        return row


class Unchecked(NamedTuple):
    """A file, or a part of one, that could not be checked. `line` is 0 when the whole file is meant."""

    path: str
    line: int
    message: str
    whole: bool = True
    cell: int = 0

    @classmethod
    def unparsed(cls, path: str, first: int, last: int, reason: str) -> Unchecked:
        """The note on lines (first to last) that could not be parsed."""
        where = f"line {first}" if first == last else f"lines {first}-{last}"
        return cls(path, first, f"{where} could not be parsed ({reason}); the rest was checked", whole=False)

    @property
    def rule(self) -> str:
        """Code of the rule that says so."""
        return "LLG901" if self.whole else "LLG902"


class FileReport(NamedTuple):
    """What one file gave.

    Attributes:
        findings: in reading order.
        tracked: calls that are on the books already.
        unchecked: what could not be checked.
        suppressed: findings that a comment or a skip list keeps from being reported.
        unselected: sites of findings that the selection or the least confidence leaves out.
        unchanged: sites of findings on lines that did not change, where only changed lines are asked for.
        ignored_by: (pattern, code) of the per-file ignores that kept a finding from being reported.
    """

    findings: tuple[Finding, ...]
    tracked: tuple[Finding, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()
    suppressed: tuple[Finding, ...] = ()
    unselected: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    ignored_by: frozenset[tuple[Any, str]] = frozenset()


class Report(NamedTuple):
    """What a run gave.

    Attributes:
        findings: file by file, in reading order within each.
        tracked: calls that are on the books already.
        unchecked: files and lines that could not be checked.
        files_checked: how many files were looked at.
        files_skipped: how many files exclusions took out.
        suppressed: findings that a comment or a skip list keeps from being reported.
        baselined: findings that a baseline knows.
        stale: entries of baselines and per-file ignores that nothing answers to any more.
        sources: bytes of what was not read from disk (stdin), by the path that findings call it.
    """

    findings: tuple[Finding, ...]
    tracked: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]
    files_checked: int
    files_skipped: int
    suppressed: tuple[Finding, ...] = ()
    baselined: tuple[Finding, ...] = ()
    stale: tuple[Finding, ...] = ()
    sources: tuple[tuple[str, bytes], ...] = ()
