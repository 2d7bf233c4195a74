"""Asking git, in the one way that is safe in hooks, in submodules and under any configuration of the user's."""

from __future__ import annotations

import os
import subprocess

_SECONDS = 60.0


def ask(folder: str, *arguments: str, seconds: float = _SECONDS) -> subprocess.CompletedProcess[bytes] | None:
    """What `git -C folder arguments` answers; None without git, or when it takes too long."""
    command = ["git", "-C", folder, "-c", "core.quotepath=off", *arguments]
    try:
        return subprocess.run(command, capture_output=True, timeout=seconds, check=False, env=environment())
    except (OSError, subprocess.SubprocessError):
        return None


def environment() -> dict[str, str]:
    """The environment for asking git about a folder: without what git tells its own hooks about another one."""
    told = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_DIFF_OPTS", "GIT_EXTERNAL_DIFF")
    return {name: value for name, value in os.environ.items() if name not in told} | {"LC_ALL": "C"}


def top_of(folder: str) -> str:
    """The top folder of the work tree around a folder, "" outside of one."""
    answer = ask(folder, "rev-parse", "--show-toplevel")
    if answer is None or answer.returncode:
        return ""
    return os.path.normpath(os.fsdecode(answer.stdout.removesuffix(b"\n")))
