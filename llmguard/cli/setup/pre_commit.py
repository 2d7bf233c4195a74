"""The hook in .pre-commit-config.yaml: put in as text, so that comments and formatting stay."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from llmguard.cli.setup.draft import Step, newline_of

if TYPE_CHECKING:
    from llmguard.cli.setup.draft import Draft
    from llmguard.config.source import Source

TITLE = "pre-commit hook"
PATH = ".pre-commit-config.yaml"
_IDS = frozenset({"llmguard-check", "llmguard-check-strict", "llmguard-check-all", "check-llm-usage"})


def step(draft: Draft, source: Source) -> Step:
    """Add the hook to the file, or write one."""
    import yaml

    data = draft.read(PATH)
    if not source.url and (data is None or b"llmguard" not in data):
        # A hook of the environment that commits would stop every commit where llmguard is not installed.
        return Step(TITLE, PATH, said="needs the repository that llmguard is installed from: --repo URL --rev TAG")
    if data is None:
        return Step(TITLE, PATH, ("repos:\n" + "".join(_entry(source, 2, 2))).encode())
    try:
        text = data.decode("utf-8")
        before = yaml.safe_load(text)
        root = yaml.compose(text)
    except yaml.YAMLError as error:
        return Step(TITLE, PATH, said=f"is no valid YAML: {' '.join(str(error).split())}")
    if before is not None and _has_hook(before):
        return Step(TITLE, PATH, said="has the hook already")
    after = _inserted(text, root, source)
    if after is not None and _is_added(before, _loaded(after)):
        return Step(TITLE, PATH, after.encode())
    snippet = "".join(_entry(source, 2, 2))
    return Step(TITLE, PATH, said=f"could not be edited safely; add this below repos: by hand\n{snippet}")


def _loaded(text: str) -> Any:
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


def _has_hook(document: Any) -> bool:
    repositories = document.get("repos") if isinstance(document, dict) else None
    hooks = [
        hook
        for repository in repositories or []
        if isinstance(repository, dict)
        for hook in repository.get("hooks") or []
        if isinstance(hook, dict)
    ]
    return any(hook.get("id") in _IDS or "llmguard-hook" in str(hook.get("entry", "")) for hook in hooks)


def _is_added(before: Any, after: Any) -> bool:
    """Whether the new document is the old one with one repository more."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return False
    repositories = after.get("repos", [])
    return {**after, "repos": repositories[:-1]} == {**before, "repos": before.get("repos") or []} and _has_hook(after)


def _inserted(text: str, root: Any, source: Source) -> str | None:
    """The text with the entry behind the last repository; None when that is no block list."""
    import yaml

    if not isinstance(root, yaml.MappingNode):
        return None
    repositories = next((value for key, value in root.value if key.value == "repos"), None)
    if not isinstance(repositories, yaml.SequenceNode) or repositories.flow_style or not repositories.value:
        return None
    lines = text.splitlines(keepends=True)
    last = repositories.value[-1]
    first_line = lines[last.start_mark.line]
    dash = first_line.find("-")
    end = _last_line(last)
    while end + 1 < len(lines) and re.match(rf" {{{dash + 1},}}#", lines[end + 1]):
        end += 1  # comments that belong to the last entry
    newline = newline_of(text.encode())
    if not lines[end].endswith("\n"):
        lines[end] += newline
    entry = [line.replace("\n", newline) for line in _entry(source, dash, _hook_indent(last))]
    return "".join((*lines[: end + 1], *entry, *lines[end + 1 :]))


def _last_line(node: Any) -> int:
    """Line (from 0) of the last scalar or flow collection in a node: block nodes end where the next one begins."""
    import yaml

    if isinstance(node, yaml.ScalarNode) or node.flow_style or not node.value:
        mark = node.end_mark
        at_start = mark.column == 0 and mark.line > node.start_mark.line  # a block scalar ends on the next line
        return int(mark.line) - (1 if at_start else 0)
    children = [part for item in node.value for part in (item if isinstance(item, tuple) else (item,))]
    return max(_last_line(child) for child in children)


def _hook_indent(entry: Any) -> int:
    """How far hooks are indented below `hooks:` in this file: 2, or 0 where the dash stands below the key."""
    import yaml

    for key, value in entry.value if isinstance(entry, yaml.MappingNode) else ():
        if key.value == "hooks" and isinstance(value, yaml.SequenceNode) and not value.flow_style:
            return int(value.start_mark.column - key.start_mark.column)
    return 2


def _entry(source: Source, dash: int, indent: int) -> list[str]:
    """The lines of a repository entry."""
    pad, hook = " " * dash, " " * (dash + 2 + indent)
    return [
        f"{pad}- repo: {source.url}\n",
        f"{pad}  rev: {source.revision}\n",
        f"{pad}  hooks:\n",
        f"{hook}- id: llmguard-check # warns, never blocks\n",
    ]
