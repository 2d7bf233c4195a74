"""A repository that nobody trusts: nothing in it runs, nothing outside of it is written, whatever command reads it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmguard.migrate import write as writing
from tests.command import CALL, ROOT, Done, git, hook, repository, run, write

DIRECT = 'from openai import OpenAI\nOpenAI().chat.completions.create(model="m", messages=[])\n'
COMMANDS = (
    ("check", "."),
    ("check", "--since", "HEAD", "."),
    ("check", "--fix", "."),
    ("coverage", "."),
    ("baseline", "show", "."),
    ("baseline", "create", "."),
    ("init", "--yes"),
    ("suppress", "--reason", "x", "."),
    ("migrate", "."),
    ("migrate", "--write", "."),
    ("migrate", "--write", "--force", "."),
)


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    """A file that appears when something of the repository was run."""
    return tmp_path / "RUN"


def every_command(folder: Path, mark: Path, *below: str) -> None:
    for place in (folder, *(folder / name for name in below)):
        for command in COMMANDS:
            (folder / "app.py").touch()
            done = run(*command, cwd=place)
            assert not mark.exists(), command
            assert "internal error" not in done.stderr, (command, done.stderr)
        hook("app.py", cwd=folder)
        assert not mark.exists()


def embedded(folder: Path, mark: Path, **more: str) -> Path:
    """A repository with a folder, committed, that is itself a bare repository with a monitor that leaves a mark."""
    inner = folder / "vendor" / "lib"
    repository(folder, {"app.py": DIRECT})
    inner.mkdir(parents=True)
    git(inner, "init", "-q", "--bare", ".")
    for name in ("hooks", "branches", "description", "info"):
        subprocess.run(["rm", "-rf", str(inner / name)], check=True)
    write(
        inner,
        {
            "config": "[core]\n\trepositoryformatversion = 0\n\tbare = false\n\tworktree = .\n"
            f'\tfsmonitor = "touch {mark}; false"\n',
            "objects/.keep": "",
            "refs/.keep": "",
            "lt.py": CALL,
            **more,
        },
    )
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    clone = folder.parent / "clone"
    git(folder.parent, "clone", "-q", str(folder), str(clone))
    return clone


def test_a_committed_folder_that_is_a_bare_repository(tmp_path: Path, mark: Path) -> None:
    every_command(embedded(tmp_path / "a", mark), mark, "vendor/lib", "vendor")


def test_one_with_a_configuration_and_a_stale_baseline(tmp_path: Path, mark: Path) -> None:
    more = {"llmguard.yaml": "exclude: []\n", "llmguard-baseline.txt": "gone.py::f::litellm.completion::1\n"}
    every_command(embedded(tmp_path / "a", mark, **more), mark)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("core.fsmonitor", "touch {mark}; false"),
        pytest.param("core.fsmonitor", "touch {mark}", marks=pytest.mark.full),
        pytest.param("filter.ev.clean", "touch {mark}; cat", marks=pytest.mark.full),
        pytest.param("filter.ev.smudge", "touch {mark}; cat", marks=pytest.mark.full),
        ("filter.ev.process", "touch {mark}; cat"),
        pytest.param("filter.ev.x.clean", "touch {mark}; cat", marks=pytest.mark.full),
        ("filter.e=v.clean", "touch {mark}; cat"),
        pytest.param("diff.ev.command", "touch {mark}", marks=pytest.mark.full),
        pytest.param("diff.ev.textconv", "touch {mark}; cat", marks=pytest.mark.full),
        pytest.param("diff.external", "touch {mark}", marks=pytest.mark.full),
        pytest.param("core.pager", "touch {mark}", marks=pytest.mark.full),
        pytest.param("pager.diff", "touch {mark}", marks=pytest.mark.full),
        pytest.param("core.editor", "touch {mark}", marks=pytest.mark.full),
        pytest.param("core.sshCommand", "touch {mark}", marks=pytest.mark.full),
        pytest.param("credential.helper", "!touch {mark}", marks=pytest.mark.full),
        pytest.param("core.alternateRefsCommand", "touch {mark}", marks=pytest.mark.full),
        pytest.param("alias.ls-files", "!touch {mark}", marks=pytest.mark.full),
        pytest.param("gpg.program", "touch {mark}", marks=pytest.mark.full),
        ("core.hooksPath", "{hooks}"),
    ],
)
def test_a_git_folder_that_came_with_the_tree(key: str, value: str, tmp_path: Path, mark: Path) -> None:
    name = key.partition(".")[2].rpartition(".")[0]
    folder = repository(tmp_path / "p", {"app.py": DIRECT, ".gitattributes": f"*.py filter={name} diff={name}\n"})
    hooks = tmp_path / "p" / ".git" / "own"
    for hook_name in ("post-index-change", "pre-commit", "fsmonitor-watchman", "post-checkout"):
        write(hooks, {hook_name: f"#!/bin/sh\ntouch {mark}\n"})
        (hooks / hook_name).chmod(0o755)
    git(folder, "config", key, value.format(mark=mark, hooks=hooks))
    if key == "gpg.program":
        git(folder, "config", "log.showSignature", "true")
    mark.unlink(missing_ok=True)
    every_command(folder, mark)


def test_a_submodule_that_came_with_the_tree(tmp_path: Path, mark: Path) -> None:
    library = repository(tmp_path / "library", {"lib.py": CALL})
    folder = repository(tmp_path / "p", {"app.py": DIRECT})
    git(folder, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "lib")
    git(folder, "commit", "-qm", "x")
    git(folder / "lib", "config", "core.fsmonitor", f"touch {mark}; false")
    write(folder, {"lib/lib.py": CALL + "\n"})
    mark.unlink(missing_ok=True)
    every_command(folder, mark)


def test_a_partial_clone_fetches_nothing(tmp_path: Path, mark: Path) -> None:
    source = repository(tmp_path / "source", {"app.py": CALL, "other.py": "x = 1\n"})
    git(source, "config", "uploadpack.allowFilter", "true")
    write(source, {"app.py": DIRECT})
    git(source, "commit", "-qam", "y")
    folder = tmp_path / "p"
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{source}", str(folder))
    git(folder, "config", "remote.origin.uploadpack", f"touch {mark}; git-upload-pack")
    git(folder, "config", "protocol.file.allow", "always")
    every_command(folder, mark)
    git(folder, "reset", "-q", "--hard")
    done = run("check", "--since", "HEAD~1", "--no-baseline", "--output-format", "concise", cwd=folder)
    assert done.returncode == 1, done.stderr
    assert "app.py:2:1: LLG102" in done.stdout
    assert "this clone is partial, so that 1 changed files count as changed as a whole" in done.stderr


@pytest.mark.parametrize("kind", ["uninitialised", "stray", "initialised", "worktree", "shallow"])
def test_clones_of_every_kind_work_in_all_commands(kind: str, tmp_path: Path) -> None:
    library = repository(tmp_path / "library", {"lib.py": CALL})
    source = repository(tmp_path / "source", {"app.py": DIRECT})
    if kind == "stray":
        commit = git(library, "rev-parse", "HEAD").strip()
        git(source, "update-index", "--add", "--cacheinfo", f"160000,{commit},lib")
    else:
        git(source, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library), "lib")
    git(source, "commit", "-qm", "lib")
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", *(["--depth", "1"] if kind == "shallow" else []), f"file://{source}", str(clone))
    if kind == "initialised":
        git(clone, "-c", "protocol.file.allow=always", "submodule", "update", "--init", "-q")
    elif kind == "worktree":
        git(clone, "worktree", "add", "-q", "--detach", str(tmp_path / "tree"))
        clone = tmp_path / "tree"
    elif kind == "stray":
        (clone / "lib").mkdir(exist_ok=True)
    found = run("check", "--isolated", "--output-format", "concise", cwd=clone)
    assert ("lib/lib.py" in found.stdout) == (kind == "initialised"), found
    for command in (*COMMANDS[:2], *COMMANDS[3:]):
        done = run(*command, "--isolated" if command[0] != "init" else "--yes", cwd=clone)
        assert done.returncode in (0, 1), (command, done.stderr)
    assert run("check", "--isolated", "lib", cwd=clone).returncode in (0, 1, 3)


def test_a_journal_that_a_repository_ships_is_not_believed(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "repo"
    home.mkdir()
    (home / "id_rsa").write_text("KEY")
    journal = {"version": 1, "files": [], "moves": [["notes.txt", "../home/.profile"], ["../home/id_rsa", "stolen"]]}
    names = (".llmguard-migrate.json", ".git/llmguard-migrate.json")
    repository(folder, {"app.py": "print(1)\n", "notes.txt": "echo", names[0]: json.dumps(journal)})
    write(folder, {names[1]: json.dumps(journal)})
    for arguments in ((), ("--write",), ("--write", "--force")):
        assert run("migrate", *arguments, cwd=folder).returncode in (0, 1)
    assert os.listdir(home) == ["id_rsa"]
    assert not (folder / "stolen").exists()


def test_a_journal_of_ours_writes_nothing_outside(tmp_path: Path) -> None:
    folder = repository(tmp_path / "repo", {"app.py": DIRECT})
    outside = tmp_path / "outside.py"
    outside.write_text("old")
    (tmp_path / "outside.py.llmguard-new").write_text("new")
    os.symlink("../outside.py", folder / "link.py")
    entries = [
        {"path": str(folder / "link.py"), "before": writing._digest(b"old"), "after": writing._digest(b"new")},
    ]
    (folder / "link.py.llmguard-new").write_text("new")
    moves = [("app.py", str(tmp_path / "gone.py")), (str(outside), str(folder / "stolen.py"))]
    writing._write_journal(writing.journal_of(str(folder)), str(folder), entries, moves)
    run("migrate", "--write", "--force", cwd=folder)
    assert outside.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["outside.py", "outside.py.llmguard-new", "repo"]


def outside(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.mark.parametrize(
    "name", ["llmguard-baseline.txt", "llmguard.yaml", "pyproject.toml", ".gitattributes", ".pre-commit-config.yaml"]
)
@pytest.mark.parametrize("dangling", [True, False])
def test_links_out_of_the_project_are_not_written(name: str, dangling: bool, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    if not dangling:
        (home / "target").write_text("")
    folder = repository(tmp_path / "repo", {"$(touch x).py": CALL})
    os.symlink("../home/target", folder / name)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "x")
    before = {path: path.read_bytes() for path in home.iterdir()}
    for command in (("init", "--yes", "--hook"), ("baseline", "create"), ("baseline", "update"), ("init", "--yes")):
        run(*command, cwd=folder)
    assert {path: path.read_bytes() for path in home.iterdir()} == before


@pytest.mark.parametrize(
    "baseline",
    ["../home/x", "/tmp/llmguard-outside/x", "sub/../../home/x", "link/x", ".git/hooks/pre-commit", ".GIT/x"],
)
def test_a_baseline_outside_of_the_project_is_refused(baseline: str, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    folder = repository(tmp_path / "repo", {"a.py": CALL, "llmguard.yaml": f"baseline: {baseline}\n"})
    os.symlink("../home", folder / "link")
    for command in (("check",), ("baseline", "create"), ("baseline", "update"), ("init", "--yes")):
        done = run(*command, cwd=folder)
        assert done.returncode == 2, done
        assert done.stderr.count("\n") == 1
        assert "baseline: leads out of the project" in done.stderr
    assert os.listdir(tmp_path / "home") == []


@pytest.mark.parametrize(
    "command", [("migrate", "--write", "--force"), ("suppress", "--reason", "x"), ("check", "--fix")]
)
def test_sources_behind_links_out_stay(command: tuple[str, ...], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    text = CALL + "x = 1  # llmguard: ignore[LLG101]\n"
    (home / "theirs.py").write_text(text)
    folder = repository(tmp_path / "repo", {"a.py": CALL})
    os.symlink("../home/theirs.py", folder / "link.py")
    done = run(*command, cwd=folder)
    assert "internal error" not in done.stderr
    assert (home / "theirs.py").read_text() == text
    assert sorted(os.listdir(home)) == ["theirs.py"]
    if command[0] != "check":
        assert "link.py" in done.stderr
        assert "leads out of the project" in done.stderr


def test_new_files_beside_old_ones_follow_no_link(tmp_path: Path) -> None:
    folder = repository(tmp_path / "repo", {"app.py": DIRECT})
    (tmp_path / "victim").write_text("old")
    os.symlink("../victim", folder / "app.py.llmguard-new")
    run("migrate", "--write", "--force", cwd=folder)
    assert (tmp_path / "victim").read_text() == "old"


def test_a_file_of_the_project_that_is_named_like_a_new_one_stays(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": CALL, "a.py.llmguard-new": "somebody's own\n"})
    done = run("migrate", "--write", "--force", cwd=tmp_path)
    assert done.returncode == 2
    assert "a.py.llmguard-new is there already" in done.stderr
    assert (tmp_path / "a.py.llmguard-new").read_text() == "somebody's own\n"
    assert (tmp_path / "a.py").read_text() == CALL
    (tmp_path / "a.py.llmguard-new").unlink()
    assert run("migrate", "--write", "--force", cwd=tmp_path).returncode in (0, 1)
    assert (tmp_path / "a.py").read_text() != CALL


def test_modes_stay_and_broken_hard_links_are_said(tmp_path: Path) -> None:
    folder = repository(tmp_path / "repo", {"app.py": DIRECT})
    (folder / "app.py").chmod(0o750)
    os.link(folder / "app.py", tmp_path / "other.py")
    done = run("migrate", "--write", "--force", cwd=folder)
    assert "app.py: its other hard links keep what it was" in done.stderr
    assert (folder / "app.py").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "other.py").read_text() == DIRECT


@pytest.mark.parametrize(
    "pattern", ["*a*a*a*a*a*ab", "**/a/**/a/**/a/**/b", "[a-z]*[a-z]*[a-z]*[a-z]*x", "a?" * 40 + "*" * 9]
)
@pytest.mark.parametrize("key", ["exclude", "per-file-ignores", "skip-names", "skip-modules"])
def test_patterns_are_linear(pattern: str, key: str, tmp_path: Path) -> None:
    name = "a" * 180
    value = {pattern: ["LLG1"]} if key == "per-file-ignores" else [pattern]
    write(tmp_path, {f"{name}.py": CALL.replace("ask", name), "llmguard.yaml": json.dumps({key: value})})
    began = time.perf_counter()
    assert run("check", cwd=tmp_path).returncode in (0, 1, 3)
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("llmguard.yaml", "exclude: " + "[" * 5000),
        ("llmguard.yaml", "{a: " * 3000),
        ("pyproject.toml", "[tool.llmguard]\nexclude = " + "[" * 5000),
        ("pyproject.toml", "[tool.llmguard]\nx = " + "{a = " * 3000),
        ("pyproject.toml", "[tool.llmguard]\n" + "a." * 20_000 + "b = 1"),
        ("pyproject.toml", "[tool.llmguard]\n" + "".join(f"b{n}{'.a' * 1000} = 1\n" for n in range(200))),
    ],
)
def test_deep_nesting_is_a_configuration_error_with_its_file(name: str, text: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.py": CALL, name: text})
    began = time.perf_counter()
    done = run("check", cwd=tmp_path)
    assert time.perf_counter() - began < 5
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"{name}: " in done.stderr
    assert "internal error" not in done.stderr


@pytest.mark.parametrize(
    "secret", ["password: hunter2\n", "hunter2\n", "hunter2: [\n", "- hunter2\n", "exclude: hunter2\n"]
)
@pytest.mark.parametrize("how", ["extend", "link"])
def test_errors_show_nothing_of_foreign_files(secret: str, how: str, tmp_path: Path) -> None:
    (tmp_path / "secrets.yaml").write_text(secret)
    folder = repository(tmp_path / "repo", {"a.py": CALL})
    if how == "extend":
        write(folder, {"llmguard.yaml": "extend: ../secrets.yaml\n"})
    else:
        os.symlink("../secrets.yaml", folder / "llmguard.yaml")
    done = run("check", cwd=folder)
    assert done.returncode == 2
    assert "hunter2" not in done.stderr
    assert "password" not in done.stderr
    assert "lies outside of the project" in done.stderr


def odd(folder: Path, name: bytes) -> Done:
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:
        file.write(CALL.encode())
    write(folder, {"ok.py": CALL})
    os.mkfifo(folder / "pipe.py")
    done = run("migrate", "--isolated", "--write", ".", cwd=folder)
    assert "internal error" not in done.stderr, done.stderr
    assert "llmguard" in (folder / "ok.py").read_text()
    return done


@pytest.mark.parametrize("name", [b"n\xff.py", b"new\nline.py", b"(a+)+$.py", b"'quote\".py", b"-x.py", b"\x1b[31m.py"])
def test_odd_names_are_named_and_the_rest_is_migrated(name: bytes, tmp_path: Path) -> None:
    done = odd(tmp_path, name)
    assert all(line.isprintable() for line in (done.stdout + done.stderr).splitlines())
    for command in (("check", "--isolated"), ("coverage", "--isolated"), ("suppress", "--reason", "x", "--isolated")):
        again = run(*command, cwd=tmp_path)
        assert "internal error" not in again.stderr
        assert all(line.isprintable() for line in (again.stdout + again.stderr).splitlines())


def test_nul_bytes_are_no_internal_error(tmp_path: Path) -> None:
    (tmp_path / "nul.py").write_bytes(CALL.encode() + b"\x00\n")
    (tmp_path / "llmguard.yaml").write_bytes(b"exclude: ['\x00']\n")
    for command in COMMANDS[:1] + COMMANDS[3:]:
        assert "internal error" not in run(*command, cwd=tmp_path).stderr
    assert run("check", "--config", "a\x00b", cwd=tmp_path).returncode == 2


FORMATS = ("full", "concise", "json", "json-lines", "sarif", "github", "gitlab", "junit", "markdown")
_HOSTILE = "::error file=x,line=1::pwned ##[error]##vso[task.complete]<script>`](https://evil.example)@team|.py"


@pytest.mark.parametrize("form", FORMATS)
def test_names_sources_and_reasons_are_text_in_every_output(form: str, tmp_path: Path) -> None:
    name = _HOSTILE.replace("/", ":")
    hostile = f"{name} \x1b[2J\u202e\x9b"
    write(tmp_path, {name: CALL.replace("messages=m)", f"messages=m)  # {hostile}")})
    write(tmp_path, {f"{name}2.py": CALL.replace("messages=m)", f"messages=m)  # llmguard: ignore {hostile}")})
    done = run("check", "--isolated", "--show-suppressed", "--output-format", form, cwd=tmp_path)
    for line in (done.stdout + done.stderr).splitlines():
        assert all(sign.isprintable() or sign == "\t" for sign in line), line
        if form != "github":
            assert not line.lstrip().startswith("::")
        assert "##[" not in line
        assert "##vso[" not in line
    if form == "github":
        commands = [line for line in done.stdout.splitlines() if line.startswith("::")]
        assert all(line.startswith(("::warning file=", "::notice file=")) for line in commands)
    if form in ("markdown", "junit"):
        assert "<script>" not in done.stdout.replace("``", "") or form == "markdown"


def test_markdown_is_no_live_markup(tmp_path: Path) -> None:
    from tests.optional import optional

    write(tmp_path, {_HOSTILE.replace("/", ":"): CALL})
    parser = optional("markdown_it").MarkdownIt("commonmark").enable("table")
    for command in (
        ("check", "--isolated", "--output-format", "markdown"),
        ("coverage", "--isolated", "--output-format", "markdown"),
        ("migrate", "--isolated", "--output-format", "markdown"),
    ):
        done = run(*command, cwd=tmp_path)
        assert done.returncode in (0, 1), done.stderr
        html = parser.render(done.stdout)
        assert "<script" not in html
        assert "<a href" not in html


@pytest.mark.parametrize("answered", ["m\n[LLM_USAGE] service=forged", "m\r\x1b[2Jx", "::error::x"])
def test_what_a_model_answers_forges_no_line_of_the_log(answered: str, caplog: pytest.LogCaptureFixture) -> None:
    from llmguard.testing import memory_ledger
    from llmguard.usage.tracker import llm_tracker

    caplog.set_level("INFO", "llmguard")
    with memory_ledger(), llm_tracker.track_llm_call("openai", answered, service_name=answered):
        pass
    assert caplog.messages
    assert all(message.isprintable() for message in caplog.messages)


@pytest.mark.parametrize("name", [".gitattributes", ".pre-commit-config.yaml", "ruff.toml", "llmguard-baseline.txt"])
def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(name: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.py": CALL})
    os.mkfifo(tmp_path / name)
    command = [
        sys.executable,
        "-m",
        "llmguard",
        "init",
        "--yes",
        "--hook",
        "--repo",
        "https://x.example/y",
        "--rev",
        "v1",
    ]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 2), done.stderr
    assert "internal error" not in done.stderr


@pytest.mark.parametrize("key", ["baseline", "wrapper", "exclude", "skip-names"])
def test_a_nul_in_a_configuration_is_one_line(key: str, tmp_path: Path) -> None:
    value = '["a\\u0000b"]' if key in ("exclude", "skip-names") else '"a\\u0000b"'
    write(tmp_path, {"a.py": CALL, "llmguard.yaml": f"{key}: {value}\n"})
    for command in (("check",), ("baseline", "create"), ("init", "--yes")):
        done = run(*command, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done
        assert key in done.stderr


def test_a_log_of_a_ci_service_has_no_commands_of_a_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    write(tmp_path, {"a.py": f'"""\n::error::x\n##[error]y\n"""\n{CALL}'})
    for command in (("migrate", "--isolated"), ("suppress", "--isolated", "--reason", "x", "--dry-run")):
        for line in run(*command, cwd=tmp_path).stdout.splitlines():
            assert not line.lstrip().startswith("::")
            assert "##[" not in line
    run("migrate", "--isolated", "--output-file", "a.patch", cwd=tmp_path)
    assert " ##[error]y" in (tmp_path / "a.patch").read_text()


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("llmguard.yaml", f"exclude: {'1' * 5000}\n"),
        ("llmguard.yaml", "exclude: 2026-13-45\n"),
        ("pyproject.toml", f"[tool.llmguard]\nexclude = {'1' * 5000}\n"),
        ("llmguard.yaml", 'exclude: ["\\\\\\\\"]\n'),
    ],
)
def test_odd_values_are_no_internal_error(name: str, text: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.py": CALL, name: text})
    for command in (("check",), ("config", "check"), ("config", "show")):
        done = run(*command, cwd=tmp_path)
        assert "internal error" not in done.stderr, done
        assert done.returncode in (0, 1, 2)


def test_files_that_would_fill_the_memory_are_named(tmp_path: Path) -> None:
    write(tmp_path, {"ok.py": CALL})
    for name in ("big.py", "requirements.txt", "pyproject.toml"):
        with open(tmp_path / name, "wb") as file:
            file.write(CALL.encode())
            file.truncate(20 << 30)
    done = run("check", "--isolated", "--output-format", "concise", cwd=tmp_path)
    assert "big.py:1:1: LLG901 could not check: larger than 256 MB" in done.stdout
    assert "ok.py:5:12" in done.stdout
    assert run("migrate", "--check", "--isolated", cwd=tmp_path).returncode == 1
    assert hook("big.py", "ok.py", cwd=tmp_path).returncode == 0


def test_a_configuration_of_any_size_is_one_line(tmp_path: Path) -> None:
    write(tmp_path, {"a.py": CALL, "llmguard.yaml": "exclude: [" + "a, " * 400_000 + "b]\n"})
    done = run("check", cwd=tmp_path)
    assert (done.returncode, "is too large for a configuration" in done.stderr) == (2, True)


@pytest.mark.parametrize("path", [".:{path}", ":{path}", "sub/..:{path}"])
def test_a_git_of_the_repository_is_not_run(path: str, tmp_path: Path, mark: Path) -> None:
    folder = repository(tmp_path / "p", {"app.py": DIRECT, "git": f"#!/bin/sh\ntouch {mark}\n"})
    (folder / "git").chmod(0o755)
    done = run("check", ".", cwd=folder, env={"PATH": path.format(path=os.environ["PATH"])})
    assert done.returncode == 1, done.stderr
    assert not mark.exists()


@pytest.mark.parametrize("encoding", ["undefined", "rot13", "nothing", "idna", "mbcs"])
def test_encodings_that_decode_nothing_are_no_internal_error(encoding: str, tmp_path: Path) -> None:
    write(tmp_path, {"a.py": f"# coding: {encoding}\n{CALL}"})
    for command in (("check",), ("migrate", "--check"), ("suppress", "--reason", "x")):
        done = run(*command, "--isolated", cwd=tmp_path)
        assert "internal error" not in done.stdout + done.stderr


def test_what_the_hook_and_the_baseline_name_is_text(tmp_path: Path) -> None:
    names = ["\x1b[31mz.py", "::error::z.py", "##[error]z.py", "a\n::error::b.py"]
    for line in hook(*names, cwd=tmp_path).stdout.splitlines():
        assert line.isprintable()
        assert not line.startswith("::")
        assert "##[" not in line
    write(tmp_path, dict.fromkeys(names[:3], CALL))
    assert run("baseline", "create", "--isolated", cwd=tmp_path).returncode == 0
    for line in run("baseline", "show", "--isolated", cwd=tmp_path).stdout.splitlines():
        assert line.isprintable()
        assert not line.lstrip().startswith("::")
        assert "##[" not in line
