"""Token counts from a provider's response, in one canonical form.

The input includes what was read from or written to a cache, the output what was spent on reasoning: OpenAI counts this
way, Anthropic counts its cache apart (https://docs.anthropic.com/en/docs/build-with-claude/prompt-caching), Google
counts thoughts apart (https://ai.google.dev/gemini-api/docs/thinking). What a response does not say stays None; 0 is a
count.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple


class Tokens(NamedTuple):
    """Counts; None for what is not known.

    Attributes:
        prompt: input tokens, cached ones included.
        completion: output tokens, reasoning included.
        total: as the provider says, else the sum of both.
        cache_read: of the input, read from a cache.
        cache_write: of the input, written to a cache.
        reasoning: of the output, not shown.
        cache_write_1h: of what was written to a cache, what is kept for an hour (Anthropic has a price for that).
        details: other counts that have a price of their own, by name: `audio_input_tokens`, `image_output_tokens`, ...
            (they are a part of input and output), `audio_cache_read_tokens`, `web_searches` and `file_searches`.
    """

    prompt: int | None = None
    completion: int | None = None
    total: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    cache_write_1h: int | None = None
    details: dict[str, int] | None = None

    @property
    def known(self) -> bool:
        """Whether there is any count."""
        return self.prompt is not None or self.completion is not None or self.total is not None

    def fields(self) -> dict[str, Any]:
        """The counts that are known, by their columns (and what only a price depends on)."""
        found: dict[str, Any] = {}
        if self.prompt is not None:
            found["prompt_tokens"] = self.prompt
        if self.completion is not None:
            found["completion_tokens"] = self.completion
        if self.total is not None:
            found["tokens_used"] = self.total
        if self[3:] != _NO_MORE:  # of most calls
            found.update((name, count) for name, count in zip(_MORE, self[3:], strict=True) if count is not None)
        return found


_MORE = ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "cache_write_1h_tokens", "usage_details")
_NO_MORE = (None,) * len(_MORE)


def merged(earlier: Tokens, later: Tokens) -> Tokens:
    """Counts of a stream that come in parts: what comes later counts, what it does not say stays.

    Anthropic gives the input at the start and the output at the end (both cumulative).
    """
    found = Tokens._make(old if new is None else new for old, new in zip(earlier, later, strict=True))
    if earlier.prompt is not None and (found.prompt or 0) < earlier.prompt:
        found = found._replace(prompt=earlier.prompt)  # a later count may leave the cached part out
    if later.total is None or (earlier.prompt is not None and later.prompt is None):
        return found._replace(total=total_of(None, found.prompt, found.completion))
    return found


def summed(parts: Iterable[Tokens]) -> Tokens:
    """The sum of several calls' counts; None where none of them says."""
    kept = list(parts)
    if not kept:
        return Tokens()
    details: dict[str, int] = {}
    for part in kept:
        for name, number in (part.details or {}).items():
            details[name] = details.get(name, 0) + number
    columns = zip(*(part[:-1] for part in kept), strict=True)
    return Tokens._make((*(_sum_of(column) for column in columns), details or None))


def _sum_of(column: Iterable[int | None]) -> int | None:
    known = [count for count in column if count is not None]
    return sum(known) if known else None


def total_of(said: int | None, prompt: int | None, completion: int | None) -> int | None:
    """The total of a call: as the provider says, else the sum of what is known."""
    if said is not None:
        return said
    return None if prompt is None and completion is None else (prompt or 0) + (completion or 0)
