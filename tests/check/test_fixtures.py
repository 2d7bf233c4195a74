"""Every fixture line marked `# expect: RULE [provider family]` is found as that; every other line stays silent.

`tracked` marks a call that is on the books already, `maybe` one that no reader can tell.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from llmguard.check import check_paths
from llmguard.check.finding import Report
from llmguard.config import Settings

FIXTURES = Path(__file__).parents[2] / "fixtures" / "check"
MARK = re.compile(r"# expect: (\S+)(?: (\S+) (\S+))?\s*$")


def roots() -> list[Path]:
    single = [folder for folder in FIXTURES.iterdir() if folder.is_dir() and folder.name != "projects"]
    return sorted([*single, *(FIXTURES / "projects").iterdir()])


def expected(root: Path) -> dict[tuple[str, int], tuple[str, str | None, str | None]]:
    marks = {}
    for path in sorted(root.rglob("*.py")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = MARK.search(line)
            if match:
                marks[str(path), number] = (match[1], match[2], match[3])
    return marks


def report_of(root: Path) -> Report:
    return check_paths([str(root)], Settings(root=str(root), litellm_callback="absent"))


@pytest.mark.parametrize("root", roots(), ids=lambda path: path.name)
def test_every_marked_line_and_no_other(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    report = report_of(root)
    marks = expected(root)
    found = {("/" + f.path.lstrip("/"), f.region.end_line): f for f in report.findings}
    wanted = {place: mark for place, mark in marks.items() if mark[0] not in ("maybe", "tracked")}
    missed = [place for place in wanted if place not in found]
    surplus = [place for place in found if marks.get(place, ("",))[0] in ("", "tracked")]
    wrong = [
        (place, mark, (found[place].rule, found[place].provider, found[place].family))
        for place, mark in wanted.items()
        if place in found
        and (found[place].rule != mark[0] or (mark[1] and mark[1:] != (found[place].provider, found[place].family)))
    ]
    assert (missed, surplus, wrong) == ([], [], [])
    tracked = {("/" + f.path.lstrip("/"), f.region.end_line) for f in report.tracked}
    assert tracked == {place for place, mark in marks.items() if mark[0] == "tracked"}
    assert report.unchecked == ()


def test_there_are_cases_for_every_rule_about_calls() -> None:
    from llmguard.check.rules import RULES

    marked = {mark[0] for root in roots() for mark in expected(root).values()}
    assert {rule.code for rule in RULES if rule.applies is not None} <= marked
