"""What a finding says: what it is, and what to call instead in the words of the project's own configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING

from llmguard.check.finding import Confidence
from llmguard.doors import DEFAULT_WRAPPER
from llmguard.providers.provider import Family

if TYPE_CHECKING:
    from llmguard.check.finding import Callee
    from llmguard.config import Settings

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
    return f"direct {kind}, on no ledger: {advice(callee, settings, awaited=awaited)}"


def advice(callee: Callee, settings: Settings, *, awaited: bool = False) -> str:
    """What to do instead: only what sends the same request to the same place when it is done literally."""
    family = callee.family
    if settings.wrapper != DEFAULT_WRAPPER and family not in (Family.EMBEDDING, Family.MEDIA):
        name = settings.wrapper
        return f"call {name if name.endswith(')') else name + '()'} instead"
    if callee.wrapped:
        method = "messages_create" if family is Family.MESSAGES else "chat_completion"
        call = f'{DEFAULT_WRAPPER}.{method}{"" if awaited else "_sync"}(provider="{callee.wrapped}", ...)'
        return f'call {f"(await {call})" if awaited else call}["response"] instead'
    if callee.trackable:
        return "make it on a tracked client, track(client)"
    block = f'inside llm_tracker.track_llm_call("{callee.provider}", model)'
    if callee.confidence is Confidence.PROVED or family is Family.HTTP:
        return f"make it {block}"
    return f"make it on a tracked client, track(client), or {block}"
