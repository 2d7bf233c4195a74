"""Counts of findings for people, by rule, provider and directory, and the share of calls that is tracked."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from llmguard.check.coverage import coverage_of
from llmguard.check.report.summary import count
from llmguard.check.rules import BY_CODE
from llmguard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from llmguard.check.finding import Report


def lines(report: Report) -> Iterator[str]:
    """The counts in lines."""
    groups = (
        ("rule", Counter(f"{f.rule} {BY_CODE[f.rule].slug}" for f in report.findings)),
        ("provider", Counter(f.provider for f in report.findings if f.provider)),
        ("directory", Counter(f.path.rpartition("/")[0] or "." for f in report.findings)),
    )
    for name, counted in groups:
        if counted:
            yield f"by {name}:"
            for key, number in sorted(counted.items(), key=lambda pair: (-pair[1], pair[0])):
                yield f"{number:>7,}  {printable(key)}"
    share = coverage_of(report).total
    percent = "no call sites" if share.percent is None else f"{share.percent:g} %"
    yield f"tracked: {share.tracked:,} of {count(share.call_sites, 'call site')} ({percent})"
