"""The counts in a provider's response, whichever way it tells them."""

from __future__ import annotations

from typing import Any

from llmguard.usage.response import field, is_plain_http, json_body, mapping
from llmguard.usage.tokens import Tokens, summed, total_of


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
    return Tokens() if is_unfinished(response) else with_searches(tokens_of_usage(usage), response)


def with_searches(tokens: Tokens, response: Any) -> Tokens:
    """Counts with the searches that a response tells of beside its usage; each has a price of its own.

    OpenAI has an item of the output for each (https://platform.openai.com/docs/guides/tools-web-search). Google bills
    each query of a grounded answer, and up to Gemini 2 each such answer (https://ai.google.dev/gemini-api/docs/pricing).
    """
    number, files = 0, 0
    output = field(response, "output")
    for item in output if isinstance(output, list) else ():
        kind = field(item, "type")
        if kind == "web_search_call":
            number += field(field(item, "action"), "type") in (None, "search")
        files += kind == "file_search_call"
    for candidate in field(response, "candidates") or ():
        grounding = field(candidate, "grounding_metadata") or field(candidate, "groundingMetadata")
        queries = field(grounding, "web_search_queries") or field(grounding, "webSearchQueries")
        if queries:
            model = str(field(response, "model_version") or field(response, "modelVersion") or "")
            number += 1 if model.startswith(("gemini-1", "gemini-2")) else len(queries)
    found = {name: count for name, count in (("web_searches", number), ("file_searches", files)) if count}
    return tokens._replace(details={**(tokens.details or {}), **found}) if found else tokens


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
        given = next((get(name) for name in names if get(name) is not None), None)
        if given is None:
            continue
        found.update(_of_kinds(given, side))
        cached = None if isinstance(given, (list, tuple)) else field(given, "cached_tokens_details")
        if side == "input" and cached is not None:
            found.update(_of_kinds(cached, "cache_read"))
    searches = _first(mapping(get("server_tool_use")), "web_search_requests") or sum(
        _first(mapping(each), "count") or 0
        for each in get("grounding_tool_count") or ()
        if field(each, "type") == "google_search"
    )
    if searches:
        found["web_searches"] = searches
    return found


def _of_kinds(given: Any, side: str) -> dict[str, int]:
    """Counts by what they are of: `{audio_tokens: ...}`, or a list of modalities."""
    if isinstance(given, (list, tuple)):
        named = []
        for each in given:
            kind = field(each, "modality")
            number = _first(mapping(each), "token_count", "tokenCount", "tokens")
            named.append((str(getattr(kind, "value", kind)).lower(), number))
    else:
        known = mapping(given)
        named = [(kind, _first(known, f"{kind}_tokens")) for kind in _KINDS]
    return {f"{kind}_{side}_tokens": number for kind, number in named if kind in _KINDS and number}


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
    ("cache_read", ("cache_tokens_details", "cacheTokensDetails", "cached_tokens_by_modality")),
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


_GOOGLE_WIRE = ("promptTokenCount", "candidatesTokenCount")


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
    total = total_of(_first(usage, "total_tokens"), prompt, completion)
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
    return Tokens(prompt, completion, total_of(None, prompt, completion), read, write, None, hour)


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
    total = total_of(_first(usage, "total_token_count", "totalTokenCount"), prompt, completion)
    cached = _first(usage, "cached_content_token_count", "cachedContentTokenCount")
    return Tokens(prompt, completion, total, cached, None, thoughts)


def _interaction(usage: Any) -> Tokens:
    """Google's interactions: what is thought, and what its tools read, is counted apart."""
    prompt, shown = _first(usage, "total_input_tokens"), _first(usage, "total_output_tokens")
    thoughts = _first(usage, "total_thought_tokens")
    if prompt is not None:
        prompt += _first(usage, "total_tool_use_tokens") or 0
    completion = None if shown is None and thoughts is None else (shown or 0) + (thoughts or 0)
    total = total_of(_first(usage, "total_tokens"), prompt, completion)
    return Tokens(prompt, completion, total, _first(usage, "total_cached_tokens"), None, thoughts)


def _first(holder: Any, *names: str) -> int | None:
    """The first of these that is a count."""
    for name in names:
        value = holder.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and value >= 0:
            return int(value)
    return None
