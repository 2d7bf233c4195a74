"""HTTP by hand in a block: who was asked, for which model, and how it ended, is read from the exchange."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

import pytest

from llmguard import llm_tracker
from llmguard.testing import Answer, FakeProvider, MemoryLedger, memory_ledger
from llmguard.usage.plain_http import asked
from tests.optional import optional

ASKED = {"model": "gpt-4o", "messages": [{"role": "user", "content": "a secret question of many letters"}]}


@pytest.fixture
def ledger() -> Any:
    with memory_ledger() as kept:
        yield kept


def test_the_model_is_that_of_the_payload(ledger: MemoryLedger) -> None:
    httpx = optional("httpx")
    with FakeProvider() as provider, llm_tracker.track_llm_call(provider="openai") as usage_log:
        usage_log.response = httpx.post(f"{provider.base_url}/chat/completions", json=ASKED)
    (row,) = ledger.rows
    told = (row["provider"], row["model"], row["status"], row["status_code"], row["endpoint"])
    assert told == ("openai", "gpt-4o", "ok", 200, "/v1/chat/completions")
    assert row["total_cost"] is not None


@pytest.mark.parametrize("status", [400, 429, 500])
def test_a_refusal_is_an_error_on_the_books(ledger: MemoryLedger, status: int) -> None:
    httpx = optional("httpx")
    answer = Answer(status=status, text=f"no: {ASKED['messages'][0]['content']}")  # type: ignore[index]
    with FakeProvider(answer) as provider, llm_tracker.track_llm_call(provider="openai") as usage_log:
        usage_log.response = httpx.post(f"{provider.base_url}/chat/completions", json=ASKED)
    (row,) = ledger.rows
    assert (row["status"], row["status_code"], row["error_type"]) == ("error", status, "HTTPStatusError")
    assert "secret" not in row["error_message"]
    assert row["tokens_used"] is None


def test_the_provider_is_that_of_the_url() -> None:
    httpx = optional("httpx")
    request = httpx.Request("POST", "https://api.groq.com/openai/v1/chat/completions", json={"model": "llama"})
    response = httpx.Response(200, request=request)
    assert asked(response) == {"provider": "groq", "endpoint": "/openai/v1/chat/completions", "model": "llama"}


def test_a_response_without_its_request_says_nothing() -> None:
    httpx = optional("httpx")
    assert asked(httpx.Response(200)) == {}
    with FakeProvider() as provider:
        request = urllib.request.Request(f"{provider.base_url}/chat/completions", json.dumps(ASKED).encode())
        request.add_header("content-type", "application/json")
        with urllib.request.urlopen(request) as response:
            assert asked(response) == {"endpoint": "/v1/chat/completions"}
