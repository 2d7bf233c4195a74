"""One file through all stages, and a run over many."""

from __future__ import annotations

import ast
import gc
import os
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check import screen, tracked
from llmguard.check.discover import discover, printable
from llmguard.check.finding import Call, Confidence, Finding, Unchecked
from llmguard.check.loose import loose_calls
from llmguard.check.message import message_of
from llmguard.check.module import ModuleFacts
from llmguard.check.project import Project
from llmguard.check.reading import Decoded, Parsed, decode, lines_of, parse
from llmguard.check.rules import BY_CODE, rule_of, selected, unknown_code
from llmguard.check.skip import is_skipped
from llmguard.check.stores import function_of
from llmguard.check.suppress import Suppressions
from llmguard.config import Settings, find_settings
from llmguard.errors import ConfigError, UncheckableError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_COLLECT_EVERY = 500  # files with a tree between garbage collections: facts are taken apart, so little is left to find


class FileReport(NamedTuple):
    """What one file gave: findings in reading order, calls that are tracked already, and what could not be checked."""

    findings: tuple[Finding, ...]
    tracked: tuple[Finding, ...] = ()
    unchecked: tuple[Unchecked, ...] = ()


class Report(NamedTuple):
    """What a run gave. `files_skipped` counts the files that exclusions took out."""

    findings: tuple[Finding, ...]
    tracked: tuple[Finding, ...]
    unchecked: tuple[Unchecked, ...]
    files_checked: int
    files_skipped: int


NOTHING = FileReport(())


def check_module(
    data: bytes, path: str, settings: Settings, project: Project, *, absolute: str = "", shortcut: bool = True
) -> FileReport:
    """One file through all stages.

    Args:
        data: its bytes.
        path: what findings call it.
        settings: what to go by.
        project: where imports are followed.
        absolute: its absolute path; `path` when empty.
        shortcut: use the screen, and show LibCST only the callees (False is for the test that holds both together).
    """
    if shortcut and not screen.may_hold_call(data) and not screen.has_mark(data):
        return NOTHING
    try:
        decoded = decode(data)
        parsed = parse(decoded.text)
    except UncheckableError as error:
        return FileReport((), (), (Unchecked(path, error.line, error.problem),))
    absolute = absolute or path
    facts = ModuleFacts.of(parsed.tree, absolute, is_package=os.path.basename(path) == "__init__.py")
    try:
        calls = _calls(decoded.text, facts, project, shortcut)
        return _Filters(path, absolute, settings, decoded, parsed).report(calls)
    finally:
        facts.dismantle()
        project.release()


def _calls(text: str, facts: ModuleFacts, project: Project, shortcut: bool) -> list[Call]:
    """The calls of a module. LibCST is loaded only when there is one."""
    from llmguard.check.judge import Judge

    found = Judge(facts, project).candidates()
    if not found:
        return []
    from llmguard.check.finder import Candidate, find_calls, region_of

    lines = lines_of(text.replace("\x00", " "))
    door = tracked.door_of(facts)
    candidates = []
    for expression, site, callee in found:
        if door and not callee.tracked:
            callee = callee._replace(tracked=f"in the module of {door}")
        region = region_of(site.fstring or expression, lines)
        candidates.append(Candidate(region, expression, site, callee))
    return find_calls("\n".join(lines), candidates, shortcut=shortcut)


class _Filters:
    """Makes findings of one file's calls and takes out those that need no report."""

    def __init__(self, path: str, absolute: str, settings: Settings, decoded: Decoded, parsed: Parsed) -> None:
        self.path = path
        self.settings = settings
        self.decoded = decoded
        self.parsed = parsed
        root = settings.root
        inside = root and _below(absolute, root)
        self.key = os.path.relpath(absolute, root).replace(os.sep, "/") if inside else path.replace(os.sep, "/")
        self.suppressions = Suppressions(decoded.text) if _may_suppress(decoded.text) else None

    def report(self, calls: list[Call]) -> FileReport:
        findings: list[Finding] = []
        on_books: list[Finding] = []
        for call in calls:
            finding = self._finding(call)
            if self._suppressed(finding, call) or is_skipped(self.key, call.function, self.settings):
                continue
            if call.callee.tracked:
                on_books.append(finding)
            elif self._wanted(finding):
                findings.append(finding)
        findings.extend(f for f in (*self._loose(), *self._unused()) if self._wanted(f))
        findings.sort(key=lambda finding: (finding.region, finding.rule))
        return FileReport(tuple(findings), tuple(on_books), tuple(self._unchecked()))

    def _finding(self, call: Call) -> Finding:
        rule = rule_of(call.callee)
        callee = call.callee
        return Finding(
            path=self.path,
            region=call.region,
            rule=rule.code,
            family=str(callee.family),
            provider=callee.provider,
            callee=call.text,
            function=call.function,
            site=call.identity(self.key),
            confidence=str(callee.confidence),
            severity=str(rule.severity),
            message=message_of(callee, call.text, self.settings, awaited=_in_async(call)),
            tracked=callee.tracked,
        )

    def _suppressed(self, finding: Finding, call: Call | None) -> bool:
        if self.suppressions is None:
            return False
        return self.suppressions.suppresses(finding.rule, call.site.statement if call else None, finding.region.line)

    def _wanted(self, finding: Finding) -> bool:
        settings = self.settings
        least = Confidence(settings.min_confidence).rank
        return Confidence(finding.confidence).rank >= least and selected(finding.rule, settings.select, settings.ignore)

    def _loose(self) -> Iterable[Finding]:
        """Calls in lines that could not be parsed."""
        lines = lines_of(self.decoded.text)
        for first, last, _ in self.parsed.failed:
            for number, (region, callee, text) in enumerate(loose_calls(lines, first, last), 1):
                finding = Finding(
                    path=self.path,
                    region=region,
                    rule=rule_of(callee).code,
                    family=str(callee.family),
                    provider=callee.provider,
                    callee=text,
                    function="",
                    site=f"{self.key}::<unparsed>::{text}::{number}",
                    confidence=str(callee.confidence),
                    severity=str(rule_of(callee).severity),
                    message=message_of(callee, text, self.settings) + " (seen in lines that could not be parsed)",
                )
                if not self._suppressed(finding, None):
                    yield finding

    def _unused(self) -> Iterable[Finding]:
        rule = BY_CODE["LLG801"]
        for suppression in self.suppressions.unused() if self.suppressions is not None else ():
            unknown = f": no rule is called {', '.join(suppression.unknown)}" if suppression.unknown else ""
            named = f"[{', '.join(suppression.codes)}] " if suppression.codes else ""
            yield Finding(
                path=self.path,
                region=suppression.region,
                rule=rule.code,
                family="",
                provider="",
                callee="",
                function="",
                site="",
                confidence=str(Confidence.PROVED),
                severity=str(rule.severity),
                message=f"suppression {named}is not used{unknown}; remove it",
            )

    def _unchecked(self) -> Iterable[Unchecked]:
        if self.decoded.note:
            yield Unchecked(self.path, 1, self.decoded.note, whole=False)
        for first, last, reason in self.parsed.failed:
            where = f"line {first}" if first == last else f"lines {first}-{last}"
            yield Unchecked(
                self.path, first, f"{where} could not be parsed ({reason}); the rest was checked", whole=False
            )


def _in_async(call: Call) -> bool:
    function = function_of(call.site.scope)
    return function is not None and isinstance(function.node, ast.AsyncFunctionDef)


def _may_suppress(text: str) -> bool:
    lowered = text.lower()
    return "noqa" in lowered or "llmguard" in lowered


def run(paths: Iterable[str], settings: Settings | None, on_file: Callable[[int, int], None] | None) -> Report:
    """A run over files and folders: see `llmguard.check.check_paths`."""
    settings = settings if settings is not None else find_settings(os.getcwd())
    if not settings.root:
        settings = _rooted(settings)
    for key in ("select", "ignore"):
        unknown = unknown_code(getattr(settings, key))
        if unknown:
            raise ConfigError(settings.source or "settings", key, f"no rule is called {unknown!r} or begins with it")
    files, skipped, unchecked = discover(paths, settings)
    projects = {settings.root: Project(settings.root)}
    findings: list[Finding] = []
    on_books: list[Finding] = []
    callback = "the configuration" if settings.litellm_callback == "installed" else ""
    enabled = gc.isenabled()
    gc.disable()
    trees = 0
    try:
        for number, (shown, absolute, base) in enumerate(files, 1):
            data = _bytes(shown, absolute, unchecked)
            if data is not None:
                if settings.litellm_callback == "auto" and not callback and tracked.installs_callback(data):
                    callback = printable(shown)
                root = settings.root if _below(absolute, settings.root) else base
                if root not in projects:
                    projects[root] = Project(root)
                here = settings if root == settings.root else settings._replace(root=root)
                report = _guarded(data, shown, absolute, here, projects[root])
                findings.extend(report.findings)
                on_books.extend(report.tracked)
                unchecked.extend(report.unchecked)
                if report is not NOTHING:
                    trees += 1
                    if trees % _COLLECT_EVERY == 0:
                        gc.collect()
            if on_file is not None:
                on_file(number, len(files))
    finally:
        if enabled:
            gc.enable()
    findings, moved = _with_callback(findings, callback, settings)
    unread = {u.path for u in unchecked if u.whole}
    checked = sum(1 for shown, _, _ in files if shown not in unread)
    return Report(tuple(findings), (*on_books, *moved), tuple(unchecked), checked, skipped)


def _below(path: str, folder: str) -> bool:
    return path.startswith(folder.rstrip(os.sep) + os.sep)


def _rooted(settings: Settings) -> Settings:
    return settings._replace(root=find_settings(os.getcwd(), isolated=True).root)


def _bytes(shown: str, absolute: str, unchecked: list[Unchecked]) -> bytes | None:
    try:
        with open(absolute, "rb") as file:
            return file.read()
    except OSError as error:
        unchecked.append(Unchecked(shown, 0, error.strerror or "cannot be read"))
    except MemoryError:
        unchecked.append(Unchecked(shown, 0, "larger than memory"))
    return None


def _guarded(data: bytes, shown: str, absolute: str, settings: Settings, project: Project) -> FileReport:
    """One file; whatever goes wrong with it is said of it and ends no run."""
    try:
        return check_module(data, shown, settings, project, absolute=absolute)
    except Exception as error:  # noqa: BLE001  (one file never ends a run; the reason is reported)
        reason = " ".join(str(error).split())[:200]
        return FileReport(
            (), (), (Unchecked(shown, 0, f"internal error, please report it: {type(error).__name__}: {reason}"),)
        )


def _with_callback(found: list[Finding], callback: str, settings: Settings) -> tuple[list[Finding], list[Finding]]:
    """LiteLLM calls moved to the tracked ones where the project installs the callback."""
    direct = [f for f in found if f.provider == "litellm"]
    if not direct or settings.litellm_callback == "absent":
        return found, []
    callback = callback or tracked.callback_file(settings.root)
    if not callback:
        return found, []
    moved = [f._replace(tracked=f"LiteLLM callback, installed in {callback}") for f in direct]
    return [f for f in found if f.provider != "litellm"], moved
