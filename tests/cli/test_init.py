"""`llmguard init`: what it writes can be used, what is there stays, a second run does nothing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from llmguard.cli.setup import ruff as of_ruff
from llmguard.cli.setup.pre_commit import PATH
from tests.command import CALL, ROOT, git, repository, run, write

URL = ("--repo", "https://git.example.com/llmguard", "--rev", "v9")


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".git" not in path.relative_to(folder).parts)
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return repository(
        tmp_path / "project",
        {
            "app/a.py": CALL,
            "app/services/llm_usage_tracker.py": CALL,
            "tests/test_a.py": CALL,
            "contests/b.py": CALL,
            "scripts/check_llm_calls.py": "x = 'litellm.completion('\n",
            "pyproject.toml": '[project]\nname = "x"\n\n[tool.ruff.lint]  # ours\nselect = ["E"]',
            PATH: "# ours\nrepos:\n- repo: https://example.com/x # why\n  rev: v1\n  hooks:\n  - id: x\n\n"
            "ci: {skip: [x]}\n",
        },
    )


def test_everything_at_once(project: Path) -> None:
    done = run("init", *URL, "--ci", "github", cwd=project)
    assert done.returncode == 0, done.stderr
    files = tree(project)
    assert files["pyproject.toml"].decode() == (
        '[project]\nname = "x"\n\n[tool.ruff.lint]  # ours\nexternal = ["LLG"]\nselect = ["E"]\n'
        "\n[tool.llmguard]\nexclude = [\n"
        '    "app/services/llm_usage_tracker.py",  # the usage tracker itself\n'
        '    "scripts/check_llm_calls.py",         # the checker script names the calls that it looks for\n'
        '    "tests/",                             # tests call models to test them\n]\n'
    )
    assert files[PATH].decode() == (
        "# ours\nrepos:\n- repo: https://example.com/x # why\n  rev: v1\n  hooks:\n  - id: x\n"
        "- repo: https://git.example.com/llmguard\n  rev: v9\n  hooks:\n"
        "  - id: llmguard-check # warns, never blocks\n\nci: {skip: [x]}\n"
    )
    assert (
        b'pip install "llmguard @ git+https://git.example.com/llmguard@v9"' in files[".github/workflows/llm-calls.yaml"]
    )
    assert files[".gitattributes"] == b"llmguard-baseline.txt merge=union\n"
    assert files["llmguard-baseline.txt"].decode().splitlines()[2:] == [
        "app/a.py::ask::litellm.completion::1",
        "contests/b.py::ask::litellm.completion::1",
    ]
    assert run("check", "--fail-on-stale", cwd=project).returncode == 0
    assert run("config", "check", cwd=project).returncode == 0


def test_a_second_run_does_nothing(project: Path) -> None:
    run("init", *URL, "--ci", "gitlab", "--shims", cwd=project)
    before = tree(project)
    done = run("init", *URL, "--ci", "gitlab", "--shims", cwd=project)
    assert done.stdout.endswith("Nothing to write.\n")
    assert tree(project) == before


def test_dry_run_shows_a_patch_that_git_takes_and_that_is_what_init_writes(project: Path) -> None:
    before = tree(project)
    done = run("init", *URL, "--ci", "github", "--dry-run", cwd=project)
    assert tree(project) == before
    patch = "".join(
        f"{line}\n"
        for line in done.stdout.splitlines()
        if not line.startswith(("configuration:", "pre-commit", "ruff:", "CI:", "baseline:"))
    )
    (project.parent / "patch").write_text(patch)
    git(project, "apply", str(project.parent / "patch"))
    patched = tree(project)
    git(project, "checkout", "-q", "--", ".")
    git(project, "clean", "-qfd")
    run("init", *URL, "--ci", "github", cwd=project)
    assert tree(project) == patched


def test_without_anything_there(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "x = 1\n"})
    done = run("init", "--hook", cwd=tmp_path)
    assert done.returncode == 0
    assert sorted(tree(tmp_path)) == ["a.py", "llmguard.yaml"]
    # a hook that needs what a teammate has not installed would block every commit
    assert "needs the repository that llmguard is installed from: --repo URL --rev TAG" in done.stdout
    assert "baseline: llmguard-baseline.txt: not needed: there is no direct call" in done.stdout
    assert run("check", cwd=tmp_path).returncode == 0
    run("init", "--hook", *URL, cwd=tmp_path)
    (hook,) = yaml.safe_load((tmp_path / PATH).read_text())["repos"]
    assert hook == {"repo": URL[1], "rev": "v9", "hooks": [{"id": "llmguard-check"}]}


def test_nested_configurations_get_a_baseline_each_where_they_say(tmp_path: Path) -> None:
    for name, nested, expected in (
        ("plain", "", {"llmguard-baseline.txt", "one/llmguard-baseline.txt"}),
        ("named", "baseline: known/base.txt\n", {"llmguard-baseline.txt", "one/known/base.txt"}),
    ):
        files = {"app.py": CALL, "one/llmguard.yaml": nested, "one/a.py": CALL}
        project = repository(tmp_path / name, files)
        done = run("init", cwd=project)
        assert done.returncode == 0, done.stderr
        assert {path for path in tree(project) if path.endswith(".txt")} == expected
        assert run("check", "--fail-on-stale", cwd=project).returncode == 0


def test_in_a_folder_of_a_repository(project: Path) -> None:
    write(project, {"llmguard.yaml": "ignore: [LLG2]\n"})
    before = tree(project)
    done = run("init", *URL, "--hook", "--ci", "gitlab", "--no-baseline", "--no-ruff", cwd=project / "app")
    assert done.returncode == 0
    assert "holds for this folder" in done.stdout
    assert done.stdout.count(f"belongs into {project}: run init there") == 2
    assert tree(project) == before


@pytest.mark.parametrize(
    "files",
    [
        {
            "pyproject.toml": "# größe\n".encode("latin-1").decode("latin-1"),
            PATH: "repos:\n  -\n    repo: meta\n    hooks: []\n",
        },
        {PATH: "repos: 3\n"},
        {PATH: "repos:\n  - hooks: 5\n"},
        {"pyproject.toml": "tool = 3\n"},
        {"pyproject.toml": '[tool.ruff]\nlint = "x"\n'},
        {f"{PATH}/x": ""},
        {"pyproject.toml/x": ""},
        {".gitattributes/x": ""},
    ],
)
def test_odd_files_are_left_alone_without_an_internal_error(tmp_path: Path, files: dict[str, str]) -> None:
    write(tmp_path, {"a.py": "x = 1\n", **files})
    done = run("init", *URL, "--hook", cwd=tmp_path)
    assert "internal error" not in done.stderr
    assert done.returncode in (0, 2)


def test_an_address_for_ssh_is_one_that_pip_takes(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": "x = 1\n"})
    run("init", "--ci", "github", "--repo", "git@git.example.com:o/x.git", "--rev", "v9", cwd=tmp_path)
    text = (tmp_path / ".github" / "workflows" / "llm-calls.yaml").read_text()
    assert "llmguard @ git+ssh://git@git.example.com/o/x.git@v9" in text
    assert run("init", "--repo", URL[1], cwd=tmp_path).stderr.count("--repo needs --rev") == 1


@pytest.mark.parametrize("end", ["\n", "\r\n", ""])
def test_the_patch_of_a_dry_run_keeps_line_ends(tmp_path: Path, end: str) -> None:
    text = f"[project]{end or chr(10)}name = 'x'{end}"
    project = repository(tmp_path / "p", {"pyproject.toml": text, "a.py": "x = 1\n"})
    shown = run("init", "--dry-run", cwd=project).stdout
    (tmp_path / "patch").write_bytes(shown[shown.index("--- ") :].encode())
    git(project, "apply", str(tmp_path / "patch"))
    patched = tree(project)
    git(project, "checkout", "-q", "--", ".")
    run("init", cwd=project)
    assert tree(project) == patched


def test_flags_leave_things_out(project: Path) -> None:
    run("init", "--no-hook", "--no-ruff", "--no-baseline", "--yaml", cwd=project)
    assert git(project, "status", "--porcelain") == "?? llmguard.yaml\n"
    assert yaml.safe_load((project / "llmguard.yaml").read_text())["exclude"] == [
        "app/services/llm_usage_tracker.py",
        "scripts/check_llm_calls.py",
        "tests/",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "repos:\n  - repo: https://example.com/x\n    rev: v1\n    hooks:\n      - id: x\n",
        "repos:\n  - repo: https://example.com/x\n    rev: v1\n    hooks:\n      - id: x\n"
        "        args:\n          - >-\n            a\n            b\n",
        "repos:\n  - repo: https://example.com/x\n    rev: v1\n    hooks:\n      - id: x\n"
        "        # its comment\n\n  # not its comment\nci:\n  a: 1\n",
        "default_language_version: {python: python3}\nrepos:\n- hooks: [{id: x}]\n  repo: meta",
        "repos:\r\n  - repo: meta\r\n    hooks:\r\n      - id: identity\r\n",
        "repos:\n  - repo: meta\n    hooks:\n    - id: identity\n...\n",
        "---\nrepos:\n    - repo: meta\n      hooks:\n          - id: identity\nfail_fast: true\n",
        "repos:\n- repo: local\n  hooks:\n  - id: x\n    entry: |\n      a\n      b\n"
        '    files: ""\nexclude: |\n  (?x)^(\n    a\n  )$\n',
    ],
)
def test_the_hook_goes_into_any_block_list(tmp_path: Path, text: str) -> None:
    write(tmp_path, {PATH: text, "a.py": "x = 1\n"})
    run("init", *URL, cwd=tmp_path)
    after = (tmp_path / PATH).read_bytes().decode()
    before, new = yaml.safe_load(text), yaml.safe_load(after)
    assert new["repos"].pop() == {"repo": URL[1], "rev": "v9", "hooks": [{"id": "llmguard-check"}]}
    assert new == before
    old, lines = text.splitlines(), after.splitlines()
    more = len(lines) - len(old)
    assert any(lines[:at] == old[:at] and lines[at + more :] == old[at:] for at in range(len(old) + 1))
    assert ("\r\n" in text) == ("\r\n" in after)
    assert after.count("\n") == after.count("\r\n") or "\r\n" not in text


@pytest.mark.parametrize(
    "text", ["repos: []\n", "repos: [{repo: meta, hooks: [{id: identity}]}]\n", "a: 1\n", "- x\n", ""]
)
def test_where_text_will_not_do_it_says_what_to_add(tmp_path: Path, text: str) -> None:
    write(tmp_path, {PATH: text, "a.py": "x = 1\n"})
    done = run("init", *URL, cwd=tmp_path)
    assert (tmp_path / PATH).read_text() == text
    assert "add this below repos: by hand\n  - repo: https://git.example.com/llmguard\n" in done.stdout


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("pyproject.toml", "[tool.ruff]\nline-length = 9\n"),
        ("pyproject.toml", "[tool.ruff.lint]\nexternal = []\n"),
        ("pyproject.toml", '[tool.ruff.lint]\nexternal = ["V"] # why\nselect = []\n'),
        (
            "pyproject.toml",
            '[tool.ruff.lint]\nselect = ["E"]\nexternal = [\n    "V",\n]\n[tool.ruff.lint.isort]\nx = 1\n',
        ),
        ("pyproject.toml", "[tool.ruff]\nline-length = 9\r\n[tool.ruff.lint]\r\nselect = []\r\n"),
        ("ruff.toml", "line-length = 9\n"),
        (".ruff.toml", 'line-length = 9\n[lint]\nselect = ["E"]'),
    ],
)
def test_ruff_is_told(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path, {name: text, "a.py": "x = 1\n"})
    run("init", "--yaml", cwd=tmp_path)
    document = of_ruff.loads((tmp_path / name).read_bytes())
    assert document is not None
    lint = document["tool"]["ruff"]["lint"] if name == "pyproject.toml" else document["lint"]
    assert lint["external"][0] == "LLG"
    before = of_ruff.loads(text.encode())
    lint["external"].remove("LLG")
    if not lint["external"] and "external" not in text:
        del lint["external"]
    if not lint and "lint" not in text:
        (document["tool"]["ruff"] if name == "pyproject.toml" else document).pop("lint")
    assert document == before


@pytest.mark.parametrize(
    "text",
    [
        '[tool.ruff]\nlint = { select = ["E"] }\n',
        '[tool.ruff]\nexternal = ["WPS"]\n',
        '[tool.ruff]\nextend = "../ruff.toml"\n',
    ],
)
def test_ruff_is_left_with_advice_where_a_list_would_take_anothers_place(tmp_path: Path, text: str) -> None:
    write(tmp_path, {"pyproject.toml": text, "a.py": "x = 1\n"})
    done = run("init", "--yaml", cwd=tmp_path)
    assert (tmp_path / "pyproject.toml").read_text() == text
    assert 'add external = ["LLG"]' in done.stdout


def test_shims_are_written_for_what_there_is(tmp_path: Path) -> None:
    write(tmp_path, {"app/services/llm_wrapper.py": "mine = 1\n", "ask.py": CALL})
    done = run("init", "--shims", cwd=tmp_path)
    assert (tmp_path / "app" / "services" / "llm_wrapper.py").read_text() == "mine = 1\n"
    assert "shim: app/services/llm_wrapper.py: is there already" in done.stdout
    ran = subprocess.run(
        [sys.executable, "scripts/check_llm_calls.py", "ask.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0
    for line in done.stdout.splitlines():
        if line.startswith("shim: ") and "not written" in line:
            assert not (tmp_path / line.split(": ")[1]).exists()


@pytest.mark.parametrize(
    ("files", "arguments", "said"),
    [
        ({}, ["--ci", "jenkins"], "--ci must be one of github, gitlab, none, not 'jenkins'"),
        ({"llmguard.yaml": "zzz: 1"}, [], "zzz: unknown key"),
        ({"pyproject.toml": "[tool.llmguard\n"}, [], "is no valid TOML"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    tmp_path: Path, files: dict[str, str], arguments: list[str], said: str
) -> None:
    write(tmp_path, {"a.py": CALL, **files})
    before = tree(tmp_path)
    done = run("init", *arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stderr.count("\n") == 1
    assert tree(tmp_path) == before
