"""A ledger in memory, and a wrapper that reaches the fake provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from llmguard import LLMWrapper
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
