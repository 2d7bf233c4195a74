"""What is known of a call only later is settled onto its row, when the program fetches it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from llmguard import llm_tracker, track
from llmguard.testing import Answer, FakeProvider, memory_ledger
from llmguard.usage.recorder import Recorder, replace
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.rollup import differences
from tests.command import ROOT
from tests.optional import optional
from tests.usage.method_rows import BATCH, CHAT, DETAILS, INPUT, RESPONSE, RUN, WAITING
from tests.usage.recorded import rows_of

DONE = {**RESPONSE, "usage": {**INPUT, **DETAILS}}


def answer(body: Any, content_type: str = "application/json") -> Answer:
    return Answer(body=body if isinstance(body, bytes) else json.dumps(body).encode(), content_type=content_type)


def message(model: str, custom_id: str, used: int = 1_000_000) -> dict[str, Any]:
    said = {"id": f"msg_{custom_id}", "type": "message", "role": "assistant", "content": [], "model": model}
    usage = {"input_tokens": used, "output_tokens": used}
    return {
        "custom_id": custom_id,
        "result": {"type": "succeeded", "message": {**said, "stop_reason": "end_turn", "usage": usage}},
    }


RESULTS = b"".join(
    json.dumps(line).encode() + b"\n"
    for line in (
        message("claude-sonnet-4-5", "a"),
        message("claude-sonnet-4-5", "d", 100_000),
        message("claude-sonnet-4-5", "e", 100_000),
        message("claude-haiku-4-5", "b"),
        {"custom_id": "c", "result": {"type": "errored", "error": {"type": "error"}}},
    )
)


LINES = RESULTS.count(b"\n")


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(
        row.get(name) for name in ("status", "prompt_tokens", "completion_tokens", "usage_source", "price_status")
    )


COUNTED = ("ok", 11, 7, "provider", "priced")
UNCOUNTED = ("ok", None, None, "none", "no_usage")


def openai_client(provider: FakeProvider) -> Any:
    return track(optional("openai").OpenAI(base_url=provider.base_url, api_key="x", max_retries=0))


def anthropic_client(provider: FakeProvider) -> Any:
    return track(optional("anthropic").Anthropic(base_url=provider.url, api_key="x", max_retries=0))


@pytest.mark.parametrize("how", ["plain", "raw", "streaming", "stream", "async"])
def test_a_response_in_the_background(how: str, provider: FakeProvider) -> None:
    client = openai_client(provider)
    with memory_ledger() as ledger:
        provider.answers.append(answer(WAITING))
        client.responses.create(model="gpt-4o", input="What?", background=True)
        assert [told(row) for row in ledger.rows] == [UNCOUNTED]
        provider.answers.extend([answer(WAITING), answer({**WAITING, "status": "in_progress"})])
        client.responses.retrieve("resp_1")
        client.responses.retrieve("resp_1")
        assert [told(row) for row in ledger.rows] == [UNCOUNTED]
        done = answer(DONE)
        if how == "stream":
            events = [{"type": "response.completed", "sequence_number": 1, "response": DONE}]
            body = b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events)
            done = answer(body, "text/event-stream")
        provider.answers.append(done)
        if how == "raw":
            assert client.responses.with_raw_response.retrieve("resp_1").parse().usage.total_tokens == 18
        elif how == "streaming":
            with client.responses.with_streaming_response.retrieve("resp_1") as response:
                response.read()
        elif how == "stream":
            assert [event.type for event in client.responses.retrieve("resp_1", stream=True)]
        elif how == "async":

            async def fetch() -> None:
                openai = optional("openai")
                async with track(openai.AsyncOpenAI(base_url=provider.base_url, api_key="x")) as aclient:
                    await aclient.responses.retrieve("resp_1")

            asyncio.run(fetch())
        else:
            client.responses.retrieve("resp_1")
    (row,) = ledger.rows
    assert told(row) == COUNTED
    assert row["response_model"] == "gpt-4o"
    assert row["total_cost"] > 0


def test_a_batch_of_openai_is_priced_as_a_batch(provider: FakeProvider) -> None:
    client = openai_client(provider)
    usage = {"input_tokens": 1_000_000, "output_tokens": 1_000_000, "total_tokens": 2_000_000, **DETAILS}
    with memory_ledger() as ledger:
        provider.answers.append(answer(BATCH))
        client.batches.create(completion_window="24h", endpoint="/v1/chat/completions", input_file_id="file_1")
        provider.answers.append(answer({**BATCH, "status": "completed", "model": "gpt-4o", "usage": usage}))
        client.batches.retrieve("batch_1")
    (row,) = ledger.rows
    assert (row["service_tier"], row["prompt_tokens"], row["completion_tokens"]) == ("batch", 1_000_000, 1_000_000)
    assert row["total_cost"] == Decimal("6.25")  # half of 2.50 and 10.00 dollars


def test_a_list_of_batches_settles_each(provider: FakeProvider) -> None:
    client = openai_client(provider)
    usage = {**INPUT, **DETAILS}
    with memory_ledger() as ledger:
        for number in (1, 2):
            provider.answers.append(answer({**BATCH, "id": f"batch_{number}"}))
            client.batches.create(completion_window="24h", endpoint="/v1/responses", input_file_id="file_1")
        done = [{**BATCH, "id": f"batch_{n}", "status": "completed", "model": "gpt-4o", "usage": usage} for n in (2, 1)]
        provider.answers.append(answer({"object": "list", "data": done, "has_more": False}))
        list(client.batches.list())
    assert [row["tokens_used"] for row in ledger.rows] == [18, 18]


def test_a_batch_that_failed_is_an_error(provider: FakeProvider) -> None:
    client = openai_client(provider)
    with memory_ledger() as ledger:
        provider.answers.append(answer(BATCH))
        client.batches.create(completion_window="24h", endpoint="/v1/responses", input_file_id="file_1")
        provider.answers.append(answer({**BATCH, "status": "failed"}))
        client.batches.retrieve("batch_1")
    assert [row["status"] for row in ledger.rows] == ["error"]


@pytest.mark.parametrize("how", ["read", "raw", "async", "left"])
def test_the_results_of_a_batch_of_anthropic(how: str, provider: FakeProvider) -> None:
    client = anthropic_client(provider)
    begun = {"id": "msgbatch_1", "type": "message_batch", "processing_status": "in_progress", "results_url": None}
    ended = {
        **begun,
        "processing_status": "ended",
        "results_url": f"{provider.url}/v1/messages/batches/msgbatch_1/results",
    }
    with memory_ledger() as ledger:
        provider.answers.append(answer(begun))
        client.messages.batches.create(requests=[])
        provider.answers.extend([answer(ended), answer(RESULTS, "application/x-jsonl")])
        if how == "async":

            async def fetch() -> None:
                anthropic = optional("anthropic")
                async with track(anthropic.AsyncAnthropic(base_url=provider.url, api_key="x")) as aclient:
                    assert len([each async for each in await aclient.messages.batches.results("msgbatch_1")]) == LINES

            asyncio.run(fetch())
        elif how == "raw":
            if not hasattr(client.messages.batches.with_streaming_response, "results"):
                pytest.skip("this version of the SDK has no streaming response of results")
            with client.messages.batches.with_streaming_response.results("msgbatch_1") as response:
                assert len(list(response.iter_lines())) == LINES
        else:
            found = client.messages.batches.results("msgbatch_1")
            assert len([next(found)] if how == "left" else list(found)) == (1 if how == "left" else LINES)
            del found
    (row,) = ledger.rows
    if how == "left":
        assert told(row) == UNCOUNTED
    else:
        assert (row["tokens_used"], row["usage_source"], row["price_status"]) == (4_400_000, "provider", "priced")
        # Two small requests of Sonnet and one above 200,000 tokens, whose price is another one; half of all that.
        assert row["total_cost"] == (2 * (Decimal("0.3") + Decimal("1.5")) + 6 + Decimal("22.5") + 1 + 5) / 2


def test_an_evaluation_is_priced_by_the_models_that_it_asked(provider: FakeProvider) -> None:
    client = openai_client(provider)
    run = {"id": "evalrun_1", "object": "eval.run", "eval_id": "e", "status": "queued", "per_model_usage": []}
    asked = [
        {"model_name": model, "invocation_count": 1, "cached_tokens": 0, **CHAT} for model in ("gpt-4o", "gpt-4o-mini")
    ]
    with memory_ledger() as ledger:
        provider.answers.append(answer(run))
        client.evals.runs.create("e", data_source={"type": "jsonl"})
        provider.answers.append(answer({**run, "status": "completed", "per_model_usage": asked}))
        client.evals.runs.retrieve("evalrun_1", eval_id="e")
    (row,) = ledger.rows
    assert told(row) == ("ok", 22, 14, "provider", "priced")
    assert row["total_cost"] == Decimal("0.0000975") + Decimal("0.00000585")


def test_counts_that_grow(provider: FakeProvider) -> None:
    client = anthropic_client(provider)
    if not hasattr(client.beta, "dreams"):
        pytest.skip("this version of the SDK has no dreams")

    def dream(status: str, used: int) -> Answer:
        usage = {"input_tokens": used, "output_tokens": used, "cache_read_input_tokens": 0}
        return answer(
            {"id": "drm_1", "type": "dream", "status": status, "model": {"id": "claude-sonnet-4-5"}, "usage": usage}
        )

    with memory_ledger() as ledger:
        provider.answers.extend([dream("pending", 0), dream("running", 3), dream("canceled", 5), dream("canceled", 9)])
        client.beta.dreams.create(inputs=[], model="claude-sonnet-4-5")
        for expected in (None, 10, 18):
            client.beta.dreams.retrieve("drm_1")
            assert [row.get("tokens_used") for row in ledger.rows] == [expected]
    assert [row["status"] for row in ledger.rows] == ["cancelled"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the SDK: assistants
def test_in_a_block_it_counts_once(provider: FakeProvider) -> None:
    client = openai_client(provider)
    if not hasattr(client.beta.threads.runs, "create_and_poll"):
        pytest.skip("this version of the SDK has no create_and_poll")
    ran = {**RUN, "status": "completed", "usage": CHAT}
    with memory_ledger() as ledger:
        provider.answers.extend([answer(RUN), answer(ran), answer(ran)])
        with llm_tracker.track_llm_call("openai", "gpt-4o"):
            client.beta.threads.runs.create_and_poll(thread_id="t", assistant_id="a")
            client.beta.threads.runs.retrieve("run_1", thread_id="t")
        provider.answers.append(answer(ran))
        client.beta.threads.runs.retrieve("run_1", thread_id="t")
    assert [told(row) for row in ledger.rows] == [COUNTED]


def test_what_is_counted_already_stays(provider: FakeProvider) -> None:
    client = openai_client(provider)
    with memory_ledger() as ledger:
        provider.answers.extend([answer(DONE), answer({**DONE, "usage": {**INPUT, "total_tokens": 17, **DETAILS}})])
        client.responses.create(model="gpt-4o", input="What?")
        client.responses.retrieve("resp_1")
        provider.answers.append(answer({**DONE, "id": "resp_of_somebody_else"}))
        client.responses.retrieve("resp_of_somebody_else")
    assert [(row["tokens_used"], told(row)) for row in ledger.rows] == [(18, COUNTED)]


_CREATES = """
import sys, os, signal
import openai
from llmguard import track
from llmguard.usage import recorder
from llmguard.usage.settings import UsageSettings
recorder.configure(UsageSettings(sys.argv[1], sys.argv[2], sys.argv[3]))
if sys.argv[5] == "killed":
    recorder.recorder()._running = lambda: type("Idle", (), {"wake": lambda s: None, "stop": lambda s, d: None})()
track(openai.OpenAI(base_url=sys.argv[4], api_key="x"), user_id="ann").responses.create(
    model="gpt-4o", input="What?", background=True)
if sys.argv[5] == "killed":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("how", ["ended", "killed"])
def test_another_process_fetches_it(settings: UsageSettings, how: str, provider: FakeProvider) -> None:
    """The row of the one that began it is there, or still in the spool of a process that is gone."""
    optional("openai")
    provider.answers.append(answer(WAITING))
    place = (settings.database_url, settings.schema, settings.spool_dir, provider.base_url, how)
    done = subprocess.run([sys.executable, "-c", _CREATES, *place], cwd=ROOT, env=os.environ, timeout=60)
    assert done.returncode == (-signal.SIGKILL if how == "killed" else 0)
    recording = Recorder(settings)
    before = replace(recording)
    try:
        provider.answers.append(answer(DONE))
        openai_client(provider).responses.retrieve("resp_1")
        (row,) = rows_of(recording)
    finally:
        replace(before)
        recording.close()
    assert told(row) == COUNTED
    assert row["user_id"] == "ann"
    opened = Ledger.open(settings)
    assert differences(opened.engine) == []
    opened.close()
