"""The hook never blocks and never crashes a commit; strict stops it. The full tier asks the real pre-commit."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import CALL, ROOT, SAID, hook, run

SEEN = f"app.py:5:12: LLG101 {SAID}\n"
WARNED = "llmguard: 1 finding; a warning only, the commit goes on.\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "app.py").write_text(CALL)
    (tmp_path / "clean.py").write_text("x = 1\n")
    return tmp_path


def test_warns_and_passes(project: Path) -> None:
    done = hook("app.py", "clean.py", cwd=project)
    assert (done.returncode, done.stdout, done.stderr) == (0, SEEN + WARNED, "")


def test_is_silent_without_a_call(project: Path) -> None:
    done = hook("clean.py", cwd=project)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_strict_blocks(project: Path) -> None:
    assert hook("--strict", "app.py", cwd=project).returncode == 1
    assert hook("--strict", "clean.py", cwd=project).returncode == 0


def test_without_files_the_whole_directory_is_checked(project: Path) -> None:
    assert hook(cwd=project).stdout == SEEN + WARNED


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_any_stdout_will_do(project: Path, encoding: str) -> None:
    (project / "größe.py").write_text(CALL.replace("ask", "größe"))
    done = hook("größe.py", cwd=project, PYTHONIOENCODING=f"{encoding}:strict", PYTHONUTF8="0")
    assert done.returncode == 0
    assert "LLG101" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [("[tool.llmguard]\nzzz = 1\n", "zzz: unknown key"), ("[tool.llmguard\n", "is no valid TOML")],
)
def test_a_broken_configuration_is_said_and_blocks_nothing(project: Path, text: str, said: str) -> None:
    (project / "pyproject.toml").write_text(text)
    done = hook("app.py", cwd=project)
    assert done.returncode == 0
    assert said in done.stdout
    assert done.stdout.count("\n") == 1
    assert hook("--strict", "app.py", cwd=project).returncode == 2


def test_an_unknown_option_is_said(project: Path) -> None:
    done = hook("--frobnicate", "app.py", cwd=project)
    assert done.returncode == 0
    assert "unknown option --frobnicate" in done.stdout
    assert hook("--strict", "--frobnicate", cwd=project).returncode == 2


def test_an_unknown_code_in_the_configuration_is_said(project: Path) -> None:
    (project / "llmguard.yaml").write_text("select: [LLG999]\n")
    done = hook("--strict", "app.py", cwd=project)
    assert done.returncode == 2
    assert "select: no rule is called 'LLG999'" in done.stdout


def test_a_missing_file_is_said(project: Path) -> None:
    done = hook("nowhere.py", cwd=project)
    assert (done.returncode, done.stdout) == (0, "nowhere.py:1:1: LLG901 could not check: no such file\n")


def test_a_closed_stdout_is_no_error(project: Path) -> None:
    command = f"{sys.executable} -m llmguard.cli.hook app.py >&-"
    done = subprocess.run(
        command, shell=True, cwd=project, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False
    )
    assert done.returncode == 0


def test_files_with_blanks_in_their_names(project: Path) -> None:
    (project / "my app.py").write_text(CALL)
    assert "my app.py:5:12: LLG101" in hook("my app.py", cwd=project).stdout


def test_the_litellm_callback_is_looked_for_in_the_whole_project(project: Path) -> None:
    (project / "start.py").write_text("from llmguard import setup_litellm_tracking\n\nsetup_litellm_tracking()\n")
    commit_all(project)
    assert hook("app.py", cwd=project).stdout == ""
    (project / "start.py").write_text("def setup_litellm_tracking():\n    pass\n")
    assert hook("app.py", cwd=project).stdout == SEEN + WARNED
    for folder in ("docs/examples/app", "examples", "tests"):  # which are not this program
        (project / folder).mkdir(parents=True)
        (project / folder / "main.py").write_text(
            "from llmguard import setup_litellm_tracking\nsetup_litellm_tracking()\n"
        )
    commit_all(project)
    assert hook("app.py", cwd=project).stdout == SEEN + WARNED


def script():  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location("check_llm_calls", ROOT / "hooks" / "check_llm_calls.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_scripts_interface(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(project)
    (project / "llmguard.yaml").write_text("exclude: [skipped.py]\n")
    (project / "skipped.py").write_text(CALL)
    module = script()
    ((line, text, message),) = module.check_file(Path("app.py"))
    assert (line, text) == (5, 'return litellm.completion(model="m", messages=m)')
    assert "direct LiteLLM completion" in message
    assert module.check_file("clean.py") == []
    assert (module.should_skip_file("skipped.py"), module.should_skip_file("app.py")) == (True, False)
    assert module.main(["app.py"]) == 0
    assert SEEN in capsys.readouterr().out


def commit_all(project: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=project, check=True)
    subprocess.run(["git", "add", "-A"], cwd=project, check=True)


def pre_commit(project: Path, config: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    (project / ".pre-commit-config.yaml").write_text(config)
    commit_all(project)
    return subprocess.run(
        [sys.executable, "-m", "pre_commit", "run", *arguments],
        cwd=project,
        capture_output=True,
        text=True,
        env={**os.environ, "PRE_COMMIT_HOME": str(project.parent / "pre-commit-home"), "GIT_CONFIG_GLOBAL": os.devnull},
        check=False,
    )


def local(hook_id: str) -> str:
    """A configuration with the published hook, run by this interpreter in place of an environment of its own."""
    text = (ROOT / ".pre-commit-hooks.yaml").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^- ", text)
    chosen = next(entry for entry in entries if entry.startswith(f"id: {hook_id}\n"))
    chosen = chosen.replace("language: python", "language: system")
    chosen = chosen.replace("entry: llmguard-hook", f"entry: {sys.executable} -m llmguard.cli.hook")
    return (
        "repos:\n  - repo: local\n    hooks:\n      - "
        + "\n        ".join(line.strip() for line in chosen.strip().splitlines())
        + "\n"
    )


@pytest.mark.full
@pytest.mark.parametrize("hook_id", ["llmguard-check", "llmguard-check-all", "check-llm-usage"])
def test_pre_commit_shows_the_warning_and_passes(project: Path, hook_id: str) -> None:
    done = pre_commit(project, local(hook_id), "--all-files")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Passed" in done.stdout
    assert SEEN in done.stdout


@pytest.mark.full
def test_pre_commit_strict_blocks(project: Path) -> None:
    done = pre_commit(project, local("llmguard-check-strict"), "--all-files")
    assert done.returncode == 1
    assert SEEN in done.stdout


@pytest.mark.full
def test_pre_commit_installs_the_published_hook(project: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    commit_all(project)
    source = tmp_path_factory.mktemp("published")
    tracked = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    for name in tracked:
        if name.startswith(("llmguard/", "migrations/", "pyproject", "README", "LICENSE", ".pre-commit-hooks")):
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run([*git, "init", "-q"], cwd=source, check=True)
    subprocess.run([*git, "add", "-A"], cwd=source, check=True)
    subprocess.run([*git, "commit", "-qm", "published"], cwd=source, check=True)
    done = subprocess.run(
        [sys.executable, "-m", "pre_commit", "try-repo", str(source), "llmguard-check", "--all-files"],
        cwd=project,
        capture_output=True,
        text=True,
        env={**os.environ, "PRE_COMMIT_HOME": str(source.parent / "pre-commit-home")},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert SEEN in done.stdout


@pytest.mark.full
@pytest.mark.parametrize("baseline", [False, True])
def test_nine_thousand_files_in_parallel_batches_give_what_one_run_gives(project: Path, baseline: bool) -> None:
    (project / "shared.py").write_text("from openai import OpenAI\nclient = OpenAI()\n")
    user = "from shared import client\n\n\ndef f(m):\n    return client.responses.create(**m)\n"
    for number in range(9000):
        folder = project / f"package_{number % 60:02}"
        folder.mkdir(exist_ok=True)
        (folder / f"module_number_{number:05}.py").write_text(user if number % 100 == 0 else f"x = {number}\n")
    expected = 91
    if baseline:
        assert run("baseline", "create", cwd=project).stdout == "llmguard-baseline.txt: 91 entries (91 added).\n"
        for number in range(0, 9000, 450):
            path = project / f"package_{number % 60:02}" / f"module_number_{number:05}.py"
            path.write_text("from shared import client\nclient.responses.create(input='new')\n" + path.read_text())
        expected = 20
    done = pre_commit(project, local("llmguard-check"), "--all-files")
    assert done.returncode == 0
    assert done.stdout.count("a warning only") > 1, "the files must have come in more than one batch"
    batched = sorted(line for line in done.stdout.splitlines() if " LLG" in line)
    one = run("check", "-q", "--output-format", "concise", cwd=project).stdout.splitlines()
    assert len(one) == expected
    assert batched == sorted(one)


@pytest.mark.parametrize("kind", ["script", "shim"])
def test_the_seeds_recipe_without_llmguard_blocks_no_commit(kind: str, project: Path) -> None:
    """Seed 004's hook is `python scripts/check_llm_calls.py` in an environment that has nothing in it."""
    script = project / "scripts" / "check_llm_calls.py"
    script.parent.mkdir()
    if kind == "script":
        script.write_bytes((ROOT / "hooks" / "check_llm_calls.py").read_bytes())
    else:
        assert run("init", "--yes", "--shims", cwd=project).returncode == 0
    bare = [sys.executable, "-I", "-S", str(script), "app.py"]
    done = subprocess.run(bare, cwd=project, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert len(done.stderr.splitlines()) == 1
    assert "llmguard is not installed here" in done.stderr
    assert "additional_dependencies" in done.stderr
