"""Renaming in SQL: a new migration that renames what earlier ones have made, for those may have been applied."""

from __future__ import annotations

import os
import re

_CREATED = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?:UNIQUE\s+)?"
    r"(?P<kind>TABLE|MATERIALIZED\s+VIEW|VIEW|INDEX|FUNCTION|SEQUENCE)\s+"
    r"(?:CONCURRENTLY\s+)?(?:IF\s+NOT\s+EXISTS\s+)?(?P<schema>[A-Za-z_]\w*\.)?(?P<name>[A-Za-z_]\w*)",
    re.IGNORECASE,
)
_DROPPED = re.compile(
    r"DROP\s+(?:TABLE|MATERIALIZED\s+VIEW|VIEW|INDEX|FUNCTION|SEQUENCE)\s+(?:CONCURRENTLY\s+)?(?:IF\s+EXISTS\s+)?"
    r"(?:[A-Za-z_]\w*\.)?([A-Za-z_]\w*)",
    re.IGNORECASE,
)
_FUNCTION = re.compile(
    r"CREATE\s+(?:OR\s+REPLACE\s+)?(?P<head>(?:FUNCTION|PROCEDURE)\s+(?:[A-Za-z_]\w*\.)?(?P<name>[A-Za-z_]\w*)\s*\("
    r"[^;$]*?)(?P<quote>\$\w*\$)(?P<body>.*?)(?P=quote)(?P<tail>[^;]*);",
    re.IGNORECASE | re.DOTALL,
)
_GROQ = re.compile(r"(?<![A-Za-z0-9])groq(?=_)|(?<=_)groq(?![A-Za-z0-9])")
#: A file of migrations by its number: `005_usage.sql`, or Flyway's `V5__usage.sql`.
_NUMBERED = re.compile(r"(V?)(\d+)(__|[_-])")


def tables(texts: dict[str, str], *, fresh: bool = False) -> dict[str, str]:
    """Old name -> new name of what SQL files create, have not dropped, and can be renamed by a migration or in place.

    Args:
        texts: path -> text of the SQL files.
        fresh: they are edited in place.
    """
    if not fresh and not any(_NUMBERED.match(os.path.basename(path)) for path in texts):
        return {}  # a schema that somebody runs as a whole: nobody knows what is there already
    done = _done(texts)
    return {name: new for name, (_, _, new) in _existing(texts).items() if name not in done}


def _done(texts: dict[str, str]) -> set[str]:
    """The names that a migration renames already."""
    renaming = re.compile(r"ALTER\s+(?:[A-Z]+\s+)+(?:[a-z_]\w*\.)?([A-Za-z_]\w*)\s*(?:\([^)]*\))?\s+RENAME\s+TO", re.I)
    return {name for text in texts.values() for name in renaming.findall(text)}


def _existing(texts: dict[str, str]) -> dict[str, tuple[str, str, str]]:
    """Name -> (kind, schema with its dot, new name) of what is there when all files have run."""
    found: dict[str, tuple[str, str, str]] = {}
    for _, text in sorted(texts.items()):
        plain = re.sub(r"--[^\n]*", lambda comment: " " * len(comment[0]), text)
        steps = [(match.start(), match) for pattern in (_CREATED, _DROPPED) for match in pattern.finditer(plain)]
        for _, match in sorted(steps, key=lambda step: step[0]):
            if match.re is _DROPPED:
                found.pop(match[1], None)
                continue
            name = match["name"]
            new = _GROQ.sub("llm", name)
            if new != name:
                found[name] = (" ".join(match["kind"].upper().split()), match["schema"] or "", new)
    return found


def renamed(text: str, names: dict[str, str], counts: dict[str, int]) -> str:
    """The text with the names changed in place."""

    def changed(word: re.Match[str]) -> str:
        if word[0] not in names:
            return word[0]
        counts[word[0]] = counts.get(word[0], 0) + 1
        return names[word[0]]

    return re.sub(r"\b\w+\b", changed, text)


def migration(texts: dict[str, str], names: dict[str, str]) -> dict[str, str]:
    """The new migration: path -> text. Its number follows that of the last file beside those that it renames.

    Functions whose bodies speak of what is renamed are written anew behind it: a body is a text to the database.

    Args:
        texts: path -> text of the SQL files.
        names: what changes: old name -> new name.
    """
    statements = []
    where = ""
    for path, text in sorted(texts.items()):
        if any(match["name"] in names for match in _CREATED.finditer(text)):
            where = os.path.dirname(path)
    for name, (kind, schema, new) in _existing(texts).items():
        if name in names:
            statements.append(f"ALTER {kind} {schema}{name} RENAME TO {new};")
    if not statements:
        return {}
    head = "-- What was named after Groq is named after language models in general. Made by llmguard migrate.\n\n"
    body = "".join(f"{statement}\n" for statement in statements)
    anew = "".join(f"\n{statement}\n" for statement in _written_anew(texts, names))
    return {os.path.join(where, _next_name(texts, where)): head + body + anew}


def _written_anew(texts: dict[str, str], names: dict[str, str]) -> list[str]:
    """The last definition of each function whose body names something that changes, with the new names."""
    last: dict[str, str] = {}
    for _, text in sorted(texts.items()):
        for match in _FUNCTION.finditer(text):
            last.pop(match["name"], None)
            if set(re.findall(r"\w+", match["body"])) & set(names):
                quote = match["quote"]
                whole = f"CREATE OR REPLACE {match['head']}{quote}{match['body']}{quote}{match['tail']};"
                last[match["name"]] = renamed(whole, names, {})
    return list(last.values())


def _next_name(texts: dict[str, str], where: str) -> str:
    numbered = [
        match
        for path in texts
        if os.path.dirname(path) == where and (match := _NUMBERED.match(os.path.basename(path))) is not None
    ]
    last = max(numbered, key=lambda match: int(match[2]), default=None)
    if last is None:
        return "001_rename_groq_to_llm.sql"
    return f"{last[1]}{int(last[2]) + 1:0{len(last[2])}}{last[3]}rename_groq_to_llm.sql"
