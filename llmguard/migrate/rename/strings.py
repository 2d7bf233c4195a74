"""Names in the text of a file: the strings that name something in the code, and the change of a word."""

from __future__ import annotations

import ast

#: Calls whose second argument is the name of an attribute.
_BY_NAME = frozenset({"getattr", "setattr", "hasattr", "delattr", "object"})


def named_strings(tree: ast.Module) -> set[tuple[int, int]]:
    """Where strings stand that name something: in `__all__`, and as the attribute of `getattr` and its kin."""
    found: set[tuple[int, int]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == "__all__" for target in node.targets):
            strings = [part for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
            found.update((part.lineno, part.col_offset) for part in strings)
        elif isinstance(node, ast.Call) and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            last = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if last in _BY_NAME:
                found.add((node.args[1].lineno, node.args[1].col_offset))
    return found


def counted(word: str, mapping: dict[str, str], counts: dict[str, int]) -> str:
    """The new name of a word, which is counted; the word itself where it has none."""
    if word not in mapping:
        return word
    counts[word] = counts.get(word, 0) + 1
    return mapping[word]
