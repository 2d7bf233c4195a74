"""What the failover service answers with, and what an answer in OpenAI's format says: its text, and the tools that it
wants to be called."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple

from llmguard.errors import MalformedAnswer


class LLMProvider(str, Enum):
    """The providers that the service has names for; any other name of the list of providers does as well."""

    OPENAI = "openai"
    AZURE_OPENAI = "azure_openai"
    GROQ = "groq"
    ANTHROPIC = "anthropic"


class LLMResponse:
    """An answer.

    Attributes:
        content: its text, "" when it only wants tools to be called.
        provider: who answered.
        model: as it was asked for.
        usage: counts, milliseconds and dollars, the same for every provider; see `llmguard.calls.result.UsageDict`.
        raw_response: `{"content": text, "tool_calls": [{"id", "name", "arguments": the object}]}`, the second where
            there are any.
        response: the object of the provider's SDK.
    """

    def __init__(
        self,
        content: str,
        provider: str,
        model: str,
        usage: Mapping[str, Any] | None = None,
        raw_response: Any = None,
        response: Any = None,
    ) -> None:
        self.content = content
        self.provider = provider
        self.model = model
        self.usage = dict(usage or {})
        self.raw_response = raw_response
        self.response = response

    @property
    def tool_calls(self) -> list[dict[str, Any]]:
        """The tools that it wants to be called."""
        raw = self.raw_response
        return list(raw.get("tool_calls", ())) if isinstance(raw, Mapping) else []

    def to_dict(self) -> dict[str, Any]:
        """`{"content", "provider", "model", "usage"}`."""
        return {"content": self.content, "provider": self.provider, "model": self.model, "usage": self.usage}

    def __repr__(self) -> str:
        return f"LLMResponse(provider={self.provider!r}, model={self.model!r}, {len(self.content)} characters)"


class LLMChunk(NamedTuple):
    """A piece of a streamed answer.

    Attributes:
        content: text, "" in the last piece.
        provider: who answers.
        model: as it was asked for.
        usage: as of `LLMResponse`, in the last piece; else None.
    """

    content: str
    provider: str
    model: str
    usage: dict[str, Any] | None = None


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


def text_of(chunk: Any) -> str:
    """The text of a piece of a stream of `chat.completions.create`."""
    choices: Any = getattr(chunk, "choices", None)
    delta = getattr(choices[0], "delta", None) if choices else None
    content = getattr(delta, "content", None)
    return content if isinstance(content, str) else ""


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


def answer_of(provider: str, model: str, result: Any) -> LLMResponse:
    """The answer in a result of the wrapper.

    Raises:
        MalformedAnswer: it is none.
    """
    said = said_by(result["response"])
    raw: dict[str, Any] = {"content": said.content}
    if said.tool_calls:
        raw["tool_calls"] = said.tool_calls
    return LLMResponse(said.content, provider, model, result["usage"], raw, result["response"])
