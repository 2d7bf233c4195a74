"""Whether an expression may stand for a generating method; calls of what is bound to it are looked at."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from llmguard.providers import vocabulary

if TYPE_CHECKING:
    from llmguard.check.module import ModuleFacts

_MOST_NODES = 60  # of an expression that are looked at: a long display is no alias


def may_be_method(facts: ModuleFacts, value: ast.expr) -> bool:
    """By names alone: `client.chat.completions.create`, `partial(completion)`, `getattr(x, "create")`, an alias."""
    if isinstance(value, (ast.Constant, ast.JoinedStr)):
        return False
    pending: list[ast.AST] = [value]
    for _ in range(_MOST_NODES):
        if not pending:
            return False
        node = pending.pop()
        if isinstance(node, ast.Attribute):
            if node.attr in vocabulary.current.method_names or node.attr in facts.aliases:
                return True
        elif isinstance(node, ast.Name):
            if node.id in facts.sdk_names or node.id in facts.aliases:
                return True
        elif isinstance(node, ast.Constant):
            if isinstance(node.value, str) and node.value in vocabulary.current.method_names:
                return True
        elif isinstance(node, ast.Call):
            pending.extend((*node.args, *(keyword.value for keyword in node.keywords)))
            if isinstance(node.func, ast.Attribute):
                pending.append(node.func.value)
            elif isinstance(node.func, ast.Name) and node.func.id in facts.aliases:
                return True
        else:
            pending.extend(ast.iter_child_nodes(node))
    return False
