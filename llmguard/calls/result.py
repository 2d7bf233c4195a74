"""What a call gives: the provider's own object, and what it used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timezone
from typing import Any, TypedDict

from llmguard.usage.tokens import Tokens


class UsageDict(TypedDict):
    """What a call used. A count that nobody knows is 0, and `usage_source` says "none".

    Attributes:
        total_tokens, prompt_tokens, completion_tokens: as on the row of the call.
        duration_ms: milliseconds from the request to the end of the answer.
        cached_tokens: of the prompt, read from a cache.
        reasoning_tokens: of the answer, not shown.
        cost: US dollars by the bundled prices, None when the model has none.
        usage_source: "provider", "estimated", "none", or "cache": the answer was given again, and nothing was used.
        call_id: of the row; "" when there is none.
    """

    total_tokens: int
    prompt_tokens: int
    completion_tokens: int
    duration_ms: int
    cached_tokens: int
    reasoning_tokens: int
    cost: float | None
    usage_source: str
    call_id: str


class Result(TypedDict):
    """`response` is the object that the provider's SDK gives."""

    response: Any
    usage: UsageDict


class Usage(dict[str, Any]):
    """A `UsageDict` that is filled in when the call ends: for a stream, after its last chunk."""

    @classmethod
    def empty(cls) -> Usage:
        """Before the end."""
        counts = dict.fromkeys(("total_tokens", "prompt_tokens", "completion_tokens", "duration_ms"), 0)
        return cls(
            {**counts, "cached_tokens": 0, "reasoning_tokens": 0, "cost": None, "usage_source": "none", "call_id": ""}
        )

    def fill(
        self, provider: str, models: tuple[str | None, ...], tokens: Tokens, source: str, milliseconds: int
    ) -> None:
        """After the end.

        Args:
            provider: who was asked.
            models: names of the model, the most exact one first.
            tokens: what was used.
            source: where the counts are from.
            milliseconds: that it took.
        """
        self["prompt_tokens"], self["completion_tokens"] = tokens.prompt or 0, tokens.completion or 0
        self["total_tokens"] = tokens.total or 0
        self["cached_tokens"], self["reasoning_tokens"] = tokens.cache_read or 0, tokens.reasoning or 0
        self["duration_ms"], self["usage_source"] = milliseconds, source
        if source == "cache":
            self["cost"] = 0.0
        elif tokens.prompt is not None and tokens.completion is not None:
            self["cost"] = _cost(provider, models, tokens)


def _cost(provider: str, models: tuple[str | None, ...], tokens: Tokens) -> float | None:
    from llmguard.usage.prices import Counts, cost_of

    read, write, hour = tokens.cache_read or 0, tokens.cache_write or 0, tokens.cache_write_1h or 0
    counts = Counts(
        tokens.prompt or 0, tokens.completion or 0, read, write, hour, tokens.reasoning or 0, tokens.details or {}
    )
    now = datetime.now(timezone.utc)
    for model in models:
        cost = cost_of(provider, model, now, counts) if model else None
        if cost is not None:
            return float(cost.total)
    return None


class Streamed(dict[str, Any]):
    """The result of a stream: `["response"]` is the SDK's stream, `["usage"]` is filled in when it ends.

    The result may be read in place of the stream: `for chunk in result`, `with result as stream`, `result.close()`.
    """

    def __iter__(self) -> Iterator[Any]:
        return iter(self["response"])

    def __next__(self) -> Any:
        return next(self["response"])

    def __enter__(self) -> Any:
        enter = getattr(self["response"], "__enter__", None)
        return enter() if enter is not None else self["response"]

    def __exit__(self, *error: Any) -> None:
        self.close()

    def close(self) -> None:
        """Read no further, and let go of the connection."""
        close = getattr(self["response"], "close", None)
        if close is not None:
            close()


class AsyncStreamed(dict[str, Any]):
    """`Streamed` for `async for`, `async with` and `await result.aclose()`."""

    def __aiter__(self) -> AsyncIterator[Any]:
        found: AsyncIterator[Any] = aiter(self["response"])
        return found

    async def __anext__(self) -> Any:
        return await anext(self["response"])

    async def __aenter__(self) -> Any:
        enter = getattr(self["response"], "__aenter__", None)
        return await enter() if enter is not None else self["response"]

    async def __aexit__(self, *error: Any) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Read no further, and let go of the connection."""
        close = getattr(self["response"], "aclose", None) or getattr(self["response"], "close", None)
        if close is not None:
            await close()

    close = aclose


def result_of(response: Any, usage: Usage, *, asynchronous: bool) -> Any:
    """The result of a call, by what its response is."""
    kind: Any = type(response)
    if asynchronous and hasattr(kind, "__anext__"):
        return AsyncStreamed(response=response, usage=usage)
    if not asynchronous and hasattr(kind, "__next__"):
        return Streamed(response=response, usage=usage)
    return {"response": response, "usage": usage}
