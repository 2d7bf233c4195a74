"""groq-to-llm: what a project named after Groq, and is not Groq's, is named after language models in general.

`names` says what the project defines and what it becomes; `python`, `script` (TypeScript and JavaScript) and `sql`
change the files. Everything happens in memory: a name changes everywhere or, where it cannot, nowhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from llmguard.migrate.rename import python, script, sql
from llmguard.migrate.rename.names import Names, converted, gathered


class Renamed(NamedTuple):
    """The outcome for one name.

    Attributes:
        old, new: the name.
        kind: "name", "module", "file", "table" or "route".
        places: how many times it changes.
        refused: why it does not, "" when it does.
    """

    old: str
    new: str
    kind: str
    places: int
    refused: str = ""

    def as_json(self) -> dict[str, Any]:
        """The documented object."""
        return self._asdict()


class Renaming(NamedTuple):
    """What a renaming would do.

    Attributes:
        renames: name by name.
        contents: path -> new bytes, under the old path.
        moves: old path -> new path.
        created: path -> bytes of files that are new.
    """

    renames: tuple[Renamed, ...]
    contents: dict[str, bytes]
    moves: dict[str, str]
    created: dict[str, bytes]


_LARGEST = 1_000_000  # bytes of a file of settings that is looked at
_NAME = re.compile(r"[A-Za-z_]\w*")
_SETTINGS = (".toml", ".cfg", ".ini", ".yml", ".yaml", ".json", ".env", ".sh", ".service", ".conf", ".txt", ".tf")
_SUFFIXES = (".py", ".sql", *script.SUFFIXES)


def rename(files: Iterable[tuple[str, bytes]], *, fresh: bool = False, aliases: bool = True) -> Renaming:
    """Rename what the files define.

    Args:
        files: (path, bytes) of all files of the project.
        fresh: edit SQL migrations instead of writing a new one.
        aliases: keep the old routes beside the new ones.
    """
    texts: dict[str, str] = {}
    originals: dict[str, bytes] = {}
    others: dict[str, set[str]] = {}
    for path, data in files:
        if not path.endswith(_SUFFIXES) and b"groq" in data.lower() and len(data) < _LARGEST:
            others[path] = set(_NAME.findall(data.decode("utf-8", "replace"))) if _is_setting(path) else set()
        if (path.endswith(_SUFFIXES) and b"groq" in data.lower()) or "groq" in os.path.basename(path).lower():
            try:
                texts[path] = data.decode("utf-8")
                originals[path] = data
            except UnicodeDecodeError:
                continue  # of another encoding: its names stay, and those that it shares are refused below
    names = gathered(texts, others)
    tables = sql.tables({path: text for path, text in texts.items() if path.endswith(".sql")})
    changed: dict[str, str] = {}
    counts: dict[str, int] = {}
    for path, text in texts.items():
        if path.endswith(".py"):
            changed[path] = python.renamed(text, names, tables, counts, aliases=aliases)
        elif path.endswith(script.SUFFIXES):
            changed[path] = script.renamed(text, names, tables, counts)
        elif path.endswith(".sql") and fresh:
            changed[path] = sql.renamed(text, tables, counts)
    created = {} if fresh or not tables else sql.migration({p: t for p, t in texts.items() if p.endswith(".sql")})
    moves = {path: new for path in texts if (new := _moved(path, names))}
    outcomes = [
        *(Renamed(old, new, names.kinds[old], counts.get(old, 0)) for old, new in sorted(names.map.items())),
        *(Renamed(old, converted(old), "name", 0, why) for old, why in sorted(names.refused.items())),
        *(Renamed(old, new, "table", counts.get(old, 0) + bool(created)) for old, new in sorted(tables.items())),
    ]
    contents = {path: text.encode() for path, text in changed.items() if text.encode() != originals[path]}
    return Renaming(tuple(outcomes), contents, moves, {path: text.encode() for path, text in created.items()})


def _is_setting(path: str) -> bool:
    """Whether a file tells programs what to run or to read."""
    name = os.path.basename(path)
    return name.endswith(_SETTINGS) or "." not in name.strip(".") or name.startswith((".env", "Dockerfile", "docker-"))


def _moved(path: str, names: Names) -> str:
    """The new path of a file whose name is one that changes, "" for any other."""
    folder, base = os.path.split(path)
    stem, suffix = os.path.splitext(base)
    if stem in names.map and suffix in (".py", *script.SUFFIXES):
        return os.path.join(folder, names.map[stem] + suffix)
    return ""
