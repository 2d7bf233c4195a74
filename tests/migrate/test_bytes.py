"""Files of every kind: what lies outside of an edit is byte for byte what it was."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

import pytest

from llmguard.migrate import migrate_paths, migrate_source
from tests.command import ROOT

PROGRAMS = sorted((ROOT / "fixtures" / "programs").glob("*.py"))
KINDS: dict[str, tuple[Callable[[str], str], str]] = {
    "crlf": (lambda text: text.replace("\n", "\r\n"), "utf-8"),
    "cr": (lambda text: text.replace("\n", "\r"), "utf-8"),
    "bom": (lambda text: text, "utf-8-sig"),
    "latin-1": (lambda text: f"# -*- coding: latin-1 -*-\n# caf\xe9\n{text}# \xfcber\n", "latin-1"),
    "unicode": (lambda text: f"# \u4f60\u597d \U0001f600\n{text}SIGN = '\U0001f600'; x = 1\n", "utf-8"),
    "tabs": (lambda text: text.replace("    ", "\t"), "utf-8"),
    "no final newline": (lambda text: text.rstrip("\n"), "utf-8"),
    "form feeds": (lambda text: text.replace("\n\n\n", "\n\n\x0c\n"), "utf-8"),
    "trailing blanks": (lambda text: text.replace("\n\n", "\n   \n") + "   \n\n", "utf-8"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_bytes_outside_of_the_edits_stay(program: Path, kind: str, tmp_path: Path) -> None:
    change, encoding = KINDS[kind]
    before = change(program.read_text(encoding="utf-8")).encode(encoding)
    file = tmp_path / program.name
    file.write_bytes(before)
    plan = migrate_paths([str(file)])
    assert plan.errors == ()
    if not plan.changes:
        return
    (changed,) = plan.changes
    assert changed.before == before
    after = changed.after
    compile(after, program.name, "exec")
    # Lines that are in both are the same bytes; what differs is the same as in the plain file.
    plain = migrate_source(program.read_text(encoding="utf-8"), program.name)
    expected = change(plain).encode(encoding)
    if kind in ("crlf", "cr", "bom", "unicode", "no final newline"):
        assert after == expected
    kept = difflib.SequenceMatcher(None, before.splitlines(True), after.splitlines(True)).get_matching_blocks()
    assert sum(block.size for block in kept) >= len(before.splitlines()) * 0.4 - 1
    file.write_bytes(after)
    assert migrate_paths([str(file)]).changes == ()
