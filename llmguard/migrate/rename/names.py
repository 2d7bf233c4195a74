"""The names that a project defines after Groq, what they become, and which of them cannot change."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from llmguard.check.reading import lines_of, parse_strictly
from llmguard.errors import UncheckableError
from llmguard.migrate.rename import script
from llmguard.migrate.rename.strings import in_annotations, named_strings, place_of

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_DOTTED = re.compile(r"\.*[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(:[A-Za-z_]\w*)?")
#: Names of SDKs and of services, never the project's.
_THEIRS = frozenset({"groq", "Groq", "GROQ", "AsyncGroq", "GroqError", "ChatGroq", "langchain_groq", "groq_sdk"})


class Names(NamedTuple):
    """What changes.

    Attributes:
        map: old name -> new name.
        kinds: old name -> "name", "module" or "file".
        refused: name that stays -> why.
        modules: dotted path of each module, and its endings -> the words that stand in it.
    """

    map: dict[str, str]
    kinds: dict[str, str]
    refused: dict[str, str]
    modules: dict[str, set[str]]

    def is_path(self, text: str) -> bool:
        """Whether a text is the dotted path of a module of the project, or of something in one.

        A module of one name is one only with something that stands in it: `groq_usage.json` may be a file.
        """
        if not _DOTTED.fullmatch(text):
            return False
        parts = re.split(r"[.:]", text.lstrip("."))
        for length in range(len(parts), 0, -1):
            words = self.modules.get(".".join(parts[:length]))
            if words is not None:
                rest = parts[length:]
                return (length > 1 or text.startswith(".")) if not rest else rest[0] in words
        return False


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
    attributes: set[str]
    overriding: set[str]
    methods: set[str]
    patterns: list[re.Pattern[str]]
    decorated: set[str]  # with "" where names of functions are read at run time


def gathered(
    texts: dict[str, str],
    others: dict[str, set[str]] | None = None,
    taken: Iterable[str] = (),
    patterns: Iterable[re.Pattern[str]] = (),
) -> Names:
    """The names of a project.

    Args:
        texts: path -> text of its files that mention Groq.
        others: path -> words of files that are not changed (settings, templates, workflows): what they name stays.
        taken: words of all files, which new names may meet.
        patterns: what names may be that are put together at run time.
    """
    found = _Definitions(
        {}, _packages(texts), set(), set(), set(), {}, set(), set(), set(), set(), set(), set(), [], set()
    )
    for words in (others or {}).values():
        found.loose.update(words)
    found.words.update(taken)
    found.patterns.extend(patterns)
    modules = _modules(texts)
    names = Names({}, found.kinds, {}, modules)
    for path, text in texts.items():
        found.words.update(_WORD.findall(text))
        if path.endswith(".py"):
            _of_python(path, text, found, names)
        elif path.endswith(script.SUFFIXES):
            for name in script.definitions(path, text):
                found.kinds.setdefault(name, "name")
            found.loose.update(script.spoken_of(text))
    folders = {os.path.basename(os.path.dirname(path)) for path in texts}
    for name in found.kinds:
        new = converted(name)
        if new == name or name in _THEIRS:
            continue
        why = "it is the name of a folder" if name in folders else _why_not(name, new, found)
        if why:
            names.refused[name] = why
        else:
            names.map[name] = new
    return names


def _of_python(path: str, text: str, found: _Definitions, names: Names) -> None:
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
            if node.decorator_list:
                found.decorated.add(node.name)
            found.signatures.setdefault(node.name, set()).add(ast.unparse(node.args))
            found.keywords.update(part.arg for part in ast.walk(node.args) if isinstance(part, ast.arg))
        elif isinstance(node, ast.ClassDef):
            found.kinds.setdefault(node.name, "name")
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            _imported(node, found)
        elif isinstance(node, ast.Call):
            found.keywords.update(keyword.arg for keyword in node.keywords if keyword.arg)
        elif isinstance(node, ast.Attribute) and node.attr in ("__name__", "__qualname__"):
            found.decorated.add("")
        elif isinstance(node, ast.Attribute) and node.attr.isupper():
            found.fields.add(node.attr)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.strings.add(node.value)
            found.strings.add(node.value.lstrip("-"))
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else []
        for target in targets:
            if isinstance(target, ast.Name):
                found.kinds.setdefault(target.id, "name")
    found.loose.update(_loose(tree, text, names))
    _of_classes(tree, found)


def _loose(tree: ast.Module, text: str, names: Names) -> set[str]:
    """The words of strings that somebody reads: those without blanks, that name nothing in the code."""
    lines = lines_of(text)
    named = named_strings(tree, text) | in_annotations(tree, text)
    services = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "service_name"
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in services:
            continue
        said = node.value
        if "groq" in said.lower() and not re.search(r"\s", said) and not names.is_path(said):
            if place_of(node, lines) not in named:
                found.update({said, *_WORD.findall(said.replace("-", "_")), *_WORD.findall(said)})
    return found


def _of_classes(tree: ast.Module, found: _Definitions) -> None:
    """Fields, which others see as keys, variables and columns; methods; and attributes of what others made."""
    ours = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    } - found.foreign
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            foreign = any(_WORD.match(ast.unparse(base)) and _root(base) in found.foreign for base in node.bases)
            for part in node.body:
                if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    found.methods.add(part.name)
                    if foreign:
                        found.overriding.add(part.name)
                targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
                found.fields.update(target.id for target in targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id not in ours and node.value.id not in ("self", "cls"):
                found.attributes.add(node.attr)


def _root(node: ast.expr) -> str:
    return ast.unparse(node).partition("[")[0].partition(".")[0]


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
        return "it is a field of a class, or of settings"
    if any(pattern.fullmatch(name) for pattern in found.patterns):
        return "it may be put together at run time"
    if name in found.decorated and "" in found.decorated:
        return "a decorator may read it at run time"
    if name in found.overriding:
        return "it is a method of a class whose base is from outside the project"
    if name in found.attributes and name not in found.methods and found.kinds[name] == "name":
        return "it is an attribute of something else too"
    if len(found.signatures.get(name, ())) > 1:
        return "it has several definitions that take different arguments"
    return ""


def _modules(texts: dict[str, str]) -> dict[str, set[str]]:
    """Dotted path of each Python file, and each of its endings -> the words that stand in it."""
    found: dict[str, set[str]] = {}
    for path, text in texts.items():
        if path.endswith(".py"):
            parts = os.path.splitext(path.replace(os.sep, "/"))[0].split("/")
            words = set(_WORD.findall(text))
            for length in range(1, min(len(parts), 8) + 1):
                found.setdefault(".".join(parts[-length:]), set()).update(words)
    return found


def _packages(texts: dict[str, str]) -> set[str]:
    """The first parts of paths, and of what lies in a `src` or `backend` folder: with these, dotted paths begin."""
    found: set[str] = set()
    for path in texts:
        parts = path.replace(os.sep, "/").split("/")
        found.update(part for part in parts[:-1] if part.isidentifier())
        found.add(os.path.splitext(parts[-1])[0])
    return found
