"""`llmguard check` and its siblings, run as a user runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import CALL, ROOT, SAID, run


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(CALL)
    (tmp_path / "clean.py").write_text("x = 1\n")
    return tmp_path


def test_full_output_shows_the_source_with_a_caret(project: Path) -> None:
    done = run("check", cwd=project)
    assert done.returncode == 1
    assert done.stdout == (
        f"LLG101 {SAID}\n"
        "  --> app.py:5:12\n"
        "  |\n"
        '5 |     return litellm.completion(model="m", messages=m)\n'
        "  |            ^^^^^^^^^^^^^^^^^^\n"
        "  |\n"
        "\n"
        "1 finding in 2 files.\n"
    )
    assert done.stderr == ""


def test_concise_output(project: Path) -> None:
    done = run("check", "--output-format", "concise", "-q", cwd=project)
    assert done.stdout == (f"app.py:5:12: LLG101 {SAID}\n")


def test_json_output_is_the_documented_object(project: Path) -> None:
    done = run("check", "--output-format", "json", cwd=project)
    document = json.loads(done.stdout)
    assert (document["version"], document["files_checked"], document["errors"]) == (1, 2, [])
    assert document["findings"] == [
        {
            "path": "app.py",
            "line": 5,
            "column": 12,
            "end_line": 5,
            "end_column": 30,
            "rule": "LLG101",
            "family": "completion",
            "provider": "litellm",
            "callee": "litellm.completion",
            "function": "ask",
            "site": "app.py::ask::litellm.completion::1",
            "confidence": "proved",
            "severity": "warning",
            "message": SAID,
        }
    ]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["check"], 1),
        (["check", "--exit-zero"], 0),
        (["check", "clean.py"], 0),
        (["check", "--select", "LLG2"], 0),
        (["check", "--ignore", "direct-completion"], 0),
        (["check", "nowhere.py"], 2),
        (["check", "--select", "XYZ"], 2),
        (["check", "--min-confidence", "sure"], 2),
        (["check", "--config", "none.toml"], 2),
        (["check", "--config", "x.toml", "--isolated"], 2),
        (["check", "--output-format", "xml"], 2),
        (["check", "--no-such-option"], 2),
        (["frobnicate"], 2),
        (["explain", "LLG101"], 0),
        (["explain", "direct-messages"], 0),
        (["explain", "LLG999"], 2),
        (["rules"], 0),
        (["--version"], 0),
    ],
)
def test_exit_codes(project: Path, arguments: list[str], code: int) -> None:
    done = run(*arguments, cwd=project)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def test_errors_are_one_line(project: Path) -> None:
    done = run("check", "nowhere.py", cwd=project)
    assert done.stderr == "llmguard: error: nowhere.py: no such file or folder\n"
    (project / "pyproject.toml").write_text("[tool.llmguard]\nselekt = []\n")
    done = run("check", cwd=project)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "selekt: unknown key; did you mean select?" in done.stderr


def test_nothing_checked_never_looks_clean(tmp_path: Path) -> None:
    done = run("check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "Nothing was checked: no Python files were found.\n")
    (tmp_path / "app.py").write_text(CALL)
    (tmp_path / "llmguard.yaml").write_text("exclude: ['*.py']\n")
    done = run("check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "Nothing was checked: the one Python file is excluded.\n")


def test_what_could_not_be_checked_is_said_and_counted(project: Path) -> None:
    (project / "old.py").write_text("print 'x'\n# litellm\n")
    done = run("check", "--output-format", "concise", "old.py", cwd=project)
    assert done.returncode == 0
    assert "old.py:1:1: LLG902 line 1 could not be parsed" in done.stdout
    assert run("check", "--fail-on-unchecked", "old.py", cwd=project).returncode == 1


def test_tracked_calls_can_be_listed(project: Path) -> None:
    (project / "app.py").write_text(
        "import litellm\nfrom llmguard import llm_tracker\n\n\ndef ask(m):\n"
        "    with llm_tracker.track_llm_call(provider='x', model='m'):\n"
        "        return litellm.completion(model='m', messages=m)\n"
    )
    done = run("check", "--show-tracked", "--output-format", "concise", cwd=project)
    assert done.returncode == 0
    assert "app.py:7:16: tracked: litellm.completion (inside a tracker block)" in done.stdout
    assert "1 call tracked already" in done.stdout


def test_show_files(project: Path) -> None:
    assert run("check", "--show-files", cwd=project).stdout.split() == ["app.py", "clean.py"]


def test_colours_only_on_a_terminal(project: Path) -> None:
    assert "\x1b[" not in run("check", cwd=project, env={"FORCE_COLOR": "1"}).stdout


def test_a_reader_that_goes_away_is_no_error(project: Path) -> None:
    (project / "many.py").write_text(CALL * 3000)
    command = f'{sys.executable} -c "from llmguard.cli import main; main()" check many.py | head -1'
    done = subprocess.run(
        command,
        shell=True,
        capture_output=True,
        text=True,
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.stdout.startswith("LLG101")


def test_git_ignored_files_are_left_out(project: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    (project / ".gitignore").write_text("generated/\n")
    (project / "generated").mkdir()
    (project / "generated" / "out.py").write_text(CALL)
    assert run("check", "--show-files", cwd=project).stdout.split() == ["app.py", "clean.py"]


def test_help_names_every_exit_code() -> None:
    text = " ".join(run("check", "--help", cwd=Path.cwd()).stdout.split())
    for part in ("0 nothing to report", "1 findings", "2 wrong usage", "3 nothing was checked"):
        assert part in text


def test_a_report_can_go_to_a_file_while_people_see_a_summary(project: Path) -> None:
    done = run("check", "--output-format", "sarif", "--output-file", "out.sarif", cwd=project)
    assert (done.returncode, done.stdout) == (1, "1 finding in 2 files.\n")
    assert json.loads((project / "out.sarif").read_text())["version"] == "2.1.0"
    assert sorted(p.name for p in project.iterdir()) == ["app.py", "clean.py", "out.sarif"]
    done = run("check", "--output-file", "no/such/folder.txt", cwd=project)
    assert done.returncode == 2
    assert done.stderr == "llmguard: error: no/such/folder.txt: cannot be written: No such file or directory\n"


@pytest.mark.parametrize("name", ["json", "json-lines", "sarif", "github", "gitlab", "junit", "markdown", "concise"])
def test_the_exit_code_does_not_depend_on_the_format(project: Path, name: str) -> None:
    assert run("check", "--output-format", name, cwd=project).returncode == 1
    assert run("check", "--output-format", name, "clean.py", cwd=project).returncode == 0


def test_a_report_can_go_to_a_pipe_or_a_device(project: Path) -> None:
    os.mkfifo(project / "pipe")
    reader = subprocess.Popen(["cat", str(project / "pipe")], stdout=subprocess.PIPE, text=True)
    run("check", "--output-format", "concise", "--output-file", "pipe", cwd=project)
    assert "LLG101" in reader.communicate(timeout=30)[0]
    assert (project / "pipe").is_fifo()
