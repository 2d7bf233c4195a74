"""The shapes in which clients are kept and called, as they come and as they become; and what must stay as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmguard.check import check_source
from llmguard.migrate import migrate_source
from tests.command import ROOT

FOLDER = ROOT / "fixtures" / "migrate"
SHAPES = sorted((FOLDER / "shapes").glob("*/*"))
NOTHING = sorted((FOLDER / "noop").glob("*.py"))
#: Calls that stay, and are reported: the one is an f-string's, the other a module's.
LEFT: frozenset[str] = frozenset()


@pytest.mark.parametrize("case", SHAPES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_shape_becomes_what_is_written_down(case: Path) -> None:
    before = (case / "before.py").read_text(encoding="utf-8")
    expected = (case / "after.py").read_text(encoding="utf-8")
    after = migrate_source(before, "service.py")
    assert after == expected
    assert after != before
    compile(after, "service.py", "exec")
    assert migrate_source(after, "service.py") == after
    # The LiteLLM callback holds for a whole project, which a single source is not.
    findings = [found for found in check_source(after, "service.py").findings if "setup_litellm_tracking" not in after]
    assert findings == [] or case.name in LEFT


@pytest.mark.parametrize("case", NOTHING, ids=lambda path: path.stem)
def test_what_is_no_call_or_has_its_place_stays(case: Path) -> None:
    before = case.read_text(encoding="utf-8")
    assert migrate_source(before, case.name) == before


def test_every_case_is_there() -> None:
    assert len(SHAPES) >= 90
    assert len(NOTHING) >= 20
