"""Where `await` may stand instead of a blocking call, and where the call has to go on blocking.

What happens between two calls that block is safe from other coroutines; between two that are awaited it is not. So a
blocking call is awaited only where no others can be there, or where nothing that they can reach is read or written.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from llmguard.check.scopes import How

if TYPE_CHECKING:
    from llmguard.check.project import Project
    from llmguard.check.scopes import Binding
    from llmguard.migrate.source import Source
    from llmguard.migrate.uses import Texts

#: What runs coroutines beside each other, ends them in the middle, or keeps others out.
_CONCURRENT = re.compile(
    rb"\b(gather|create_task|ensure_future|TaskGroup|as_completed|wait_for|start_soon|create_task_group"
    rb"|run_coroutine_threadsafe|start_server|start_unix_server|__await__)\b|\basyncio\s*\.\s*(wait|timeout|timeout_at)\b|\.\s*(acquire|cancel|send)\s*\("
)
#: Frameworks that serve several requests, messages or sessions at once.
_SERVES = re.compile(
    rb"^[ \t]*(?:from|import)[ \t]+(?:fastapi|starlette|aiohttp|quart|sanic|litestar|blacksheep|tornado|robyn|uvicorn"
    rb"|hypercorn|django|channels|falcon|discord|nextcord|disnake|telegram|aiogram|telebot|pyrogram|telethon|slack_bolt"
    rb"|chainlit|gradio|nicegui|mcp|fastmcp|grpc|websockets|socketio|temporalio|arq|faststream|livekit"
    rb"|nats|aiokafka|aio_pika|hikari|twitchio|asyncssh|aiosmtpd|botbuilder)\b",
    re.MULTILINE,
)


def awaits(source: Source, texts: Texts, project: Project, call: ast.Call, *, asked: bool = False) -> bool | None:
    """Whether a blocking call becomes one that is awaited; None where no `await` can stand.

    Args:
        source: the file.
        texts: the bytes of the project's files.
        project: its modules.
        call: the blocking call.
        asked: it is to be awaited wherever it can be.
    """
    if not can_await(source, call):
        return None
    if must_block(source, call):
        return False
    if asked or not is_concurrent(source, texts):
        return True
    function = next(node for node in source.ancestors(call) if isinstance(node, ast.AsyncFunctionDef))
    return bool(function.decorator_list) and _is_alone(source, project, function, call)


def is_concurrent(source: Source, texts: Texts) -> bool:
    """Whether coroutines of a file run beside each other: some file of the project starts several, or the project is
    made with a framework that does."""
    if _CONCURRENT.search(source.data) or _SERVES.search(source.data):
        return True
    return texts.holds(_CONCURRENT, _SERVES)


def _is_alone(source: Source, project: Project, function: ast.AsyncFunctionDef, call: ast.Call) -> bool:
    """Whether a function reads and writes nothing but what is its own, and calls nothing of the project, beside the
    call that moves."""
    scope = source.facts.scope
    beside = {inner for part in (*function.decorator_list, call.func) for inner in ast.walk(part)}
    own = next((each for each in source.facts.scopes if getattr(each, "node", None) is function), None)
    for node in ast.walk(function):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            return False
        if not isinstance(node, ast.Name) or (own is not None and node.id in own.bindings):
            continue
        if node in beside:
            continue
        if any(_is_shared(source, project, binding) for binding in scope.bindings.get(node.id, ())):
            return False
    return source.parents.get(function) is source.tree


def _is_shared(source: Source, project: Project, binding: Binding) -> bool:
    """Whether what a name of the module means may be changed by others, or change what they see."""
    if binding.how is How.VALUE:
        return not isinstance(binding.node, ast.Constant)
    if binding.how is How.DEFINITION:
        return getattr(binding.defined, "is_function", False)
    if binding.imported is not None:
        module, level = binding.imported.module, binding.imported.level
        return bool(level) or project.absolute(module, source.absolute) is not None
    return binding.how is not How.ANNOTATION


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
