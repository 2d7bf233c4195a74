"""Renaming in SQL: a new migration that renames what earlier ones have made, for those may have been applied."""

from __future__ import annotations

import os
import re

_CREATED = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+)?"
    r"(?P<kind>TABLE|MATERIALIZED\s+VIEW|VIEW|INDEX|FUNCTION|SEQUENCE)\s+"
    r"(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(?:[A-Za-z_]\w*\.)?(?P<name>[A-Za-z_]\w*)\s*(?P<arguments>\([^)]*\))?",
    re.IGNORECASE,
)
_GROQ = re.compile(r"(?<![A-Za-z0-9])groq(?=_)|(?<=_)groq(?![A-Za-z0-9])")


def tables(texts: dict[str, str]) -> dict[str, str]:
    """Old name -> new name of what SQL files create."""
    done = _done(texts)
    return {name: new for text in texts.values() for _, name, new, _ in _created(text) if name not in done}


def _done(texts: dict[str, str]) -> set[str]:
    """The names that a migration renames already."""
    renaming = re.compile(r"ALTER\s+(?:[A-Z]+\s+)+(?:[a-z_]\w*\.)?([A-Za-z_]\w*)\s*(?:\([^)]*\))?\s+RENAME\s+TO", re.I)
    return {name for text in texts.values() for name in renaming.findall(text)}


def _created(text: str) -> list[tuple[str, str, str, str]]:
    found = []
    for match in _CREATED.finditer(re.sub(r"--[^\n]*", "", text)):
        name = match["name"]
        new = _GROQ.sub("llm", name)
        if new != name:
            found.append((" ".join(match["kind"].upper().split()), name, new, match["arguments"] or ""))
    return found


def renamed(text: str, names: dict[str, str], counts: dict[str, int]) -> str:
    """The text with the names changed in place."""

    def changed(word: re.Match[str]) -> str:
        if word[0] not in names:
            return word[0]
        counts[word[0]] = counts.get(word[0], 0) + 1
        return names[word[0]]

    return re.sub(r"\b\w+\b", changed, text)


def migration(texts: dict[str, str]) -> dict[str, str]:
    """The new migration: path -> text. Its number follows that of the last file beside those that it renames."""
    statements = []
    seen: set[str] = _done(texts)
    where = ""
    for path, text in sorted(texts.items()):
        for kind, name, new, arguments in _created(text):
            if name not in seen:
                seen.add(name)
                where = os.path.dirname(path)
                signature = arguments if kind == "FUNCTION" else ""
                statements.append(f"ALTER {kind} {name}{_types(signature)} RENAME TO {new};")
    if not statements:
        return {}
    numbers = [re.match(r"\d+", os.path.basename(path)) for path in texts if os.path.dirname(path) == where]
    widths = [match[0] for match in numbers if match]
    last = max((int(number) for number in widths), default=0)
    width = max((len(number) for number in widths), default=3)
    head = "-- What was named after Groq is named after language models in general. Made by llmguard migrate.\n\n"
    path = os.path.join(where, f"{last + 1:0{width}}_rename_groq_to_llm.sql")
    return {path: head + "\n".join(statements) + "\n"}


def _types(arguments: str) -> str:
    """The argument list of a function, as ALTER FUNCTION wants it: types only."""
    if not arguments:
        return ""
    parts = [part.split() for part in arguments.strip("()").split(",") if part.strip()]
    return f"({', '.join(' '.join(part[1:]) if len(part) > 1 else part[0] for part in parts)})"
