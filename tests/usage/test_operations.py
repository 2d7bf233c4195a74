"""Which requests of the SDKs generate something: every POST that an installed SDK can send is one that a row knows."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

from llmguard.usage.operations import decided, operation_of
from tests.optional import optional

_BRACES = re.compile(r"\{[^}]*\}")


def text_of(node: ast.AST | None) -> str | None:
    """A path as the source has it, `*` for what is filled in."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _BRACES.sub("*", node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) or "*" if isinstance(part, ast.Constant) else "*" for part in node.values)
    if isinstance(node, ast.Call) and node.args:  # path_template("/files/{file_id}", ...), "...".format_map(...)
        return text_of(node.args[0])
    return None


def sources(package: str) -> Iterator[ast.AST]:
    found = optional(package)
    for path in Path(found.__path__[0]).rglob("*.py"):
        if "tests" not in path.parts:
            yield ast.parse(path.read_text(encoding="utf-8"))


def of_stainless(package: str) -> set[str]:
    found = set()
    for tree in sources(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "_post":
                path = text_of(node.args[0] if node.args else None)
                if path:
                    found.add(path)
    return found


def of_cohere(package: str) -> set[str]:
    found = set()
    for tree in sources(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                given = {keyword.arg: text_of(keyword.value) for keyword in node.keywords}
                path = text_of(node.args[0] if node.args else None)
                if node.func.attr in ("request", "stream") and given.get("method") == "POST" and path:
                    found.add(f"/{path}")
    return found


def of_speakeasy(package: str) -> set[str]:
    found = set()
    for tree in sources(package):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                given = {keyword.arg: text_of(keyword.value) for keyword in node.keywords}
                path = given.get("path")
                if given.get("method") == "POST" and path:
                    found.add(path)
    return found


def of_google(package: str) -> set[str]:
    """Its methods put the path together first, and hand it to `request("post", path, ...)`."""
    found = of_speakeasy(package)
    for tree in sources(package):
        for function in ast.walk(tree):
            if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
                continue
            verbs = {
                text_of(call.args[0])
                for call in ast.walk(function)
                if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args
                if "request" in call.func.attr
            }
            for node in ast.walk(function):
                if "post" in verbs and isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "path":
                    value = node.value
                    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
                        value = value.func.value
                    path = text_of(value)
                    if path and path not in ("*", "*?*"):  # of whatever name it was given
                        found.add(f"/v1/{path}")
    return found


SDKS = {
    "openai": ("openai", of_stainless, 60),
    "anthropic": ("anthropic", of_stainless, 4),
    "groq": ("groq", of_stainless, 4),
    "cohere": ("cohere", of_cohere, 15),
    "mistral": ("mistralai", of_speakeasy, 20),
    "google": ("google.genai", of_google, 10),
}


@lru_cache
def paths_in(provider: str) -> frozenset[str]:
    """The paths of all POSTs that an installed SDK can send."""
    package, paths_of, least = SDKS[provider]
    paths = paths_of(package)
    assert len(paths) >= least, "the SDK is written otherwise: this reads its sources"
    return frozenset(paths)


@pytest.mark.parametrize("provider", SDKS)
def test_a_row_knows_every_request_of_the_sdk(provider: str) -> None:
    unknown = sorted(path for path in paths_in(provider) if decided(path.partition("?")[0], provider) is None)
    assert unknown == [], "say in the provider's row what these generate"


@pytest.mark.parametrize(
    ("provider", "path", "operation"),
    [
        ("openai", "/chat/completions", "chat"),
        ("openai", "/v1/completions", "text_completion"),
        ("azure_openai", "/deployments/gpt-4o/chat/completions", "chat"),
        ("deepseek", "/chat/completions", "chat"),
        ("deepseek", "/beta/completions", "text_completion"),
        ("openai", "/responses/resp_1/cancel", ""),
        ("openai", "/decisions", "chat"),
        ("openai", "/videos/edits", "video_generation"),
        ("openai", "/videos/v1/remix", "video_generation"),
        ("openai", "/videos/characters", ""),
        ("openai", "/evals/e1/runs", "evaluation"),
        ("openai", "/evals/e1/runs/r1", ""),  # what an older SDK sends to cancel a run
        ("openai", "/evals/e1/runs/r1/cancel", ""),
        ("openai", "/agents/sessions", "invoke_agent"),
        ("openai", "/agents/sessions/s1", ""),
        ("openai", "/agents/sessions/s1/events", "invoke_agent"),
        ("openai", "/conversations", ""),
        ("openai", "/conversations/c1", ""),
        ("openai", "/uploads/u1/complete", ""),
        ("openai", "/threads/t1/messages", ""),
        ("mistral", "/v1/conversations", "chat"),
        ("mistral", "/v1/conversations/c1#stream", "chat"),
        ("mistral", "/v1/agents", ""),
        ("anthropic", "/v1/messages", "chat"),
        ("anthropic", "/v1/messages/count_tokens", ""),
        ("anthropic", "/v1/messages/batches", "batch"),
        ("cohere", "/v1/classify", "classification"),
        ("cohere", "/v1/tokenize", ""),
        ("google", "/v1beta/interactions", "generate_content"),
        ("google", "/v1beta/models/gemini-x:generateContent", "generate_content"),
        ("google", "/models/gemini-x:countTokens", ""),
        ("nobody", "/anything/v2/chat", "chat"),
        ("", "/v1/files", ""),
        ("openai", "/of/tomorrow/chat/completions", "chat"),
    ],
)
def test_what_a_request_starts(provider: str, path: str, operation: str) -> None:
    assert operation_of(path, provider) == operation
