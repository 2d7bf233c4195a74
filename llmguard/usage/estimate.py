"""How many tokens a request or an answer may have, when no provider says: characters / 4.

An estimate, and called so on the row (`usage_source = "estimated"`). Four characters a token is what OpenAI states for
English text (https://help.openai.com/en/articles/4936856); other languages and code have more tokens.
"""

from __future__ import annotations

from typing import Any

CHARACTERS_PER_TOKEN = 4
#: Parts of a request that hold what the model reads.
_TEXTS = ("messages", "system", "instructions", "input", "inputs", "prompt", "contents", "message", "chat_history")
_DEEPER = ("tools", "preamble", "documents", "texts", "systemInstruction", "system_instruction")
_GOOGLE = ("content", "requests", "instances")  # of its embeddings
_PARTS = frozenset({*_TEXTS, *_DEEPER, *_GOOGLE})
#: Values below these keys are no text: images and files as base64, identifiers.
_NO_TEXT = frozenset(
    {
        "url",
        "image_url",
        "data",
        "file_data",
        "file_id",
        "id",
        "type",
        "role",
        "inlineData",
        "inline_data",
        "tool_call_id",
        "model",
        "custom_id",
        "task_type",
    }
)
_MOST_NODES = 2000  # of a request that are looked at, so that a long one costs no more than a fraction of a millisecond


def tokens_in(characters: int) -> int:
    """The estimate for a text of so many characters; at least 1 for any text."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def characters_of(request: Any) -> int:
    """Characters that the model reads of a request body; of a very long list, of its first 2,000 values."""
    if isinstance(request, str):
        return len(request)
    if not isinstance(request, dict):
        return _count(request)
    total, rest = 0, []
    for name, part in request.items():
        if name not in _PARTS:
            continue
        if isinstance(part, str):
            total += len(part)
        elif name == "messages" and isinstance(part, list):
            for message in part[:_MOST_NODES]:
                content = message.get("content") if isinstance(message, dict) else None
                if isinstance(content, str) and len(message) == 2:
                    total += len(content)  # a role and a text, as most are
                else:
                    rest.append(message)
        elif part:
            rest.append(part)
    return total + _count(rest) if rest else total


def _count(value: Any) -> int:
    total = 0
    stack = [value]
    for _ in range(_MOST_NODES):
        if not stack:
            break
        item = stack.pop()
        if isinstance(item, str):
            total += len(item)
        elif isinstance(item, dict):
            stack.extend([inner for key, inner in item.items() if key not in _NO_TEXT])
        elif isinstance(item, (list, tuple)):
            if item and isinstance(item[0], int):
                total += len(item) * CHARACTERS_PER_TOKEN  # a text that is given as tokens
            else:
                stack.extend(item[:_MOST_NODES])
        elif hasattr(item, "__dict__") and not callable(item):
            stack.extend([inner for key, inner in vars(item).items() if key not in _NO_TEXT])
    return total


def texts_of(request: Any, most: int) -> list[str]:
    """The texts that the model reads of a request body, so many characters of them at most."""
    found: list[str] = []
    left = most
    stack = [part for name, part in request.items() if name in _PARTS] if isinstance(request, dict) else [request]
    for _ in range(_MOST_NODES):
        if not stack or left <= 0:
            break
        item = stack.pop()
        if isinstance(item, str):
            found.append(item[:left])
            left -= len(item)
        elif isinstance(item, dict):
            stack.extend([inner for key, inner in item.items() if key not in _NO_TEXT])
        elif isinstance(item, (list, tuple)):
            stack.extend(item[:_MOST_NODES])
        elif hasattr(item, "__dict__") and not callable(item):
            stack.extend([inner for key, inner in vars(item).items() if key not in _NO_TEXT])
    return found
