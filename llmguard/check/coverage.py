"""The share of call sites that are on the books, in all and by directory, provider and rule."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from llmguard.check.finding import Finding, Report


class Share(NamedTuple):
    """Call sites, and how many of them are tracked."""

    call_sites: int
    tracked: int

    @property
    def percent(self) -> float | None:
        """Tracked per hundred, to one decimal, never rounded up to 100; None without call sites."""
        if not self.call_sites:
            return None
        exact = self.tracked * 1000 // self.call_sites
        return exact / 10

    def below(self, percent: float) -> bool:
        """Whether the share is less than so many per hundred; never without call sites."""
        return self.tracked * 100 < percent * self.call_sites


class Coverage(NamedTuple):
    """The shares of one run.

    Attributes:
        total: of everything.
        reported: untracked sites that a check reports.
        baselined: untracked sites that a baseline knows.
        suppressed: untracked sites that a comment or a skip list covers.
        by: "directory", "provider" and "rule" -> name -> share.
    """

    total: Share
    reported: int
    baselined: int
    suppressed: int
    by: dict[str, dict[str, Share]]

    def as_json(self) -> dict[str, Any]:
        """The documented object; `percent` is null without call sites."""
        return {
            "version": 1,
            **_object(self.total),
            "untracked": {
                "reported": self.reported,
                "baselined": self.baselined,
                "suppressed": self.suppressed,
            },
            **{
                f"by_{key}": [{"name": name, **_object(share)} for name, share in shares.items()]
                for key, shares in self.by.items()
            },
        }


def coverage_of(report: Report) -> Coverage:
    """The coverage that a report shows. Findings that are about no call do not count."""
    tracked = _sites(report.tracked)
    untracked = [_sites(group) for group in (report.findings, report.baselined, report.suppressed)]
    others = [finding for group in untracked for finding in group]
    return Coverage(
        Share(len(tracked) + len(others), len(tracked)),
        reported=len(untracked[0]),
        baselined=len(untracked[1]),
        suppressed=len(untracked[2]),
        by={
            "directory": _shares(tracked, others, _directory),
            "provider": _shares(tracked, others, lambda finding: finding.provider),
            "rule": _shares(tracked, others, lambda finding: finding.rule),
        },
    )


def _object(share: Share) -> dict[str, Any]:
    return {"call_sites": share.call_sites, "tracked": share.tracked, "percent": share.percent}


def _sites(findings: Iterable[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.site]


def _directory(finding: Finding) -> str:
    return finding.path.replace("\\", "/").rpartition("/")[0] or "."


def _shares(tracked: list[Finding], others: list[Finding], key: Callable[[Finding], str]) -> dict[str, Share]:
    done = Counter(key(finding) for finding in tracked)
    left = Counter(key(finding) for finding in others)
    return {name: Share(done[name] + left[name], done[name]) for name in sorted({*done, *left})}


def badge(percent: float | None) -> str:
    """An SVG badge; no font is measured, widths are approximate."""
    value = "no calls" if percent is None else f"{percent:g}%"
    colour = "#9f9f9f" if percent is None else "#2e7d32" if percent >= 90 else "#b26a00" if percent >= 50 else "#c62828"
    label = "LLM calls tracked"
    left, right = 7 * len(label) + 10, 7 * len(value) + 12
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + right}" height="20" role="img" '
        f'aria-label="{label}: {value}"><title>{label}: {value}</title>'
        f'<rect width="{left + right}" height="20" rx="3" fill="#555"/>'
        f'<path fill="{colour}" d="M{left} 0h{right - 3}a3 3 0 0 1 3 3v14a3 3 0 0 1-3 3h-{right - 3}z"/>'
        f'<g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11">'
        f'<text x="{left / 2:g}" y="14">{label}</text><text x="{left + right / 2:g}" y="14">{value}</text></g></svg>\n'
    )
