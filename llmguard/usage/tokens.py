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
            (they are a part of input and output) and `web_searches`.
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
        return {name: count for name, count in zip(_COLUMNS, self, strict=True) if count is not None}


_COLUMNS = (
    *("prompt_tokens", "completion_tokens", "tokens_used", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "cache_write_1h_tokens", "usage_details"),
)


def tokens_of(response: Any) -> Tokens:
    """The counts of a response object or dictionary of any provider; all None when it has none.

    A plain HTTP response (httpx, requests) is read when its body is JSON that is here already. What is not finished yet
    (a response in the background, a batch) has no counts that hold, whatever it says.
    """
    usage = _usage(response)
    if usage is None and is_plain_http(response):
        response = json_body(response)
        usage = _usage(response)
    if usage is None:
        several = usage_by_model(response)
        return summed(several.values()) if several else Tokens()
    return tokens_of_usage(usage) if not is_unfinished(response) else Tokens()


def is_unfinished(response: Any) -> bool:
    """Whether a response says of itself that the work goes on."""
    status = field(response, "status")
    return isinstance(status, str) and status in _UNFINISHED


#: Of OpenAI's responses, runs and batches, Anthropic's dreams, and Google's interactions.
_UNFINISHED = frozenset(("queued", "in_progress", "pending", "running", "validating", "finalizing", "cancelling"))


def usage_by_model(response: Any) -> dict[str, Tokens]:
    """The counts of a response that tells them for each model it has asked: OpenAI's evaluations and graders."""
    if is_unfinished(response):
        return {}
    texts = [field(field(each, "embeddings"), "statistics") for each in field(response, "predictions") or ()]
    counted = [_first(mapping(each), "token_count") for each in texts if each is not None]
    if counted and None not in counted:  # Google Cloud counts each text of an embedding
        total = sum(count or 0 for count in counted)
        return {"": Tokens(prompt=total, total=total)}
    listed = field(response, "per_model_usage")
    if isinstance(listed, list) and listed:
        named = ((field(each, "model_name") or field(each, "run_model_name"), each) for each in listed)
        return {str(name): tokens_of_usage(each) for name, each in named}
    for name in ("model_grader_token_usage_per_model", "api_model_grader_token_usage_per_model"):
        given = field(response, name)
        if isinstance(given, dict):
            return {str(model): tokens_of_usage(each) for model, each in given.items()}
    return {}


def json_body(response: Any) -> Any:
    """The JSON object that a plain HTTP response holds, None for anything else."""
    read = getattr(response, "json", None)
    if not callable(read) or "json" not in str(response.headers.get("content-type", "")):
        return None
    try:
        return read()
    except Exception:  # noqa: BLE001  (not read yet, or no JSON: each library says so with errors of its own)
        return None


def _usage(response: Any) -> Any:
    for name in ("usage", "usage_metadata", "usageMetadata"):
        usage = field(response, name)
        if usage is not None:
            return usage
    return field(response, "meta")  # Cohere


def tokens_of_usage(usage: Any) -> Tokens:
    """The counts of a usage object or dictionary of any provider."""
    counts = mapping(usage)
    found = _tokens_of(counts)
    details = _details_of(counts)
    return found._replace(details=details) if details else found


def _details_of(counts: Any) -> dict[str, int]:
    """What has a price of its own: OpenAI's details of input and output, Google's by modality, Anthropic's searches."""
    get = counts.get
    found: dict[str, int] = {}
    for side, names in _SIDES:
        for name in names:
            given = get(name)
            if given is None:
                continue
            if isinstance(given, (list, tuple)):
                for each in given:
                    kind = field(each, "modality")
                    kind = str(getattr(kind, "value", kind)).lower()
                    number = _first(mapping(each), "token_count", "tokenCount", "tokens")
                    if kind in _KINDS and number:
                        found[f"{kind}_{side}_tokens"] = number
            else:
                known = mapping(given)
                for kind in _KINDS:
                    number = _first(known, f"{kind}_tokens")
                    if number:
                        found[f"{kind}_{side}_tokens"] = number
            break
    searches = _first(mapping(get("server_tool_use")), "web_search_requests")
    if searches:
        found["web_searches"] = searches
    return found


_KINDS = ("audio", "image", "video")
_SIDES = (
    (
        "input",
        (
            *("prompt_tokens_details", "input_tokens_details", "input_token_details", "promptTokensDetails"),
            "input_tokens_by_modality",
        ),
    ),
    (
        "output",
        (
            *("completion_tokens_details", "output_tokens_details"),
            *("candidates_tokens_details", "candidatesTokensDetails", "output_tokens_by_modality"),
        ),
    ),
)


def _tokens_of(counts: Any) -> Tokens:
    billed = counts.get("billed_units") or counts.get("tokens")
    if billed is not None:
        return _openai(mapping(billed))  # Cohere bills what the user sent, and counts its own preamble in `tokens`
    if counts.get("total_input_tokens") is not None or counts.get("total_output_tokens") is not None:
        return _interaction(counts)
    for prompt, completion in (("prompt_token_count", "candidates_token_count"), _GOOGLE_WIRE):
        if counts.get(prompt) is not None or counts.get(completion) is not None:
            return _google(counts)
    if counts.get("cache_read_input_tokens") is not None or counts.get("cache_creation_input_tokens") is not None:
        return _anthropic(counts)
    return _openai(counts)


class _Attributes:
    """An object whose attributes are read one by one, as a mapping."""

    def __init__(self, holder: Any) -> None:
        self._holder = holder

    def get(self, name: str) -> Any:
        return field(self._holder, name)


def mapping(holder: Any) -> Any:
    """What has a `get`: a dictionary as it is, a pydantic object's fields at once, anything else by its attributes."""
    if holder is None:
        return {}
    if isinstance(holder, dict):
        return holder
    if hasattr(type(holder), "__pydantic_fields__"):
        extra = getattr(holder, "__pydantic_extra__", None)
        return {**holder.__dict__, **extra} if extra else holder.__dict__
    return _Attributes(holder)


_GOOGLE_WIRE = ("promptTokenCount", "candidatesTokenCount")


def merged(earlier: Tokens, later: Tokens) -> Tokens:
    """Counts of a stream that come in parts: what comes later counts, what it does not say stays.

    Anthropic gives the input at the start and the output at the end (both cumulative).
    """
    found = Tokens._make(old if new is None else new for old, new in zip(earlier, later, strict=True))
    if earlier.prompt is not None and (found.prompt or 0) < earlier.prompt:
        found = found._replace(prompt=earlier.prompt)  # a later count may leave the cached part out
    if later.total is None or (earlier.prompt is not None and later.prompt is None):
        return found._replace(total=_total(None, found.prompt, found.completion))
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
    return Tokens._make((*(_total_of(column) for column in columns), details or None))


def _total_of(column: Iterable[int | None]) -> int | None:
    known = [count for count in column if count is not None]
    return sum(known) if known else None


def _openai(usage: Any) -> Tokens:
    """OpenAI's chat (`prompt_tokens`) and responses (`input_tokens`), and everyone who counts like it."""
    # LiteLLM fills zeros in beside the names that pictures are counted by.
    prompt = _first(usage, "prompt_tokens", "input_tokens") or _first(usage, "input_tokens", "prompt_tokens")
    completion = _first(usage, "completion_tokens", "output_tokens") or _first(
        usage, "output_tokens", "completion_tokens"
    )
    into = mapping(usage.get("prompt_tokens_details") or usage.get("input_tokens_details"))
    out = usage.get("completion_tokens_details") or usage.get("output_tokens_details")
    reasoning = _first(mapping(out), "reasoning_tokens") if out is not None else None
    total = _total(_first(usage, "total_tokens"), prompt, completion)
    if reasoning and None not in (prompt, completion) and total == (prompt or 0) + (completion or 0) + reasoning:
        completion = (completion or 0) + reasoning  # xAI counts it apart
    cached = _first(into, "cached_tokens")
    if cached is None:
        cached = _first(usage, "prompt_cache_hit_tokens")  # DeepSeek
    return Tokens(prompt, completion, total, cached, _first(into, "cache_write_tokens"), reasoning)


def _anthropic(usage: Any) -> Tokens:
    read, write = _first(usage, "cache_read_input_tokens"), _first(usage, "cache_creation_input_tokens")
    plain = _first(usage, "input_tokens")
    if plain is None and _first(usage, "prompt_tokens") is not None:
        return _openai(usage)._replace(cache_read=read, cache_write=write)  # a gateway that has added them up
    prompt = None if plain is None else plain + (read or 0) + (write or 0)
    completion = _first(usage, "output_tokens")
    hour = _first(mapping(usage.get("cache_creation")), "ephemeral_1h_input_tokens")
    return Tokens(prompt, completion, _total(None, prompt, completion), read, write, None, hour)


def _google(usage: Any) -> Tokens:
    prompt = _first(usage, "prompt_token_count", "promptTokenCount")
    shown = _first(usage, "candidates_token_count", "candidatesTokenCount")
    thoughts = _first(usage, "thoughts_token_count", "thoughtsTokenCount")
    if prompt is not None:
        prompt += _first(usage, "tool_use_prompt_token_count", "toolUsePromptTokenCount") or 0
    completion = None if shown is None and thoughts is None else (shown or 0) + (thoughts or 0)
    said = _first(usage, "total_token_count", "totalTokenCount")
    if completion is None and prompt is not None and said is not None:
        completion = max(0, said - prompt)  # a count of 0 is left out on the wire
    total = _total(_first(usage, "total_token_count", "totalTokenCount"), prompt, completion)
    cached = _first(usage, "cached_content_token_count", "cachedContentTokenCount")
    return Tokens(prompt, completion, total, cached, None, thoughts)


def _interaction(usage: Any) -> Tokens:
    """Google's interactions: what is thought, and what its tools read, is counted apart."""
    prompt, shown = _first(usage, "total_input_tokens"), _first(usage, "total_output_tokens")
    thoughts = _first(usage, "total_thought_tokens")
    if prompt is not None:
        prompt += _first(usage, "total_tool_use_tokens") or 0
    completion = None if shown is None and thoughts is None else (shown or 0) + (thoughts or 0)
    total = _total(_first(usage, "total_tokens"), prompt, completion)
    return Tokens(prompt, completion, total, _first(usage, "total_cached_tokens"), None, thoughts)


def _total(said: int | None, prompt: int | None, completion: int | None) -> int | None:
    if said is not None:
        return said
    return None if prompt is None and completion is None else (prompt or 0) + (completion or 0)


def _first(holder: Any, *names: str) -> int | None:
    """The first of these that is a count."""
    for name in names:
        value = holder.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and value >= 0:
            return int(value)
    return None


def field(holder: Any, name: str) -> Any:
    """A field of an object or a dictionary. A mock's attribute is a mock: it counts as missing."""
    if holder is None:
        return None
    if isinstance(holder, dict):
        return holder.get(name)
    known = getattr(holder, "__dict__", None)
    if known is not None and name in known:
        value = known[name]
    elif hasattr(type(holder), "__pydantic_fields__"):
        # Asking a pydantic object for what it has not takes longer than all else here together.
        return (getattr(holder, "__pydantic_extra__", None) or {}).get(name)
    else:
        value = getattr(holder, name, None)
    return None if type(value).__module__ == "unittest.mock" else value


def is_plain_http(response: Any) -> bool:
    """Whether an object looks like the response of an HTTP library."""
    kind = type(response)
    return hasattr(kind, "headers") or "headers" in getattr(response, "__dict__", ())
