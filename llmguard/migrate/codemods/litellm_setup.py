"""LiteLLM's part of `to-tracked-client`: where its callback is set up.

import litellm
from llmguard import setup_litellm_tracking

setup_litellm_tracking()
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.migrate import imports

if TYPE_CHECKING:
    from llmguard.migrate.source import Found, Source
    from llmguard.migrate.uses import Texts


def import_of(found: Found) -> ast.stmt | None:
    """The import of LiteLLM: that at the top of the file, else the one in the functions round a call."""
    source = found.source
    around = {id(node) for node in source.ancestors(found.site.node)}
    inside: ast.stmt | None = None
    for node in source.nodes:
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
        else:
            continue
        if any(name.partition(".")[0] == "litellm" for name in names):
            parent = source.parents.get(node)
            if isinstance(parent, ast.Module):
                return node
            if id(parent) in around or _is_guarded(source, parent, node):
                inside = node
    return inside


def _is_guarded(source: Source, parent: ast.AST | None, node: ast.stmt) -> bool:
    """Whether an import stands in a `try` at the top of the file, for those who do not have the package."""
    return isinstance(parent, ast.Try) and node in parent.body and isinstance(source.parents.get(parent), ast.Module)


def behind(source: Source, texts: Texts, statement: ast.stmt) -> int | None:
    """Where the callback is set up: behind the imports, and behind what sets LiteLLM's list of callbacks anew; None
    where another file does that."""
    at = source.line_after(statement)
    if isinstance(source.parents.get(statement), ast.Module):
        at = imports.behind_imports(source, statement)
    setting = [
        node
        for node in source.tree.body
        if isinstance(node, ast.Assign) and any(_is_callbacks(target) for target in node.targets)
    ]
    if not setting:
        return None if texts.setting_callbacks() else at
    return max(at, source.line_after(setting[-1]))


def _is_callbacks(target: ast.expr) -> bool:
    return isinstance(target, ast.Attribute) and target.attr == "callbacks" and isinstance(target.value, ast.Name)
