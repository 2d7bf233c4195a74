"""Names in the text of a file: the strings that name something in the code, and the change of a word."""

from __future__ import annotations

import ast
import re

from llmguard.check.reading import decode, lines_of, parse_strictly
from llmguard.errors import UncheckableError

#: Calls whose second argument is the name of an attribute.
_BY_NAME = frozenset({"getattr", "setattr", "hasattr", "delattr", "object"})
#: Calls whose argument names an attribute or a module.
_LOOK_UPS = frozenset({"getattr", "setattr", "hasattr", "delattr", "import_module", "__import__", "methodcaller"})


def place_of(node: ast.expr, lines: list[str]) -> tuple[int, int]:
    """Line and column, in characters, as `tokenize` has them."""
    line = lines[node.lineno - 1].encode()
    return node.lineno, len(line[: node.col_offset].decode("utf-8", "ignore"))


def named_strings(tree: ast.Module, text: str) -> set[tuple[int, int]]:
    """Where strings stand that name something: in `__all__`, and as the attribute of `getattr` and its kin."""
    lines = lines_of(text)
    found: set[tuple[int, int]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            strings = [part for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
            found.update(place_of(part, lines) for part in strings)
        elif isinstance(node, ast.Call) and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            last = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if last in _BY_NAME:
                found.add(place_of(node.args[1], lines))
    return found


def in_annotations(tree: ast.Module, text: str) -> set[tuple[int, int]]:
    """Where strings stand that are code: in annotations."""
    lines = lines_of(text)
    found: set[tuple[int, int]] = set()
    for node in ast.walk(tree):
        for part in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(part, ast.expr):
                strings = [inner for inner in ast.walk(part) if isinstance(inner, ast.Constant)]
                found.update(place_of(inner, lines) for inner in strings if isinstance(inner.value, str))
    return found


def looked_up_in(data: bytes) -> list[re.Pattern[str]]:
    """`looked_up` in a file; nothing for one that cannot be parsed."""
    try:
        return looked_up(parse_strictly(decode(data).text))
    except UncheckableError:
        return []


def looked_up(tree: ast.Module) -> list[re.Pattern[str]]:
    """What names may be that are put together at run time: `getattr(self, f"_call_{provider}")`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in _LOOK_UPS:
            parts = [part for part in node.args if isinstance(part, ast.JoinedStr)]
        elif isinstance(node, ast.Subscript) and isinstance(node.slice, ast.JoinedStr):
            parts = [node.slice]
        else:
            continue
        patterns = [_pattern(part) for part in parts]
        found += [re.compile(pattern) for whole in patterns for pattern in {whole, whole.rpartition(r"\.")[2]}]
    return found


def _pattern(text: ast.JoinedStr) -> str:
    pieces = [re.escape(str(value.value)) if isinstance(value, ast.Constant) else r"\w+" for value in text.values]
    return "".join(pieces)


def counted(word: str, mapping: dict[str, str], counts: dict[str, int]) -> str:
    """The new name of a word, which is counted; the word itself where it has none."""
    if word not in mapping:
        return word
    counts[word] = counts.get(word, 0) + 1
    return mapping[word]
