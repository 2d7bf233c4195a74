"""The names that a project defines after Groq, what they become, and which of them cannot change."""

from __future__ import annotations

import ast
import os
import re
from typing import NamedTuple

from llmguard.check.reading import parse_strictly
from llmguard.errors import UncheckableError
from llmguard.migrate.rename import script
from llmguard.migrate.rename.strings import named_strings

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Names of SDKs and of services, never the project's.
_THEIRS = frozenset({"groq", "Groq", "GROQ", "AsyncGroq", "GroqError", "ChatGroq", "langchain_groq", "groq_sdk"})


class Names(NamedTuple):
    """What changes.

    Attributes:
        map: old name -> new name.
        kinds: old name -> "name", "module" or "file".
        refused: name that stays -> why.
        packages: top-level names of the project, with which its dotted paths begin.
    """

    map: dict[str, str]
    kinds: dict[str, str]
    refused: dict[str, str]
    packages: frozenset[str]


def converted(name: str) -> str:
    """The name after the change; the same for a name that has no part of Groq's.

    >>> converted("GroqUsageTracker"), converted("log_groq_call"), converted("groqUsage"), converted("Groq")
    ('LLMUsageTracker', 'log_llm_call', 'llmUsage', 'Groq')
    """
    if name in _THEIRS:
        return name
    new = re.sub(r"(?<![A-Za-z0-9])groq(?=_)|(?<=_)groq(?![A-Za-z0-9])", "llm", name)
    new = re.sub(r"(?<![A-Za-z0-9])GROQ(?=_)|(?<=_)GROQ(?![A-Za-z0-9])", "LLM", new)
    new = re.sub(r"(?<![a-zA-Z])groq(?=[A-Z])", "llm", new)
    return re.sub(r"(?<![A-Z])Groq(?=[A-Z_])|(?<=[a-z])Groq$", "LLM", new)


class _Definitions(NamedTuple):
    kinds: dict[str, str]
    modules: set[str]
    keywords: set[str]
    fields: set[str]
    loose: set[str]
    signatures: dict[str, set[str]]
    foreign: set[str]
    strings: set[str]
    words: set[str]


def gathered(texts: dict[str, str], others: dict[str, set[str]] | None = None) -> Names:
    """The names of a project.

    Args:
        texts: path -> text of its files that mention Groq.
        others: path -> words of files that are not changed (settings, entry points, workflows): what they name stays.
    """
    found = _Definitions({}, _packages(texts), set(), set(), set(), {}, set(), set(), set())
    for words in (others or {}).values():
        found.loose.update(words)
    for path, text in texts.items():
        found.words.update(_WORD.findall(text))
        if path.endswith(".py"):
            _of_python(path, text, found)
        elif path.endswith(script.SUFFIXES):
            for name in script.definitions(path, text):
                found.kinds.setdefault(name, "name")
    mapping: dict[str, str] = {}
    refused: dict[str, str] = {}
    for name in found.kinds:
        new = converted(name)
        if new == name or name in _THEIRS:
            continue
        why = _why_not(name, new, found)
        if why:
            refused[name] = why
        else:
            mapping[name] = new
    return Names(mapping, found.kinds, refused, frozenset(_packages(texts)))


def _of_python(path: str, text: str, found: _Definitions) -> None:
    stem = os.path.splitext(os.path.basename(path))[0]
    if converted(stem) != stem:
        found.kinds[stem] = "module"
    try:
        tree = parse_strictly(text)
    except UncheckableError:
        found.strings.update(_WORD.findall(text))  # nobody knows what it defines: its names stay
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            found.kinds.setdefault(node.name, "name")
            found.signatures.setdefault(node.name, set()).add(ast.unparse(node.args))
        elif isinstance(node, ast.ClassDef):
            found.kinds.setdefault(node.name, "name")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            _imported(node, found)
        elif isinstance(node, ast.Call):
            found.keywords.update(keyword.arg for keyword in node.keywords if keyword.arg)
        elif isinstance(node, ast.Attribute) and node.attr.isupper():
            found.fields.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.strings.add(node.value)
            found.strings.add(node.value.lstrip("-"))
    named = named_strings(tree)
    found.loose.update(
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (node.lineno, node.col_offset) not in named
    )
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Name):
                found.kinds.setdefault(target.id, "name")


def _imported(node: ast.Import | ast.ImportFrom, found: _Definitions) -> None:
    """Names from outside: `from groq import X`, `import langchain_groq`."""
    for alias in node.names:
        module = alias.name if isinstance(node, ast.Import) else "." * node.level + (node.module or "")
        root = module.partition(".")[0]
        if root and root not in found.modules:
            found.foreign.add(alias.asname or alias.name)


def _why_not(name: str, new: str, found: _Definitions) -> str:
    if name in found.foreign:
        return "it is imported from outside the project"
    if name.isupper() and name in found.strings:
        return "it is the name of a setting outside the code"
    if new in found.words:
        return f"{new} is there already"
    if name in found.loose:
        return "it is a text, or stands in a file of settings: whoever reads that would not find it"
    if name in found.keywords and found.kinds[name] != "module":
        return "it is the name of an argument too"
    if name in found.fields:
        return "it is a field of settings"
    if len(found.signatures.get(name, ())) > 1:
        return "it has several definitions that take different arguments"
    return ""


def _packages(texts: dict[str, str]) -> set[str]:
    """The first parts of paths, and of what lies in a `src` or `backend` folder: with these, dotted paths begin."""
    found: set[str] = set()
    for path in texts:
        parts = path.replace(os.sep, "/").split("/")
        found.update(part for part in parts[:-1] if part.isidentifier())
        found.add(os.path.splitext(parts[-1])[0])
    return found
