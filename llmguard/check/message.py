"""What a finding says: what it is, and what to call instead in the words of the project's own configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.doors import DEFAULT_WRAPPER
from llmguard.providers.provider import Family

if TYPE_CHECKING:
    from llmguard.check.finding import Callee
    from llmguard.config import Settings

_WRAPPED = {
    Family.COMPLETION: "chat_completion",
    Family.CHAT: "chat_completion",
    Family.HTTP: "chat_completion",
    Family.MESSAGES: "messages_create",
}
_KINDS = {
    Family.COMPLETION: "completion",
    Family.CHAT: "chat completion",
    Family.RESPONSES: "response",
    Family.MESSAGES: "message",
    Family.TEXT: "text completion",
    Family.EMBEDDING: "embedding",
    Family.MEDIA: "media generation",
    Family.ASSISTANTS: "assistant run",
    Family.HTTP: "HTTP request",
}


def message_of(callee: Callee, text: str, settings: Settings, *, awaited: bool = False) -> str:
    """One line for a call. `awaited`: it stands in an `async def`."""
    kind = f"{callee.title} {_KINDS[callee.family]}"
    if callee.reference:
        return f"`{text}` is passed on uncalled: a later {kind} is on no ledger; hand over that of a tracked client"
    return f"direct {kind}, on no ledger: {advice(callee.family, settings, awaited=awaited)}"


def advice(family: Family, settings: Settings, *, awaited: bool = False) -> str:
    """What to do instead."""
    method = _WRAPPED.get(family)
    if settings.wrapper != DEFAULT_WRAPPER and family not in (Family.EMBEDDING, Family.MEDIA):
        name = settings.wrapper
        return f"call {name if name.endswith(')') else name + '()'} instead"
    if method is not None:
        return f"call {DEFAULT_WRAPPER}.{method}{'' if awaited else '_sync'}() instead"
    return "make it on a tracked client, track(client), or inside llm_tracker.track_llm_call()"
