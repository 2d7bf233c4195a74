"""Tracked clients: every way through one is on the books, and nothing else is different."""

from __future__ import annotations

import asyncio
import copy
import functools
import gc
import re
from collections.abc import Iterator
from typing import Any
from unittest.mock import MagicMock, patch

import pytest

from llmguard import llm_tracker, track
from llmguard.testing import Answer, FakeProvider, MemoryLedger, memory_ledger
from tests.command import ROOT
from tests.optional import optional

MESSAGES = [{"role": "user", "content": "What is the answer to everything?"}]
ASKED: dict[str, Any] = {"model": "m", "messages": MESSAGES}


@pytest.fixture
def ledger() -> Iterator[MemoryLedger]:
    with memory_ledger(project_root=str(ROOT)) as memory:
        yield memory


@pytest.fixture
def openai() -> Any:
    return optional("openai")


@pytest.fixture
def client(openai: Any, provider: FakeProvider) -> Any:
    return openai.OpenAI(base_url=provider.base_url, api_key="test", max_retries=0)


def tokens(ledger: MemoryLedger) -> list[tuple[Any, ...]]:
    return [(row["status"], row.get("prompt_tokens"), row.get("completion_tokens")) for row in ledger.rows]


COUNTED = ("ok", 11, 7)


def test_it_is_the_same_object_of_the_same_class(client: Any, openai: Any) -> None:
    chat = client.chat
    tracked = track(client, service_name="s")
    assert tracked is client
    assert isinstance(tracked, openai.OpenAI)
    assert type(tracked).__name__ == "OpenAI"
    assert type(tracked).__module__ == openai.OpenAI.__module__
    assert tracked.chat is chat
    assert "OpenAI" in repr(type(tracked))


def test_methods_resources_and_copies_are_on_the_books(client: Any, ledger: MemoryLedger) -> None:
    stored = client.chat.completions.create
    partial = functools.partial(client.chat.completions.create, model="m")
    resource = client.chat.completions
    track(client, service_name="s", user_id=7)
    stored(**ASKED)
    partial(messages=MESSAGES)
    resource.create(**ASKED)
    client.with_options(timeout=5).with_options(max_retries=1).chat.completions.create(**ASKED)
    copy.copy(client).chat.completions.create(**ASKED)
    client.post("/chat/completions", cast_to=object, body=ASKED)
    assert tokens(ledger) == [COUNTED] * 6
    assert {(row["service_name"], row["user_id"]) for row in ledger.rows} == {("s", "7")}


def test_a_copy_has_its_own_defaults(client: Any, ledger: MemoryLedger) -> None:
    track(client, service_name="first")
    other = track(client.with_options(timeout=5), service_name="second")
    other.chat.completions.create(**ASKED)
    client.chat.completions.create(**ASKED)
    assert [row["service_name"] for row in ledger.rows] == ["second", "first"]


def test_tracking_again_changes_the_rows_and_counts_once(client: Any, ledger: MemoryLedger) -> None:
    track(track(client, service_name="a"), service_name="b").chat.completions.create(**ASKED)
    ledger.assert_tracked(1, service_name="b")
    assert len(ledger.rows) == 1


def test_raw_and_streaming_responses(client: Any, ledger: MemoryLedger, openai: Any) -> None:
    completions = track(client).chat.completions
    raw = completions.with_raw_response.create(**ASKED)
    assert raw.headers["content-type"] == "application/json"
    assert raw.parse().choices[0].message.content == "The answer is 42."
    with completions.with_streaming_response.create(**ASKED) as streaming:
        assert streaming.parse().usage.total_tokens == 18
    with completions.with_streaming_response.create(
        stream=True, stream_options={"include_usage": True}, **ASKED
    ) as streaming:
        assert "data: [DONE]" in list(streaming.iter_lines())
    with completions.with_streaming_response.create(stream=True, **ASKED) as streaming:
        next(streaming.iter_lines())
    raw = completions.with_raw_response.create(stream=True, stream_options={"include_usage": True}, **ASKED)
    parsed = raw.parse()
    assert isinstance(parsed, openai.Stream)
    assert sum(1 for _ in parsed) == 7
    assert tokens(ledger)[:3] == [COUNTED] * 3
    assert tokens(ledger)[3][0] == "partial"
    assert tokens(ledger)[4] == COUNTED


def test_async_raw_and_streaming_responses(provider: FakeProvider, ledger: MemoryLedger, openai: Any) -> None:
    async def work() -> None:
        async with track(openai.AsyncOpenAI(base_url=provider.base_url, api_key="test")) as client:
            raw = await client.chat.completions.with_raw_response.create(**ASKED)
            assert raw.parse().usage.total_tokens == 18
            async with client.chat.completions.with_streaming_response.create(**ASKED) as streaming:
                assert (await streaming.parse()).usage.total_tokens == 18
            async with client.chat.completions.with_streaming_response.create(
                stream=True, stream_options={"include_usage": True}, **ASKED
            ) as streaming:
                assert [line async for line in streaming.iter_lines()]
            stream = await client.with_options(timeout=9).chat.completions.create(stream=True, **ASKED)
            assert isinstance(stream, openai.AsyncStream)
            async with stream:
                assert (await stream.__anext__()).choices

    asyncio.run(work())
    assert tokens(ledger)[:3] == [COUNTED] * 3
    assert tokens(ledger)[3][0] == "partial"


def test_helpers_of_the_sdk(client: Any, ledger: MemoryLedger, openai: Any) -> None:
    track(client)
    with client.chat.completions.stream(stream_options={"include_usage": True}, **ASKED) as stream:
        assert stream.get_final_completion().choices[0].message.content == "The answer is 42."
    client.responses.create(model="m", input="What?")
    with client.responses.stream(model="m", input="What?") as events:
        assert events.get_final_response().output_text == "The answer is 42."
    client.completions.create(model="m", prompt="What?")
    client.embeddings.create(model="m", input="What?")
    assert tokens(ledger) == [*[COUNTED] * 4, ("ok", 11, None)]
    assert [row["operation"] for row in ledger.rows] == ["chat", "chat", "chat", "text_completion", "embeddings"]


def test_what_generates_nothing_has_no_row(client: Any, ledger: MemoryLedger, provider: FakeProvider) -> None:
    track(client)
    client.post("/files", cast_to=object, body={})
    client.post("/threads/t1/messages", cast_to=object, body={})
    assert len(provider.requests) == 2
    assert not ledger.rows


def test_a_dropped_stream_ends_at_once(client: Any, ledger: MemoryLedger) -> None:
    gc.disable()
    try:
        for _ in track(client).chat.completions.create(stream=True, **ASKED):
            break
        assert tokens(ledger)[0][0] == "partial"
    finally:
        gc.enable()


def test_a_stream_that_breaks_is_an_error(client: Any, ledger: MemoryLedger, provider: FakeProvider) -> None:
    provider.answer = Answer(cut=2)
    with pytest.raises(Exception, match="onnection") as untracked:  # httpx's own up to openai 2, the SDK's from 3 on
        list(client.chat.completions.create(stream=True, **ASKED))
    with pytest.raises(untracked.type, match=f"^{re.escape(str(untracked.value))}$"):
        list(track(client).chat.completions.create(stream=True, **ASKED))
    (row,) = ledger.rows
    assert (row["status"], row["usage_source"]) == ("error", "estimated")
    assert row["completion_tokens"] > 0


def test_the_sdks_own_retries_are_one_call(provider: FakeProvider, ledger: MemoryLedger, openai: Any) -> None:
    provider.answers.extend([Answer(status=503), Answer(status=429, headers=(("retry-after-ms", "1"),))])
    client = track(openai.OpenAI(base_url=provider.base_url, api_key="test", max_retries=2))
    with patch("time.sleep"):
        client.chat.completions.create(**ASKED)
    assert len(provider.requests) == 3
    assert tokens(ledger) == [COUNTED]


def test_errors_go_through_unchanged(client: Any, ledger: MemoryLedger, provider: FakeProvider, openai: Any) -> None:
    provider.answer = Answer("key sk-abcdefghijklmnop is wrong", status=401)
    with pytest.raises(openai.AuthenticationError) as caught:
        track(client).chat.completions.create(**ASKED)
    assert "sk-abcdefghijklmnop" in str(caught.value)
    (row,) = ledger.rows
    assert (row["status"], row["status_code"], row["error_type"]) == ("error", 401, "AuthenticationError")
    assert "sk-abcdefghijklmnop" not in row["error_message"]


def test_a_method_that_is_patched_later_still_runs(client: Any, ledger: MemoryLedger, openai: Any) -> None:
    track(client)
    with patch.object(openai.OpenAI, "request", return_value="patched"):
        assert client.chat.completions.create(**ASKED) == "patched"
    with patch.object(openai.resources.chat.completions.Completions, "create", return_value="patched too"):
        assert client.chat.completions.create(**ASKED) == "patched too"
    assert [row["status"] for row in ledger.rows] == ["ok"]


def test_unknown_objects_come_back_untouched(openai: Any, ledger: MemoryLedger) -> None:
    fake = MagicMock(spec=openai.OpenAI)
    before = type(fake)
    assert track(fake, service_name="s") is fake
    assert type(fake) is before
    for anything in (None, 1, "client", object()):
        assert track(anything) is anything


def test_a_block_around_a_tracked_call_is_the_one_row(client: Any, ledger: MemoryLedger) -> None:
    track(client)
    with llm_tracker.track_llm_call("openai", "m", service_name="block"):
        client.chat.completions.create(**ASKED)
        client.chat.completions.create(**ASKED)
    (row,) = ledger.rows
    assert (row["service_name"], row["prompt_tokens"], row["completion_tokens"]) == ("block", 22, 14)


def test_the_call_then_the_request_then_the_client_decide(client: Any, ledger: MemoryLedger) -> None:
    track(client, service_name="client", user_id="client", feature_context="client")

    async def request() -> None:
        llm_tracker.set_request_context(user_id="request")
        client.chat.completions.create(**ASKED)

    asyncio.run(request())
    (row,) = ledger.rows
    assert (row["user_id"], row["feature_context"], row["service_name"]) == ("request", "client", "client")


def test_disabled_is_a_pass_through(client: Any, provider: FakeProvider) -> None:
    with memory_ledger(disabled=True) as ledger:
        assert track(client).chat.completions.create(**ASKED).usage.total_tokens == 18
    assert not ledger.rows


def test_content_is_kept_only_when_asked(client: Any) -> None:
    track(client)
    with memory_ledger() as without:
        client.chat.completions.create(**ASKED)
    with memory_ledger(store_content=40) as with_content:
        client.chat.completions.create(**ASKED)
    assert "everything" not in repr(without.rows)
    assert with_content.rows[0]["request_data"].startswith(('{"messages"', '{"model"'))  # as the SDK orders them
    assert len(with_content.rows[0]["request_data"]) == 40


@pytest.mark.parametrize(
    ("make", "provider_name"),
    [
        (lambda sdk, url: sdk.OpenAI(base_url=f"{url}/v1", api_key="x"), "openai"),
        (lambda sdk, url: sdk.AzureOpenAI(azure_endpoint=url, api_key="x", api_version="1"), "azure_openai"),
        (lambda sdk, url: sdk.OpenAI(base_url="https://api.deepinfra.com/v1/openai", api_key="x"), "deepinfra"),
        (lambda sdk, url: sdk.OpenAI(base_url="https://api.groq.com/openai/v1", api_key="x"), "groq"),
    ],
)
def test_the_provider_is_the_class_or_the_host(
    make: Any, provider_name: str, openai: Any, provider: FakeProvider, ledger: MemoryLedger
) -> None:
    client = track(make(openai, provider.url))
    client.base_url = f"{provider.url}/v1" if "127" in str(client.base_url) else client.base_url
    with patch.object(type(client).__mro__[1], "request", return_value="fake"):
        client.chat.completions.create(**ASKED)
    assert ledger.rows[0]["provider"] == provider_name


def test_anthropic(provider: FakeProvider, ledger: MemoryLedger) -> None:
    anthropic = optional("anthropic")
    client = track(anthropic.Anthropic(base_url=provider.url, api_key="x"), service_name="s")
    asked = {**ASKED, "max_tokens": 50}
    client.messages.create(**asked)
    with client.messages.stream(**asked) as stream:
        assert "".join(stream.text_stream) == "The answer is 42."
    client.messages.with_raw_response.create(**asked).parse()
    assert tokens(ledger) == [COUNTED] * 3
    assert {row["provider"] for row in ledger.rows} == {"anthropic"}


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # of the SDK itself
def test_google(provider: FakeProvider, ledger: MemoryLedger) -> None:
    optional("google.genai")
    from google import genai

    client = track(genai.Client(api_key="x", http_options={"base_url": provider.url}), service_name="s")
    assert client.models.generate_content(model="gemini-x", contents="What?").text == "The answer is 42."
    assert "".join(c.text or "" for c in client.models.generate_content_stream(model="gemini-x", contents="What?"))
    client.chats.create(model="gemini-x").send_message("What?")
    client.models.embed_content(model="gemini-e", contents="What?")
    for _ in client.models.generate_content_stream(model="gemini-x", contents="What?"):
        break

    async def work() -> None:
        await client.aio.models.generate_content(model="gemini-x", contents="What?")
        async for _ in await client.aio.models.generate_content_stream(model="gemini-x", contents="What?"):
            pass
        if hasattr(client.aio, "aclose"):
            await client.aio.aclose()

    asyncio.run(work())
    if hasattr(client, "close"):  # from 1.43 on
        client.close()
    gc.collect()
    assert [row["status"] for row in ledger.rows] == ["ok", "ok", "ok", "ok", "partial", "ok", "ok"]
    assert tokens(ledger)[:3] == [COUNTED] * 3
    assert tokens(ledger)[5:] == [COUNTED] * 2
    assert {(row["provider"], row["service_name"]) for row in ledger.rows} == {("google", "s")}
    assert [row["model"] for row in ledger.rows][:4] == ["gemini-x"] * 3 + ["gemini-e"]


def test_mistral(provider: FakeProvider, ledger: MemoryLedger) -> None:
    module = optional("mistralai")
    cls = (module if hasattr(module, "Mistral") else optional("mistralai.client")).Mistral  # it moved in 2

    client = track(cls(api_key="x", server_url=provider.url), service_name="s")
    complete = client.chat.complete
    assert complete(**ASKED).choices[0].message.content == "The answer is 42."
    with client.chat.stream(**ASKED) as stream:
        assert len(list(stream)) == 6
    with client.chat.stream(**ASKED) as stream:
        next(iter(stream))

    async def work() -> None:
        await client.chat.complete_async(**ASKED)
        stream = await client.chat.stream_async(**ASKED)
        async for _ in stream:
            pass

    asyncio.run(work())
    provider.answer = Answer("no", status=400)
    with pytest.raises(Exception, match="no"):
        client.chat.complete(**ASKED)
    assert [row["status"] for row in ledger.rows] == ["ok", "ok", "partial", "ok", "ok", "error"]
    assert tokens(ledger)[0] == tokens(ledger)[3] == COUNTED
    assert ledger.rows[1]["usage_source"] == "estimated"
    assert {(row["provider"], row["service_name"], row["model"]) for row in ledger.rows} == {("mistral", "s", "m")}


def test_cohere(provider: FakeProvider, ledger: MemoryLedger) -> None:
    cohere = optional("cohere")
    client = track(cohere.ClientV2("x", base_url=provider.url), service_name="s")
    assert client.chat(**ASKED).message.content[0].text == "The answer is 42."
    assert len(list(client.chat_stream(**ASKED))) >= 5
    for _ in client.chat_stream(**ASKED):
        break

    async def work() -> None:
        other = track(cohere.AsyncClientV2("x", base_url=provider.url), service_name="s")
        await other.chat(**ASKED)
        async for _ in other.chat_stream(**ASKED):
            pass

    asyncio.run(work())
    provider.answer = Answer("no", status=400)
    with pytest.raises(cohere.BadRequestError):
        client.chat(**ASKED)
    assert [row["status"] for row in ledger.rows] == ["ok", "ok", "partial", "ok", "ok", "error"]
    assert [tokens(ledger)[i] for i in (0, 1, 3, 4)] == [COUNTED] * 4
    assert {(row["provider"], row["service_name"], row["model"]) for row in ledger.rows} == {("cohere", "s", "m")}


def test_a_body_that_cannot_be_read_is_not_called_empty(
    client: Any, ledger: MemoryLedger, provider: FakeProvider
) -> None:
    import gzip
    import json

    from llmguard.testing.wire import whole

    body = gzip.compress(json.dumps(whole("openai", "/v1/chat/completions", ASKED, Answer())).encode())
    provider.answer = Answer(body=body, headers=(("content-encoding", "gzip"),))
    with track(client).chat.completions.with_streaming_response.create(**ASKED) as streaming:
        assert streaming.parse().usage.total_tokens == 18
    provider.answer = Answer()
    with client.chat.completions.with_streaming_response.create(**ASKED):
        pass
    read, unread = ledger.rows
    assert (read["status"], read.get("completion_tokens"), read.get("total_cost")) == ("ok", None, None)
    assert (unread["status"], unread.get("completion_tokens"), unread.get("total_cost")) == ("partial", None, None)


def test_the_tier_of_a_stream_is_priced(client: Any, ledger: MemoryLedger, provider: FakeProvider) -> None:
    def event(body: dict[str, Any]) -> bytes:
        import json

        return f"data: {json.dumps({'id': 'c', 'object': 'chat.completion.chunk', 'created': 1, **body})}\n\n".encode()

    usage = {"prompt_tokens": 1000, "completion_tokens": 1000, "total_tokens": 2000}
    for tier in ("default", "priority"):
        head = {"model": "gpt-5", "service_tier": tier}
        body = event({**head, "choices": [{"index": 0, "delta": {"content": "x"}}]})
        body += event({**head, "choices": [], "usage": usage}) + b"data: [DONE]\n\n"
        provider.answers.append(Answer(body=body))
    asked = {"model": "gpt-5", "messages": MESSAGES, "stream": True}
    for _ in range(2):
        assert len(list(track(client).chat.completions.create(**asked))) == 2
    usual, priority = (row["total_cost"] for row in ledger.rows)
    assert priority > usual > 0
