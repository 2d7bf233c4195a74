"""Asking git: the one place that starts a process.

A repository may be hostile: it may be a folder of another repository's commits that looks like a bare one, or have
arrived with a `.git` of its own. Git is therefore asked in the top folder of a work tree only, one that has a `.git`,
and all that a configuration can make it run is switched off: hooks, the file system monitor, filters, external diffs,
text conversions, pagers, editors, prompts, and every transport, so that nothing is fetched.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import lru_cache

from llmguard.config.place import work_tree

_SECONDS = 60.0
#: Laid over every configuration. `protocol.allow` and the environment's GIT_ALLOW_PROTOCOL say the same to old gits.
_SAFE = {
    "core.fsmonitor": "false",
    "core.hooksPath": os.devnull,
    "core.pager": "cat",
    "core.editor": ":",
    "core.askPass": "",
    "core.sshCommand": "false",
    "core.gitProxy": "",
    "credential.helper": "",
    "diff.external": "",
    "safe.bareRepository": "explicit",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "status.submoduleSummary": "false",
    "maintenance.auto": "false",
    "gc.auto": "0",
    "core.quotePath": "off",
}
#: What git tells its own hooks about another repository, and what redirects it, is not for us; what says which
#: configuration a machine has (and which folders are safe) is.
_KEPT = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT", "GIT_CEILING_DIRECTORIES")
_ASKED = {
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
Answer = subprocess.CompletedProcess[bytes]


def ask(folder: str, *arguments: str, seconds: float = _SECONDS, filters: bool = True) -> Answer | None:
    """What git answers in the top folder of the work tree around a folder; None outside of one, without git, or when
    it takes too long.

    Args:
        folder: in the work tree.
        arguments: command and arguments. Paths are relative to the top folder, which is where git is asked.
        seconds: that it may take.
        filters: whether the command may come across files that go through a filter; False spares the question which
            filters there are.
    """
    top = work_tree(folder)
    if not top:
        return None
    options: dict[str, str] | None = dict(_SAFE)
    if filters:
        options = _without_filters(top, seconds)
    return None if options is None else _run(top, options, arguments, seconds)


def pathspec(path: str) -> str:
    """An argument that means a path below the top folder and nothing else, whatever characters it has."""
    return f":(top,literal){path}"


def _run(top: str, options: dict[str, str], arguments: tuple[str, ...], seconds: float) -> Answer | None:
    given = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    program = _program(os.environ.get("PATH", os.defpath))
    if program is None:
        return None
    command = [program, "--no-pager", "-C", top, *given, *arguments]
    try:
        return subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds, check=False, env=_environment()
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        return None


@lru_cache(maxsize=8)
def _program(path: str) -> str | None:
    """The git of a search path. Its relative entries are left out: a repository may hold a `git` of its own."""
    return shutil.which("git", path=os.pathsep.join(entry for entry in path.split(os.pathsep) if os.path.isabs(entry)))


def _without_filters(top: str, seconds: float) -> dict[str, str] | None:
    """The options with every filter that a configuration defines switched off; None when one cannot be."""
    asked = ("config", "--includes", "--null", "--name-only", "--get-regexp", r"^filter\.")
    answer = _run(top, _SAFE, asked, seconds)
    if answer is None or answer.returncode not in (0, 1):  # 1: there is none
        return None
    options = dict(_SAFE)
    for name in answer.stdout.split(b"\0"):
        driver = os.fsdecode(name).rpartition(".")[0]
        if "=" in driver:
            return None  # the command line cannot name it
        if driver:
            options |= {f"{driver}.clean": "", f"{driver}.smudge": "", f"{driver}.process": ""}
            options[f"{driver}.required"] = "false"
    return options


def _environment() -> dict[str, str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("GIT_") or name in _KEPT or name.startswith(("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))
    }
    return kept | _ASKED
