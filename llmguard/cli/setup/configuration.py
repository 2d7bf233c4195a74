"""The configuration file: a table in pyproject.toml where there is one, else llmguard.yaml."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from llmguard.cli.setup.draft import Step, appended

if TYPE_CHECKING:
    from llmguard.cli.setup.draft import Draft

TITLE = "configuration"
#: (path, why its direct calls are meant): the list that teams have in their scripts; only what is there is written.
SKIP_LIST = (
    ("app/services/llm_wrapper.py", "the tracked wrapper itself"),
    ("app/services/llm_usage_tracker.py", "the usage tracker itself"),
    ("app/services/multi_model_service.py", "the wrapper service itself"),
    ("scripts/check_llm_calls.py", "the checker script names the calls that it looks for"),
    ("deepinfra_completion_wrapper.py", "wraps LiteLLM's completion and tracks it"),
    ("crews/base_crew.py", "its calls are tracked by the LiteLLM callback"),
    ("tests/", "tests call models to test them"),
    ("alembic/", "database migrations"),
)


def step(draft: Draft, files: list[str], *, yaml: bool = False) -> Step:
    """Write the configuration with the part of the skip list that exists.

    Args:
        draft: the project.
        files: its files, relative, with forward slashes.
        yaml: llmguard.yaml even where there is a pyproject.toml.
    """
    from llmguard.config.folders import file_in, find_settings

    present = file_in(draft.root)
    if present:
        return Step(TITLE, os.path.basename(present), said="is there already")
    above = find_settings(draft.root).source
    if above:
        return Step(TITLE, above, said="holds for this folder; a configuration here would take its place")
    skips = [(path, reason) for path, reason in SKIP_LIST if _exists(path, files)]
    project = draft.read("pyproject.toml")
    if project is None or yaml:
        return Step(TITLE, "llmguard.yaml", _yaml(skips).encode())
    after = appended(project, _toml(skips))
    if _table(after) is None or _table(project) is not None:
        return Step(TITLE, "llmguard.yaml", _yaml(skips).encode())
    return Step(TITLE, "pyproject.toml", after)


def excluded(files: list[str]) -> tuple[str, ...]:
    """The patterns that the configuration would exclude."""
    return tuple(path for path, _ in SKIP_LIST if _exists(path, files))


def _exists(path: str, files: list[str]) -> bool:
    anchored = "/" in path.rstrip("/")
    if path.endswith("/"):
        return any(f"/{file}".find(f"/{path}") >= 0 for file in files)
    return any(file == path or (not anchored and file.endswith("/" + path)) for file in files)


def _toml(skips: list[tuple[str, str]]) -> str:
    if not skips:
        return "[tool.llmguard]\nexclude = []\n"
    width = max(len(path) for path, _ in skips) + 3
    rows = [f"    {(json.dumps(path) + ',').ljust(width)}  # {reason}" for path, reason in skips]
    return "\n".join(["[tool.llmguard]", "exclude = [", *rows, "]", ""])


def _yaml(skips: list[tuple[str, str]]) -> str:
    head = "# Configuration of llmguard; llmguard config show says what holds.\n"
    if not skips:
        return head + "exclude: []\n"
    width = max(len(path) for path, _ in skips)
    return head + "exclude:\n" + "".join(f"  - {path.ljust(width)}  # {reason}\n" for path, reason in skips)


def _table(data: bytes) -> object:
    """`[tool.llmguard]` of a pyproject.toml, None when there is none or it is no valid TOML."""
    from llmguard.cli.setup.ruff import loads

    document = loads(data)
    return None if document is None else document.get("tool", {}).get("llmguard")
