"""A ledger in memory, and a wrapper that reaches the fake provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmguard import LLMWrapper
from llmguard.calls.unified import set_llm_service
from llmguard.testing import FakeProvider, memory_ledger

MESSAGES: list[dict[str, Any]] = [{"role": "user", "content": "What is the answer?"}]


@pytest.fixture
def rows() -> Iterator[Any]:
    """The rows of this test, when called."""
    with memory_ledger() as ledger:
        yield lambda: ledger.rows


@pytest.fixture
def wrapper(provider: FakeProvider) -> LLMWrapper:
    """Asks the fake provider, as OpenAI."""
    options = {"api_key": "k", "base_url": provider.base_url, "max_retries": 0}
    return LLMWrapper(provider="openai", default_model="gpt-4o", client_options=options)


@pytest.fixture
def pair(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[FakeProvider, FakeProvider]]:
    """OpenAI and Groq on the loopback, each with a key; the service of the process is forgotten afterwards."""
    with FakeProvider() as first, FakeProvider() as second:
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        monkeypatch.setenv("OPENAI_BASE_URL", first.base_url)
        monkeypatch.setenv("GROQ_API_KEY", "k")
        monkeypatch.setenv("GROQ_BASE_URL", second.url)
        yield first, second
    set_llm_service(None)
