"""ruff's `external` list: it then leaves `# noqa: LLG101` alone instead of calling it unknown."""

from __future__ import annotations

import copy
import re
import sys
from typing import TYPE_CHECKING, Any

from llmguard.cli.setup.draft import Step, appended

if TYPE_CHECKING:
    from llmguard.cli.setup.draft import Draft

TITLE = "ruff"
ADVICE = 'could not be edited safely; add external = ["LLG"] to ruff\'s lint table by hand'


def loads(data: bytes) -> dict[str, Any] | None:
    """A TOML document, None when it is not valid."""
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        document: dict[str, Any] = tomllib.loads(data.decode("utf-8-sig"))
        return document
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return None


def step(draft: Draft) -> Step | None:
    """Add `LLG` to ruff's external codes; None where ruff is not configured."""
    for path, table in (("ruff.toml", ""), (".ruff.toml", ""), ("pyproject.toml", "tool.ruff.")):
        data = draft.read(path)
        document = loads(data) if data is not None else None
        if data is None or document is None:
            continue
        settings = document.get("tool", {}).get("ruff") if table else document
        if not isinstance(settings, dict):
            continue
        if "LLG" in [*settings.get("external", []), *settings.get("lint", {}).get("external", [])]:
            return Step(TITLE, path, said="knows the codes already")
        if "external" in settings or ("extend" in settings and "external" not in settings.get("lint", {})):
            return Step(TITLE, path, said=ADVICE)  # a list of its own would take the place of the other one
        after = _with_external(data, table)
        if loads(after) == _wanted(document, table):
            return Step(TITLE, path, after)
        return Step(TITLE, path, said=ADVICE)
    return None


def _wanted(document: dict[str, Any], table: str) -> dict[str, Any]:
    wanted = copy.deepcopy(document)
    settings = wanted["tool"]["ruff"] if table else wanted
    lint = settings.setdefault("lint", {})
    lint["external"] = ["LLG", *lint.get("external", [])]
    return wanted


def _with_external(data: bytes, table: str) -> bytes:
    text = data.decode("utf-8")
    header = re.search(rf"^\[{re.escape(table)}lint\][ \t]*(?:#[^\n]*)?\r?$\n?", text, re.MULTILINE)
    if header is None:
        return appended(data, f'[{table}lint]\nexternal = ["LLG"]\n')
    end = re.search(r"^\[", text[header.end() :], re.MULTILINE)
    body = text[header.end() :] if end is None else text[header.end() : header.end() + end.start()]
    listed = re.search(r"^external[ \t]*=[ \t]*\[(\s*)(\]?)", body, re.MULTILINE)
    if listed is None:
        new = "\r\n" if header.group().endswith("\r\n") else "\n"
        return (text[: header.end()] + f'external = ["LLG"]{new}' + text[header.end() :]).encode()
    at = header.end() + listed.start(1)
    return (text[:at] + listed[1] + ('"LLG"' if listed[2] else '"LLG", ') + text[at + len(listed[1]) :]).encode()
