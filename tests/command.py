"""Commands as a user runs them, in a folder."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import llmguard
from llmguard import cli
from llmguard.cli import hook as hook_entry

ROOT = Path(llmguard.__file__).parents[1]
#: What is said of `CALL`.
SAID = (
    "direct LiteLLM completion, on no ledger: "
    'call llm_wrapper.chat_completion_sync(provider="litellm", ...)["response"] instead'
)
CALL = 'import litellm\n\n\ndef ask(m):\n    return litellm.completion(model="m", messages=m)\n'


class Done(NamedTuple):
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str, cwd: Path, env: dict[str, str] | None = None, stdin: str | None = None) -> Done:
    """`llmguard arguments`, in this process; in one of its own where the environment is another."""
    if env:
        return _process([sys.executable, "-c", "from llmguard.cli import main; main()", *arguments], cwd, env)
    return _here(lambda: cli.main(), ["llmguard", *arguments], cwd, stdin)


def hook(*arguments: str, cwd: Path, **env: str) -> Done:
    """`llmguard-hook arguments`, likewise."""
    if env:
        return _process([sys.executable, "-m", "llmguard.cli.hook", *arguments], cwd, env)
    return _here(lambda: hook_entry.main(), ["llmguard-hook", *arguments], cwd, None)


def _here(entry: Callable[[], int | None], argv: list[str], cwd: Path, stdin: str | None) -> Done:
    before = os.getcwd(), sys.argv, sys.stdin, sys.stdout, sys.stderr
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors="surrogateescape") for _ in range(2))
    code: int | str | None = 0
    try:
        os.chdir(cwd)
        sys.argv, sys.stdout, sys.stderr = argv, out, err
        sys.stdin = io.TextIOWrapper(io.BytesIO((stdin or "").encode()), encoding="utf-8")
        code = entry()
    except SystemExit as end:
        code = end.code
    finally:
        os.chdir(before[0])
        sys.argv, sys.stdin, sys.stdout, sys.stderr = before[1:]
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode("utf-8", "replace"))  # type: ignore[attr-defined]
    return Done(code if isinstance(code, int) else 0 if code is None else 1, *texts)


def _process(command: list[str], cwd: Path, env: dict[str, str]) -> Done:
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **env},
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def git(folder: Path, *arguments: str) -> str:
    """`git arguments`, with an author; what it prints."""
    name = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *name, "-c", "init.defaultBranch=main", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def repository(folder: Path, files: dict[str, str]) -> Path:
    """A git repository with these files, committed."""
    folder.mkdir(exist_ok=True)
    git(folder, "init", "-q")
    write(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "first")
    return folder


def write(folder: Path, files: dict[str, str]) -> None:
    """Write files below a folder."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
