"""What a call is reserved before it is made: one call, its tokens at most, what they cost at most.

Tokens are the estimate of the prompt (characters / 4) and the cap of the answer: what the call says that it may have at
most, else `LLMGUARD_RESERVE_TOKENS` (1,024). What a call takes beyond that is counted when it ends.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from functools import cached_property
from typing import Any

from llmguard.errors import ConfigError, RateLimitExceeded
from llmguard.printable import printable
from llmguard.usage.limits.limit import units

LOG = logging.getLogger("llmguard.usage")
#: Fields of a request that cap its answer: OpenAI's (chat, responses), Anthropic's, Google's, Cohere's, Mistral's.
_CAPS = ("max_completion_tokens", "max_tokens", "max_output_tokens", "maxOutputTokens", "max_tokens_to_sample")
#: Objects of a request that hold such a field.
_HOLDERS = ("generationConfig", "generation_config", "config", "completion_args")
#: Fields that say how many answers there will be.
_NUMBERS = ("n", "candidateCount", "candidate_count", "num_generations")
_RESERVE = 1024
#: US dollars that a million tokens of a model without a known price count as.
_UNPRICED = Decimal(30)
_MOST = 10**12
_said: set[str] = set()


class Ask:
    """What a call may take; reckoned when a limit wants to know it.

    Args:
        fields: columns of its row.
        request: the body, or the arguments of the SDK's method.
        prompt: the estimate of its tokens.
    """

    def __init__(self, fields: Mapping[str, Any], request: Any, prompt: int) -> None:
        self.model = str(fields.get("model") or "")
        self._fields = fields
        self._request = request
        self._prompt = prompt

    @cached_property
    def answer(self) -> int:
        """Tokens of the answer at most.

        Raises:
            ConfigError: LLMGUARD_RESERVE_TOKENS is no number.
        """
        return 0 if self._fields.get("operation") == "embeddings" else cap_of(self._request)

    @property
    def tokens(self) -> int:
        """Those of the request and of the answer."""
        return self._prompt + self.answer

    @cached_property
    def cost(self) -> Decimal | None:
        """US dollars of both, None when the model has no known price."""
        return _cost(self._fields, self._prompt, self.answer)


def cap_of(request: Any) -> int:
    """How many tokens the answers of a request have at most."""
    cap, number = None, 1
    holders = [request, *(request.get(name) for name in _HOLDERS)] if isinstance(request, dict) else []
    for holder in holders:
        read = holder.get if isinstance(holder, dict) else lambda name, holder=holder: getattr(holder, name, None)
        for name in _CAPS:
            cap = cap if cap is not None else _count(read(name))
        for name in _NUMBERS:
            number = max(number, _count(read(name)) or 1)
    return min(_MOST, (reserve_tokens() if cap is None else cap) * number)


def reserve_tokens() -> int:
    """Tokens that are reserved for an answer without a cap.

    Raises:
        ConfigError: the environment says something else than a number.
    """
    return int(_number("LLMGUARD_RESERVE_TOKENS", Decimal(_RESERVE)))


def unpriced_rate() -> Decimal:
    """US dollars that a million tokens of a model without a known price count as (LLMGUARD_UNPRICED_RATE, 30).

    Raises:
        ConfigError: the environment says something else than a number.
    """
    return _number("LLMGUARD_UNPRICED_RATE", _UNPRICED)


def reserved(kind: str, policy: str, ask: Ask, limit: Callable[[], str]) -> int:
    """What a call is reserved of a limit, in the units of counters.

    Args:
        kind: of the limit.
        policy: of the limit, for models without a known price.
        ask: what the call may take.
        limit: says it in words.

    Raises:
        RateLimitExceeded: the model has no known price, and the limit refuses such.
        ConfigError: LLMGUARD_UNPRICED_RATE is no number.
    """
    if kind == "requests":
        return 1
    if kind == "tokens":
        return ask.tokens
    if ask.cost is not None:
        return units(kind, ask.cost)
    if policy == "refuse":
        raise RateLimitExceeded(limit(), f"no price is known of {printable(ask.model or 'this model')}", kind=kind)
    rate = unpriced_rate() if policy == "count" else Decimal(0)
    if ask.model not in _said:
        _said.add(ask.model)
        how = f"count as {rate:f} USD a million" if policy == "count" else "do not count"
        LOG.warning("no price is known of %s: under %s its tokens %s", printable(ask.model or "a model"), limit(), how)
    return units(kind, rate * ask.tokens / 1_000_000)


def _cost(fields: Mapping[str, Any], prompt: int, answer: int) -> Decimal | None:
    from llmguard.providers.index import maker_of
    from llmguard.usage.prices import Counts, cost_of

    model, provider = fields.get("model"), fields.get("provider")
    if not isinstance(model, str) or not model:
        return None
    if not provider:
        maker = maker_of(model)
        provider = maker.name if maker is not None else ""
    cost = cost_of(str(provider), model, datetime.now(timezone.utc), Counts(prompt, answer)) if provider else None
    return None if cost is None else cost.total


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else None


def _number(name: str, default: Decimal) -> Decimal:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    if not text.replace(".", "", 1).isdigit() or not text.isascii() or len(text) > 12:
        raise ConfigError(name, "", f"must be a number that is not negative, not {text!r}")
    return Decimal(text)
