"""The command on odd files and odd requests: one clear line, whole files, patches that git takes."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from llmguard.errors import UsageError
from llmguard.migrate import write as writing
from llmguard.migrate.decisions import Change
from tests.command import run
from tests.migrate.test_safety import ONE, git, project

__all__ = ["project"]  # the fixture


def test_check_and_write_exclude_each_other(project: Path) -> None:
    done = run("migrate", "--check", "--write", cwd=project)
    assert (done.returncode, done.stderr) == (
        2,
        "llmguard: error: --check writes nothing: leave out --write, or --check\n",
    )
    assert (project / "one.py").read_bytes() == ONE


def test_a_report_that_cannot_be_kept_is_said_before_anything_is_written(project: Path) -> None:
    done = run("migrate", "--write", "--output-file", "nowhere/r.txt", cwd=project)
    assert done.returncode == 2
    assert "there is no such folder" in done.stderr
    assert (project / "one.py").read_bytes() == ONE


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_a_pipe_is_not_waited_for(project: Path) -> None:
    os.mkfifo(project / "pipe.py")
    assert run("migrate", "--check", cwd=project).returncode == 1
    assert run("migrate", "--check", "--rename", cwd=project).returncode == 1


@pytest.mark.parametrize(
    "name", ["one two.py", "naïve.py", 'quo"ted.py', "tab\tbed.py", "back\\slash.py", "new\nline.py"]
)
def test_a_patch_with_any_name_and_any_bytes_is_one_that_git_takes(name: str, project: Path) -> None:
    text = "# -*- coding: latin-1 -*-\n# caf\xe9\n".encode("latin-1") + ONE
    (project / name).write_bytes(text)
    git(project, "add", "-A")
    git(project, "commit", "-qm", "y")
    command = ["git", "apply", "-"]
    done = run("migrate", "--output-file", "../the.patch", cwd=project)
    assert done.returncode == 1, done.stderr
    patch = (project.parent / "the.patch").read_bytes()
    subprocess.run(command, cwd=project, input=patch, check=True)
    assert b"# caf\xe9\nfrom llmguard import llm_wrapper\n" in (project / name).read_bytes()
    assert run("migrate", "--check", cwd=project).returncode == 0
    compile((project / name).read_bytes(), "x", "exec")


def test_a_patch_with_moves_is_one_that_git_takes(project: Path) -> None:
    (project / "groq_jobs.py").write_text("def groq_total():\n    return 1\n")
    (project / "main.py").write_text("import groq_jobs\n\nprint(groq_jobs.groq_total())\n")
    (project / "groq_empty.py").write_text("X = 'groq'\n")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "y")
    done = run("migrate", "--rename", cwd=project)
    subprocess.run(["git", "apply", "-"], cwd=project, input=done.stdout, text=True, check=True)
    assert (project / "main.py").read_text() == "import llm_jobs\n\nprint(llm_jobs.llm_total())\n"
    assert sorted(path.name for path in project.glob("*.py")) == ["llm_empty.py", "llm_jobs.py", "main.py", "one.py"]


def test_the_file_behind_a_link_is_asked_for_unsaved_changes(project: Path) -> None:
    (project / "link.py").symlink_to("one.py")
    git(project, "add", "-A")
    git(project, "commit", "-qm", "y")
    (project / "one.py").write_bytes(ONE + b"# mine\n")
    done = run("migrate", "--write", "link.py", cwd=project)
    assert done.returncode == 2
    assert (project / "one.py").read_bytes() == ONE + b"# mine\n"


def test_what_is_left_out_is_ignored_and_does_not_fail_the_run(project: Path) -> None:
    done = run("migrate", "--write", "--provider", "openai", "--output-format", "json", cwd=project)
    (site,) = json.loads(done.stdout)["sites"]
    assert (done.returncode, site["verdict"], site["reason"]) == (0, "ignored", "deselected")
    done = run("migrate", "--write", "--only", "to-tracked-client", "--output-format", "json", cwd=project)
    assert json.loads(done.stdout)["sites"][0]["target"] == "to-tracked-client"


def test_the_table_has_a_line_for_each_file(project: Path) -> None:
    (project / "two.py").write_bytes(ONE + ONE.replace(b"client", b"other"))
    lines = [line.split() for line in run("migrate", "--check", cwd=project).stderr.splitlines()]
    assert ["file", "migrated", "migrated-review", "manual"] in lines
    assert ["one.py", "1"] in lines
    assert ["two.py", "2"] in lines


def journal(project: Path, text: str) -> None:
    """A journal of a project that a run has left."""
    path = Path(writing.journal_of(str(project)))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)


def test_a_reason_names_the_places(project: Path) -> None:
    (project / "test_one.py").write_text("from unittest import mock\n\nmock.patch('one.Groq')\n")
    done = run("migrate", "--check", cwd=project)
    assert "one.py:4: migrated-review: no user id was found: the row has none" in done.stderr
    assert "; tests replace the client: it stays (test_one.py:3)\n" in done.stderr


def test_names_after_groq_are_pointed_at(project: Path) -> None:
    assert "--rename" not in run("migrate", "--check", cwd=project).stderr
    (project / "two.py").write_text("def ask_groq():\n    pass\n")
    assert "Names of the project still say groq: --rename" in run("migrate", "--check", cwd=project).stderr


@pytest.mark.parametrize("text", ["[]", '{"files": [{"path": 3}]}', "no json", '{"files": 1}'])
def test_a_journal_that_nobody_understands_is_one_line(text: str, project: Path) -> None:
    journal(project, text)
    done = run("migrate", "--write", "--force", cwd=project)
    assert done.returncode == 2
    assert "cannot be read" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_journal_is_found_from_a_folder_of_the_repository(project: Path) -> None:
    (project / "inner").mkdir()
    (project / "inner" / "x.py").write_bytes(ONE)
    journal(project, '{"version": 1, "files": []}')
    done = run("migrate", cwd=project / "inner")
    assert done.returncode == 2
    assert "--write finishes it" in done.stderr


def test_a_run_that_is_stopped_takes_its_files_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.py").write_bytes(b"old")

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(writing, "_write_journal", stop)
    with pytest.raises(KeyboardInterrupt):
        writing.write([Change("a.py", str(tmp_path / "a.py"), b"old", b"new")], str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["a.py"]
    assert (tmp_path / "a.py").read_bytes() == b"old"


def test_the_list_of_dependencies_is_that_of_the_project_round_the_code(project: Path) -> None:
    (project / "requirements.txt").write_text("groq\nllmguard-extras\n")
    (project / "src").mkdir()
    (project / "src" / "x.py").write_bytes(ONE)
    assert run("migrate", "--write", "--force", "x.py", cwd=project / "src").returncode == 0
    assert (
        project / "requirements.txt"
    ).read_text() == "groq\nllmguard-extras\nllmguard[runtime] @ git+https://git.example.com/llmguard@v9\n"
    (project / "requirements.txt").write_bytes("groq\n".encode("utf-16"))
    (project / "src" / "y.py").write_bytes(ONE)
    done = run("migrate", "--write", "--force", "src/y.py", cwd=project)
    assert (
        "requirements.txt is not in UTF-8: add llmguard[runtime] @ git+https://git.example.com/llmguard@v9 to them"
        in done.stderr
    )


def test_a_new_file_never_takes_the_place_of_another(tmp_path: Path) -> None:
    (tmp_path / "m.sql").write_bytes(b"theirs")
    with pytest.raises(UsageError, match="is there already"):
        writing.write([], str(tmp_path), (), [(str(tmp_path / "m.sql"), b"ours")])
    assert (tmp_path / "m.sql").read_bytes() == b"theirs"
