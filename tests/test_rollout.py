"""The rollout drill on real packages: from old debt to a ratchet, every step with what a person would expect."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path

import pytest

from tests.command import git, hook, run, write

pytestmark = pytest.mark.full
PACKAGES = ("aisuite==0.2.0", "mem0ai==2.2.1", "magentic==0.41.1")
NEW = "\n\ndef drill(messages):\n    import litellm\n\n    return litellm.completion(model='m', messages=messages)\n"
TRACKED = NEW.replace("import litellm", "from llmguard import llm_wrapper").replace(
    "litellm.completion(", "llm_wrapper.chat_completion_sync("
)
URL = ("--repo", "https://git.example.com/llmguard", "--rev", "v0.1.0")


@pytest.fixture(scope="module", params=PACKAGES)
def wheel(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheels")
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "-d", str(folder)]
    subprocess.run([*command, request.param], check=True, capture_output=True)
    (found,) = folder.glob("*.whl")
    return found


@pytest.fixture
def project(wheel: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    zipfile.ZipFile(wheel).extractall(folder)
    write(folder, {".pre-commit-config.yaml": "repos:\n  - repo: meta\n    hooks:\n      - id: identity\n"})
    git(folder, "init", "-q")
    commit(folder, "as published")
    return folder


def commit(project: Path, message: str) -> None:
    git(project, "add", "-A")
    git(project, "commit", "-qm", message)


def findings(project: Path, *arguments: str) -> list[dict[str, object]]:
    done = run("check", "--output-format", "json", *arguments, cwd=project)
    assert done.returncode in (0, 1), done.stderr
    rows: list[dict[str, object]] = json.loads(done.stdout)["findings"]
    assert done.returncode == (1 if rows else 0)
    return rows


def entries(project: Path) -> list[str]:
    return [line for line in (project / "llmguard-baseline.txt").read_text().splitlines() if not line.startswith("#")]


def test_the_drill(project: Path) -> None:
    debt = findings(project)
    assert len(debt) > 5
    by_file = Counter(str(row["path"]) for row in debt)
    worked_on, paid, moved = (name for name, _ in by_file.most_common(3))

    # init: one command, then silence
    done = run("init", *URL, "--ci", "github", cwd=project)
    assert done.returncode == 0, done.stderr
    assert len(entries(project)) == len(debt)
    assert entries(project) == sorted(str(row["site"]) for row in debt)
    assert findings(project) == []
    assert run("config", "check", cwd=project).returncode == 0
    commit(project, "llmguard")
    assert run("init", *URL, "--ci", "github", cwd=project).stdout.endswith("Nothing to write.\n")

    # code moves within its file: still silence
    text = (project / worked_on).read_text()
    write(project, {worked_on: "# a line\n# and another\n" + text})
    assert findings(project, "--fail-on-stale") == []
    assert hook(*by_file, cwd=project).stdout == ""

    # a new call: reported once, by every way of asking
    write(project, {worked_on: "# a line\n" + text + NEW})
    (new,) = findings(project)
    assert (new["path"], new["function"], new["callee"]) == (worked_on, "drill", "litellm.completion")
    assert findings(project, "--since", "main") == [new]
    assert findings(project, "--since", "main", "--no-baseline") == [new]
    assert hook(worked_on, paid, cwd=project).stdout.count("LLG101") == 1
    assert hook("--strict", worked_on, cwd=project).returncode == 1

    # it goes through the wrapper: tracked, and the share grows
    before = json.loads(run("coverage", "--output-format", "json", cwd=project).stdout)
    write(project, {worked_on: text + TRACKED})
    assert findings(project) == []
    after = json.loads(run("coverage", "--output-format", "json", cwd=project).stdout)
    assert (after["call_sites"], after["tracked"]) == (before["call_sites"], before["tracked"] + 1)
    assert run("coverage", "--fail-under", "99", cwd=project).returncode == 1
    commit(project, "tracked")

    # old debt is paid: said, failing only when asked, pruned to the entry
    (project / paid).unlink()
    done = run("check", cwd=project)
    assert (done.returncode, done.stdout.count("LLG803")) == (0, by_file[paid])
    assert run("check", "--fail-on-stale", cwd=project).returncode == 1
    assert run("baseline", "prune", cwd=project).returncode == 0
    assert len(entries(project)) == len(debt) - by_file[paid]
    assert findings(project, "--fail-on-stale") == []
    commit(project, "paid")

    # a file is renamed: its calls are new under the new name, update takes them over
    git(project, "mv", moved, f"{moved}_renamed.py")
    assert len(findings(project)) == by_file[moved]
    assert findings(project, "--since", "HEAD") == []
    run("baseline", "update", cwd=project)
    assert findings(project, "--fail-on-stale") == []
    assert len(entries(project)) == len(debt) - by_file[paid]
    commit(project, "renamed")

    # two branches change the baseline at once: git merges it, line by line
    for branch, name in (("left", "aa_left.py"), ("right", "aa_right.py")):
        git(project, "checkout", "-q", "-b", branch, "main")
        write(project, {name: NEW.lstrip()})
        run("baseline", "update", cwd=project)
        commit(project, branch)
    git(project, "merge", "-q", "-m", "merge", "left")
    assert findings(project, "--fail-on-stale") == []
    merged = sorted(entries(project))
    (project / "llmguard-baseline.txt").unlink()
    run("baseline", "create", cwd=project)
    assert entries(project) == merged


def test_suppress_silences_everything_and_keeps_every_program(project: Path) -> None:
    before = {path: ast.dump(ast.parse(path.read_bytes())) for path in project.rglob("*.py")}
    number = len(findings(project))
    done = run("suppress", "--reason", "before the rollout", cwd=project)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{number} calls suppressed")
    assert findings(project) == []
    assert {path: ast.dump(ast.parse(path.read_bytes())) for path in project.rglob("*.py")} == before
    assert run("suppress", "--reason", "again", cwd=project).stdout == "0 calls suppressed in 0 files.\n"
