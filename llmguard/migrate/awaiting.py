"""Where `await` may stand instead of a blocking call, and where the call has to go on blocking."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmguard.migrate.source import Source
    from llmguard.migrate.uses import Texts

#: What runs coroutines beside each other, ends them in the middle, or keeps others out.
_CONCURRENT = re.compile(
    rb"\b(gather|create_task|ensure_future|TaskGroup|as_completed|wait_for|start_soon|create_task_group"
    rb"|run_coroutine_threadsafe)\b|\basyncio\s*\.\s*(wait|timeout|timeout_at)\b|\.\s*(acquire|cancel|send)\s*\("
)


def is_concurrent(source: Source, texts: Texts) -> bool:
    """Whether a file, or one that speaks of its module, runs coroutines beside each other: what happens between two
    calls that block is safe from the others, between two that are awaited it is not."""
    return _CONCURRENT.search(source.data) is not None or texts.beside(source.absolute, _CONCURRENT)


def must_block(source: Source, call: ast.Call) -> bool:
    """Whether a blocking call in an `async def` has to go on blocking: its stream is read by `for`, a lock is held,
    the function changes what others read, or the statement has read something that it changes (`x += ...`)."""
    stream = next((keyword.value for keyword in call.keywords if keyword.arg == "stream"), None)
    if stream is not None and not (isinstance(stream, ast.Constant) and not stream.value):
        return True
    for node in source.ancestors(call):
        if isinstance(node, (ast.With, ast.AugAssign)):
            return True
        if isinstance(node, ast.AsyncFunctionDef):
            return any(isinstance(inner, (ast.Global, ast.Nonlocal)) for inner in ast.walk(node))
    return False


def can_await(source: Source, call: ast.Call) -> bool:
    """Whether `await` may stand where a call stands, and means the same: directly in an `async def`."""
    child: ast.AST = call
    for node in source.ancestors(call):
        if isinstance(node, ast.AsyncFunctionDef):
            return child in node.body
        if isinstance(node, (ast.FunctionDef, ast.Lambda, ast.GeneratorExp, ast.ClassDef)):
            return False
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp)):
            return False  # it would make the comprehension asynchronous, which older Pythons refuse inside another
        child = node
    return False
