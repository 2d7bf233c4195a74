"""Commands as a user runs them, in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import llmguard

ROOT = Path(llmguard.__file__).parents[1]
CALL = 'import litellm\n\n\ndef ask(m):\n    return litellm.completion(model="m", messages=m)\n'


def run(
    *arguments: str, cwd: Path, env: dict[str, str] | None = None, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """`llmguard arguments`."""
    return _run([sys.executable, "-c", "from llmguard.cli import main; main()", *arguments], cwd, env or {}, stdin)


def hook(*arguments: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """`llmguard-hook arguments`."""
    return _run([sys.executable, "-m", "llmguard.cli.hook", *arguments], cwd, env, None)


def _run(command: list[str], cwd: Path, env: dict[str, str], stdin: str | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        errors="replace",
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200", **env},
        input=stdin,
        check=False,
    )


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
