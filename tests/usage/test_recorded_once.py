"""Recorded once: of several recorders around one request the outermost has the row, the inner ones say what they know.

Each pair, in each order that a program can nest them in, synchronous, asynchronous and streamed: a block around a
wrapper's call, a tracked client's, LiteLLM's or another block; the wrapper around LiteLLM's callback; LiteLLM around a
tracked client that it was handed; `track` around itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from llmguard import llm_tracker, llm_wrapper, setup_litellm_tracking, track
from llmguard.testing import FakeProvider, MemoryLedger, memory_ledger
from tests.optional import optional
from tests.usage.recorded import ended

M = [{"role": "user", "content": "x"}]
WAYS = ("sync", "async", "stream", "async stream")
COUNTED = {"stream_options": {"include_usage": True}}


@pytest.fixture
def ledger() -> Iterator[MemoryLedger]:
    with memory_ledger() as found:
        yield found


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as found:
        yield found


class Ask:
    """One request, by one recorder, in one way.

    Args:
        base_url: of the provider.
        text: that the model is asked.
    """

    def __init__(self, base_url: str, text: str = "x") -> None:
        self.options = {"base_url": base_url, "api_key": "k"}
        self.messages = [{"role": "user", "content": text}]

    def client(self, *, asynchronous: bool) -> Any:
        openai = optional("openai")
        return track((openai.AsyncOpenAI if asynchronous else openai.OpenAI)(**self.options), service_name="inner")

    async def by(self, recorder: str, way: str) -> None:
        asynchronous, streamed = "async" in way, "stream" in way
        messages, options = self.messages, self.options
        more: dict[str, Any] = {"stream": True, **COUNTED} if streamed else {}
        if recorder == "block":
            with llm_tracker.track_llm_call("openai", "m", service_name="inner") as usage_log:
                usage_log.input_tokens, usage_log.output_tokens = 11, 7
            return
        if recorder == "track":
            create = self.client(asynchronous=asynchronous).chat.completions.create
            got = create(model="m", messages=messages, **more)
        elif recorder == "wrapper":
            ask = llm_wrapper.chat_completion if asynchronous else llm_wrapper.chat_completion_sync
            got = ask(self.messages, model="m", provider="openai", client_options=options, service_name="inner", **more)
        else:
            litellm = optional("litellm")
            setup_litellm_tracking()
            asked = {
                "model": "openai/m",
                "messages": messages,
                "api_key": "k",
                "api_base": options["base_url"],
                **more,
            }
            if recorder == "litellm with a tracked client":
                asked["client"] = self.client(asynchronous=asynchronous)
            if recorder == "wrapper over litellm":
                ask = llm_wrapper.chat_completion if asynchronous else llm_wrapper.chat_completion_sync
                options = {"api_key": "k", "api_base": options["base_url"]}
                got = ask(
                    self.messages,
                    model="openai/m",
                    provider="litellm",
                    client_options=options,
                    service_name="inner",
                    **more,
                )
            else:
                got = (litellm.acompletion if asynchronous else litellm.completion)(**asked)
        if asynchronous:
            got = await got
        if streamed:
            stream = got if not isinstance(got, dict) else got["response"]
            if asynchronous:
                async for _ in stream:
                    pass
            else:
                for _ in stream:
                    pass


INNER = ("block", "track", "wrapper", "litellm", "litellm with a tracked client", "wrapper over litellm")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("inner", INNER)
def test_inside_a_block(inner: str, way: str, ledger: MemoryLedger, provider: FakeProvider) -> None:
    async def work() -> None:
        with llm_tracker.track_llm_call("openai", "m", service_name="outer", user_id="u"):
            await Ask(provider.base_url).by(inner, way)

    asyncio.run(work())
    (row,) = ended(ledger)
    assert (row["service_name"], row["user_id"], row["status"]) == ("outer", "u", "ok")
    assert row["tokens_used"] == 18


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("recorder", INNER[1:])
def test_by_itself(recorder: str, way: str, ledger: MemoryLedger, provider: FakeProvider) -> None:
    asyncio.run(Ask(provider.base_url).by(recorder, way))
    (row,) = ended(ledger)
    assert (row["status"], row["tokens_used"]) == ("ok", 18)


@pytest.mark.parametrize("way", WAYS)
def test_calls_one_after_the_other_are_their_own(way: str, ledger: MemoryLedger, provider: FakeProvider) -> None:
    async def work() -> None:
        for recorder in ("track", "wrapper", "litellm", "block", "track"):
            await Ask(provider.base_url).by(recorder, way)

    asyncio.run(work())
    assert [row["tokens_used"] for row in ended(ledger, 5)] == [18] * 5


def test_between_the_chunks_of_a_stream_another_call_is_its_own(ledger: MemoryLedger, provider: FakeProvider) -> None:
    ask = Ask(provider.base_url)

    async def work() -> None:
        result = await llm_wrapper.chat_completion(
            M, model="m", provider="openai", client_options=ask.options, stream=True, **COUNTED
        )
        async for _ in result:
            if len(ledger.rows) == 1:
                await ask.by("track", "async")
                await ask.by("litellm", "async")

    asyncio.run(work())
    assert [row["tokens_used"] for row in ended(ledger, 3)] == [18] * 3


def test_a_client_that_is_tracked_twice_records_once(ledger: MemoryLedger, provider: FakeProvider) -> None:
    client = track(track(Ask(provider.base_url).client(asynchronous=False), service_name="second"))
    client.chat.completions.create(model="m", messages=M)
    (row,) = ledger.rows
    assert row["service_name"] == "second"
