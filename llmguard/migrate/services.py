"""The name of a call's service: that of its module, unless that says nothing (`app`, `main`, `tasks`)."""

from __future__ import annotations

import ast
import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmguard.migrate.source import Found, Source

#: Names of modules and packages that say nothing of what they do.
_SAY_NOTHING = frozenset(
    {
        *("app", "apps", "application", "main", "__main__", "__init__", "tasks", "task", "llm", "llms", "ai", "gpt"),
        *(
            "utils",
            "util",
            "helpers",
            "helper",
            "common",
            "core",
            "base",
            "client",
            "clients",
            "service",
            "services",
            "views",
        ),
        *("view", "routes", "route", "router", "routers", "api", "models", "model", "handlers", "handler", "server"),
        *("run", "script", "scripts", "cli", "index", "lib", "src", "tools", "deps", "dependencies", "bot", "bots"),
        *("openai", "groq", "anthropic", "wrapper", "wsgi", "asgi", "backend", "endpoints", "v1", "v2", "cogs"),
    }
)
#: Names of classes that say nothing.
_PLAIN_CLASSES = frozenset({"service", "client", "handler", "bot", "app", "view", "base", "llm", "agent", "config"})


def service_of(source: Source, root: str | None, found: Found | None = None) -> str:
    """The name of the service that a call is of.

    Args:
        source: its file.
        root: folder of the project, None when it is not known.
        found: the call; None for a client that calls may share.
    """
    if source.stem not in _SAY_NOTHING:
        return source.stem
    around = source.ancestors(found.site.node) if found is not None else []
    classes = [_snake(node.name) for node in around if isinstance(node, ast.ClassDef)]
    path = source.shown if root is None else os.path.relpath(source.absolute, root)
    folders = os.path.dirname(path).replace(os.sep, "/").split("/")
    functions = [node.name for node in around if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    for name in (*classes, *reversed(folders), *reversed(functions)):
        if re.fullmatch(r"[A-Za-z]\w*", name) and name not in _SAY_NOTHING | _PLAIN_CLASSES:
            return name
    return source.stem


def _snake(name: str) -> str:
    """`VoiceAnalyzer` as a module would be called."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower().strip("_")
