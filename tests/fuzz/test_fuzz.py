"""Programs, configurations and command lines made by chance, the same ones each time: nothing crashes, nothing hangs,
what is migrated compiles, and a second migration changes nothing. `python benchmarks/fuzz.py` goes on for longer."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmguard.config import find_settings
from llmguard.config.keys import TABLE
from llmguard.errors import ConfigError
from tests.command import CALL, run, write
from tests.fuzz.programs import changed, made, parses
from tests.fuzz.trial import problem_of

pytestmark = pytest.mark.full
_PROGRAMS = 1000  # of each kind
_CONFIGURATIONS = 1500
_COMMANDS = 120


@pytest.mark.parametrize("make", [made, changed])
def test_programs(make: Callable[[int], str]) -> None:
    wrong = {seed: problem for seed in range(_PROGRAMS) if (problem := problem_of(make(seed)))}
    assert wrong == {}


def test_the_programs_are_programs() -> None:
    assert sum(parses(made(seed)) for seed in range(200)) > 120
    assert sum(parses(changed(seed)) for seed in range(200)) > 60
    assert made(7) == made(7)


def _value(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.randrange(8 if depth < 3 else 5)
    if kind < 5:
        return chance.choice(("", "a", "**/*.py", "[", "\x1b[31m", "../..", "litellm", True, 3, -1.5, "x" * 3000, None))
    if kind < 7:
        return [_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(("name", "hosts", "kind", "a.b", "")): _value(chance, depth + 1) for _ in range(3)}


def test_configurations(tmp_path: Path) -> None:
    for seed in range(_CONFIGURATIONS):
        chance = random.Random(seed)
        keys = chance.sample([*TABLE, "unknown", "tool"], chance.randint(1, 4))
        text = json.dumps({key: _value(chance) for key in keys})  # which is YAML
        if chance.random() < 0.3:
            place = chance.randrange(len(text))
            text = text[:place] + chance.choice("{}[]:&*!|>%@`\t\n\x00é") + text[place:]
        (tmp_path / "llmguard.yaml").write_text(text, encoding="utf-8")
        said = ""
        try:
            find_settings(str(tmp_path))
        except ConfigError as error:
            said = str(error)
        assert said.isprintable(), (seed, text)


_COMMANDS_OF_ALL = ("check", "migrate", "baseline", "coverage", "suppress", "config", "rules", "explain", "init")
_WORDS = (
    *_COMMANDS_OF_ALL,
    *("create", "show", "usage", "summary", "--dry-run", "--write", "--check", "--since", "HEAD", "--baseline"),
    *("--output-format", "json", "sarif", "--select", "LLG1", "a.py", ".", "-", "", "--", "--reason", "nothing.py"),
    *("--isolated", "--config", "../x", "--yes", "\x00x", "--database-url", "--output-file", "out.txt", "--badge"),
)


def test_command_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMGUARD_DATABASE_URL", f"sqlite:///{tmp_path / 'usage.db'}")
    monkeypatch.setenv("LLMGUARD_SPOOL_DIR", str(tmp_path / "spool"))
    folder = tmp_path / "project"
    folder.mkdir()
    write(folder, {"a.py": CALL})
    for seed in range(_COMMANDS):
        chance = random.Random(seed)
        words = [chance.choice(_COMMANDS_OF_ALL), *(chance.choice(_WORDS) for _ in range(chance.randrange(5)))]
        done = run(*words, cwd=folder)
        assert done.returncode in (0, 1, 2, 3), (seed, words, done)
        assert "internal error" not in done.stderr, (seed, words, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr, (seed, words)
