"""Programs before and after the migration, against the fake provider: the same output and requests, a row each."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from llmguard.testing import Answer, FakeProvider
from tests.command import ROOT
from tests.optional import optional

PROGRAMS = sorted((ROOT / "fixtures" / "programs").glob("*.py"))
PROJECTS = sorted(path.parent for path in (ROOT / "fixtures" / "programs").glob("*/main.py"))
#: Headers that say who carries the request.
CARRIER = frozenset({"host", "connection", "content-length", "accept-encoding", "transfer-encoding"})


class Ran(NamedTuple):
    """What a program did."""

    code: int
    stdout: str
    stderr: str
    requests: list[Any]


def told(source: str, name: str) -> str:
    """What a comment at the top of a program says: `# name: value`."""
    found = re.search(rf"^# {name}: (.*)$", source, re.MULTILINE)
    return found[1] if found else ""


def ran(program: Path, folder: Path) -> Ran:
    source = program.read_text(encoding="utf-8")
    pairs = tuple(tuple(pair.split("=")) for pair in told(source, "headers").split())
    headers: Any = pairs or (("retry-after-ms", "5"),)
    with FakeProvider() as provider:
        for status in told(source, "answers").split():
            provider.answers.append(Answer(status=int(status), headers=headers if status != "200" else ()))
        root = provider.base_url.removesuffix("/v1")
        env = {
            **os.environ,
            **dict.fromkeys(("GROQ_API_KEY", "OPENAI_API_KEY", "ANTHROPIC_API_KEY"), "key-1"),
            "GROQ_BASE_URL": root,
            "ANTHROPIC_BASE_URL": root,
            "OPENAI_BASE_URL": provider.base_url,
            "OPENAI_API_BASE": provider.base_url,
            "PYTHONPATH": str(ROOT),
            "LLMGUARD_DATABASE_URL": f"sqlite:///{folder / 'usage.db'}",
            "LLMGUARD_SPOOL_DIR": str(folder / "spool"),
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        }
        done = subprocess.run(
            [sys.executable, "-W", "ignore", program.name],
            cwd=program.parent,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
        )
        requests = [
            {
                "path": request.path,
                "body": request.body,
                "headers": {
                    name: value
                    for name, value in request.headers.items()
                    if name not in CARRIER and not name.startswith("x-stainless") and name != "user-agent"
                },
            }
            for request in provider.requests
        ]
        return Ran(done.returncode, done.stdout.replace(root, "<root>"), done.stderr, sorted(requests, key=str))


def migrated(program: Path) -> str:
    """What `llmguard migrate --write` said."""
    command = [sys.executable, "-m", "llmguard", "migrate", "--write", "--force", "--isolated", program.name]
    done = subprocess.run(
        command,
        cwd=program.parent,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stderr


def rows(folder: Path) -> int:
    """The calls on the books; what a slow machine has left in the spool at the program's end is put there first."""
    if not (folder / "spool").exists():
        return 0
    env = {**os.environ, "PYTHONPATH": str(ROOT), "LLMGUARD_SPOOL_DIR": str(folder / "spool")}
    env["LLMGUARD_DATABASE_URL"] = f"sqlite:///{folder / 'usage.db'}"
    command = [sys.executable, "-m", "llmguard", "usage", "flush"]
    subprocess.run(command, env=env, check=True, capture_output=True, timeout=120)
    connection = sqlite3.connect(folder / "usage.db")
    try:
        (number,) = connection.execute("SELECT COUNT(*) FROM llm_usage_logs").fetchone()
        (unknown,) = connection.execute("SELECT COUNT(*) FROM llm_usage_logs WHERE status = 'unknown'").fetchone()
        assert unknown == 0
        return int(number)
    finally:
        connection.close()


@pytest.mark.full
@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_a_program_of_several_files_does_the_same_after_the_migration(project: Path, tmp_path: Path) -> None:
    optional("groq")
    for name in ("before", "after"):
        shutil.copytree(project, tmp_path / name)
    before = ran(tmp_path / "before" / "main.py", tmp_path / "before")
    assert before.code == 0, before.stderr
    command = [sys.executable, "-m", "llmguard", "migrate", "--write", "--force", "--isolated"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path / "after", env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    after = ran(tmp_path / "after" / "main.py", tmp_path / "after")
    assert (after.code, after.stdout, after.requests) == (0, before.stdout, before.requests), after.stderr
    assert rows(tmp_path / "after") == len(after.requests)
    assert "client" not in (tmp_path / "after" / "models.py").read_text(encoding="utf-8")


@pytest.mark.full
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_does_the_same_after_the_migration(program: Path, tmp_path: Path) -> None:
    for sdk in ("groq", "openai", "anthropic", "litellm"):
        if sdk in program.read_text(encoding="utf-8"):
            optional(sdk)
    for name in ("before", "after"):
        (tmp_path / name).mkdir()
        shutil.copy(program, tmp_path / name / program.name)
    before = ran(tmp_path / "before" / program.name, tmp_path / "before")
    assert before.code == 0, before.stderr
    said = migrated(tmp_path / "after" / program.name)
    after = ran(tmp_path / "after" / program.name, tmp_path / "after")
    text = (tmp_path / "after" / program.name).read_text(encoding="utf-8")
    assert (after.code, after.stdout) == (0, before.stdout), f"{said}\n{text}\n{after.stderr}"
    assert after.requests == before.requests, text
    expected = int(told(program.read_text(encoding="utf-8"), "rows") or len(after.requests))
    assert rows(tmp_path / "after") == expected, f"{said}\n{text}"
    migrated(tmp_path / "after" / program.name)
    assert (tmp_path / "after" / program.name).read_text(encoding="utf-8") == text, "a second run changed it"
