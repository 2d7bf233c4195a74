"""groq-to-llm: what a project named after Groq, and is not Groq's, is named after language models in general.

`names` says what the project defines and what it becomes; `python`, `script` (TypeScript and JavaScript) and `sql`
change the files. Everything happens in memory: a name changes everywhere or, where it cannot, nowhere.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from llmguard.check.reading import parse_strictly
from llmguard.errors import UncheckableError
from llmguard.migrate.rename import python, routes, script, sql
from llmguard.migrate.rename.names import Names, converted, gathered
from llmguard.migrate.rename.strings import looked_up_in


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
_TAKEN = re.compile(rb"(?i)[a-z_]*llm\w*")
_LOOKS_UP = re.compile(rb"getattr|import_module|__import__|methodcaller|globals|\[\s*f[\"']")
_NAME = re.compile(r"[A-Za-z_]\w*")
_PROSE = (".md", ".rst", ".log", ".csv", ".lock", ".css", ".scss", ".svg", ".css.map", ".po", ".pot")
_SUFFIXES = (".py", ".sql", *script.SUFFIXES)


def rename(files: Iterable[tuple[str, bytes]], *, fresh: bool = False, aliases: bool = True) -> Renaming:
    """Rename what the files define.

    Args:
        files: (path, bytes) of all files of the project.
        fresh: edit SQL migrations instead of writing a new one.
        aliases: keep the old routes beside the new ones.

    Raises:
        UncheckableError: a Python file would not parse afterwards; nothing is to be renamed then.
    """
    texts: dict[str, str] = {}
    originals: dict[str, bytes] = {}
    others: dict[str, set[str]] = {}
    taken: set[str] = set()  # words that new names may meet
    patterns: list[re.Pattern[str]] = []
    for path, data in files:
        taken.add(os.path.splitext(os.path.basename(path))[0])
        if path.endswith(_SUFFIXES):
            taken.update(word.decode() for word in _TAKEN.findall(data))
        if path.endswith(".py") and _LOOKS_UP.search(data):
            patterns += looked_up_in(data)
        if not path.endswith(_SUFFIXES) and b"groq" in data.lower() and len(data) < _LARGEST:
            others[path] = set() if path.endswith(_PROSE) else set(_NAME.findall(data.decode("utf-8", "replace")))
        if (path.endswith(_SUFFIXES) and b"groq" in data.lower()) or "groq" in os.path.basename(path).lower():
            try:
                texts[path] = data.decode("utf-8")
                originals[path] = data
            except UnicodeDecodeError:
                others[path] = set(_NAME.findall(data.decode("latin-1")))  # its names stay, and those that it shares
    names = gathered(texts, others, taken, patterns)
    scripts = {path: text for path, text in texts.items() if path.endswith(".sql")}
    tables = sql.tables(scripts, fresh=fresh)
    counts: dict[str, int] = {}
    changed, prefixes = _changed(texts, names, tables, counts, aliases=aliases)
    for path, text in texts.items():
        if path.endswith(script.SUFFIXES):
            changed[path] = script.renamed(text, names, tables, prefixes, counts)
        elif path.endswith(".sql") and fresh:
            changed[path] = sql.renamed(text, tables, counts)
    created = {} if fresh or not tables else sql.migration(scripts, tables)
    moves = {path: new for path in texts if (new := _moved(path, names))}
    outcomes = [
        *(Renamed(old, new, names.kinds[old], counts.get(old, 0)) for old, new in sorted(names.map.items())),
        *(Renamed(old, converted(old), "name", 0, why) for old, why in sorted(names.refused.items())),
        *(Renamed(old, new, "table", counts.get(old, 0) + bool(created)) for old, new in sorted(tables.items())),
        *(Renamed(old, new, "route", 1) for old, new in sorted(prefixes.items())),
    ]
    contents = {path: text.encode() for path, text in changed.items() if text.encode() != originals[path]}
    return Renaming(tuple(outcomes), contents, moves, {path: text.encode() for path, text in created.items()})


def _changed(
    texts: dict[str, str], names: Names, tables: dict[str, str], counts: dict[str, int], *, aliases: bool
) -> tuple[dict[str, str], dict[str, str]]:
    """The Python files after the renaming, and the prefixes of routes that it has changed."""
    changed: dict[str, str] = {}
    prefixes: dict[str, str] = {}
    for path, text in texts.items():
        if not path.endswith(".py"):
            continue
        mounted = routes.renamed(python.renamed(text, names, tables, counts), aliases=aliases)
        try:
            parse_strictly(mounted.text)
        except UncheckableError as error:
            if _parses(text):
                raise UncheckableError(f"{os.path.relpath(path)} would not parse afterwards: {error}") from None
            mounted = routes.Routes(text, {})
        changed[path] = mounted.text
        prefixes |= mounted.prefixes
    return changed, prefixes


def _parses(text: str) -> bool:
    try:
        parse_strictly(text)
    except UncheckableError:
        return False
    return True


def _moved(path: str, names: Names) -> str:
    """The new path of a file whose name is one that changes, "" for any other."""
    folder, base = os.path.split(path)
    stem, suffix = os.path.splitext(base)
    if stem in names.map and suffix in (".py", *script.SUFFIXES):
        return os.path.join(folder, names.map[stem] + suffix)
    return ""
