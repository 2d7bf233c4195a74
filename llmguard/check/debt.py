"""What is known and what is stale: findings against baselines and per-file ignores, once all files were looked at."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from llmguard.check import git, globs
from llmguard.check.baseline import Baseline, baseline_path
from llmguard.check.discover import is_below, shown_path
from llmguard.check.finding import Confidence, Finding, Region
from llmguard.check.rules import BY_CODE, chosen, selected
from llmguard.config import place

if TYPE_CHECKING:
    from llmguard.check.run import Checked, Extent
    from llmguard.config import Settings


def without_known(checked: list[Checked], extent: Extent) -> tuple[list[Checked], list[Finding], list[Finding]]:
    """(what is left of each file, findings that a baseline knows, entries that are stale).

    Raises:
        ConfigError: a baseline cannot be used.
    """
    baselines = {path: Baseline.load(path) for path in _paths(extent) if os.path.isfile(path)}
    if not baselines:
        return checked, [], []
    used: dict[str, set[str]] = {path: set() for path in baselines}
    left: list[Checked] = []
    known: list[Finding] = []
    for entry in checked:
        path = baseline_path(entry.file.settings)
        baseline = baselines.get(path)
        if baseline is None:
            left.append(entry)
            continue
        kept, of_old = _apart(entry, baseline)
        known += of_old
        root = entry.settings.root
        used[path].update(baseline.entry(f.site, root) for f in entry.report.findings if f.site)
        used[path].update(baseline.entry(s, root) for s in (*entry.report.unselected, *entry.report.unchanged))
        left.append(entry._replace(report=entry.report._replace(findings=tuple(kept))))
    stale = [finding for path, baseline in baselines.items() for finding in _stale(baseline, used[path], extent)]
    return left, known, stale


def _apart(entry: Checked, baseline: Baseline) -> tuple[list[Finding], list[Finding]]:
    """(findings to report, findings that the baseline knows) of a file.

    A new call takes the number of an old one that stands below it. Where only changed lines are asked for, the call
    that is one too many is looked for among these: it is as many of them that are new as are too many.
    """
    root, report = entry.settings.root, entry.report
    surplus: dict[str, int] = {}
    for site in report.unchanged:
        if baseline.entry(site, root) not in baseline.entries:
            group = site.rpartition("::")[0]
            surplus[group] = surplus.get(group, 0) + 1
    kept: list[Finding] = []
    known: list[Finding] = []
    for finding in report.findings:
        group = finding.site.rpartition("::")[0]
        if not finding.site or baseline.entry(finding.site, root) not in baseline.entries:
            kept.append(finding)
        elif surplus.get(group, 0):
            surplus[group] -= 1
            kept.append(finding)
        else:
            known.append(finding)
    return kept, known


class Survey(NamedTuple):
    """A baseline, and what is there.

    Attributes:
        path: absolute path of the file.
        exists: whether it is there.
        entries: what it holds.
        current: entries of the calls that are reported now.
        stale: those of `entries` that nothing answers to.
        outside: those of `entries` whose files lie outside of what was looked at.
        comments: lines that people wrote into it.
    """

    path: str
    exists: bool
    entries: set[str]
    current: set[str]
    stale: set[str]
    outside: tuple[str, ...]
    comments: tuple[str, ...]


def surveys(checked: list[Checked], extent: Extent) -> list[Survey]:
    """The baselines of a run that used none, the outermost first.

    Raises:
        ConfigError: one of them cannot be used.
    """
    found = []
    for path in sorted(_paths(extent), key=lambda path: (path.count(os.sep), path)):
        exists = os.path.isfile(path)
        baseline = Baseline.load(path) if exists else Baseline(path, {})
        current: set[str] = set()
        seen: set[str] = set()
        for entry in checked:
            if baseline_path(entry.file.settings) == path:
                root = entry.settings.root
                current.update(baseline.entry(f.site, root) for f in entry.report.findings if f.site)
                seen.update(baseline.entry(site, root) for site in entry.report.unselected)
        stale = set(stale_entries(baseline, current | seen, extent))
        outside = tuple(entry for entry in baseline.entries if not extent.covers(baseline.path_of(entry)))
        found.append(Survey(path, exists, set(baseline.entries), current, stale, outside, baseline.comments))
    return found


def stale_entries(baseline: Baseline, used: set[str], extent: Extent) -> list[str]:
    """Entries that nothing answered to, of files that were looked at in full, or that are gone.

    What cannot be known is not stale: files with notes, in folders that cannot be read, or left out by a sparse
    checkout.
    """
    seen = {file.absolute for file in extent.files}
    noted = {os.path.abspath(name) for name in extent.noted}
    stale = []
    for entry in baseline.entries:
        path = baseline.path_of(entry)
        looked_at = path in seen or extent.covers(path)
        if entry not in used and looked_at and not any(path == name or is_below(path, name) for name in noted):
            stale.append(entry)
    absent = _left_out({baseline.path_of(entry) for entry in stale}, baseline.folder)
    return [entry for entry in stale if baseline.path_of(entry) not in absent]


def _left_out(paths: set[str], folder: str) -> set[str]:
    """Those of the paths that git tracks but keeps out of the work tree."""
    missing = {path for path in paths if not os.path.lexists(path)}
    top = place.work_tree(folder) if missing else ""
    answer = git.ask(top, "ls-files", "-v", "-z", filters=False) if top else None
    if answer is None or answer.returncode:
        return set()
    rows = (row for row in answer.stdout.split(b"\0") if row[:2] in (b"S ", b"s "))
    return missing & {os.path.join(top, os.fsdecode(row[2:])) for row in rows}


def _stale(baseline: Baseline, used: set[str], extent: Extent) -> list[Finding]:
    settings = next(f.settings for f in extent.files if baseline_path(f.settings) == baseline.path)
    return [
        _note("LLG803", baseline.path, baseline.entries[entry], f"stale baseline entry: {entry}", settings)
        for entry in stale_entries(baseline, used, extent)
        if selected("LLG803", settings.select, settings.ignore)
    ]


def stale_ignores(checked: list[Checked], extent: Extent) -> list[Finding]:
    """Entries of per-file ignores, in configurations whose whole folder was looked at, that ignored nothing."""
    used = frozenset().union(*(entry.report.ignored_by for entry in checked))
    by_source = {file.settings.source: file.settings for file in extent.files if file.settings.per_file_ignores}
    found = []
    for source, settings in sorted(by_source.items()):
        for pattern, codes in settings.per_file_ignores:
            own = isinstance(pattern, str) or pattern.source == source
            if (
                not own
                or not source
                or not extent.covers(settings.root)
                or not selected("LLG802", settings.select, settings.ignore)
            ):
                continue
            idle = [code for code in codes if (pattern, code) not in used]
            name = globs.pattern_of(pattern)
            if not any(globs.matches_located(file.absolute, pattern, settings.root) for file in extent.files):
                said = f"stale per-file-ignores entry: {name!r} matches no file"
            elif idle:
                said = f"stale per-file-ignores entry: {name!r} ignores no {', '.join(idle)}"
            else:
                continue
            found.append(_note("LLG802", source, _line_of(source, name), said, settings))
    return found


def _note(code: str, path: str, line: int, message: str, settings: Settings) -> Finding:
    rule = BY_CODE[code]
    return Finding(
        path=shown_path(path),
        region=Region(line, 1, line, 2),
        rule=code,
        family="",
        provider="",
        callee="",
        function="",
        site="",
        confidence=str(Confidence.PROVED),
        severity=chosen(rule, settings.severity),
        message=message,
    )


def _line_of(path: str, text: str) -> int:
    """The first line of a file with a text in it; 1 when there is none."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return next((number for number, line in enumerate(file, 1) if text in line), 1)
    except OSError:
        return 1  # gone since it was read


def _paths(extent: Extent) -> list[str]:
    return sorted({baseline_path(file.settings) for file in extent.files} - {""})
