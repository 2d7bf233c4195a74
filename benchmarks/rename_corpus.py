"""Renames every variable, attribute, function and class that a tree of Python files defines, consistently.

    python benchmarks/rename_corpus.py SOURCE TARGET

What a variable is called must never decide whether a call is found: a check of TARGET finds the lines that a check of
SOURCE finds. Kept: names that an SDK's row, the standard library or an import from outside the tree gives meaning to
(`create`, `self.client.chat` is `self.x17.chat`), keyword arguments, dunder names, and module names.
"""

from __future__ import annotations

import ast
import builtins
import io
import keyword
import shutil
import sys
import tokenize
from pathlib import Path

from llmguard.check.reading import decode, parse
from llmguard.doors import DOORS, LITELLM_SETUP, TRACKER_BLOCKS
from llmguard.errors import UncheckableError
from llmguard.providers import PROVIDERS


def sdk_names() -> set[str]:
    """Every identifier that the rows speak of."""
    names: set[str] = set(TRACKER_BLOCKS | LITELLM_SETUP)
    for door in DOORS:
        names.update((door.name, door.cls, *door.methods))
    for provider in PROVIDERS:
        dotted = [*provider.modules, *provider.functions, *provider.transparent, *(s.path for s in provider.shapes)]
        for client in provider.clients:
            dotted += [*client.names, *client.calls, *client.returns]
        for shape in provider.shapes:
            names.update(shape.needs | shape.any_of | shape.refuses)
        for path in dotted:
            names.update(path.split("."))
    return names


def names_of(tree: ast.Module) -> tuple[set[str], set[str]]:
    """(names that the module defines, names that must stay)."""
    defined: set[str] = set()
    kept: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            defined.add(node.name)
        elif isinstance(node, ast.arg):
            defined.add(node.arg)
        elif isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Store):
            defined.add(node.id if isinstance(node, ast.Name) else node.attr)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            kept.update(part for alias in node.names for part in (alias.asname or alias.name).split("."))
            kept.update((getattr(node, "module", None) or "").split("."))
        elif isinstance(node, ast.keyword) and node.arg:
            kept.add(node.arg)  # a keyword of something foreign cannot be told from one of ours
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.isidentifier():
            kept.add(node.value)  # may be an attribute's name, for getattr and the like
    return defined, kept


def main(source: Path, target: Path) -> None:
    trees = {}
    defined: set[str] = set()
    kept = sdk_names() | set(dir(builtins)) | set(keyword.kwlist) | set(sys.stdlib_module_names) | {"self", "cls"}
    for path in sorted(source.rglob("*.py")):
        try:
            trees[path] = decode(path.read_bytes()).text
            one, stay = names_of(parse(trees[path]).tree)
        except (UncheckableError, OSError):
            continue
        defined |= one
        kept |= stay
        kept.update(path.relative_to(source).with_suffix("").parts)
    names = sorted(name for name in defined - kept if not name.startswith("__"))
    renamed = {name: f"name_{number}" for number, name in enumerate(names)}
    shutil.copytree(source, target, ignore=shutil.ignore_patterns(".*"))
    for path, text in trees.items():
        (target / path.relative_to(source)).write_text(rewritten(text, renamed), encoding="utf-8")
    print(f"{len(renamed):,} names renamed in {len(trees):,} files")


def rewritten(text: str, renamed: dict[str, str]) -> str:
    """The text with the names replaced in its tokens; lines keep their numbers."""
    lines = text.splitlines(keepends=True)
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(text).readline))
    except (tokenize.TokenError, SyntaxError):
        return text
    for token in reversed(tokens):
        if token.type == tokenize.NAME and token.string in renamed:
            line, start = token.start
            old = lines[line - 1]
            lines[line - 1] = old[:start] + renamed[token.string] + old[token.end[1] :]
    return "".join(lines)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(Path(sys.argv[1]), Path(sys.argv[2]))
