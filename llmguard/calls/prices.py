"""What a call would cost, before it is made."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, TypedDict

from llmguard.usage.estimate import characters_of, tokens_in
from llmguard.usage.prices import Counts, cost_of


class Estimate(TypedDict):
    """An estimate, and called so: tokens are characters / 4, the answer is as long as it may be.

    Attributes:
        prompt_tokens: of the messages.
        completion_tokens: `max_tokens`; 0 when it is not given, and the cost is that of the prompt alone.
        input_cost, output_cost, total_cost: US dollars; None when the model has no price.
        price_status: "approximate", or "unknown".
    """

    model: str
    provider: str
    prompt_tokens: int
    completion_tokens: int
    input_cost: float | None
    output_cost: float | None
    total_cost: float | None
    price_status: str


def estimate_cost(messages: Iterable[Any], model: str, max_tokens: int | None, provider: str) -> Estimate:
    """The cost of a call at most, by the bundled prices of today.

    Args:
        messages: the conversation, in OpenAI's or Anthropic's format.
        model: as the provider names it.
        max_tokens: of the answer.
        provider: who would be asked.
    """
    prompt = tokens_in(characters_of({"messages": list(messages)}))
    completion = max(0, max_tokens or 0)
    cost = cost_of(provider, model, datetime.now(timezone.utc), Counts(prompt, completion))
    return {
        "model": model,
        "provider": provider,
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "input_cost": float(cost.input) if cost else None,
        "output_cost": float(cost.output) if cost else None,
        "total_cost": float(cost.total) if cost else None,
        "price_status": "approximate" if cost else "unknown",
    }
