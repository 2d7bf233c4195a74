"""What a program gets from the wrapper, and what its rows say."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from typing import Any

import pytest

from llmguard import LLMWrapper, llm_tracker, llm_wrapper
from llmguard.errors import ConfigError, UsageError
from llmguard.testing import Answer, FakeProvider
from tests.calls.conftest import MESSAGES
from tests.command import ROOT
from tests.optional import optional
from tests.typed import check_types

openai = optional("openai")


def test_the_result_has_the_sdks_object_and_what_was_used(wrapper: LLMWrapper, rows: Any) -> None:
    result = asyncio.run(wrapper.chat_completion(MESSAGES, "u-1", "search", metadata={"samples_count": 3}))
    assert type(result["response"]) is openai.types.chat.ChatCompletion
    assert result["response"].choices[0].message.content == "The answer is 42."
    (row,) = rows()
    assert result["usage"] == {
        "total_tokens": 18,
        "prompt_tokens": 11,
        "completion_tokens": 7,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "duration_ms": result["usage"]["duration_ms"],
        "cost": 0.0000975,
        "usage_source": "provider",
        "call_id": row["call_id"],
    }
    assert (row["user_id"], row["service_name"]) == ("u-1", "search")
    assert (row["provider"], row["model"], row["response_model"]) == ("openai", "gpt-4o", "gpt-4o")
    assert (row["endpoint"], row["operation"], row["status"]) == ("/v1/chat/completions", "chat", "ok")
    assert row["metadata"] == {"samples_count": 3, "service": "search"}
    assert row["code_function"] == "test_the_result_has_the_sdks_object_and_what_was_used"
    json.dumps(result["usage"])


def test_a_stream_is_read_as_result_or_as_response(wrapper: LLMWrapper, rows: Any) -> None:
    async def read() -> None:
        result = await wrapper.chat_completion(MESSAGES, stream=True)
        assert result["usage"]["usage_source"] == "none"
        texts = [chunk.choices[0].delta.content or "" async for chunk in result]
        assert "".join(texts) == "The answer is 42."
        assert result["usage"]["total_tokens"] > 0
        again = await wrapper.chat_completion(MESSAGES, stream=True)
        assert type(again["response"]) is openai.AsyncStream
        assert len([chunk async for chunk in again["response"]]) == len(texts)

    asyncio.run(read())
    assert [row["status"] for row in rows()] == ["ok", "ok"]
    assert {row["stream"] for row in rows()} == {True}


def test_a_stream_that_is_left_is_partial_however_it_is_left(wrapper: LLMWrapper, rows: Any) -> None:
    with wrapper.chat_completion_sync(MESSAGES, stream=True) as stream:
        next(stream)
    result = wrapper.chat_completion_sync(MESSAGES, stream=True)
    for _ in result:
        break
    result.close()
    result = wrapper.chat_completion_sync(MESSAGES, stream=True)
    next(iter(result))
    del result
    gc.collect()

    async def leave() -> None:
        async with await wrapper.chat_completion(MESSAGES, stream=True) as stream:
            await anext(stream)
        result = await wrapper.chat_completion(MESSAGES, stream=True)
        await anext(result)
        await result.aclose()
        result = await wrapper.chat_completion(MESSAGES, stream=True)
        async for _ in result:
            break

    asyncio.run(leave())
    gc.collect()  # the SDK's stream and its generator hold each other
    assert [row["status"] for row in rows()] == ["partial"] * 6
    assert {row["usage_source"] for row in rows()} == {"estimated"}


def test_an_answer_that_breaks_off_is_an_error_with_what_there_was(rows: Any) -> None:
    with FakeProvider(Answer(cut=3)) as provider:
        options = {"api_key": "k", "base_url": provider.base_url}
        with optional("openai").OpenAI(**options) as bare, pytest.raises(Exception, match="onnection") as of_the_sdk:
            list(bare.chat.completions.create(messages=MESSAGES, model="m", stream=True))
        result = LLMWrapper(provider="openai", client_options=options).chat_completion_sync(
            MESSAGES, model="m", stream=True
        )
        with pytest.raises(of_the_sdk.type, match=f"^{re.escape(str(of_the_sdk.value))}$"):
            list(result)
    (row,) = rows()
    assert (row["status"], row["usage_source"]) == ("error", "estimated")


def test_four_calls_at_once_take_as_long_as_one_and_the_loop_ticks(rows: Any) -> None:
    ticks = 0

    async def ask(wrapper: LLMWrapper) -> float:
        nonlocal ticks

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.01)
                ticks += 1

        await wrapper.chat_completion(MESSAGES)  # the client is made here
        ticking = asyncio.create_task(tick())
        before = time.perf_counter()
        await asyncio.gather(*(wrapper.chat_completion(MESSAGES) for _ in range(4)))
        ticking.cancel()
        return time.perf_counter() - before

    with FakeProvider(Answer(delay=0.3)) as provider:
        options = {"api_key": "k", "base_url": provider.base_url}
        took = asyncio.run(ask(LLMWrapper(provider="openai", default_model="m", client_options=options)))
    assert took < 0.9  # one after the other: 1.2
    assert ticks > 5
    assert len(rows()) == 5


@pytest.mark.full
def test_a_thousand_calls_a_hundred_of_which_are_cancelled(rows: Any) -> None:
    async def ask(wrapper: LLMWrapper) -> None:
        async def one() -> None:
            async with slots:
                await wrapper.chat_completion(MESSAGES)

        # All are under way before any is cancelled; the provider has a thread for each.
        slots = asyncio.Semaphore(1000)
        tasks = [asyncio.create_task(one()) for _ in range(1000)]
        while len(provider.requests) < 1000:
            await asyncio.sleep(0.02)
        for task in random.sample([task for task in tasks if not task.done()], 100):
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert Counter(type(one) for one in done) == {type(None): 900, asyncio.CancelledError: 100}

    with FakeProvider(Answer(delay=12)) as provider:
        options = {"api_key": "k", "base_url": provider.base_url, "max_retries": 0}
        asyncio.run(ask(LLMWrapper(provider="openai", default_model="m", client_options=options)))
    assert Counter(row["status"] for row in rows()) == {"ok": 900, "cancelled": 100}


def test_a_cancelled_call_is_cancelled(rows: Any) -> None:
    async def ask(wrapper: LLMWrapper) -> None:
        task = asyncio.create_task(wrapper.chat_completion(MESSAGES))
        while not provider.requests:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wrapper.chat_completion(MESSAGES), 0.1)

    with FakeProvider(Answer(delay=1)) as provider:
        options = {"api_key": "k", "base_url": provider.base_url}
        asyncio.run(ask(LLMWrapper(provider="openai", default_model="m", client_options=options)))
    assert [row["status"] for row in rows()] == ["cancelled", "cancelled"]


# -- the synchronous twin ---------------------------------------------------------------------------------------------


def test_the_twin_inside_a_running_loop_as_in_a_notebook(wrapper: LLMWrapper, rows: Any) -> None:
    async def cell() -> Any:
        return wrapper.chat_completion_sync(MESSAGES)["response"].choices[0].message.content

    assert asyncio.run(cell()) == "The answer is 42."
    assert len(rows()) == 1


def test_the_twin_in_threads_and_after_loops_have_ended(wrapper: LLMWrapper, rows: Any) -> None:
    texts: list[str] = []

    def work() -> None:
        texts.append(wrapper.chat_completion_sync(MESSAGES)["response"].choices[0].message.content)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _ in range(3):
        asyncio.run(wrapper.chat_completion(MESSAGES))
        work()
    assert texts == ["The answer is 42."] * 11
    assert len(rows()) == 14


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_asks_through_a_client_of_its_own(tmp_path: Any) -> None:
    code = """
import asyncio, os, sys
from llmguard import LLMWrapper, llm_tracker
from llmguard.testing import FakeProvider
M = [{"role": "user", "content": "x"}]
with FakeProvider() as provider:
    options = {"api_key": "k", "base_url": provider.base_url}
    wrapper = LLMWrapper(provider="openai", default_model="m", client_options=options)
    wrapper.chat_completion_sync(M)
    asyncio.run(wrapper.chat_completion(M))
    pid = os.fork()
    if not pid:
        wrapper.chat_completion_sync(M)
        asyncio.run(wrapper.chat_completion(M))
        from llmguard.usage.recorder import recorder
        recorder().close(10)
        os._exit(0)
    code = os.waitpid(pid, 0)[1]
    wrapper.chat_completion_sync(M)  # the connection is still the parent's
    stats = llm_tracker.get_usage_stats_sync("nobody")
    print(code, len(provider.requests))
"""
    env = {
        **os.environ,
        "LLMGUARD_DATABASE_URL": f"sqlite:///{tmp_path / 'usage.db'}",
        "LLMGUARD_SPOOL_DIR": str(tmp_path / "spool"),
    }
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "0 5\n", done.stderr


# -- who is asked -----------------------------------------------------------------------------------------------------


def test_a_missing_key_is_the_error_of_the_sdk_at_the_call(monkeypatch: pytest.MonkeyPatch, rows: Any) -> None:
    for name in ("GROQ_API_KEY", "ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "LLM_PRIMARY_PROVIDER"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(optional("groq").GroqError, match="GROQ_API_KEY"):
        llm_wrapper.chat_completion_sync(MESSAGES)
    with pytest.raises(TypeError, match="authentication method"):
        asyncio.run(llm_wrapper.messages_create(MESSAGES, model="m", max_tokens=5))
    assert [row["error_type"] for row in rows()] == ["TypeError"]  # the client is there, and was asked


def test_keys_and_places_come_from_the_environment_of_the_call(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, rows: Any
) -> None:
    monkeypatch.setenv("DEEPSEEK_BASE_URL", provider.base_url)
    for key in ("first", "second"):
        monkeypatch.setenv("DEEPSEEK_API_KEY", key)
        llm_wrapper.chat_completion_sync(MESSAGES, model="deepseek-chat", provider="deepseek")
    assert [request.headers["authorization"] for request in provider.requests] == ["Bearer first", "Bearer second"]
    assert {row["provider"] for row in rows()} == {"deepseek"}


def test_the_provider_is_the_default_one_never_guessed_from_the_models_name(
    provider: FakeProvider, monkeypatch: pytest.MonkeyPatch, rows: Any
) -> None:
    monkeypatch.delenv("LLM_PRIMARY_PROVIDER", raising=False)
    monkeypatch.setenv("GROQ_API_KEY", "k")
    monkeypatch.setenv("GROQ_BASE_URL", provider.base_url.removesuffix("/v1"))
    llm_wrapper.chat_completion_sync(MESSAGES, model="openai/gpt-oss-20b")
    llm_wrapper.chat_completion_sync(MESSAGES)
    assert [request.path for request in provider.requests] == ["/openai/v1/chat/completions"] * 2
    assert [(row["provider"], row["model"]) for row in rows()] == [
        ("groq", "openai/gpt-oss-20b"),
        ("groq", "meta-llama/llama-4-scout-17b-16e-instruct"),
    ]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"provider": "nobody", "model": "m"}, 'unknown provider "nobody": one of anthropic'),
        ({"provider": "openai"}, 'no model: pass model=..., provider "openai" has no default'),
        ({"messages": "hello"}, "messages must be a list"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(arguments: dict[str, Any], problem: str, rows: Any) -> None:
    with pytest.raises(UsageError, match=problem) as caught:
        llm_wrapper.chat_completion_sync(**{"messages": MESSAGES, **arguments})
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="speaks Anthropic's format"):
        llm_wrapper.messages_create_sync(MESSAGES, model="m", max_tokens=5, provider="openai")
    assert rows() == []


@pytest.mark.filterwarnings("ignore")  # LiteLLM's own
def test_a_provider_without_an_sdk_here_is_reached_through_litellm(provider: FakeProvider, rows: Any) -> None:
    optional("litellm")
    options = {"api_key": "k", "base_url": provider.base_url}
    result = llm_wrapper.chat_completion_sync(
        MESSAGES, model="gemini-2.0-flash", provider="google", client_options=options
    )
    assert result["response"].choices[0].message.content == "The answer is 42."
    for model, stream in (("openai/gpt-4o", False), ("gpt-4o", True)):
        result = llm_wrapper.chat_completion_sync(
            MESSAGES, model=model, provider="litellm", stream=stream, client_options=options
        )
        if stream:
            assert len(list(result)) > 3
    assert [(row["provider"], row["model"], row["status"]) for row in rows()] == [
        ("google", "gemini-2.0-flash", "ok"),
        ("openai", "openai/gpt-4o", "ok"),
        ("openai", "gpt-4o", "ok"),
    ]


def test_a_call_inside_a_tracker_block_is_the_blocks(wrapper: LLMWrapper, rows: Any) -> None:
    with llm_tracker.track_llm_call(provider="openai", model="gpt-4o", feature_context="batch") as log:
        result = wrapper.chat_completion_sync(MESSAGES)
    assert result["usage"]["total_tokens"] == 18
    assert result["usage"]["call_id"] == log.id
    (row,) = rows()
    assert (row["tokens_used"], row["feature_context"]) == (18, "batch")


# -- clients ----------------------------------------------------------------------------------------------------------


def test_one_client_for_each_key_options_and_loop(wrapper: LLMWrapper, rows: Any, monkeypatch: Any) -> None:
    made: list[Any] = []
    for name in ("OpenAI", "AsyncOpenAI"):
        cls = getattr(openai, name)
        monkeypatch.setattr(cls, "__init__", _counting(cls.__init__, made))
    httpx = optional("httpx")

    async def ask(**options: Any) -> None:
        await asyncio.gather(*(wrapper.chat_completion(MESSAGES, client_options=options) for _ in range(5)))

    asyncio.run(ask())
    assert len(made) == 1
    asyncio.run(ask())  # another loop
    assert len(made) == 2
    for _ in range(5):
        wrapper.chat_completion_sync(MESSAGES)
    assert len(made) == 3
    for _ in range(3):  # a value that is made anew for each call is the same value
        wrapper.chat_completion_sync(
            MESSAGES, client_options={"timeout": httpx.Timeout(3.0), "default_headers": {"a": "b"}}
        )
    assert len(made) == 4
    with httpx.Client() as mine:
        for _ in range(2):
            wrapper.chat_completion_sync(MESSAGES, client_options={"http_client": mine})
    assert len(made) == 5


def _counting(function: Any, made: list[Any]) -> Any:
    def replaced(*arguments: Any, **keywords: Any) -> None:
        made.append(1)
        function(*arguments, **keywords)

    return replaced


def test_clients_of_a_loop_are_closed_when_it_ends(wrapper: LLMWrapper, rows: Any) -> None:
    kept: list[Any] = []

    async def ask() -> None:
        from llmguard.calls.clients import pool

        await wrapper.chat_completion(MESSAGES)
        clients, _ = pool._by_loop[asyncio.get_running_loop()]
        kept.extend(entry.client for entry in clients.values())

    asyncio.run(ask())
    assert [client.is_closed() for client in kept] == [True]


def test_messages_are_handed_on_as_they_are(wrapper: LLMWrapper, rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop over tools appends to the list while the calls go on."""
    messages = list(MESSAGES)
    seen: list[Any] = []
    completions = openai.resources.chat.completions.Completions
    original = completions.create
    monkeypatch.setattr(completions, "create", lambda self, **given: seen.append(given) or original(self, **given))
    wrapper.chat_completion_sync(messages, extra_body={"x": 1})
    assert seen[0]["messages"] is messages
    assert set(seen[0]) == {"messages", "model", "extra_body"}


# -- beside the calls -------------------------------------------------------------------------------------------------


def test_the_log_names_service_model_tokens_and_duration_and_no_text(
    wrapper: LLMWrapper, rows: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "llmguard")
    wrapper.chat_completion_sync(MESSAGES, service_name="search")
    (line,) = [record.getMessage() for record in caplog.records if "[LLM_WRAPPER]" in record.getMessage()]
    assert line.startswith("[LLM_WRAPPER] service=search model=gpt-4o tokens=18 duration_ms=")
    caplog.clear()
    answer = Answer("sk-secret-0123456789abcdef was refused: What is the answer?", status=401)
    with FakeProvider(answer) as refusing, pytest.raises(openai.AuthenticationError):
        wrapper.chat_completion_sync(MESSAGES, client_options={"base_url": refusing.base_url})
    assert "[LLM_WRAPPER]" in caplog.text
    assert "sk-secret" not in caplog.text
    assert "What is the answer" not in caplog.text


def test_what_a_call_would_cost() -> None:
    found = llm_wrapper.estimate_cost([{"role": "user", "content": "x" * 4000}], "gpt-4o", 500, provider="openai")
    assert found["prompt_tokens"] == 1000
    assert found["total_cost"] == pytest.approx(0.0025 + 0.005)
    assert found["price_status"] == "approximate"
    unknown = llm_wrapper.estimate_cost(MESSAGES, "no-such-model", 500)
    assert (unknown["total_cost"], unknown["price_status"]) == (None, "unknown")


def test_the_first_call_loads_only_the_sdk_that_it_uses(tmp_path: Any) -> None:
    code = """
import sys
from llmguard import llm_wrapper
assert not {"openai", "groq", "anthropic", "litellm", "httpx", "sqlalchemy"} & set(sys.modules), "at the import"
from llmguard.testing import FakeProvider
with FakeProvider() as provider:
    options = {"api_key": "k", "base_url": provider.base_url}
    llm_wrapper.chat_completion_sync([{"role": "user", "content": "x"}], model="m", client_options=options)
print(sorted({"openai", "groq", "anthropic", "litellm"} & set(sys.modules)))
"""
    env = {**os.environ, "LLMGUARD_DISABLED": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout == "['groq']\n", done.stderr


@pytest.mark.full
def test_users_mypy_is_happy(tmp_path: Any) -> None:
    check_types(
        tmp_path,
        """
from llmguard import llm_wrapper

async def ask(stream: bool) -> str:
    result = await llm_wrapper.chat_completion([{"role": "user", "content": "x"}], user_id="u", model="m", top_p=0.5)
    tokens: int = result["usage"]["total_tokens"]
    cost: float | None = result["usage"]["cost"]
    streamed = await llm_wrapper.chat_completion([], model="m", stream=True)
    async for chunk in streamed:
        print(chunk)
    for chunk in llm_wrapper.messages_create_sync([], model="m", max_tokens=5, stream=True):
        print(chunk)
    plain = llm_wrapper.messages_create_sync([], model="m", max_tokens=5, stream=False)
    either = await llm_wrapper.chat_completion([], model="m", stream=stream)
    return f"{tokens} {cost} {plain['usage']['duration_ms']} {either['response']}"
""",
    )


def test_the_doors_that_exist_are_the_real_functions() -> None:
    """The list that the checker goes by names what is there; what is not there yet is not in the package at all."""
    import importlib
    import importlib.util

    from llmguard.doors import DOORS

    found = set()
    for door in DOORS:
        module = next(name for name in door.modules if name.startswith("llmguard."))
        if importlib.util.find_spec(module) is None:
            continue
        loaded = importlib.import_module(module)
        cls = getattr(loaded, door.cls)
        assert all(callable(getattr(cls, method)) for method in door.methods), door
        named = getattr(loaded, door.name)  # an instance, its class, or what gives one
        assert isinstance(named, cls) or named is cls or isinstance(named(), cls)
        assert getattr(importlib.import_module("llmguard"), door.name) is getattr(loaded, door.name)
        found.add(door.name)
    assert {"llm_wrapper", "multi_model_service", "llm_tracker", "get_llm_service", "UnifiedLLMClient"} <= found


# -- the transport ----------------------------------------------------------------------------------------------------


def raw_server(handle: Any) -> tuple[str, Any]:
    """A server on the loopback whose connections a function handles; its base URL, and what ends it."""
    import socket

    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=handle, args=(connection,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    return f"http://127.0.0.1:{server.getsockname()[1]}/v1", server


BODY = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}],
    }
).encode()


def read_request(connection: Any) -> bool:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return False
        data += piece
    return True


def test_a_connection_that_was_closed_while_the_loop_was_busy_is_not_used_again(rows: Any) -> None:
    def handle(connection: Any) -> None:
        while read_request(connection):
            head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            connection.sendall(head % len(BODY) + BODY)
            time.sleep(0.05)
            connection.close()
            return

    url, server = raw_server(handle)
    wrapper = LLMWrapper(provider="openai", client_options={"api_key": "k", "base_url": url, "max_retries": 0})

    async def ask() -> None:
        for _ in range(3):
            await wrapper.chat_completion(MESSAGES, model="m")
            time.sleep(0.15)

    with server:
        asyncio.run(ask())
    assert [row["status"] for row in rows()] == ["ok"] * 3


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"])
def test_a_server_that_goes_away_is_the_same_exception_as_of_the_sdk(sent: bytes, rows: Any) -> None:
    def handle(connection: Any) -> None:
        read_request(connection)
        connection.sendall(sent)
        connection.close()

    url, server = raw_server(handle)
    options = {"api_key": "k", "base_url": url, "max_retries": 0}

    async def bare() -> None:
        async with openai.AsyncOpenAI(**options) as client:
            await client.chat.completions.create(model="m", messages=MESSAGES)

    seen = []
    with server:
        wrapper = LLMWrapper(provider="openai", default_model="m", client_options=options)
        for ask in (bare, lambda: wrapper.chat_completion(MESSAGES)):
            with pytest.raises(openai.APIError) as caught:
                asyncio.run(ask())
            seen.append((type(caught.value), str(caught.value)))
    assert seen[0] == seen[1]
    assert [row["status"] for row in rows()] == ["error"]


def test_loops_and_sockets_are_let_go(wrapper: LLMWrapper, rows: Any) -> None:
    from llmguard.calls.clients import pool

    before = len(pool._by_loop)
    for _ in range(5):
        asyncio.run(wrapper.chat_completion(MESSAGES))
    assert len(pool._by_loop) == before
    for _ in range(5):  # nobody shuts the generators of these down
        loop = asyncio.new_event_loop()
        loop.run_until_complete(wrapper.chat_completion(MESSAGES))
        loop.close()
    assert len(pool._by_loop) <= before + 1


def test_keys_are_told_apart_by_what_they_are(wrapper: LLMWrapper, provider: FakeProvider, rows: Any) -> None:
    class Secret(str):
        def __repr__(self) -> str:
            return "***"

    for key in ("one", "two"):
        wrapper.chat_completion_sync(MESSAGES, client_options={"api_key": Secret(key)})
    assert [request.headers["authorization"] for request in provider.requests] == ["Bearer one", "Bearer two"]


def test_another_provider_never_sees_what_is_openais(
    provider: FakeProvider, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "x-mine: 1")
    monkeypatch.delenv("DEEPSEEK_API_KEY", raising=False)
    for options in ({"api_key": None}, {"default_headers": {"x": "y"}}, {}):
        with pytest.raises(ConfigError, match="DEEPSEEK_API_KEY: is not set"):
            llm_wrapper.chat_completion_sync(
                MESSAGES, model="m", provider="deepseek", client_options={**options, "base_url": provider.base_url}
            )
    monkeypatch.setenv("DEEPSEEK_API_KEY", "k")
    monkeypatch.setenv("DEEPSEEK_BASE_URL", provider.base_url)
    llm_wrapper.chat_completion_sync(MESSAGES, model="m", provider="deepseek", client_options={"base_url": None})
    (request,) = provider.requests
    assert request.headers["authorization"] == "Bearer k"
    assert not {"openai-organization", "x-mine"} & request.headers.keys()


def test_a_clients_own_http_client_is_never_closed(wrapper: LLMWrapper, rows: Any) -> None:
    httpx = optional("httpx")
    mine = httpx.AsyncClient()
    for _ in range(2):
        asyncio.run(wrapper.chat_completion(MESSAGES, client_options={"http_client": mine}))
        assert not mine.is_closed
        asyncio.run(asyncio.sleep(0))
        mine = httpx.AsyncClient()
    with httpx.Client() as synchronous:
        wrapper.chat_completion_sync(MESSAGES, client_options={"http_client": synchronous})
        wrapper.close()
        assert not synchronous.is_closed


def test_a_stream_in_a_block_is_an_estimate_and_called_so(wrapper: LLMWrapper, rows: Any) -> None:
    with llm_tracker.track_llm_call(provider="openai", model="gpt-4o"):
        list(wrapper.chat_completion_sync([{"role": "user", "content": "x" * 400}], stream=True))
    (row,) = rows()
    assert (row["prompt_tokens"], row["usage_source"]) == (100, "estimated")
