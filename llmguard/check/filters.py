"""Makes findings of one file's calls, and takes out those that need no report."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check import globs
from llmguard.check.finding import Confidence, FileReport, Finding, Unchecked
from llmguard.check.loose import loose_calls
from llmguard.check.message import message_of
from llmguard.check.reading import lines_of
from llmguard.check.rules import BY_CODE, chosen, covers, rule_of, selected
from llmguard.check.skip import skipped_by
from llmguard.check.stores import function_of
from llmguard.check.suppress import Suppression, Suppressions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from llmguard.check.finding import Call, Callee, Region
    from llmguard.check.reading import Decoded, Parsed
    from llmguard.check.rules.rule import Rule
    from llmguard.config import Glob, Settings


class Place(NamedTuple):
    """A file under check.

    Attributes:
        path: what findings call it.
        absolute: where it is.
        key: path relative to the project's root, with forward slashes, for sites.
        settings: what holds there.
        changed: whether a region is asked for (changed lines only); None for all.
    """

    path: str
    absolute: str
    key: str
    settings: Settings
    changed: Callable[[int, int], bool] | None = None


class Filters:
    """The findings of one file. Ask `report` once, with every call of the file.

    Args:
        place: the file.
        decoded: its text.
        parsed: its tree, and what is not in it.
        readable: the text to look for comments in, where that is another one.
    """

    def __init__(self, place: Place, decoded: Decoded, parsed: Parsed, readable: str | None = None) -> None:
        self.place = place
        self.settings = place.settings
        self.decoded = decoded
        self.parsed = parsed
        readable = decoded.text if readable is None else readable
        self.suppressions = Suppressions(readable) if _may_suppress(readable) else None
        self._ignores = ignores_for(place.absolute, place.settings)
        self._findings: list[Finding] = []
        self._tracked: list[Finding] = []
        self._suppressed: list[Finding] = []
        self._unselected: list[str] = []
        self._unchanged: list[str] = []
        self._ignored_by: set[tuple[str | Glob, str]] = set()

    def report(self, calls: list[Call]) -> FileReport:
        for call in calls:
            finding = self._of_call(call)
            if call.callee.tracked:
                self._silenced(finding, call.site.statement)  # a comment there counts as used
                if self._is_selected(finding):
                    self._tracked.append(finding)
            else:
                self._take(finding, call.site.statement)
        for finding in self._loose():
            self._take(finding, None)
        for finding in (*self._unused(), *self._without_reason()):
            if not self._ignored(finding.rule):
                self._select(finding)
        self._findings.sort(key=lambda finding: (finding.region, finding.rule))
        return FileReport(
            tuple(self._findings),
            tuple(self._tracked),
            tuple(self._unchecked()),
            tuple(self._suppressed),
            tuple(self._unselected),
            tuple(self._unchanged),
            frozenset(self._ignored_by),
        )

    def _take(self, finding: Finding, statement: ast.stmt | None) -> None:
        reason = self._silenced(finding, statement)
        if reason:
            self._suppressed.append(finding._replace(suppressed=reason))
        else:
            self._select(finding)

    def _silenced(self, finding: Finding, statement: ast.stmt | None) -> str:
        """What keeps a finding from being reported, "" for nothing."""
        if self.suppressions is not None:
            comment = self.suppressions.suppressing(finding.rule, statement, finding.region.line)
            if comment is not None:
                return f"comment: {comment.reason or 'no reason given'}"
        return self._ignored(finding.rule) or skipped_by(self.place.key, finding.function, self.settings)

    def _ignored(self, rule: str) -> str:
        """The per-file ignore that keeps a rule from being reported, "" for none."""
        for pattern, codes in self._ignores:
            code = next((code for code in codes if covers(code, rule)), "")
            if code:
                self._ignored_by.add((pattern, code))
                return f"per-file-ignores: {globs.pattern_of(pattern)}"
        return ""

    def _is_selected(self, finding: Finding) -> bool:
        settings = self.settings
        least = Confidence(settings.min_confidence).rank
        return Confidence(finding.confidence).rank >= least and selected(finding.rule, settings.select, settings.ignore)

    def _select(self, finding: Finding) -> None:
        region = finding.region
        if not self._is_selected(finding):
            if finding.site:
                self._unselected.append(finding.site)
        elif self.place.changed is None or self.place.changed(region.line, region.end_line):
            self._findings.append(finding)
        elif finding.site:
            self._unchanged.append(finding.site)

    # -- what is found -------------------------------------------------------------------------------------------

    def _of_call(self, call: Call) -> Finding:
        message = message_of(call.callee, call.text, self.settings, awaited=_in_async(call))
        identity = call.identity(self.place.key)
        finding = self._finding(rule_of(call.callee), call.region, message, call.callee, call.text, identity)
        return finding._replace(function=call.function, tracked=call.callee.tracked)

    def _loose(self) -> Iterable[Finding]:
        """Calls in lines that could not be parsed."""
        lines = lines_of(self.decoded.text)
        seen: dict[str, int] = {}
        for first, last, _ in self.parsed.failed:
            for region, callee, text in loose_calls(lines, first, last):
                message = message_of(callee, text, self.settings) + " (seen in lines that could not be parsed)"
                seen[text] = seen.get(text, 0) + 1
                site = f"{self.place.key}::<unparsed>::{text}::{seen[text]}"
                yield self._finding(rule_of(callee), region, message, callee, text, site)

    def _unused(self) -> Iterator[Finding]:
        rule = BY_CODE["LLG801"]
        for suppression, codes in self.suppressions.unused() if self.suppressions is not None else ():
            unknown = f": no rule is called {', '.join(suppression.unknown)}" if suppression.unknown else ""
            named = f"[{', '.join(codes)}] " if codes else ""
            finding = self._finding(rule, suppression.region, f"suppression {named}is not used{unknown}; remove it")
            yield finding._replace(fix=suppression.without(codes))

    def _without_reason(self) -> Iterator[Finding]:
        if self.settings.require_reason and self.suppressions is not None:
            for suppression in self.suppressions.found:
                if suppression.used and not suppression.reason:
                    yield self._finding(
                        BY_CODE["LLG804"],
                        suppression.region,
                        f"suppression without a reason: write {_example(suppression)} and why",
                    )

    def _finding(
        self, rule: Rule, region: Region, message: str, callee: Callee | None = None, text: str = "", site: str = ""
    ) -> Finding:
        return Finding(
            path=self.place.path,
            region=region,
            rule=rule.code,
            family=str(callee.family) if callee else "",
            provider=callee.provider if callee else "",
            callee=text,
            function="",
            site=site,
            confidence=str(callee.confidence if callee else Confidence.PROVED),
            severity=chosen(rule, self.settings.severity),
            message=message,
        )

    def _unchecked(self) -> Iterable[Unchecked]:
        if self.decoded.note:
            yield Unchecked(self.place.path, 1, self.decoded.note, whole=False)
        for first, last, reason in self.parsed.failed:
            yield Unchecked.unparsed(self.place.path, first, last, reason)


def ignores_for(absolute: str, settings: Settings) -> list[tuple[str | Glob, tuple[str, ...]]]:
    """The per-file ignores whose pattern a file matches."""
    return [
        (pattern, codes)
        for pattern, codes in settings.per_file_ignores
        if globs.matches_located(absolute, pattern, settings.root)
    ]


def _in_async(call: Call) -> bool:
    function = function_of(call.site.scope)
    if function is not None:
        return isinstance(function.node, ast.AsyncFunctionDef)
    # At the top of a notebook's cell, where there is a loop.
    value = getattr(call.site.statement, "value", None)
    return isinstance(value, ast.Await) and value.value is call.site.node


def _may_suppress(text: str) -> bool:
    lowered = text.lower()
    return "noqa" in lowered or "llmguard" in lowered


def _example(suppression: Suppression) -> str:
    named = f"[{', '.join(suppression.codes)}]" if suppression.codes else ""
    return f"# llmguard: ignore{'-file' if suppression.whole_file else ''}{named}"
