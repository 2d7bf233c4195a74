"""The decisions on the sites of one file, as a report has them, and the file's new bytes."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check import check_source
from llmguard.errors import UncheckableError
from llmguard.migrate.edit import Edit, OverlapError, applied, within
from llmguard.migrate.file import FileMigration
from llmguard.migrate.source import Found, Source, Span, found_in
from llmguard.migrate.verdict import Decision, Target, Verdict

if TYPE_CHECKING:
    from llmguard.check.finding import Finding
    from llmguard.check.project import Project
    from llmguard.migrate.options import Options
    from llmguard.migrate.outcome import Outcome
    from llmguard.migrate.shared import Shared, Use, Way
    from llmguard.migrate.uses import Texts


class Change(NamedTuple):
    """A file that changes: its path as shown, where it is, and its bytes before and after."""

    path: str
    absolute: str
    before: bytes
    after: bytes


class Decided(NamedTuple):
    """What becomes of one file.

    Attributes:
        decisions: one for each site.
        change: None when the file stays as it is.
        error: why it does, where a change was due.
        borrowed: its uses of clients that other files make.
        stuck: shared clients that were to move, and could not here.
        elsewhere: edits of other files (absolute path, edit) that its own depend on.
    """

    decisions: list[Decision]
    change: Change | None = None
    error: str = ""
    borrowed: tuple[Use, ...] = ()
    stuck: frozenset[Shared] = frozenset()
    elsewhere: tuple[tuple[str, Edit], ...] = ()


def decided(
    source: Source,
    findings: list[Finding],
    project: Project,
    texts: Texts,
    options: Options,
    moving: Mapping[Shared, Way] | None = None,
    asked: Iterable[Edit] = (),
) -> Decided:
    """What becomes of one file.

    Args:
        source: the file.
        findings: what the check has found in it.
        project: that it is of.
        texts: the bytes of the project's files.
        options: what is asked for.
        moving: clients that several files share, and that move to the wrapper in all of them.
        asked: edits that other files have asked for.
    """
    judge, found = found_in(source, project)
    by_place = {(finding.region.line, finding.region.column): finding for finding in findings}
    pairs: list[tuple[Finding, Found]] = []
    for site in found:
        finding = _finding_of(source, site, by_place)
        if finding is not None:
            pairs.append((finding, site))
    wanted = [site for finding, site in pairs if not options.providers or finding.provider in options.providers]
    migration = FileMigration(source, judge, wanted, texts, options, moving, asked)
    outcomes = {id(outcome.found): outcome for outcome in migration.decide()}
    seen = {id(finding) for finding, _ in pairs}
    lost = [manual(finding, "syntax-error") for finding in findings if id(finding) not in seen]
    borrowed, stuck = tuple(migration.borrowed), frozenset(migration.stuck)
    try:
        text = applied(source.text, migration.edits)
        text = text if text.strip() else ""
        after = source.encoded(text)
        _check_result(source, text)
        decisions = [
            _decision(source, finding, outcomes[id(site)], migration.edits)
            if id(site) in outcomes
            else _of(finding, Verdict.IGNORED, "deselected")
            for finding, site in pairs
        ]
    except (OverlapError, UncheckableError, SyntaxError) as error:
        if options.passes_users:
            plain = options._replace(passes_users=False)
            return decided(source, findings, project, texts, plain, moving, asked)
        undone = [manual(finding, "cannot-round-trip") for finding, _ in pairs]
        return Decided(undone, error=f"left as it is: {error}", stuck=frozenset(moving or ()))
    decisions += lost
    if not migration.edits:
        return Decided(decisions, borrowed=borrowed, stuck=stuck)
    change = Change(source.shown, source.absolute, source.data, after)
    if any(decision.verdict is Verdict.MANUAL for decision in decisions):
        decisions = _with_tracked(decisions, source, after)
    return Decided(decisions, change, borrowed=borrowed, stuck=stuck, elsewhere=tuple(migration.elsewhere))


_KEPT = "bound-method-reference"


def _with_tracked(decisions: list[Decision], source: Source, after: bytes) -> list[Decision]:
    """The decisions, where what needed no edit of its own is on the books now: a method of a client that is tracked."""
    sites = {finding.site for finding in check_source(after, source.shown).tracked}
    return [
        decision._replace(verdict=Verdict.MIGRATED, target=Target.CLIENT, reason=_KEPT, notes=(_KEPT,))
        if decision.verdict is Verdict.MANUAL and decision.site in sites
        else decision
        for decision in decisions
    ]


def _finding_of(source: Source, site: Found, by_place: dict[tuple[int, int], Finding]) -> Finding | None:
    fstring = site.site.fstring
    if fstring is not None:
        return _finding_inside(source.span(fstring), source, site, by_place)
    span = source.span(site.expression)
    line = site.expression.lineno
    return by_place.get((line, span.start - source.starts[line - 1] + 1))


def _finding_inside(
    span: Span, source: Source, site: Found, by_place: dict[tuple[int, int], Finding]
) -> Finding | None:
    """The finding of a site in an f-string, where the places of nodes cannot be trusted; each is given once."""
    for place, finding in by_place.items():
        at = source.starts[place[0] - 1] + place[1] - 1
        if span.start <= at < span.end and finding.callee == ast.unparse(site.expression):
            return by_place.pop(place)
    return None


def _check_result(source: Source, text: str) -> None:
    """Refuse a result that no longer runs where the file did.

    Raises:
        SyntaxError: it does not parse with the oldest grammar that the file parses with.
    """
    for minor in range(7, 15):
        try:
            ast.parse(source.text, feature_version=(3, minor))
        except (SyntaxError, ValueError):
            continue
        ast.parse(text, feature_version=(3, minor))
        return
    ast.parse(text)


def _decision(source: Source, finding: Finding, outcome: Outcome, edits: list[Edit]) -> Decision:
    statement = outcome.found.site.statement
    span = source.span(statement)
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.If, ast.For, ast.With, ast.Try)):
        span = source.span(outcome.found.site.node)
    before = source.text[span.start : span.end]
    after = ""
    if outcome.target is not None:
        after = applied(before, within(edits, span))
        if after == before and outcome.edits:
            edit = outcome.edits[0]
            whole = Span(source.starts[source.text.count("\n", 0, edit.span.start)], edit.span.end)
            before, after = (
                source.text[whole.start : whole.end],
                applied(source.text[whole.start : whole.end], within([edit], whole)),
            )
    return Decision(
        finding.path,
        finding.region.line,
        finding.region.end_line,
        finding.callee,
        finding.site,
        outcome.verdict,
        outcome.target,
        outcome.reason,
        before,
        after,
        outcome.related,
        outcome.notes,
    )


def ignored(finding: Finding) -> Decision:
    """The decision on what is on the books already, or is to stay as it is."""
    reason = "tracked" if finding.tracked else "suppressed"
    return _of(finding, Verdict.IGNORED, reason)


def manual(finding: Finding, reason: str) -> Decision:
    """The decision on what is left to a human."""
    return _of(finding, Verdict.MANUAL, reason)


def _of(finding: Finding, verdict: Verdict, reason: str) -> Decision:
    region = finding.region
    return Decision(
        *(finding.path, region.line, region.end_line, finding.callee, finding.site, verdict, None, reason),
        notes=(reason,),
    )
