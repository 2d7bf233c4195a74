"""What a careful engineer asks before `--write`: nothing is half-written, lost or overwritten."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmguard.errors import UsageError
from llmguard.migrate import write as writing
from llmguard.migrate.decisions import Change
from tests.command import ROOT, run

ONE = b"from groq import Groq\n\nclient = Groq()\nprint(client.chat.completions.create(model='m', messages=[]))\n"
AFTER = (
    b"from llmguard import llm_wrapper\n\n"
    b"print(llm_wrapper.chat_completion_sync(\n"
    b'    model=\'m\',\n    messages=[],\n    service_name="one",\n    provider="groq",\n)["response"])\n'
)


@pytest.fixture
def project(tmp_path: Path, installed: None) -> Path:
    """A repository with a file that has a call, committed."""
    (tmp_path / "one.py").write_bytes(ONE)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "x")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    command = ["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_without_write_nothing_changes_and_the_output_is_a_patch(project: Path) -> None:
    done = run("migrate", cwd=project)
    assert done.returncode == 1
    assert (project / "one.py").read_bytes() == ONE
    assert git(project, "status", "--porcelain") == ""
    subprocess.run(["git", "apply", "-"], cwd=project, input=done.stdout, text=True, check=True)
    assert (project / "one.py").read_bytes() == AFTER
    git(project, "commit", "-qam", "y")
    assert run("migrate", cwd=project).returncode == 0


def test_write_then_nothing_is_left_to_do(project: Path) -> None:
    done = run("migrate", "--write", cwd=project)
    assert done.returncode == 0, done.stderr
    assert (project / "one.py").read_bytes() == AFTER
    assert "1 migrated-review" in done.stderr
    assert not writing.pending(str(project))
    again = run("migrate", "--check", cwd=project)
    assert (again.returncode, again.stdout) == (0, "")
    assert run("check", cwd=project).returncode == 0


def test_a_file_with_unsaved_changes_is_not_written(project: Path) -> None:
    (project / "one.py").write_bytes(ONE + b"# mine\n")
    done = run("migrate", "--write", cwd=project)
    assert done.returncode == 2
    assert "hold changes that git does not have (one.py): commit, or --force" in done.stderr
    assert (project / "one.py").read_bytes() == ONE + b"# mine\n"
    (project / "two.py").write_text("# untracked, and of no concern\n")
    git(project, "checkout", "-q", "one.py")
    assert run("migrate", "--write", cwd=project).returncode == 0


def test_without_a_repository_files_are_written(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_bytes(ONE)
    assert run("migrate", "--write", cwd=tmp_path).returncode == 0
    assert (tmp_path / "one.py").read_bytes() == AFTER


def test_without_git_a_repository_is_left_alone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    done = run("migrate", "--write", cwd=project)
    assert (done.returncode, (project / "one.py").read_bytes()) == (2, ONE), done.stderr


def test_in_a_worktree_of_its_own(project: Path) -> None:
    git(project, "worktree", "add", "-q", "--detach", str(project / "tree"))
    done = run("migrate", "--write", cwd=project / "tree")
    assert done.returncode == 0, done.stderr
    assert (project / "tree" / "one.py").read_bytes() == AFTER
    assert (project / "one.py").read_bytes() == ONE


def test_an_untracked_file_counts_as_unsaved(project: Path) -> None:
    (project / "two.py").write_bytes(ONE)
    assert run("migrate", "--write", cwd=project).returncode == 2
    assert run("migrate", "--write", "--force", cwd=project).returncode == 0
    assert b"llm_wrapper" in (project / "two.py").read_bytes()


@pytest.mark.skipif(not hasattr(os, "getuid") or os.getuid() == 0, reason="root writes read-only files")
def test_a_read_only_file_is_one_line(project: Path) -> None:
    (project / "one.py").chmod(0o444)
    done = run("migrate", "--write", cwd=project)
    assert done.returncode == 2
    assert "read-only" in done.stderr


def test_a_file_that_changed_in_the_meantime_is_left_alone(tmp_path: Path) -> None:
    for name in ("a.py", "b.py"):
        (tmp_path / name).write_bytes(b"old")
    changes = [Change(name, str(tmp_path / name), b"old", b"new") for name in ("a.py", "b.py")]
    (tmp_path / "b.py").write_bytes(b"theirs")
    with pytest.raises(UsageError, match=r"b\.py has changed since the plan was made"):
        writing.write(changes, str(tmp_path))
    assert (tmp_path / "a.py").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["a.py", "b.py"]


def test_a_link_is_followed_and_modes_stay(tmp_path: Path) -> None:
    (tmp_path / "real.py").write_bytes(b"old")
    (tmp_path / "real.py").chmod(0o750)
    (tmp_path / "link.py").symlink_to("real.py")
    writing.write([Change("link.py", str(tmp_path / "link.py"), b"old", b"new")], str(tmp_path))
    assert (tmp_path / "link.py").is_symlink()
    assert (tmp_path / "real.py").read_bytes() == b"new"
    assert (tmp_path / "real.py").stat().st_mode & 0o777 == 0o750


_DYING = """
import os, signal, sys
from llmguard.migrate import write as writing
from llmguard.migrate.decisions import Change
folder, name, number = sys.argv[1], sys.argv[2], int(sys.argv[3])
real, left = getattr(os, name), [number]
def dying(*arguments, **keywords):
    left[0] -= 1
    if not left[0]:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **keywords)
setattr(os, name, dying)
names = ["a.py", "b.py", "c.py"]
writing.write([Change(n, os.path.join(folder, n), b"old", b"new " + n.encode()) for n in names], folder)
"""


@pytest.mark.parametrize(("name", "number"), [(n, k) for n in ("replace", "fsync", "unlink") for k in range(1, 6)])
def test_a_kill_at_any_moment_leaves_whole_files_and_a_run_that_can_be_finished(
    tmp_path: Path, name: str, number: int
) -> None:
    names = ["a.py", "b.py", "c.py"]
    for file in names:
        (tmp_path / file).write_bytes(b"old")
    command = [sys.executable, "-c", _DYING, str(tmp_path), name, str(number)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    for file in names:
        assert (tmp_path / file).read_bytes() in (b"old", b"new " + file.encode())
    pending = writing.pending(str(tmp_path))
    assert writing.finish(str(tmp_path)) == []
    contents = {(tmp_path / file).read_bytes() for file in names}
    assert contents == {b"old"} or contents == {b"new " + file.encode() for file in names}
    if pending:
        assert contents != {b"old"}
    writing_again = [Change(f, str(tmp_path / f), (tmp_path / f).read_bytes(), b"newer") for f in names]
    writing.write(writing_again, str(tmp_path))
    assert sorted(os.listdir(tmp_path)) == names


def test_a_dead_run_is_said_and_finished_by_the_next(project: Path) -> None:
    data = (project / "one.py").read_bytes()
    (project / "one.py.llmguard-new").write_bytes(AFTER)
    entry = {"path": str(project / "one.py"), "before": writing._digest(data), "after": writing._digest(AFTER)}
    writing._write_journal(writing.journal_of(str(project)), str(project), [entry], [])
    done = run("migrate", cwd=project)
    assert done.returncode == 2
    assert "--write finishes it" in done.stderr
    assert run("migrate", "--write", "--force", cwd=project).returncode == 0
    assert (project / "one.py").read_bytes() == AFTER
    assert sorted(os.listdir(project)) == [".git", "one.py"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--only", "nowhere"), "no target is called 'nowhere': one of to-wrapper"),
        (("--provider", "nobody"), "no provider is called 'nobody'"),
        (("--wrapper-module", "a-b"), "--wrapper-module must be a dotted module name"),
        (("--service-name", "{x}"), "--service-name may hold {stem}"),
        (("--user-id", "a-b"), "--user-id must be names or dotted names"),
        (("--log-call", "a b"), "--log-call must be names or dotted names"),
        (("--output-format", "xml"), "--output-format must be one of text, json, markdown"),
        (("nothing.py",), "nothing.py: no such file or folder"),
    ],
)
def test_wrong_usage_is_one_line(project: Path, arguments: tuple[str, ...], said: str) -> None:
    done = run("migrate", *arguments, cwd=project)
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_files_that_cannot_be_migrated_are_named(tmp_path: Path) -> None:
    call = "from groq import Groq\nGroq().chat.completions.create(model='m', messages=[])\n"
    (tmp_path / "broken.py").write_text(call + "def f(:\n")
    (tmp_path / "odd.py").write_bytes(b"# -*- coding: no-such -*-\n" + call.encode())
    notebook = {"cells": [{"cell_type": "code", "source": call.splitlines(True), "metadata": {}, "outputs": []}]}
    (tmp_path / "book.ipynb").write_text(json.dumps({**notebook, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    done = run("migrate", "--output-format", "json", cwd=tmp_path)
    report = json.loads(done.stdout)
    found: dict[str, Any] = {site["path"]: (site["verdict"], site["reason"]) for site in report["sites"]}
    assert found["broken.py"] == ("manual", "syntax-error")
    assert found["book.ipynb"] == ("manual", "notebook")
    assert found["odd.py"][0] == "manual"
    assert report["files_changed"] == []


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("requirements.txt", "groq==1.7\n", "groq==1.7\nllmguard[runtime] @ git+https://git.example.com/llmguard@v9\n"),
        ("requirements.txt", "groq==1.7", "groq==1.7\nllmguard[runtime] @ git+https://git.example.com/llmguard@v9\n"),
        (
            "requirements.txt",
            "llmguard[runtime] @ git+https://git.example.com/llmguard@v9\n",
            "llmguard[runtime] @ git+https://git.example.com/llmguard@v9\n",
        ),
        (
            "pyproject.toml",
            '[project]\nname = "x"\nversion = "1"\ndependencies = [\n    "groq"  # the SDK\n]\n',
            '[project]\nname = "x"\nversion = "1"\ndependencies = [\n    "groq",  # the SDK\n'
            '    "llmguard[runtime] @ git+https://git.example.com/llmguard@v9",\n]\n',
        ),
        (
            "pyproject.toml",
            '[project]\nname = "x"\nversion = "1"\ndependencies = ["groq[x]>=1"]\n',
            '[project]\nname = "x"\nversion = "1"\ndependencies = ["groq[x]>=1", "llmguard[runtime] @ git+https://git.example.com/llmguard@v9"]\n',
        ),
    ],
)
@pytest.mark.usefixtures("installed")
def test_the_dependency_is_added_where_it_belongs(tmp_path: Path, name: str, before: str, after: str) -> None:
    (tmp_path / "one.py").write_bytes(ONE)
    (tmp_path / name).write_text(before)
    done = run("migrate", "--write", "--force", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / name).read_text() == after
    assert run("migrate", "--check", cwd=tmp_path).returncode == 0


@pytest.mark.usefixtures("installed")
def test_where_the_dependency_belongs_is_said_when_nobody_knows(tmp_path: Path) -> None:
    (tmp_path / "one.py").write_bytes(ONE)
    assert (
        "add llmguard[runtime] @ git+https://git.example.com/llmguard@v9 to them" in run("migrate", cwd=tmp_path).stderr
    )


def test_every_reason_is_one_that_is_given_and_explained() -> None:
    from llmguard.migrate.verdict import REASONS

    code = "".join(
        path.read_text() for path in (ROOT / "llmguard" / "migrate").rglob("*.py") if path.name != "verdict.py"
    )
    assert [reason for reason in REASONS if f'"{reason}"' not in code] == []
