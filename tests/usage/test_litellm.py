"""LiteLLM's calls: every API, beside other callbacks, each once."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator
from typing import Any

import pytest

import llmguard
from llmguard import is_litellm_tracking_enabled, llm_tracker, setup_litellm_tracking, track
from llmguard.testing import Answer, FakeProvider, MemoryLedger, memory_ledger
from llmguard.usage import litellm_callback
from tests.command import ROOT
from tests.optional import optional

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning")
MESSAGES = [{"role": "user", "content": "What is the answer to everything?"}]

#: LiteLLM copies its callbacks from one list into others.
CALLBACKS = (
    *("callbacks", "input_callback", "success_callback", "failure_callback"),
    *("_async_input_callback", "_async_success_callback", "_async_failure_callback"),
)


@pytest.fixture
def ledger() -> Iterator[MemoryLedger]:
    with memory_ledger(project_root=str(ROOT)) as memory:
        yield memory


@pytest.fixture
def litellm() -> Iterator[Any]:
    module = optional("litellm")
    before = {name: list(getattr(module, name)) for name in CALLBACKS}
    setup_litellm_tracking()
    yield module
    for name, value in before.items():
        getattr(module, name)[:] = value


def asked(provider: FakeProvider, **more: Any) -> dict[str, Any]:
    options = {"model": "openai/m", "messages": MESSAGES, "api_base": provider.base_url, "api_key": "x"}
    return {**options, "max_retries": 0, **more}


def settled(ledger: MemoryLedger, calls: int) -> list[dict[str, Any]]:
    """The rows, once so many have ended: LiteLLM reports synchronous calls from a thread."""
    ends = time.monotonic() + 5
    while time.monotonic() < ends:
        rows = ledger.rows
        if len([row for row in rows if row["status"] != "unknown"]) >= calls:
            break
        gc.collect()
        time.sleep(0.02)
    return ledger.rows


def test_it_stands_beside_other_callbacks_once(litellm: Any) -> None:
    class Other(litellm.integrations.custom_logger.CustomLogger):  # type: ignore[misc, name-defined]
        pass

    other = Other()
    litellm.callbacks.append(other)
    setup_litellm_tracking()
    assert other in litellm.callbacks
    ours = [each for each in litellm.callbacks if isinstance(each, llmguard.LLMUsageCallback)]
    assert len(ours) == 1
    assert is_litellm_tracking_enabled()


def test_it_is_off_until_it_is_set_up(litellm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "callbacks", [])
    assert not is_litellm_tracking_enabled()


def test_the_seeds_log_line(litellm: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(litellm, "callbacks", [])
    with caplog.at_level("INFO", logger="llmguard.usage"):
        setup_litellm_tracking()
    assert "LiteLLM tracking callback installed" in caplog.text


def test_the_self_test_sees_signatures_that_do_not_fit(
    litellm: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert litellm_callback.self_test() == []

    def other_names(self: Any, callback: Any) -> None:
        callback.log_pre_api_call(model=1, messages=2, details=3)

    monkeypatch.setattr(litellm_callback.Logging, "pre_call", other_names)
    monkeypatch.setattr(litellm, "callbacks", [])
    assert litellm_callback.self_test() == ["log_pre_api_call"]
    setup_litellm_tracking()
    assert "does not call log_pre_api_call as expected" in caplog.text


def test_metadata_and_attribution_come_from_where_litellm_has_them(
    litellm: Any, ledger: MemoryLedger, provider: FakeProvider
) -> None:
    metadata = {"feature_context": "search", "service_name": "s", "user_id": "u", "mine": 3, "object": object()}
    litellm.completion(**asked(provider, metadata=metadata))
    (row,) = settled(ledger, 1)
    assert (row["feature_context"], row["service_name"], row["user_id"]) == ("search", "s", "u")
    assert row["metadata"] == {"source": "litellm_callback", "mine": 3}
    assert (row["provider"], row["model"], row["operation"], row["status_code"]) == ("openai", "m", "chat", 200)
    assert row["code_file"] == "tests/usage/test_litellm.py"


def test_a_failure_says_what_it_was(litellm: Any, ledger: MemoryLedger, provider: FakeProvider) -> None:
    provider.answer = Answer("no such model", status=400)
    with pytest.raises(litellm.BadRequestError):
        litellm.completion(**asked(provider))
    with pytest.raises(litellm.BadRequestError):
        asyncio.run(litellm.acompletion(**asked(provider)))
    rows = settled(ledger, 2)
    assert [(row["status"], row["error_type"], row["status_code"]) for row in rows] == [
        ("error", "BadRequestError", 400)
    ] * 2
    assert "no such model" in rows[0]["error_message"]


def test_every_api(litellm: Any, ledger: MemoryLedger, provider: FakeProvider) -> None:
    options = {name: value for name, value in asked(provider).items() if name != "messages"}
    litellm.text_completion(prompt="What?", **{**options, "model": "text-completion-openai/m"})
    litellm.embedding(input=["What?"], **options)

    async def work() -> None:
        await litellm.aembedding(input=["What?"], **options)
        await litellm.atext_completion(prompt="What?", **{**options, "model": "text-completion-openai/m"})

    asyncio.run(work())
    rows = settled(ledger, 4)
    assert [row["status"] for row in rows] == ["ok"] * 4
    assert [row["operation"] for row in rows] == ["text_completion", "embeddings", "embeddings", "text_completion"]
    assert len(provider.requests) == 4


def test_a_router_has_a_row_for_each_attempt(litellm: Any, ledger: MemoryLedger, provider: FakeProvider) -> None:
    def deployment(name: str) -> dict[str, Any]:
        options = {"model": f"openai/{name}", "api_base": provider.base_url, "api_key": "x", "max_retries": 0}
        return {"model_name": name, "litellm_params": options}

    router = litellm.Router(
        model_list=[deployment("a"), deployment("b")], fallbacks=[{"a": ["b"]}], num_retries=0, retry_after=0
    )
    provider.answers.append(Answer("down", status=500))

    async def work() -> None:
        answer = await router.acompletion(model="a", messages=MESSAGES)
        assert answer.choices[0].message.content == "The answer is 42."
        stream = await router.acompletion(model="b", messages=MESSAGES, stream=True)
        assert "".join([c.choices[0].delta.content or "" async for c in stream]) == "The answer is 42."

    asyncio.run(work())
    rows = settled(ledger, 3)
    assert [(row["model"], row["status"]) for row in rows] == [("a", "error"), ("b", "ok"), ("b", "ok")]
    assert rows[2]["completion_tokens"] == 5  # 17 characters, counted once though a Router wraps the stream


def test_a_call_inside_a_block_is_the_blocks(litellm: Any, ledger: MemoryLedger, provider: FakeProvider) -> None:
    with llm_tracker.track_llm_call("openai", "m", service_name="block") as usage_log:
        usage_log.response = litellm.completion(**asked(provider))

    async def work() -> None:
        async with llm_tracker.track_llm_call("openai", "m", service_name="async block"):
            await litellm.acompletion(**asked(provider))

    asyncio.run(work())
    time.sleep(0.2)
    rows = settled(ledger, 2)
    assert [(row["service_name"], row["tokens_used"]) for row in rows] == [("block", 18), ("async block", 18)]


def test_a_tracked_client_under_litellm_is_counted_once(
    litellm: Any, ledger: MemoryLedger, provider: FakeProvider
) -> None:
    openai = optional("openai")
    client = track(openai.OpenAI(base_url=provider.base_url, api_key="x"))
    litellm.completion(client=client, **asked(provider))
    async_client = track(openai.AsyncOpenAI(base_url=provider.base_url, api_key="x"))
    asyncio.run(litellm.acompletion(client=async_client, **asked(provider)))
    time.sleep(0.2)
    rows = settled(ledger, 2)
    assert [row["status"] for row in rows] == ["ok", "ok"]
    assert len(rows) == len(provider.requests) == 2


def test_what_litellm_prices_is_kept_for_models_that_we_do_not_know(
    litellm: Any, ledger: MemoryLedger, provider: FakeProvider
) -> None:
    litellm.completion(**asked(provider, input_cost_per_token=0.001, output_cost_per_token=0.002))
    (row,) = settled(ledger, 1)
    assert float(row["total_cost"]) == pytest.approx(11 * 0.001 + 7 * 0.002)


def test_nothing_happens_to_litellm_when_the_ledger_is_off(litellm: Any, provider: FakeProvider) -> None:
    with memory_ledger(disabled=True) as ledger:
        assert litellm.completion(**asked(provider)).usage.total_tokens == 18
        time.sleep(0.1)
    assert not ledger.rows


def test_a_call_inside_a_block_that_stays_is_counted_once(
    litellm: Any, ledger: MemoryLedger, provider: FakeProvider
) -> None:
    async def work() -> None:
        async with llm_tracker.track_llm_call("openai", "m"):
            await litellm.acompletion(**asked(provider))
            await asyncio.sleep(0.4)  # LiteLLM reports the call a second time meanwhile

    asyncio.run(work())
    assert [(row["prompt_tokens"], row["completion_tokens"]) for row in ledger.rows] == [(11, 7)]


def test_a_users_callback_that_asks_a_model_has_its_own_row(
    litellm: Any, ledger: MemoryLedger, provider: FakeProvider
) -> None:
    openai = optional("openai")
    judge = track(openai.OpenAI(base_url=provider.base_url, api_key="x"), service_name="judge")

    class Judging(litellm.integrations.custom_logger.CustomLogger):  # type: ignore[misc, name-defined]
        def log_pre_api_call(self, model: Any, messages: Any, kwargs: Any) -> None:
            judge.chat.completions.create(model="judge", messages=MESSAGES)

    litellm.callbacks.append(Judging())
    litellm.completion(**asked(provider))
    rows = settled(ledger, 2)
    assert sorted(row["model"] for row in rows) == ["judge", "m"]
    assert len(provider.requests) == 2


def test_what_litellm_gives_out_of_its_cache_costs_nothing(
    litellm: Any, provider: FakeProvider, ledger: MemoryLedger
) -> None:
    """LiteLLM's own cache needs the packages of its proxy: what it says of a hit is said here in its place."""
    response = litellm.completion(**asked(provider, model="openai/gpt-4o"))
    callback = next(each for each in litellm.callbacks if isinstance(each, litellm_callback.LLMUsageCallback))
    details = {"model": "gpt-4o", "messages": MESSAGES, "cache_hit": True, "litellm_call_id": "another"}
    details |= {"custom_llm_provider": "openai", "response_cost": 0.0, "litellm_params": {}}
    callback.log_success_event(details, response, None, None)
    until = time.monotonic() + 20
    while [row["status"] for row in ledger.rows] != ["ok", "ok"] and time.monotonic() < until:
        time.sleep(0.05)
    paid, hit = ledger.rows
    assert (paid["tokens_used"], hit["tokens_used"], hit["total_cost"]) == (18, 0, 0)
    assert (hit["usage_source"], hit["usage_details"]["saved_tokens"]) == ("cache", 18)
    assert hit["usage_details"]["saved_cost"] == str(paid["total_cost"])
