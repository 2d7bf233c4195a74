"""Renaming in TypeScript and JavaScript: whole tokens, import paths and routes; comments, CSS and texts stay."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from llmguard.migrate.rename.strings import counted

if TYPE_CHECKING:
    from llmguard.migrate.rename.names import Names

SUFFIXES = (".ts", ".tsx", ".js", ".jsx")
_DEFINED = re.compile(
    r"(?:export\s+)?(?:default\s+)?(?:async\s+)?(?:function|const|let|var|class|interface|type|enum)\s+([A-Za-z_$][\w$]*)"
)
_TOKEN = re.compile(
    r"""(?P<comment>//[^\n]*|/\*.*?\*/)|(?P<string>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)"""
    r"""|(?P<word>[A-Za-z_$][\w$]*)""",
    re.DOTALL,
)
_ROUTE = re.compile(r"(?<=/api/)groq(?=/|$|\W)")


def definitions(path: str, text: str) -> set[str]:
    """The names that a file defines, its own among them."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return {name for name in _DEFINED.findall(text) if "groq" in name.lower()} | ({stem} if "roq" in stem else set())


def renamed(text: str, names: Names, tables: dict[str, str], counts: dict[str, int]) -> str:
    """The text after the renaming; arguments as of `python.renamed`."""

    def changed(match: re.Match[str]) -> str:
        if match["comment"]:
            return match[0]
        if match["word"]:
            return counted(match[0], names.map, counts)
        quoted = match["string"]
        if quoted[1:2] in (".", "@", "~"):  # a path of an import
            return re.sub(r"[A-Za-z_]\w*", lambda word: counted(word[0], names.map, counts), quoted)
        if quoted[0] == "`":
            quoted = re.sub(
                r"\$\{[^}]*\}",
                lambda hole: re.sub(r"[A-Za-z_$][\w$]*", lambda word: counted(word[0], names.map, counts), hole[0]),
                quoted,
            )
        quoted = _ROUTE.sub("llm", quoted)
        return re.sub(r"\b\w+\b", lambda word: counted(word[0], tables, counts), quoted)

    return _TOKEN.sub(changed, text)
