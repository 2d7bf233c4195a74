"""Twenty-five calls whose price was reckoned by hand, from the responses as the providers send them to the row's cost.

The rates beside each are those of the bundled snapshot on the day of the call, in dollars per million tokens.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from llmguard.usage.counts import tokens_of
from llmguard.usage.outcome import response_fields
from llmguard.usage.prices import priced
from llmguard.usage.rows import row_of

D = Decimal
MOMENT = 1_795_000_000  # 2026-11-18
#: (provider, model, what the response says, dollars: tokens times rate of each kind, by hand)
CALLS: list[tuple[str, str, dict[str, Any], Decimal]] = [
    (  # 2.5 in, 10 out
        *("openai", "gpt-4o", {"usage": {"prompt_tokens": 1_000, "completion_tokens": 200, "total_tokens": 1_200}}),
        D("0.0025") + D("0.002"),
    ),
    (  # 800 of the input from the cache at 1.25
        "openai",
        "gpt-4o",
        {
            "usage": {
                "prompt_tokens": 1_000,
                "completion_tokens": 0,
                "total_tokens": 1_000,
                "prompt_tokens_details": {"cached_tokens": 800},
            }
        },
        D("0.0005") + D("0.001"),
    ),
    (  # priority: 4.25 in, 17 out
        "openai",
        "gpt-4o",
        {
            "service_tier": "priority",
            "usage": {"prompt_tokens": 1_000, "completion_tokens": 1_000, "total_tokens": 2_000},
        },
        D("0.00425") + D("0.017"),
    ),
    (  # flex: 0.125 in, 1 out
        "openai",
        "gpt-5-mini",
        {"service_tier": "flex", "usage": {"input_tokens": 8_000, "output_tokens": 500, "total_tokens": 8_500}},
        D("0.001") + D("0.0005"),
    ),
    (  # a tier that is the usual one: 0.25 in, 2 out
        "openai",
        "gpt-5-mini",
        {"service_tier": "default", "usage": {"input_tokens": 8_000, "output_tokens": 500, "total_tokens": 8_500}},
        D("0.002") + D("0.001"),
    ),
    (  # below the step of 272,000: 2.5 in, 15 out
        *(
            "openai",
            "gpt-5.4",
            {"usage": {"prompt_tokens": 272_000, "completion_tokens": 1_000, "total_tokens": 273_000}},
        ),
        D("0.68") + D("0.015"),
    ),
    (  # above it: 5 in, 22.5 out
        *(
            "openai",
            "gpt-5.4",
            {"usage": {"prompt_tokens": 272_001, "completion_tokens": 1_000, "total_tokens": 273_001}},
        ),
        D("1.360005") + D("0.0225"),
    ),
    (  # reasoning is output: 2 in, 8 out
        "openai",
        "o3",
        {
            "usage": {
                "input_tokens": 100,
                "output_tokens": 900,
                "total_tokens": 1_000,
                "output_tokens_details": {"reasoning_tokens": 800},
            }
        },
        D("0.0002") + D("0.0072"),
    ),
    (  # 0.02 in
        *("openai", "text-embedding-3-small", {"usage": {"prompt_tokens": 50_000, "total_tokens": 50_000}}),
        D("0.001"),
    ),
    (  # audio: text 2.5 in and 10 out, audio 32 in and 64 out
        "openai",
        "gpt-audio",
        {
            "usage": {
                "prompt_tokens": 1_100,
                "completion_tokens": 550,
                "total_tokens": 1_650,
                "prompt_tokens_details": {"audio_tokens": 1_000, "cached_tokens": 0},
                "completion_tokens_details": {"audio_tokens": 500},
            }
        },
        D("0.00025") + D("0.032") + D("0.0005") + D("0.032"),
    ),
    (  # speech to text: audio 6 in, text 10 out
        "openai",
        "gpt-4o-transcribe",
        {
            "usage": {
                "input_tokens": 1_000,
                "output_tokens": 100,
                "total_tokens": 1_100,
                "input_token_details": {"audio_tokens": 1_000, "text_tokens": 0},
            }
        },
        D("0.006") + D("0.001"),
    ),
    (  # images: text 5 in, images 8 in, 32 out
        "openai",
        "gpt-image-1.5",
        {
            "usage": {
                "input_tokens": 300,
                "output_tokens": 4_000,
                "total_tokens": 4_300,
                "input_tokens_details": {"text_tokens": 100, "image_tokens": 200},
                "output_tokens_details": {"image_tokens": 4_000, "text_tokens": 0},
            }
        },
        D("0.0005") + D("0.0016") + D("0.128"),
    ),
    (  # 3 in, 0.3 cached, 15 out
        "anthropic",
        "claude-sonnet-4-5",
        {
            "usage": {
                "input_tokens": 4,
                "cache_read_input_tokens": 2_455,
                "cache_creation_input_tokens": 0,
                "output_tokens": 23,
            }
        },
        D("0.000012") + D("0.0007365") + D("0.000345"),
    ),
    (  # five minutes' cache at 3.75, an hour's at 6
        "anthropic",
        "claude-sonnet-4-5",
        {
            "usage": {
                "input_tokens": 10,
                "cache_read_input_tokens": 0,
                "cache_creation_input_tokens": 3_000,
                "cache_creation": {"ephemeral_5m_input_tokens": 1_000, "ephemeral_1h_input_tokens": 2_000},
                "output_tokens": 100,
            }
        },
        D("0.00003") + D("0.00375") + D("0.012") + D("0.0015"),
    ),
    (  # above 200,000 of input, the cached part included: 6 in, 0.6 cached, 22.5 out
        "anthropic",
        "claude-sonnet-4-5",
        {"usage": {"input_tokens": 100_000, "cache_read_input_tokens": 150_000, "output_tokens": 1_000}},
        D("0.6") + D("0.09") + D("0.0225"),
    ),
    (  # three searches at 10 a thousand; 5 in, 25 out
        "anthropic",
        "claude-opus-4-6",
        {"usage": {"input_tokens": 1_000, "output_tokens": 100, "server_tool_use": {"web_search_requests": 3}}},
        D("0.005") + D("0.0025") + D("0.03"),
    ),
    (  # kept in the US: a tenth more than 5 in, 25 out
        "anthropic",
        "claude-opus-4-6",
        {"usage": {"input_tokens": 1_000, "output_tokens": 100, "inference_geo": "us"}},
        D("0.0055") + D("0.00275"),
    ),
    (  # anywhere: 5 in, 25 out
        "anthropic",
        "claude-opus-4-6",
        {"usage": {"input_tokens": 1_000, "output_tokens": 100, "inference_geo": "global"}},
        D("0.005") + D("0.0025"),
    ),
    (  # two searches of the web at 10 a thousand, one of files at 2.5; a page that is opened is none; 2 in, 8 out
        "openai",
        "gpt-4.1",
        {
            "usage": {"input_tokens": 1_000, "output_tokens": 100, "total_tokens": 1_100},
            "output": [
                {"type": "web_search_call", "action": {"type": "search", "query": "a"}},
                {"type": "web_search_call", "action": {"type": "open_page", "url": "u"}},
                {"type": "web_search_call"},
                {"type": "file_search_call", "queries": ["b"]},
                {"type": "message", "content": []},
            ],
        },
        D("0.002") + D("0.0008") + D("0.02") + D("0.0025"),
    ),
    (  # a grounded answer of Gemini 2.5 at 35 a thousand, whatever it asks; 0.3 in, 2.5 out
        "google",
        "gemini-2.5-flash",
        {
            "modelVersion": "gemini-2.5-flash",
            "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b", "c"]}}],
            "usageMetadata": {"promptTokenCount": 1_000, "candidatesTokenCount": 100, "totalTokenCount": 1_100},
        },
        D("0.0003") + D("0.00025") + D("0.035"),
    ),
    (  # each query of Gemini 3 at 14 a thousand; 0.5 in, 3 out
        "google",
        "gemini-3-flash-preview",
        {
            "modelVersion": "gemini-3-flash-preview",
            "candidates": [{"groundingMetadata": {"webSearchQueries": ["a", "b", "c"]}}],
            "usageMetadata": {"promptTokenCount": 1_000, "candidatesTokenCount": 100, "totalTokenCount": 1_100},
        },
        D("0.0005") + D("0.0003") + D("0.042"),
    ),
    (  # of 1,000 tokens of sound 600 were cached, at 0.1 instead of 1; of 200 of text 100, at 0.03 instead of 0.3
        "google",
        "gemini-2.5-flash",
        {
            "usageMetadata": {
                "promptTokenCount": 1_200,
                "cachedContentTokenCount": 700,
                "candidatesTokenCount": 0,
                "totalTokenCount": 1_200,
                "promptTokensDetails": [
                    {"modality": "AUDIO", "tokenCount": 1_000},
                    {"modality": "TEXT", "tokenCount": 200},
                ],
                "cacheTokensDetails": [
                    {"modality": "AUDIO", "tokenCount": 600},
                    {"modality": "TEXT", "tokenCount": 100},
                ],
            }
        },
        D("0.0004") + D("0.00006") + D("0.00003") + D("0.000003"),
    ),
    (  # fast: 10 in, 50 out
        "anthropic",
        "claude-opus-4-8",
        {"usage": {"input_tokens": 1_000, "output_tokens": 100, "speed": "fast"}},
        D("0.01") + D("0.005"),
    ),
    (  # batch: 0.5 in, 2.5 out
        "anthropic",
        "claude-haiku-4-5",
        {"usage": {"input_tokens": 1_000, "output_tokens": 100, "service_tier": "batch"}},
        D("0.0005") + D("0.00025"),
    ),
    (  # thoughts are output: 1.25 in, 10 out
        "google",
        "gemini-2.5-pro",
        {
            "usageMetadata": {
                "promptTokenCount": 1_000,
                "candidatesTokenCount": 100,
                "thoughtsTokenCount": 400,
                "totalTokenCount": 1_500,
            }
        },
        D("0.00125") + D("0.005"),
    ),
    (  # 250,000 of input: 2.5 in, 0.25 cached, 15 out
        "google",
        "gemini-2.5-pro",
        {
            "usage_metadata": {
                "prompt_token_count": 250_000,
                "cached_content_token_count": 200_000,
                "candidates_token_count": 1_000,
                "total_token_count": 251_000,
            }
        },
        D("0.125") + D("0.05") + D("0.015"),
    ),
    (  # audio 1 in, text 0.3 in, 2.5 out
        "google",
        "gemini-2.5-flash",
        {
            "usageMetadata": {
                "promptTokenCount": 1_200,
                "candidatesTokenCount": 100,
                "totalTokenCount": 1_300,
                "promptTokensDetails": [
                    {"modality": "AUDIO", "tokenCount": 1_000},
                    {"modality": "TEXT", "tokenCount": 200},
                ],
            }
        },
        D("0.001") + D("0.00006") + D("0.00025"),
    ),
    (  # an image of 1,290 tokens at 30; text 0.3 in, 2.5 out
        "google",
        "gemini-2.5-flash-image",
        {
            "usageMetadata": {
                "promptTokenCount": 100,
                "candidatesTokenCount": 1_300,
                "totalTokenCount": 1_400,
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1_290}],
            }
        },
        D("0.00003") + D("0.0387") + D("0.000025"),
    ),
    (  # 0.05 in, 0.08 out
        "groq",
        "llama-3.1-8b-instant",
        {"usage": {"prompt_tokens": 10_000, "completion_tokens": 1_000, "total_tokens": 11_000}},
        D("0.0005") + D("0.00008"),
    ),
    (  # its slash is a part of its name; 0.075 in, 0.3 out
        "groq",
        "openai/gpt-oss-20b",
        {"usage": {"prompt_tokens": 10_000, "completion_tokens": 1_000, "total_tokens": 11_000}},
        D("0.00075") + D("0.0003"),
    ),
    (  # 0.15 in, 0.6 out
        "mistral",
        "mistral-small-latest",
        {"usage": {"prompt_tokens": 2_000, "completion_tokens": 500, "total_tokens": 2_500}},
        D("0.0003") + D("0.0003"),
    ),
    (  # billed units, not all tokens; 0.15 in, 0.6 out
        "cohere",
        "command-r",
        {
            "usage": {
                "billed_units": {"input_tokens": 1_000, "output_tokens": 200},
                "tokens": {"input_tokens": 1_500, "output_tokens": 200},
            }
        },
        D("0.00015") + D("0.00012"),
    ),
]


@pytest.mark.parametrize(("provider", "model", "said", "dollars"), CALLS)
def test_a_call_costs_what_was_reckoned_by_hand(
    provider: str, model: str, said: dict[str, Any], dollars: Decimal
) -> None:
    tokens = tokens_of(said)
    operation = "embeddings" if "embedding" in model else "chat"
    data = {"call_id": "c", "started_at": MOMENT, "status": "ok", "provider": provider, "model": model}
    data = {**data, "operation": operation, **tokens.fields(), "usage_source": "provider", **response_fields(said)}
    row = priced(row_of(data), data)
    assert row["total_cost"] == dollars
    assert row["price_status"] in ("priced", "approximate")


def test_there_are_twenty_five() -> None:
    assert len(CALLS) >= 25


def test_counts_of_their_own_are_on_the_row() -> None:
    (said,) = [said for _, model, said, _ in CALLS if model == "gpt-audio"]
    data = {"call_id": "c", "started_at": MOMENT, "status": "ok", **tokens_of(said).fields()}
    assert row_of(data)["usage_details"] == {"audio_input_tokens": 1_000, "audio_output_tokens": 500}
