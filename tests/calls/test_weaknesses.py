"""What wrappers of this kind get wrong. Each check fails on a small stand-in that has the weakness, and passes on ours.

Not here: 4 and 12 are the ledger's (`tests/usage`), limits that refuse come with the limits.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from llmguard import LLMWrapper
from llmguard.testing import Answer, FakeProvider, memory_ledger
from tests.calls.conftest import MESSAGES
from tests.command import ROOT
from tests.optional import optional

openai = optional("openai")
Rows = list[dict[str, Any]]


class StandIn:
    """A wrapper as programs have them: a blocking SDK in an asynchronous method, and a list for a table."""

    def __init__(self, options: dict[str, Any], rows: Rows) -> None:
        self.client = openai.OpenAI(**options)
        self.rows = rows

    async def chat_completion(
        self,
        messages: Any,
        user_id: Any,
        service_name: str,
        model: str = "m",
        temperature: float = 0.7,
        max_tokens: int = 2000,
        metadata: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        noted = {"service": service_name, **(metadata or {})}
        try:
            response = self.client.chat.completions.create(model=model, messages=messages, temperature=temperature)
        except Exception as error:
            if user_id != "anonymous":
                row = {"status_code": 500, "duration_ms": 0, "metadata": noted, "error_message": str(error)}
                self.rows.append({"user_id": user_id, **row})
            raise
        if user_id != "anonymous":  # a foreign key refuses it, and the error is swallowed
            self.rows.append({"user_id": user_id, "status_code": 200, "metadata": noted, "max_tokens": max_tokens})
        return {"response": response, "usage": {"total_tokens": response.usage.total_tokens}}


Check = Callable[[Any, FakeProvider, Callable[[], Rows]], None]


def at_once(wrapper: Any, provider: FakeProvider, rows: Callable[[], Rows]) -> None:
    """1: four calls of 0.2 s take 0.2 s."""
    provider.answer = Answer(delay=0.2)

    async def ask() -> float:
        await wrapper.chat_completion(MESSAGES, "u", "s", "m")  # the client is made here
        before = time.perf_counter()
        await asyncio.gather(*(wrapper.chat_completion(MESSAGES, "u", "s", "m") for _ in range(4)))
        return time.perf_counter() - before

    assert asyncio.run(ask()) < 0.7


def sends_max_tokens(wrapper: Any, provider: FakeProvider, rows: Callable[[], Rows]) -> None:
    """2: what is given is sent."""
    asyncio.run(wrapper.chat_completion(MESSAGES, "u", "s", "m", max_tokens=77))
    assert provider.requests[-1].body["max_tokens"] == 77


def sends_nothing_else(wrapper: Any, provider: FakeProvider, rows: Callable[[], Rows]) -> None:
    """2: what is not given is not."""
    asyncio.run(wrapper.chat_completion(MESSAGES, "u", "s", "m"))
    assert set(provider.requests[-1].body) == {"messages", "model"}


def any_user(wrapper: Any, provider: FakeProvider, rows: Callable[[], Rows]) -> None:
    """3: a call without a real user has its row."""
    asyncio.run(wrapper.chat_completion(MESSAGES, "anonymous", "s", "m"))
    asyncio.run(wrapper.chat_completion(MESSAGES, None, "s", "m"))
    assert [row.get("user_id") for row in rows()] == ["anonymous", None]


def attribution(wrapper: Any, provider: FakeProvider, rows: Callable[[], Rows]) -> None:
    """5: the caller's metadata does not say whose cost it is."""
    asyncio.run(wrapper.chat_completion(MESSAGES, "u", "search", "m", metadata={"service": "other", "k": 1}))
    assert rows()[0]["metadata"] == {"service": "search", "k": 1}


def true_status(wrapper: Any, provider: FakeProvider, rows: Callable[[], Rows]) -> None:
    """6: a failure has its own status and duration."""
    provider.answer = Answer("no", status=429, delay=0.05)
    with pytest.raises(openai.RateLimitError):
        asyncio.run(wrapper.chat_completion(MESSAGES, "u", "s", "m"))
    (row,) = rows()
    assert row["status_code"] == 429
    assert row["duration_ms"] >= 50


def cancellation(wrapper: Any, provider: FakeProvider, rows: Callable[[], Rows]) -> None:
    """7: a client that goes away leaves a row."""
    provider.answer = Answer(delay=0.5)

    async def ask() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(wrapper.chat_completion(MESSAGES, "u", "s", "m"), 0.1)

    asyncio.run(ask())
    assert [row["status"] for row in rows()] == ["cancelled"]


def everything_else(wrapper: Any, provider: FakeProvider, rows: Callable[[], Rows]) -> None:
    """8: streams, tools, formats, timeouts."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
    asyncio.run(wrapper.chat_completion(MESSAGES, "u", "s", "m", tools=[tool], timeout=5, seed=1, top_p=0.5))
    assert {"tools", "seed", "top_p"} <= set(provider.requests[-1].body)


def no_secrets(wrapper: Any, provider: FakeProvider, rows: Callable[[], Rows]) -> None:
    """9: a key in the text of an error does not get into the row."""
    provider.answer = Answer("invalid key sk-abcdefghijklmnopqrstuvwx", status=401)
    with pytest.raises(openai.AuthenticationError):
        asyncio.run(wrapper.chat_completion(MESSAGES, "u", "s", "m"))
    assert "abcdefghijkl" not in str(rows())


def has_a_cost(wrapper: Any, provider: FakeProvider, rows: Callable[[], Rows]) -> None:
    """11: a call has its cost."""
    result = asyncio.run(wrapper.chat_completion(MESSAGES, "u", "s", "gpt-4o"))
    assert result["usage"]["cost"] == pytest.approx(0.0000975)


def details(wrapper: Any, provider: FakeProvider, rows: Callable[[], Rows]) -> None:
    """13: who answered, the answer's identifier, cached and reasoning tokens are kept."""
    usage = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
    usage |= {"prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 3}}
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    body = {"id": "c-1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    import json

    provider.answer = Answer(body=json.dumps(body).encode())
    asyncio.run(wrapper.chat_completion(MESSAGES, "u", "s", "m"))
    (row,) = rows()
    assert (row["provider"], row["provider_response_id"]) == ("openai", "c-1")
    assert (row["cache_read_tokens"], row["reasoning_tokens"]) == (5, 3)


CHECKS: list[Check] = [
    *(at_once, sends_max_tokens, sends_nothing_else, any_user, attribution, true_status, cancellation),
    *(everything_else, no_secrets, has_a_cost, details),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_ours_has_it_and_the_check_can_fail(check: Check) -> None:
    with FakeProvider() as provider, memory_ledger() as ledger:
        options = {"api_key": "k", "base_url": provider.base_url, "max_retries": 0}
        check(LLMWrapper(provider="openai", client_options=options), provider, lambda: ledger.rows)
    rows: Rows = []
    with FakeProvider() as provider:
        options = {"api_key": "k", "base_url": provider.base_url, "max_retries": 0}
        with pytest.raises((AssertionError, TypeError, KeyError, pytest.fail.Exception)):
            check(StandIn(options, rows), provider, lambda: rows)


_AT_IMPORT = """
import openai
class Wrapper:
    def __init__(self):
        self.client = openai.OpenAI()
llm_wrapper = Wrapper()
"""


def test_a_missing_key_does_not_break_the_import() -> None:
    """8: nor does anything else that the environment lacks."""

    def imports(code: str) -> bool:
        done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={"PATH": ""}, capture_output=True)
        return done.returncode == 0

    assert imports("from llmguard import llm_wrapper, LLMWrapper; LLMWrapper()")
    assert not imports(_AT_IMPORT)


def test_the_call_path_makes_no_database_round_trip() -> None:
    """10: with a database that hangs, a call takes no longer."""
    import socket

    from llmguard.usage.recorder import Recorder, replace
    from llmguard.usage.settings import UsageSettings

    with socket.create_server(("127.0.0.1", 0)) as hung, FakeProvider() as provider:
        import tempfile

        with tempfile.TemporaryDirectory() as spool:
            url = f"postgresql://u@127.0.0.1:{hung.getsockname()[1]}/x"
            recording = Recorder(UsageSettings(url, spool_dir=spool))
            before = replace(recording)
            try:
                options = {"api_key": "k", "base_url": provider.base_url}
                wrapper = LLMWrapper(provider="openai", default_model="m", client_options=options)
                wrapper.chat_completion_sync(MESSAGES)
                started = time.perf_counter()
                for _ in range(10):
                    wrapper.chat_completion_sync(MESSAGES)
                assert time.perf_counter() - started < 1.0
            finally:
                replace(before)
                recording.spool.close()
