"""For whom a call is: what the request itself says, LiteLLM's metadata, and what is said once for all of its calls."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from unittest import mock

import pytest

from llmguard import llm_tracker, llm_wrapper, setup_litellm_tracking, track
from llmguard.testing import FakeProvider, MemoryLedger, memory_ledger
from llmguard.usage import clients, litellm_calls
from llmguard.usage.call import user_of
from tests.optional import optional
from tests.usage.recorded import ended

M = [{"role": "user", "content": "x"}]


@pytest.fixture
def ledger() -> Iterator[MemoryLedger]:
    with memory_ledger() as found:
        yield found
    llm_tracker.set_request_context()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider() as found:
        yield found


def test_what_the_request_says_wins(ledger: MemoryLedger, provider: FakeProvider) -> None:
    openai, anthropic = optional("openai"), optional("anthropic")
    llm_tracker.set_request_context(user_id="of the request")
    client = track(openai.OpenAI(base_url=provider.base_url, api_key="k"), user_id="of the client")
    client.chat.completions.create(model="m", messages=M)
    client.chat.completions.create(model="m", messages=M, user="of the call")
    client.responses.create(model="m", input="x", safety_identifier="of the response")
    asked: dict[str, Any] = {"model": "m", "messages": M, "max_tokens": 9, "metadata": {"user_id": "of the message"}}
    track(anthropic.Anthropic(base_url=provider.url, api_key="k")).messages.create(**asked)
    options = {"base_url": provider.base_url, "api_key": "k"}
    more: dict[str, Any] = {"model": "m", "provider": "openai", "client_options": options}
    llm_wrapper.chat_completion_sync(M, user="of the wrapper's call", **more)
    llm_wrapper.chat_completion_sync(M, user_id="named", user="of the provider", **more)
    assert [row["user_id"] for row in ledger.rows] == [
        "of the request",
        "of the call",
        "of the response",
        "of the message",
        "of the wrapper's call",
        "named",
    ]


@pytest.mark.parametrize("request_", [None, "x", [], {"user": 7}, {"metadata": "x"}, {"metadata": {"user_id": None}}])
def test_what_names_nobody_names_nobody(request_: Any) -> None:
    assert user_of(request_) is None


def test_litellm(ledger: MemoryLedger, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    litellm = optional("litellm")
    monkeypatch.setattr(litellm_calls, "DEFAULTS", {})
    setup_litellm_tracking(service_name="all", user_id="anybody")
    litellm_calls.DEFAULTS.update(service_name="all", user_id="anybody")
    asked: dict[str, Any] = {"model": "openai/m", "messages": M, "api_key": "k", "api_base": provider.base_url}
    litellm.completion(**asked)
    litellm.completion(user="ann", **asked)
    metadata = {"user_id": "bob", "service_name": "voice", "tags": ["a", 1], "ticket": 7}
    litellm.completion(metadata=metadata, user="ann", **asked)
    found = [(row["service_name"], row["user_id"]) for row in ended(ledger, 3)]
    assert found == [("all", "anybody"), ("all", "ann"), ("voice", "bob")]
    assert ledger.rows[2]["metadata"] == {"source": "litellm_callback", "tags": ["a", "1"], "ticket": 7}


def test_an_unknown_client_is_said_once(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    class Strange:
        pass

    monkeypatch.setattr(clients, "_said", set())
    caplog.set_level(logging.WARNING)
    for each in (Strange(), Strange(), mock.MagicMock(), mock.Mock()):
        assert track(each) is each
    assert [record.getMessage().partition(" ")[0].rpartition(".")[2] for record in caplog.records] == ["Strange"]


def test_threads_know_the_request_after_carry_into_threads(ledger: MemoryLedger) -> None:
    import subprocess
    import sys

    from tests.command import ROOT

    program = """
import asyncio, sys, threading
from concurrent.futures import ThreadPoolExecutor
from llmguard import llm_tracker
from llmguard.testing import memory_ledger
from llmguard.usage.context import carry_into_threads
if "carry" in sys.argv:
    carry_into_threads(); carry_into_threads()
def call():
    with llm_tracker.track_llm_call("p", "m"):
        pass
async def work():
    await asyncio.to_thread(call)
    await asyncio.get_running_loop().run_in_executor(None, call)
with memory_ledger() as ledger:
    llm_tracker.set_request_context(user_id="u")
    with ThreadPoolExecutor(1) as pool:
        pool.submit(call).result()
        list(pool.map(lambda _: call(), [1]))
    thread = threading.Thread(target=call); thread.start(); thread.join()
    class Own(threading.Thread):
        def run(self): call()
    own = Own(); own.start(); own.join()
    asyncio.run(work())
    print([row.get("user_id") for row in ledger.rows])
"""
    for argument, expected in (("", [None] * 4 + ["u", None]), ("carry", ["u"] * 6)):
        command = [sys.executable, "-c", program, argument]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (done.stdout, done.stderr) == (f"{expected}\n", "")
