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
_WORD = re.compile(r"[A-Za-z_$][\w$]*")
_HOLE = re.compile(r"\$\{[^}]*\}")
#: A text that is the path of a module: `../x/GroqUsageCard`, `components/GroqUsageCard.tsx`.
_PATH = re.compile(r"[\w@~.\-/]*/(?P<stem>[\w-]+)(?:\.(?:ts|tsx|js|jsx))?")


def definitions(path: str, text: str) -> set[str]:
    """The names that a file defines, its own among them."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return {name for name in _DEFINED.findall(text) if "groq" in name.lower()} | ({stem} if "roq" in stem else set())


def spoken_of(text: str) -> set[str]:
    """Words that stay whatever they are: in texts, in what looks like a comment behind an address (a scanner without
    a grammar cannot tell it from code), as keys, and in `{ name }`, which is a key too."""
    found: set[str] = set()
    for match in _TOKEN.finditer(text):
        if match["string"] and not _PATH.fullmatch(match["string"][1:-1]):
            found.update(_WORD.findall(_HOLE.sub(" ", match["string"])))
        elif match["comment"] and match.start() and text[match.start() - 1] == ":":
            found.update(_WORD.findall(match["comment"]))
    code = re.sub(r"^\s*(?:import|export)\b[^;\n]*(?:\{[^}]*\})?[^;\n]*", "", text, flags=re.MULTILINE)
    found.update(re.findall(r"[{,]\s*([a-z_$][\w$]*)\s*(?=[,}])", code))
    found.update(re.findall(r"(?:^|[{,;])\s*([a-z_$][\w$]*)\s*\??:(?!:)", code, re.MULTILINE))
    return {word for word in found if "groq" in word.lower()}


def renamed(text: str, names: Names, tables: dict[str, str], routes: dict[str, str], counts: dict[str, int]) -> str:
    """The text after the renaming.

    Args:
        text: of the file.
        names, tables, counts: as of `python.renamed`.
        routes: prefixes that the back end has changed: old -> new.
    """

    def changed(match: re.Match[str]) -> str:
        if match["comment"]:
            return match[0]
        if match["word"]:
            return counted(match[0], names.map, counts)
        quoted = match["string"]
        path = _PATH.fullmatch(quoted[1:-1])
        if path is not None and path["stem"] in names.map and not quoted[1:].startswith("/api/"):
            return (
                quoted[: path.start("stem") + 1]
                + counted(path["stem"], names.map, counts)
                + quoted[path.end("stem") + 1 :]
            )
        if quoted[0] == "`":
            quoted = _HOLE.sub(
                lambda hole: _WORD.sub(lambda word: counted(word[0], names.map, counts), hole[0]), quoted
            )
        for old, new in routes.items():
            quoted = re.sub(rf"{re.escape(old)}(?![\w-])", lambda _, new=new: new, quoted)
        return re.sub(r"\b\w+\b", lambda word: counted(word[0], tables, counts), quoted)

    return _TOKEN.sub(changed, text)
