"""`client=`: the request goes through the caller's own object, as it is, and has one row."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, MagicMock, create_autospec

import pytest

from llmguard import LLMWrapper, llm_tracker, llm_wrapper, track
from llmguard.errors import UsageError
from llmguard.testing import Answer, FakeProvider, MemoryLedger, memory_ledger
from tests.command import ROOT
from tests.optional import optional
from tests.typed import check_types

MESSAGES = [{"role": "user", "content": "What is the answer to everything?"}]
ASKED: dict[str, Any] = {"model": "gpt-4o", "user_id": "ann", "service_name": "search"}
COUNTED = {"stream_options": {"include_usage": True}}


@pytest.fixture
def ledger() -> Iterator[MemoryLedger]:
    with memory_ledger(project_root=str(ROOT)) as memory:
        yield memory


def sync_client(provider: FakeProvider, **options: Any) -> Any:
    return optional("openai").OpenAI(base_url=provider.base_url, api_key="mine", max_retries=0, **options)


def async_client(provider: FakeProvider, **options: Any) -> Any:
    return optional("openai").AsyncOpenAI(base_url=provider.base_url, api_key="mine", max_retries=0, **options)


def told(ledger: MemoryLedger) -> list[tuple[Any, ...]]:
    names = ("status", "provider", "model", "user_id", "service_name", "prompt_tokens", "completion_tokens")
    return [tuple(row.get(name) for name in names) for row in ledger.rows]


ROW = ("ok", "openai", "gpt-4o", "ann", "search", 11, 7)


def test_a_synchronous_client(provider: FakeProvider, ledger: MemoryLedger) -> None:
    result = llm_wrapper.chat_completion_sync(MESSAGES, client=sync_client(provider), **ASKED)
    assert type(result["response"]).__name__ == "ChatCompletion"
    assert result["usage"]["total_tokens"] == 18
    assert result["usage"]["cost"] == 0.0000975
    assert told(ledger) == [ROW]
    assert provider.requests[0].headers["authorization"] == "Bearer mine"
    assert provider.requests[0].body == {"messages": MESSAGES, "model": "gpt-4o"}
    assert ledger.rows[0]["code_file"] == "tests/calls/test_own_client.py"


def test_an_asynchronous_client(provider: FakeProvider, ledger: MemoryLedger) -> None:
    async def work() -> Any:
        async with async_client(provider) as client:
            first, _ = await asyncio.gather(
                *(llm_wrapper.chat_completion(MESSAGES, client=client, **ASKED) for _ in range(2))
            )
            return first

    assert asyncio.run(work())["response"].usage.total_tokens == 18
    assert told(ledger) == [ROW, ROW]
    assert {row["code_file"] for row in ledger.rows} == {"tests/calls/test_own_client.py"}


def test_streams(provider: FakeProvider, ledger: MemoryLedger) -> None:
    with llm_wrapper.chat_completion_sync(
        MESSAGES, client=sync_client(provider), stream=True, **COUNTED, **ASKED
    ) as stream:
        assert sum(1 for _ in stream) == 7

    async def work() -> None:
        async with async_client(provider) as client:
            result = await llm_wrapper.chat_completion(MESSAGES, client=client, stream=True, **COUNTED, **ASKED)
            assert len([chunk async for chunk in result]) == 7
            left = await llm_wrapper.chat_completion(MESSAGES, client=client, stream=True, **ASKED)
            async for _ in left["response"]:
                break
            await left.aclose()

    asyncio.run(work())
    assert told(ledger)[:2] == [ROW, ROW]
    assert [row["status"] for row in ledger.rows] == ["ok", "ok", "partial"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("block", [False, True])
def test_a_tracked_client_counts_once_and_the_call_wins(
    block: bool, streamed: bool, provider: FakeProvider, ledger: MemoryLedger
) -> None:
    client = track(sync_client(provider), user_id="of the client", service_name="other", feature_context="feature")
    more: dict[str, Any] = {"stream": True, **COUNTED} if streamed else {}

    def ask() -> None:
        result = llm_wrapper.chat_completion_sync(MESSAGES, client=client, **ASKED, **more)
        if streamed:
            assert sum(1 for _ in result["response"]) == 7

    if block:
        with llm_tracker.track_llm_call("openai", "gpt-4o", user_id="ann", service_name="search"):
            ask()
    else:
        ask()
    assert told(ledger) == [ROW]
    if not block:
        assert ledger.rows[0]["feature_context"] == "feature"


def test_a_copy_with_options(provider: FakeProvider, ledger: MemoryLedger) -> None:
    client = sync_client(provider).with_options(default_headers={"x-team": "a"})
    llm_wrapper.chat_completion_sync(MESSAGES, client=client, **ASKED)
    assert provider.requests[0].headers["x-team"] == "a"
    assert told(ledger) == [ROW]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the SDK: models go
def test_anthropic(provider: FakeProvider, ledger: MemoryLedger) -> None:
    anthropic = optional("anthropic")
    client = anthropic.Anthropic(base_url=provider.url, api_key="mine")
    llm_wrapper.messages_create_sync(MESSAGES, client=client, max_tokens=9, **{**ASKED, "model": "claude-sonnet-4-5"})

    async def work() -> None:
        async with anthropic.AsyncAnthropic(base_url=provider.url, api_key="mine") as aclient:
            result = await llm_wrapper.messages_create(
                MESSAGES, client=aclient, max_tokens=9, stream=True, model="claude-sonnet-4-5"
            )
            async for _ in result:
                pass

    asyncio.run(work())
    assert [row["provider"] for row in ledger.rows] == ["anthropic"] * 2
    assert [row["prompt_tokens"] for row in ledger.rows] == [11, 11]


def test_the_provider_is_that_of_class_and_place(provider: FakeProvider, ledger: MemoryLedger) -> None:
    groq = optional("groq")
    client = groq.Groq(base_url=provider.url, api_key="mine")
    llm_wrapper.chat_completion_sync(MESSAGES, client=client, model="llama-3.3-70b-versatile")
    assert [row["provider"] for row in ledger.rows] == ["groq"]
    assert ledger.rows[0]["total_cost"] > 0


def test_a_synchronous_client_in_a_coroutine_blocks_as_by_itself(provider: FakeProvider, ledger: MemoryLedger) -> None:
    async def work() -> None:
        result = await llm_wrapper.chat_completion(MESSAGES, client=sync_client(provider), **ASKED)
        assert result["response"].usage.total_tokens == 18

    asyncio.run(work())
    assert told(ledger) == [ROW]


def test_an_asynchronous_client_without_await_is_refused_before_anything_is_sent(
    provider: FakeProvider, ledger: MemoryLedger
) -> None:
    with pytest.raises(TypeError, match="AsyncOpenAI is asynchronous: await the method without _sync"):
        llm_wrapper.chat_completion_sync(MESSAGES, client=async_client(provider), **ASKED)
    assert not provider.requests
    assert not ledger.rows


class Fake:
    """As people write them for their tests."""

    def __init__(self, answer: Any) -> None:
        self.chat = self.completions = self
        self.answer = answer
        self.asked: list[dict[str, Any]] = []

    def create(self, **asked: Any) -> Any:
        self.asked.append(asked)
        return self.answer


async def later(value: Any) -> Any:
    return value


ANSWER = {"model": "gpt-4o", "usage": {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}}


def test_an_object_that_no_sdk_made(ledger: MemoryLedger) -> None:
    fake = Fake(ANSWER)
    assert llm_wrapper.chat_completion_sync(MESSAGES, client=fake, **ASKED)["response"] is ANSWER
    assert asyncio.run(llm_wrapper.chat_completion(MESSAGES, client=fake, **ASKED))["response"] is ANSWER
    waits = Fake(later(ANSWER))
    assert asyncio.run(llm_wrapper.chat_completion(MESSAGES, client=waits, **ASKED))["response"] is ANSWER
    assert fake.asked == [{"messages": MESSAGES, "model": "gpt-4o"}] * 2
    assert [row["tokens_used"] for row in ledger.rows] == [18] * 3
    assert {row.get("provider") for row in ledger.rows} == {None}


def test_a_coroutine_without_await_is_closed(ledger: MemoryLedger) -> None:
    coroutine = later(ANSWER)
    with pytest.raises(TypeError, match="gives a coroutine"):
        llm_wrapper.chat_completion_sync(MESSAGES, client=Fake(coroutine), **ASKED)
    assert coroutine.cr_frame is None
    assert not ledger.rows


def test_a_generator_is_a_stream_and_what_only_looks_like_one_is_not(ledger: MemoryLedger) -> None:
    class Looks:
        def __next__(self) -> Any:
            raise AssertionError

        def __iter__(self) -> Any:
            raise AssertionError

    looks = Looks()
    assert llm_wrapper.chat_completion_sync(MESSAGES, client=Fake(looks), **ASKED)["response"] is looks
    chunks = [{"choices": [{"delta": {"content": "four"}}]}, {"choices": [], "usage": ANSWER["usage"]}]
    result = llm_wrapper.chat_completion_sync(MESSAGES, client=Fake(each for each in chunks), stream=True, **ASKED)
    assert list(result["response"]) == chunks
    assert [row["tokens_used"] for row in ledger.rows] == [18]


def test_what_a_fake_says_without_counts_is_nobodys(provider: FakeProvider, ledger: MemoryLedger) -> None:
    said = {"choices": [{"message": {"content": "fake"}}]}
    assert llm_wrapper.chat_completion_sync(MESSAGES, client=Fake(said), **ASKED)["response"] is said
    assert list(llm_wrapper.chat_completion_sync(MESSAGES, client=Fake(iter([])), **ASKED)["response"]) == []
    assert not ledger.rows
    client = sync_client(provider)

    class Facade(Fake):
        def create(self, **asked: Any) -> Any:
            return {"text": llm_wrapper.chat_completion_sync(client=client, **asked)["response"].choices[0]}

    llm_wrapper.chat_completion_sync(MESSAGES, client=Facade(None), **ASKED)
    (row,) = ledger.rows
    assert (row["user_id"], row["tokens_used"]) == (ASKED["user_id"], 18)
    assert row["total_cost"] is not None


@pytest.mark.parametrize("spec", [False, True])
def test_mocks_are_called_and_have_no_row(spec: bool, ledger: MemoryLedger) -> None:
    openai = optional("openai")
    client: Any = MagicMock(spec=openai.OpenAI) if spec else MagicMock()
    client.chat = MagicMock()  # the spec of a property is not that of what it gives
    client.chat.completions.create.return_value = "said"
    assert llm_wrapper.chat_completion_sync(MESSAGES, client=client, model="m")["response"] == "said"
    client.chat.completions.create.assert_called_once_with(messages=MESSAGES, model="m")
    awaited: Any = create_autospec(openai.AsyncOpenAI, instance=True) if spec else MagicMock()
    awaited.chat = MagicMock()
    awaited.chat.completions.create = AsyncMock(return_value="said later")
    result = asyncio.run(llm_wrapper.chat_completion(MESSAGES, client=awaited, model="m"))
    assert (result["response"], result["usage"]["call_id"]) == ("said later", "")
    assert not ledger.rows


def test_a_method_that_a_test_has_replaced(provider: FakeProvider, ledger: MemoryLedger) -> None:
    client = async_client(provider)
    client.chat.completions.create = AsyncMock(side_effect=RuntimeError("down"))
    with pytest.raises(RuntimeError, match="down"):
        asyncio.run(llm_wrapper.chat_completion(MESSAGES, client=client, **ASKED))
    assert not ledger.rows


def test_errors_are_the_sdks_own(provider: FakeProvider, ledger: MemoryLedger) -> None:
    provider.answer = Answer("no", status=400)
    with pytest.raises(optional("openai").BadRequestError):
        llm_wrapper.chat_completion_sync(MESSAGES, client=sync_client(provider), **ASKED)
    assert [(row["status"], row["status_code"]) for row in ledger.rows] == [("error", 400)]


@pytest.mark.parametrize(
    ("beside", "said"),
    [
        ({"client_options": {}}, "client_options"),
        ({"provider": "groq"}, "provider"),
        ({"provider": "litellm"}, "provider"),
    ],
)
def test_what_the_client_decides_stands_not_beside_it(
    beside: dict[str, Any], said: str, provider: FakeProvider, ledger: MemoryLedger
) -> None:
    with pytest.raises(UsageError, match=f"leave {said} out"):
        llm_wrapper.chat_completion_sync(MESSAGES, client=sync_client(provider), **beside)
    assert not provider.requests


def test_nothing_is_filled_in(provider: FakeProvider, ledger: MemoryLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_DEFAULT_MODEL", "of the environment")
    fake = Fake(ANSWER)
    wrapper = LLMWrapper(default_model="of the wrapper", client_options={"timeout": 3})
    wrapper.chat_completion_sync(MESSAGES, client=fake, temperature=None)
    assert fake.asked == [{"messages": MESSAGES, "temperature": None}]


def test_what_is_no_client_of_the_format(ledger: MemoryLedger) -> None:
    with pytest.raises(AttributeError, match="'Fake' object has no attribute 'messages'"):
        llm_wrapper.messages_create_sync(MESSAGES, client=Fake(1), model="m", max_tokens=1)
    with pytest.raises(AttributeError, match="'str' object has no attribute 'chat'"):
        llm_wrapper.chat_completion_sync(MESSAGES, client="openai", model="m")
    with pytest.raises(AttributeError, match="'NoneType' object has no attribute 'chat'"):
        llm_wrapper.chat_completion_sync(MESSAGES, client=None, model="m")


def test_what_is_given_with_a_client_is_not_looked_at(provider: FakeProvider, ledger: MemoryLedger) -> None:
    messages: Any = "abc"
    llm_wrapper.chat_completion_sync(messages, client=sync_client(provider), model="m")
    assert provider.requests[0].body["messages"] == "abc"


@pytest.mark.full
def test_the_answer_has_the_type_that_the_clients_own_method_gives(tmp_path: Path) -> None:
    check_types(
        tmp_path,
        """
import anthropic
import groq
import openai

from llmguard import llm_wrapper

M = [{"role": "user", "content": "x"}]
client, azure = openai.OpenAI(), openai.AzureOpenAI(azure_endpoint="u", api_version="1")
aclient, agroq, aclaude = openai.AsyncOpenAI(), groq.AsyncGroq(), anthropic.AsyncAnthropic()

def plain() -> str | None:
    a = llm_wrapper.chat_completion_sync(M, client=client, model="m", user_id="u", top_p=0.1)
    b = llm_wrapper.chat_completion_sync(M, client=azure, model="m", stream=False)["response"]
    return a["response"].choices[0].message.content or b.choices[0].finish_reason

async def awaited() -> int:
    used = (await llm_wrapper.chat_completion(M, client=agroq, model="m", service_name="s"))["response"].usage
    said = await llm_wrapper.messages_create(M, client=aclaude, model="m", max_tokens=5)
    return said["response"].usage.input_tokens + (used.total_tokens if used else said["usage"]["total_tokens"])

async def streamed() -> list[str | None]:
    result = await llm_wrapper.chat_completion(M, client=aclient, model="m", stream=True)
    async for chunk in result:
        pass
    return [chunk.choices[0].delta.content async for chunk in result["response"]]

async def viewed() -> str | None:
    view = llm_wrapper.using(aclient, user_id="u", service_name="s")
    return (await view.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])).choices[
        0
    ].message.content
""",
    )


def test_anthropic_is_asked_where_nobody_is_named(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    optional("anthropic")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", provider.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "of the environment")
    asked: dict[str, Any] = {"model": "claude-x", "max_tokens": 5}
    with memory_ledger() as ledger:
        llm_wrapper.messages_create_sync(MESSAGES, **asked)
        asyncio.run(llm_wrapper.messages_create(MESSAGES, **asked))
    assert [row["provider"] for row in ledger.rows] == ["anthropic", "anthropic"]
