"""What calls cost where more than one price plays a part: requests in a block, LiteLLM's own figures, estimates."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from llmguard import llm_tracker, track
from llmguard.testing import Answer, FakeProvider, MemoryLedger, memory_ledger
from llmguard.usage.context import Part
from llmguard.usage.prices import priced
from llmguard.usage.rows import row_of
from llmguard.usage.tokens import Tokens
from tests.optional import optional
from tests.usage.recorded import ended

M = [{"role": "user", "content": "x"}]


@pytest.fixture
def ledger() -> Any:
    with memory_ledger() as found:
        yield found


def only(ledger: MemoryLedger) -> dict[str, Any]:
    (row,) = ended(ledger)
    return row


def line(**more: Any) -> dict[str, Any]:
    return {"call_id": "c", "started_at": 1_790_000_000, "status": "ok", "usage_source": "provider", **more}


def cost(**more: Any) -> tuple[Any, str]:
    data = line(**more)
    row = priced(row_of(data), data)
    return row.get("total_cost"), row["price_status"]


def test_requests_in_a_block_are_priced_each_by_itself(ledger: MemoryLedger) -> None:
    """Two of 150,000 tokens are below the step in the price that one of 300,000 is above."""
    openai = optional("openai")
    with FakeProvider(Answer(prompt_tokens=150_000, completion_tokens=1_000)) as provider:
        client = track(openai.OpenAI(base_url=provider.base_url, api_key="k"))
        with llm_tracker.track_llm_call("openai", "gpt-5.4"):
            for _ in range(2):
                client.chat.completions.create(model="gpt-5.4", messages=M)
    row = only(ledger)
    assert row["prompt_tokens"] == 300_000
    assert (row["total_cost"], row["price_status"]) == (Decimal("0.78"), "priced")
    assert row["input_cost"] + row["output_cost"] == row["total_cost"]


def test_requests_of_several_models_and_providers_in_a_block(ledger: MemoryLedger) -> None:
    with llm_tracker.track_llm_call("openai", "mixture"):
        for model, answer in (("gpt-4o-mini", 0), ("gpt-4o", 100)):
            logged = llm_tracker.log_llm_call(
                "u", model, prompt_tokens=1000, completion_tokens=answer, provider="openai"
            )
            asyncio.run(logged)
    assert only(ledger)["total_cost"] == Decimal("0.00015") + Decimal("0.0025") + Decimal("0.001")


def test_a_block_with_a_request_of_unknown_price_has_none() -> None:
    known = Part(Tokens(10, 1, 11), {"provider": "openai", "model": "gpt-4o"}).as_line()
    unknown = Part(Tokens(10, 1, 11), {"provider": "openai", "model": "of tomorrow"}).as_line()
    assert cost(provider="openai", model="m", prompt_tokens=20, completion_tokens=2, parts=[known, unknown]) == (
        None,
        "unknown",
    )
    given = {**unknown, "given_cost": 0.5}
    assert cost(provider="openai", model="m", prompt_tokens=20, completion_tokens=2, parts=[given, given]) == (
        Decimal(1),
        "given",
    )


@pytest.mark.parametrize("parts", ["x", [1], {}, [], None])
def test_parts_of_no_use_are_passed_over(parts: Any) -> None:
    found, _ = cost(provider="openai", model="gpt-4o", prompt_tokens=1000, completion_tokens=0, parts=parts)
    assert found == Decimal("0.0025")


@pytest.mark.parametrize("how", ["sync", "async", "stream", "async stream", "in a block"])
def test_litellm_says_what_a_model_costs_that_the_snapshot_lacks(how: str, ledger: MemoryLedger) -> None:
    litellm = optional("litellm")
    from llmguard import setup_litellm_tracking

    setup_litellm_tracking()
    model = "lambda_ai/llama3.1-8b-instruct"
    with FakeProvider() as provider:
        asked: dict[str, Any] = {"model": model, "messages": M, "api_key": "k", "api_base": provider.base_url}

        async def ask() -> None:
            if "stream" in how:
                async for _ in await litellm.acompletion(stream=True, **asked):
                    pass
            else:
                await litellm.acompletion(**asked)

        if "async" in how:
            asyncio.run(ask())
        elif how == "stream":
            for _ in litellm.completion(stream=True, **asked):
                pass
        elif how == "in a block":
            with llm_tracker.track_llm_call("lambda_ai", model):
                litellm.completion(**asked)
        else:
            litellm.completion(**asked)
    row = only(ledger)
    assert row["price_status"] == "given", row
    known = litellm.model_cost[model]
    of_input, of_output = known["input_cost_per_token"], known["output_cost_per_token"]
    expected = of_input * row["prompt_tokens"] + of_output * row["completion_tokens"]
    assert abs(float(row["total_cost"]) - expected) < 2e-9


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4", Decimal("0.03")),  # 1,000 input tokens at 30 dollars a million
        ("claude-sonnet-4-5", Decimal("0.003")),
        ("gpt-oss-20b", None),  # served by many, at many prices
        ("llama-3.1-8b-instant", None),
        ("a model of ours", None),
    ],
)
def test_a_model_without_its_provider_is_priced_where_its_name_says_who_made_it(
    model: str, expected: Decimal | None, ledger: MemoryLedger
) -> None:
    asyncio.run(llm_tracker.log_llm_call("u", model, prompt_tokens=1000, completion_tokens=0))
    row = only(ledger)
    assert (row.get("total_cost"), row.get("provider")) == (expected, None)


def test_a_duration_that_nobody_gave_is_none(ledger: MemoryLedger) -> None:
    asyncio.run(llm_tracker.log_llm_call("u", "gpt-4", prompt_tokens=1))
    asyncio.run(llm_tracker.log_llm_call("u", "gpt-4", prompt_tokens=1, duration_ms=0))
    assert [row.get("duration_ms") for row in ledger.rows] == [None, 0]


def test_estimated_tokens_make_an_estimated_price() -> None:
    known: dict[str, Any] = {"provider": "openai", "model": "gpt-4o", "prompt_tokens": 1000, "completion_tokens": 0}
    assert cost(**known, usage_source="estimated") == (Decimal("0.0025"), "estimated")
    assert cost(**known) == (Decimal("0.0025"), "priced")
    part = {**known, "usage_source": "estimated"}
    assert cost(**known, parts=[part, known])[1] == "estimated"
