"""`UnifiedLLMClient`: the failover service for code that wants a dictionary."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llmguard.calls.unified import UnifiedLLMService, get_llm_service
from llmguard.errors import AllProvidersFailed

APOLOGY = "I'm sorry, I can't answer right now. Please try again in a moment."


class UnifiedLLMClient:
    """Asks through the service of this process.

    Args:
        providers: of old callers; who is asked is what the service says.
        service: another one than that of this process.
        apologise: answer with `APOLOGY` when nobody has answered, as old callers expect; else the error is raised.
    """

    def __init__(
        self, providers: Any = None, *, service: UnifiedLLMService | None = None, apologise: bool = False
    ) -> None:
        self._service = service
        self._apologise = apologise

    @property
    def service(self) -> UnifiedLLMService:
        """The service that is asked."""
        return self._service or get_llm_service()

    async def generate_response(
        self, messages: Iterable[Any], tools: Iterable[Any] | None = None, **arguments: Any
    ) -> dict[str, Any]:
        """Ask; arguments are those of `UnifiedLLMService.generate_response_async`.

        Returns:
            `{"content": text}`, and `"tool_calls"` where there are any.

        Raises:
            AllProvidersFailed: nobody has answered, and `apologise` is off.
            Exception: as of the service.
        """
        try:
            answer = await self.service.generate_response_async(messages, tools=tools, **arguments)
        except AllProvidersFailed:
            if not self._apologise:
                raise
            return {"content": APOLOGY}
        return {"content": answer.content, **({"tool_calls": answer.tool_calls} if answer.tool_calls else {})}

    def get_stats(self) -> dict[str, Any]:
        """As of the service."""
        return self.service.get_stats()
