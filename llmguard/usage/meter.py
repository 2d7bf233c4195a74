"""What goes by in a stream: the provider's counts where it sends them, else the characters of the answer.

One meter for every wire format, for objects of the SDKs and for plain dictionaries. No text is kept.
"""

from __future__ import annotations

from typing import Any

from llmguard.usage.counts import tokens_of_usage, with_searches
from llmguard.usage.estimate import tokens_in
from llmguard.usage.response import field
from llmguard.usage.tokens import Tokens, merged

#: Where Anthropic keeps the inference, when that has a price of its own.
PRICED_REGIONS = ("us",)
#: Events that hold an answer with its counts: of Anthropic, OpenAI's responses, Google's interactions, Cohere's first
#: API.
_TELLING = frozenset(
    (
        *("message_start", "response.completed", "response.incomplete", "response.failed", "interaction.completed"),
        "stream-end",
    )
)


class StreamMeter:
    """Counts one stream.

    Attributes:
        chunks: how many went by.
        characters: of the answer, thoughts and tool arguments included.
        model: the model that answered, as it says itself.
        response_id: the provider's identifier of the answer.
        tier: of the service, where it is not the usual one.
        region: that the inference was kept in, where that has a price of its own.
        blind: the answer could not be read (it is compressed, say): its characters are no estimate.
    """

    __slots__ = ("_final", "_tokens", "blind", "characters", "chunks", "model", "region", "response_id", "tier")

    def __init__(self) -> None:
        self.chunks = 0
        self.characters = 0
        self.model: str | None = None
        self.response_id: str | None = None
        self.tier: str | None = None
        self.region: str | None = None
        self.blind = False
        self._tokens = Tokens()
        self._final = False  # Anthropic gives the input's count first, and the output's at the end only

    @property
    def said(self) -> dict[str, str | None]:
        """What the stream says of itself, as `outcome.response_fields` does of a whole response."""
        return {
            "response_model": self.model,
            "provider_response_id": self.response_id,
            "service_tier": self.tier,
            "inference_geo": self.region,
        }

    def counts(self, prompt: int | None) -> tuple[Tokens, str]:
        """The counts, and where they are from: "provider" when it sent them, else "estimated".

        Args:
            prompt: an estimate of the request's tokens.
        """
        if self._final:
            return self._tokens, "provider"
        if self.blind:
            return Tokens(prompt=prompt, total=prompt), "estimated"
        if self._tokens.prompt is not None:
            prompt = self._tokens.prompt
        completion = max(tokens_in(self.characters), self._tokens.completion or 0)
        return self._tokens._replace(
            prompt=prompt, completion=completion, total=(prompt or 0) + completion
        ), "estimated"

    def add(self, chunk: Any) -> None:
        """Count a chunk: an object of an SDK, or a dictionary."""
        self.chunks += 1
        if not isinstance(chunk, dict):
            choices = getattr(chunk, "choices", None)
            if choices is not None:
                self._openai(chunk, choices)
                return
        elif "choices" in chunk:
            self._openai(chunk, chunk["choices"])
            return
        inner = field(chunk, "data")  # Mistral's events hold the chunk
        if inner is not None and field(inner, "choices") is not None:
            self._openai(inner, field(inner, "choices"))
        else:
            if inner is not None and field(inner, "object") == "thread.run":  # OpenAI's assistants
                self._identify(inner)
                self._counts(field(inner, "usage"))
            self._event(chunk)

    def _openai(self, chunk: Any, choices: Any) -> None:
        if self.model is None:
            self._identify(chunk)
        for choice in choices or ():
            delta = field(choice, "delta") or field(choice, "message")
            if delta is None:
                self._text(field(choice, "text"))
                continue
            self._text(field(delta, "content"))
            for name in ("reasoning_content", "reasoning", "refusal"):
                self._text(field(delta, name))
            for call in field(delta, "tool_calls") or ():
                self._text(field(field(call, "function"), "arguments"))
        self._tiered(chunk)
        usage = field(chunk, "usage") or field(field(chunk, "x_groq"), "usage")
        if usage is not None:
            self._counts(usage)

    def _event(self, event: Any) -> None:
        """Anthropic's events, OpenAI's of responses, Cohere's, Google's chunks, and whole answers of them."""
        kind = field(event, "type") or field(event, "event_type")
        delta = field(event, "delta")
        answer = field(event, "message") or field(event, "response") or field(event, "interaction")
        if self.model is None:
            self._identify(event if field(event, "model") else answer)
        if kind in _TELLING:
            self._tiered(answer)
            self._counts(field(answer, "usage") or field(answer, "meta"), final=kind != "message_start")
            self._tokens = with_searches(self._tokens, answer)
        elif isinstance(delta, str):
            self._text(delta if str(kind).endswith(".delta") else None)
        elif delta is not None:
            for name in ("text", "partial_json", "thinking"):
                self._text(field(delta, name))
            content = field(field(delta, "message"), "content")
            self._text(field(content, "text") or field(content, "thinking"))
            self._counts(field(delta, "usage"))
        self._parts(event)
        self._counts(field(event, "usage") or field(event, "usage_metadata") or field(event, "usageMetadata"))
        if field(event, "candidates"):
            self._tokens = with_searches(self._tokens, event)

    def _parts(self, answer: Any) -> None:
        for candidate in field(answer, "candidates") or ():
            for part in field(field(candidate, "content"), "parts") or ():
                self._text(field(part, "text"))
        content = field(answer, "content")
        for part in content if isinstance(content, list) else ():
            self._text(field(part, "text"))
        self._text(field(answer, "completion"))  # Anthropic's first API
        if field(answer, "event_type") == "text-generation":  # Cohere's first API
            self._text(field(answer, "text"))

    def _text(self, text: Any) -> None:
        if isinstance(text, str):
            self.characters += len(text)
        elif isinstance(text, list):
            for part in text:
                self._text(part if isinstance(part, str) else field(part, "text"))

    def _counts(self, usage: Any, final: bool = True) -> None:
        if usage is not None:
            self._tokens = merged(self._tokens, tokens_of_usage(usage))
            self._tiered(usage)
            self._final = final

    def _tiered(self, holder: Any) -> None:
        tier = field(holder, "service_tier")
        if isinstance(tier, str) and tier not in ("default", "standard", "auto"):
            self.tier = tier
        elif field(holder, "speed") == "fast":
            self.tier = "fast"
        region = field(holder, "inference_geo")
        if region in PRICED_REGIONS:
            self.region = region

    def _identify(self, answer: Any) -> None:
        for attribute, names in (("model", ("model", "model_version", "modelVersion")), ("response_id", ("id",))):
            for name in names:
                value = field(answer, name)
                if isinstance(value, str) and getattr(self, attribute) is None:
                    setattr(self, attribute, value)
