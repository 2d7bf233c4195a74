"""`llmguard keys` and `llmguard serve`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from llmguard.usage.settings import UsageSettings
from tests.cli.test_usage import NOW, add, home
from tests.command import ROOT, Done
from tests.command import run as run_in
from tests.optional import optional

__all__ = ["home"]
optional("fastapi")
optional("uvicorn")


def run(*arguments: str) -> Done:
    return run_in(*arguments, cwd=ROOT)


def test_a_key_is_made_shown_once_and_ended(home: UsageSettings) -> None:
    made = run("keys", "create", "ann", "--name", "laptop", "--days", "3")
    assert made.returncode == 0
    key = made.stdout.strip()
    assert re.fullmatch(r"llmguard_[0-9a-f]{12}_[\w-]{43}", key)
    assert "cannot be shown again" in made.stderr
    listed = json.loads(run("keys", "list", "--output-format", "json").stdout)["keys"]
    assert [(row["user_id"], row["name"], row["is_admin"]) for row in listed] == [("ann", "laptop", False)]
    assert key.split("_", 2)[2] not in run("keys", "list").stdout
    identity = key.split("_")[1]
    assert run("keys", "revoke", identity).returncode == 0
    again = run("keys", "revoke", identity)
    assert (again.returncode, again.stderr) == (1, f"There is no key {identity} that has not ended.\n")


@pytest.mark.parametrize("arguments", [("create", " "), ("create", "ann", "--days", "999999999")])
def test_what_is_no_key_is_said(arguments: tuple[str, ...], home: UsageSettings) -> None:
    done = run("keys", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1


def test_it_serves_what_is_in_the_ledger(home: UsageSettings, tmp_path: Path) -> None:
    add(home, NOW, user_id="ann")
    command = [sys.executable, "-m", "llmguard", "serve", "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment, cwd=tmp_path)
    assert server.stderr is not None
    try:
        address = ""
        for line in server.stderr:
            found = re.search(r"running on (http://127\.0\.0\.1:\d+)", line)
            if found:
                address = found[1]
                break
        with urllib.request.urlopen(f"{address}/api/llm/usage/logs", timeout=20) as response:
            assert json.load(response)["total"] == 1
    finally:
        server.terminate()
        server.wait(20)
        server.stderr.close()


def test_a_ledger_that_is_away_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMGUARD_DATABASE_URL", "postgresql+psycopg://x@127.0.0.1:1/none")
    done = run("serve", "--port", "0")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "cannot be used" in done.stderr
