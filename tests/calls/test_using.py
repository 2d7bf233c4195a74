"""`llm_wrapper.using(client, ...)`: a view on a client, each call of which is on the books with these fields."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock

import pytest

from llmguard import llm_tracker, llm_wrapper, track
from llmguard.testing import FakeProvider, MemoryLedger, memory_ledger
from tests.command import ROOT
from tests.optional import optional

MESSAGES = [{"role": "user", "content": "What is the answer to everything?"}]
ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}


@pytest.fixture
def ledger() -> Iterator[MemoryLedger]:
    with memory_ledger(project_root=str(ROOT)) as memory:
        yield memory


@pytest.fixture
def client(provider: FakeProvider) -> Any:
    return optional("openai").OpenAI(base_url=provider.base_url, api_key="mine", max_retries=0)


def told(ledger: MemoryLedger) -> list[tuple[Any, ...]]:
    return [
        tuple(row.get(name) for name in ("status", "user_id", "service_name", "tokens_used")) for row in ledger.rows
    ]


def test_every_method_of_the_view_is_on_the_books(client: Any, provider: FakeProvider, ledger: MemoryLedger) -> None:
    view = llm_wrapper.using(client, user_id=7, service_name="s", metadata={"n": 1}, tenant="t")
    assert type(view).__name__ == "OpenAI"
    assert isinstance(view, type(client))
    assert view is not client
    completions = view.chat.completions
    completions.create(**ASKED)
    completions.with_raw_response.create(**ASKED).parse()
    with completions.with_streaming_response.create(**ASKED) as response:
        response.read()
    for _ in completions.create(stream=True, stream_options={"include_usage": True}, **ASKED):
        pass
    view.with_options(timeout=5).chat.completions.create(**ASKED)
    view.embeddings.create(model="text-embedding-3-small", input="x")
    assert told(ledger) == [("ok", "7", "s", 18)] * 5 + [("ok", "7", "s", 11)]
    assert {row["tenant"] for row in ledger.rows} == {"t"}
    assert {request.headers["authorization"] for request in provider.requests} == {"Bearer mine"}
    assert {row["code_file"] for row in ledger.rows} == {"tests/calls/test_using.py"}


def test_the_client_itself_stays_as_it_is(client: Any, ledger: MemoryLedger) -> None:
    chat = client.chat
    before = type(client)
    view = llm_wrapper.using(client, user_id="ann")
    view.chat.completions.create(**ASKED)
    client.chat.completions.create(**ASKED)
    assert type(client) is before
    assert client.chat is chat
    assert view.chat is not chat
    assert told(ledger) == [("ok", "ann", None, 18)]
    assert view._client is client._client  # over the same connections


def test_asynchronous(provider: FakeProvider, ledger: MemoryLedger) -> None:
    openai = optional("openai")

    async def work() -> None:
        async with openai.AsyncOpenAI(base_url=provider.base_url, api_key="mine") as client:
            await asyncio.gather(
                *(llm_wrapper.using(client, user_id=str(n)).chat.completions.create(**ASKED) for n in range(3))
            )
            stream = await llm_wrapper.using(client, user_id="3").chat.completions.create(stream=True, **ASKED)
            async for _ in stream:
                pass

    asyncio.run(work())
    assert sorted(row["user_id"] for row in ledger.rows) == ["0", "1", "2", "3"]
    assert {row["status"] for row in ledger.rows} == {"ok"}


def test_its_fields_win_over_the_request_and_the_tracked_client(client: Any, ledger: MemoryLedger) -> None:
    track(client, user_id="client", service_name="client", feature_context="client")

    async def request() -> None:
        llm_tracker.set_request_context(user_id="request")
        llm_wrapper.using(client, user_id="view").chat.completions.create(**ASKED)
        client.chat.completions.create(**ASKED)

    asyncio.run(request())
    assert told(ledger) == [("ok", "view", "client", 18), ("ok", "request", "client", 18)]
    assert [row["feature_context"] for row in ledger.rows] == ["client", "client"]


def test_a_view_of_a_view(client: Any, ledger: MemoryLedger) -> None:
    view = llm_wrapper.using(llm_wrapper.using(client, user_id="first", service_name="first"), user_id="second")
    view.chat.completions.create(**ASKED)
    assert told(ledger) == [("ok", "second", "first", 18)]


def test_inside_a_block_it_is_a_part_of_that(client: Any, ledger: MemoryLedger) -> None:
    with llm_tracker.track_llm_call("openai", "gpt-4o", user_id="block"):
        llm_wrapper.using(client, user_id="view").chat.completions.create(**ASKED)
    assert told(ledger) == [("ok", "block", None, 18)]


@pytest.mark.parametrize("name", ["groq", "anthropic"])
def test_other_sdks(name: str, provider: FakeProvider, ledger: MemoryLedger) -> None:
    sdk = optional(name)
    client = (sdk.Groq if name == "groq" else sdk.Anthropic)(base_url=provider.url, api_key="mine")
    view = llm_wrapper.using(client, user_id="ann")
    if name == "groq":
        view.chat.completions.create(**ASKED)
        view.chat.completions.with_raw_response.create(**ASKED)
    else:
        view.messages.create(max_tokens=5, **ASKED)
        with view.messages.stream(max_tokens=5, **ASKED) as stream:
            stream.get_final_message()
    assert told(ledger) == [("ok", "ann", None, 18)] * 2


def test_mocks_and_fakes_come_back(ledger: MemoryLedger, caplog: pytest.LogCaptureFixture) -> None:
    openai = optional("openai")
    for mock in (MagicMock(), MagicMock(spec=openai.OpenAI)):
        assert llm_wrapper.using(mock, user_id="ann") is mock
    assert caplog.messages == []

    class Fake:
        pass

    fake = Fake()
    assert llm_wrapper.using(llm_wrapper.using(fake, user_id="ann"), user_id="bob") is fake
    (said,) = caplog.messages
    assert "Fake is no client that llmguard knows" in said


def test_what_a_test_has_put_on_a_real_client_stays_there(ledger: MemoryLedger) -> None:
    openai = optional("openai")
    client = openai.OpenAI(api_key="x", base_url="http://127.0.0.1:9")
    client.chat.completions.create = lambda **_: "stub"
    client.responses.create = MagicMock(return_value="mock")
    view = llm_wrapper.using(client, user_id="ann")
    assert (view.chat.completions.create(**ASKED), view.responses.create(model="m", input="x")) == ("stub", "mock")
    assert view.chat.completions._client is view
    assert not ledger.rows


def test_clients_without_views_are_refused(ledger: MemoryLedger) -> None:
    cohere = optional("cohere")
    with pytest.raises(TypeError, match="ClientV2 is no client of the SDKs"):
        llm_wrapper.using(cohere.ClientV2(api_key="x"), user_id="ann")


def test_a_column_that_is_none(client: Any) -> None:
    with pytest.raises(TypeError, match="using\\(\\) knows no usr: one of agent, budget, run_id, tenant"):
        llm_wrapper.using(client, usr="ann")
