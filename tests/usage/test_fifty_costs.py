"""Fifty calls whose cost was reckoned without llmguard, by rates on which genai-prices and LiteLLM agree.

Reckoned in whole fractions: input that was not cached, cached input and output, each times its rate, each side rounded
to a nano-dollar.
"""

from __future__ import annotations

import json
from datetime import datetime, timezone
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from llmguard.usage.prices.catalog import bundled
from llmguard.usage.prices.cost import Counts, cost_of

MOMENT = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
#: (provider, model, dollars per million tokens of input, of output and of cached input, tokens of each, nano-dollars)
CALLS: list[tuple[str, str, str, str, str | None, int, int, int, int]] = [
    ("azure", "o1", "15", "60", "7.5", 137, 53, 45, 4897500),
    ("azure", "o1-mini", "1.1", "4.4", "0.55", 1048, 390, 349, 2676850),
    ("azure", "o3-2025-04-16", "2", "8", "0.5", 1959, 727, 653, 8754500),
    ("azure", "o3-mini", "1.1", "4.4", "0.55", 2870, 1064, 956, 7312800),
    ("azure", "o4-mini", "1.1", "4.4", "0.275", 3781, 1401, 1260, 9284000),
    ("cerebras", "gpt-oss-120b", "0.35", "0.75", None, 4692, 1738, 0, 2945700),
    ("cerebras", "llama-3.3-70b", "0.85", "1.2", None, 5603, 2075, 0, 7252550),
    ("cerebras", "llama3.1-8b", "0.1", "0.1", None, 6514, 2412, 0, 892600),
    ("cerebras", "qwen-3-32b", "0.4", "0.8", None, 7425, 2749, 0, 5169200),
    ("cerebras", "qwen-3.8-27b", "0.99", "1.49", None, 8336, 3086, 0, 12850780),
    ("cohere", "c4ai-aya-expanse-32b", "0.5", "1.5", None, 9247, 3423, 0, 9758000),
    ("google", "gemini-2.5-flash-lite", "0.1", "0.4", "0.01", 10158, 3760, 3386, 2215060),
    ("google", "gemini-3-flash-preview", "0.5", "3", "0.05", 11069, 4097, 3689, 16165450),
    ("google", "gemini-3.1-flash-lite", "0.25", "1.5", "0.025", 11980, 4434, 3993, 8747575),
    ("google", "gemini-3.5-flash", "1.5", "9", "0.15", 12891, 4771, 4297, 56474550),
    ("google", "gemini-3.5-flash-lite", "0.3", "2.5", "0.03", 13802, 5108, 4600, 15668600),
    ("google", "gemini-omni-flash-preview", "1.5", "9", None, 14713, 5445, 0, 71074500),
    ("groq", "meta-llama/llama-prompt-guard-2-22m", "0.03", "0.03", None, 15624, 5782, 0, 642180),
    ("groq", "meta-llama/llama-prompt-guard-2-86m", "0.04", "0.04", None, 16535, 6119, 0, 906160),
    ("groq", "openai/gpt-oss-120b", "0.15", "0.6", "0.075", 17446, 6456, 5815, 6054375),
    ("groq", "openai/gpt-oss-20b", "0.075", "0.3", "0.0375", 18357, 6793, 6119, 3185212),
    ("groq", "qwen/qwen3.8-27b", "0.8", "4", None, 19268, 7130, 0, 43934400),
    ("mistral", "deepseek-v4-1-flash-1017", "0.3", "1.2", "0.007", 20179, 7467, 6726, 13043382),
    ("mistral", "ministral-14b-2512", "0.2", "0.2", "0.02", 21090, 7804, 7030, 4513400),
    ("mistral", "ministral-3b-2512", "0.1", "0.1", "0.01", 22001, 8141, 7333, 2354230),
    ("mistral", "mistral-medium-3-5", "1.5", "7.5", "0.15", 22912, 8478, 7637, 87643050),
    ("mistral", "mistral-medium-latest", "1.5", "7.5", "0.15", 23823, 8815, 7941, 91126650),
    ("mistral", "mistral-small-2603", "0.15", "0.6", "0.015", 24734, 9152, 8244, 8088360),
    ("moonshotai", "kimi-k2.5", "0.6", "3", "0.1", 25645, 9489, 8548, 39580000),
    ("moonshotai", "kimi-k2.7-code", "0.95", "4", "0.19", 26556, 9826, 8852, 57804680),
    ("moonshotai", "moonshot-v1-128k", "2", "5", None, 27467, 10163, 0, 105749000),
    ("moonshotai", "moonshot-v1-32k", "1", "3", None, 28378, 10500, 0, 59878000),
    ("moonshotai", "moonshot-v1-8k", "0.2", "2", None, 29289, 10837, 0, 27531800),
    ("openai", "gpt-4", "30", "60", None, 30200, 11174, 0, 1576440000),
    ("openai", "gpt-4-turbo", "10", "30", None, 31111, 11511, 0, 656440000),
    ("openai", "gpt-4o-2024-05-13", "5", "15", None, 32022, 11848, 0, 337830000),
    ("openai", "gpt-5.3-codex", "1.75", "14", "0.175", 32933, 12185, 10977, 210933975),
    ("openai", "gpt-audio-mini", "0.6", "2.4", None, 33844, 12522, 0, 50359200),
    ("openai", "gpt-rosalind-discovery", "5", "25", "0.5", 34755, 12859, 11585, 443117500),
    ("perplexity", "perplexity/deepseek-v4-pro-0813", "1.32", "3.96", "0.044", 35666, 13196, 11888, 84166192),
    ("perplexity", "perplexity/glm-5.3", "1.4", "4.4", "0.26", 36577, 13533, 12192, 96854120),
    ("perplexity", "perplexity/glm-5.3-flash", "0.15", "0.5", "0.03", 37488, 13870, 12496, 11058680),
    ("perplexity", "perplexity/kimi-k3", "3", "15", "0.3", 38399, 14207, 12799, 293744700),
    ("perplexity", "perplexity/nemotron-3.5-super-120b-a12b", "0.2", "0.5", "0.04", 39310, 14544, 13103, 13037520),
    ("together", "Qwen/Qwen3.5-9B", "0.17", "0.25", None, 40221, 14881, 0, 10557820),
    ("together", "Qwen/Qwen3.7-Plus", "0.32", "1.28", None, 41132, 15218, 0, 32641280),
    ("together", "deepseek-ai/DeepSeek-V4-Pro-0813", "1.32", "3.96", "0.13", 42043, 15555, 14014, 100417900),
    ("together", "meta-llama/Llama-4-Scout-17B-16E-Instruct", "0.18", "0.59", None, 42954, 15892, 0, 17108000),
    ("together", "meta-llama/Meta-Llama-3.1-8B-Instruct-Turbo", "0.18", "0.18", None, 43865, 16229, 0, 10816920),
    ("together", "zai-org/GLM-5.2", "1.4", "4.4", "0.26", 44776, 16566, 14925, 118562300),
]
_THEIRS = {
    "google": "gemini",
    "x-ai": "xai",
    "together": "together_ai",
    "moonshotai": "moonshot",
}


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]}-{call[1]}")
def test_a_call_costs_what_it_costs(call: tuple[Any, ...]) -> None:
    provider, model, _, _, _, prompt, completion, cached, nano = call
    found = cost_of(provider, model, MOMENT, Counts(prompt, completion, cached), catalog=bundled())
    assert found is not None
    assert found.total == Decimal(nano) / 1_000_000_000


def test_there_are_fifty_and_litellm_has_the_same_rates() -> None:
    assert len({call[:2] for call in CALLS}) == 50
    spec = find_spec("litellm")
    if spec is None or spec.origin is None:
        pytest.skip("litellm is not installed")
    path = Path(spec.origin).with_name("model_prices_and_context_window_backup.json")
    table = json.loads(path.read_text(encoding="utf-8"))
    agreeing = 0
    for provider, model, into, out, cached, *_ in CALLS:
        row = table.get(model) or table.get(f"{_THEIRS.get(provider, provider)}/{model}") or {}
        given = [row.get(f"{name}_cost_per_token") for name in ("input", "output")]
        given.append(row.get("cache_read_input_token_cost"))
        agreeing += given == [
            None if rate is None else pytest.approx(float(rate) / 1e6) for rate in (into, out, cached)
        ]
    assert agreeing >= 40, "of another version some prices have changed; of the one that was read, all fifty agree"
