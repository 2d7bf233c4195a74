"""What an answer in OpenAI's format says: its text, and the tools that it wants to be called."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from llmguard.errors import MalformedAnswer


class Said(NamedTuple):
    """What an answer says.

    Attributes:
        content: its text, "" for none.
        tool_calls: `{"id", "name", "arguments": the object}` of each.
        finish_reason: why it ended, as the provider says it.
    """

    content: str
    tool_calls: list[dict[str, Any]]
    finish_reason: str


def said_by(response: Any) -> Said:
    """What a response of `chat.completions.create` says.

    Raises:
        MalformedAnswer: it is none, or a tool's arguments are no JSON object.
    """
    choices: Any = getattr(response, "choices", None)
    message = getattr(choices[0], "message", None) if isinstance(choices, list) and choices else None
    if message is None:
        raise MalformedAnswer("the answer has no choice with a message")
    content = getattr(message, "content", None)
    if content is not None and not isinstance(content, str):
        raise MalformedAnswer(f"the answer's content is no text but {type(content).__name__}")
    calls = [_tool_call(each) for each in getattr(message, "tool_calls", None) or ()]
    return Said(content or "", calls, str(getattr(choices[0], "finish_reason", None) or ""))


def _tool_call(call: Any) -> dict[str, Any]:
    function = getattr(call, "function", None)
    text = getattr(function, "arguments", None)
    try:
        arguments = json.loads(text) if text else {}
    except (TypeError, ValueError):
        arguments = None
    if not isinstance(arguments, dict):
        raise MalformedAnswer(f"the arguments of the tool {getattr(function, 'name', None)} are no JSON object")
    return {"id": getattr(call, "id", None), "name": getattr(function, "name", None), "arguments": arguments}
