"""Which repository, commit and environment a process runs from, found without running git, once a process."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from llmguard.usage.block import TrackedBlock
from llmguard.usage.recorder import Recorder, replace
from llmguard.usage.revision import Revision, revision_of, without_password
from llmguard.usage.settings import UsageSettings, from_environment
from tests.command import git, repository
from tests.usage.recorded import rows_of

URL = "https://git.example.com/team/app.git"


def head(folder: Path) -> str:
    asked = ["git", "-C", str(folder), "rev-parse", "HEAD"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = repository(tmp_path / "app", {"src/a.py": "x = 1\n"})
    git(folder, "remote", "add", "origin", URL.replace("https://", "https://bot:secret@"))
    return folder


@pytest.mark.parametrize("how", ["branch", "packed", "detached", "work tree", "below"])
def test_it_is_what_git_would_say(how: str, work: Path, tmp_path: Path) -> None:
    folder, commit = work, head(work)
    if how == "packed":
        git(work, "pack-refs", "--all")
    elif how == "detached":
        git(work, "checkout", "-q", "--detach")
    elif how == "work tree":
        folder = tmp_path / "beside"
        git(work, "worktree", "add", "-q", str(folder))
    elif how == "below":
        folder = work / "src"
    revision_of.cache_clear()
    assert revision_of(str(folder)) == Revision(URL, commit)


@pytest.mark.parametrize(
    "head_says", ["ref: ../../../etc/passwd", "ref: refs/../../x", "", "\0", "ref: refs/heads/none", "f" * 39]
)
def test_what_is_no_commit_is_none(head_says: str, work: Path) -> None:
    (work / ".git" / "HEAD").write_text(head_says)
    revision_of.cache_clear()
    assert revision_of(str(work)) == Revision(URL, "")


def test_outside_of_a_repository_nothing_is_known(tmp_path: Path) -> None:
    assert revision_of(str(tmp_path)) == Revision()


def test_a_password_never_is_a_part_of_it() -> None:
    assert without_password("git@github.com:a/b.git") == "git@github.com:a/b.git"
    assert without_password("https://x-access-token:ghp_1@github.com/a/b") == "https://github.com/a/b"
    assert without_password("https://[") == ""


def test_rows_say_it_and_what_is_given_wins(work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(work)
    monkeypatch.setenv("LLMGUARD_DATABASE_URL", f"sqlite:///{tmp_path / 'u.db'}")
    monkeypatch.setenv("LLMGUARD_SPOOL_DIR", str(tmp_path / "spool"))
    monkeypatch.setenv("LLMGUARD_ENVIRONMENT", "production")
    found = [written(from_environment())]
    monkeypatch.setenv("LLMGUARD_COMMIT", "abc")
    monkeypatch.setenv("LLMGUARD_REPOSITORY", "https://u:p@elsewhere.example/r")
    found.append(written(from_environment()))
    assert found == [("production", URL, head(work)), ("production", "https://elsewhere.example/r", "abc")]


def written(settings: UsageSettings) -> tuple[str, str, str]:
    recording = Recorder(settings)
    before = replace(recording)
    try:
        with TrackedBlock({"provider": "p", "model": "m"}):
            pass
    finally:
        replace(before)
    row = rows_of(recording)[-1]
    recording.close(5)
    return row["environment"], row["repository"], row["commit"]


def test_an_unfinished_call_says_it_too(work: Path, tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "from llmguard import llm_tracker\n"
        "llm_tracker.set_request_context(tenant='acme', run_id='r', agent='planner', budget='q4')\n"
        "with llm_tracker.track_llm_call('p', 'm'):\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    from tests.command import ROOT
    from tests.usage.test_crash import bring_in, rows

    settings = UsageSettings(f"sqlite:///{tmp_path / 'u.db'}", spool_dir=str(tmp_path / "spool"))
    env = {
        "LLMGUARD_DATABASE_URL": settings.database_url,
        "LLMGUARD_SPOOL_DIR": settings.spool_dir,
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
    }
    subprocess.run([sys.executable, "-c", program], cwd=work, env=env, check=False)
    bring_in(settings)
    (row,) = rows(settings)
    assert (row["status"], row["commit"]) == ("unknown", head(work))
    assert (row["tenant"], row["run_id"], row["agent"], row["budget"]) == ("acme", "r", "planner", "q4")
