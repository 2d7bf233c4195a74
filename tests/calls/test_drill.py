"""A drill: a thousand questions at once to providers that die, dawdle, refuse, answer nonsense and come back, while
their connections are kept alive; judged by what the providers themselves have seen."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from llmguard import LLMConnectionWarmer, UnifiedLLMService
from llmguard.calls.breaker import Rules
from llmguard.calls.service_settings import ServiceSettings
from llmguard.testing import Answer, FakeProvider
from tests.calls.conftest import MESSAGES
from tests.optional import optional

optional("openai")
optional("groq")
PHASE, AT_ONCE = 200, 32
RULES = Rules(in_a_row=5, pause=0.5, longest=0.5)


@pytest.mark.full
def test_a_thousand_questions_while_providers_fail_and_come_back(
    pair: tuple[FakeProvider, FakeProvider], rows: Any
) -> None:
    first, second = pair
    of = UnifiedLLMService(
        ServiceSettings("openai", ("groq",), attempt_timeout=2.0, rules=RULES, keep_alive_interval=0.05)
    )
    seen: list[tuple[int, int]] = []

    async def phase() -> Counter[str]:
        """Ask so often; who has answered, and how often each was asked."""
        before = asked(first), asked(second)
        gate = asyncio.Semaphore(AT_ONCE)

        async def ask() -> str:
            async with gate:
                return (await of.generate_response_async(MESSAGES)).provider

        answered = Counter(await asyncio.gather(*(ask() for _ in range(PHASE))))
        seen.append((asked(first) - before[0], asked(second) - before[1]))
        return answered

    async def drill() -> None:
        warmer = LLMConnectionWarmer(of)
        await warmer.start()
        await phases()
        assert warmer.running
        await warmer.stop()

    async def phases() -> None:
        assert await phase() == {"openai": PHASE}
        for broken in (
            Answer(status=503),
            Answer(delay=6.0),
            Answer(status=429, headers=(("retry-after", "0.5"),)),
            Answer(body=b"nonsense"),
        ):
            first.answer = broken
            assert await phase() == {"groq": PHASE}
            # Those that were on their way when it opened, and one for each pause since.
            assert RULES.in_a_row <= seen[-1][0] <= 2 * AT_ONCE + 20 or broken.headers
            assert 1 <= seen[-1][0] <= 2 * AT_ONCE + 20
            assert seen[-1][1] == PHASE
            assert of.stats["breakers"]["openai/gpt-4"]["state"] != "closed"
            first.answer = Answer()
            await asyncio.sleep(0.6)
            assert (await of.generate_response_async(MESSAGES)).provider == "openai"  # the one that is let through
            assert of.stats["breakers"]["openai/gpt-4"]["state"] == "closed"
            assert await phase() == {"openai": PHASE}

    asyncio.run(drill())
    stats = of.stats
    assert stats["requests_by_provider"] == {"openai": asked(first), "groq": asked(second)}
    assert stats["fallback_count"] == asked(second)
    assert len(second.requests) > asked(second)  # it was kept alive
    assert stats["errors_by_provider"] == {
        "openai": stats["requests_by_provider"]["openai"] - answered_by(rows(), "openai")
    }
    questions: dict[str, list[int]] = {}
    for row in rows():
        questions.setdefault(row["call_id"], []).append(row["attempt_no"])
    assert len(questions) == 9 * PHASE + 4  # none is lost, each has its attempts
    assert all(sorted(each) == list(range(len(each))) for each in questions.values())
    assert len(rows()) == asked(first) + asked(second)


def asked(provider: FakeProvider) -> int:
    """Questions that a provider has seen; pings are no questions."""
    return sum(request.method == "POST" for request in provider.requests)


def answered_by(rows: list[dict[str, Any]], provider: str) -> int:
    """Questions that a provider has answered: their last attempt is one of its."""
    last: dict[str, dict[str, Any]] = {}
    for row in rows:
        if row["call_id"] not in last or row["attempt_no"] > last[row["call_id"]]["attempt_no"]:
            last[row["call_id"]] = row
    return sum(row["provider"] == provider for row in last.values())
