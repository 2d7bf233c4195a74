"""The connection warmer pings each provider itself, costs nothing, and changes nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from llmguard import LLMConnectionWarmer, UnifiedLLMService, get_llm_warmer
from llmguard.calls.service_settings import ServiceSettings
from llmguard.calls.unified import set_llm_service
from llmguard.calls.warmer import llm_lifespan
from llmguard.testing import Answer, FakeProvider
from tests.calls.conftest import MESSAGES
from tests.optional import optional

optional("openai")
optional("groq")
MODELS = Answer(body=b'{"object": "list", "data": []}')


def service(**changes: Any) -> UnifiedLLMService:
    settings = ServiceSettings("openai", ("groq",), pool_size=2, attempt_timeout=5, keep_alive_interval=0.05)
    return UnifiedLLMService(settings._replace(**changes))


def methods(provider: FakeProvider) -> list[str]:
    return [request.method for request in provider.requests]


def test_each_provider_is_pinged_through_its_own_clients_and_nothing_is_paid(
    pair: tuple[FakeProvider, FakeProvider], rows: Any
) -> None:
    first, second = pair
    first.answer = second.answer = MODELS
    of = service()
    assert asyncio.run(of.warm_connections()) == {"openai": True, "groq": True}
    for provider in pair:
        assert methods(provider) == ["GET", "GET"]
        assert all(request.path.endswith("/models") for request in provider.requests)
    assert rows() == []
    assert of.stats["requests_by_provider"] == {}

    async def one() -> bool:
        return await LLMConnectionWarmer(of).warm_specific_provider("groq")

    assert asyncio.run(one())
    assert (len(first.requests), len(second.requests)) == (2, 4)


def test_it_keeps_on_and_never_changes_who_is_asked(pair: tuple[FakeProvider, FakeProvider]) -> None:
    first, second = pair
    of = service()

    async def work() -> dict[str, Any]:
        first.answer = second.answer = MODELS
        warmer = LLMConnectionWarmer(of)
        await warmer.start()
        await warmer.start()  # once
        await asyncio.sleep(0.5)
        first.answer = second.answer = Answer()
        for _ in range(20):
            assert of.primary_provider == "openai"
            assert (await of.generate_response_async(MESSAGES)).provider == "openai"
        await asyncio.sleep(0.12)
        assert warmer.running
        stats = warmer.get_stats()
        await warmer.stop()
        await warmer.stop()
        assert not warmer.running
        await asyncio.sleep(0.1)  # what was on its way arrives
        asked = len(first.requests)
        await asyncio.sleep(0.15)
        assert len(first.requests) == asked
        return stats

    stats = asyncio.run(work())
    assert stats.keys() == {"enabled", "running", "stats", "config"}
    assert stats["stats"].keys() == {"providers_warmed", "last_keep_alive", "total_keep_alive_pings", "errors"}
    assert stats["stats"]["total_keep_alive_pings"] >= 4
    assert stats["stats"]["providers_warmed"]["openai"].keys() == {"warmed", "last_ping", "ping_count", "failures"}
    assert stats["config"] == {"keep_alive_interval": 0.05, "warm_on_startup": True}
    assert json.dumps(stats)
    assert methods(first).count("POST") == 20
    assert methods(second).count("POST") == 0


def test_health_tells_failures(pair: tuple[FakeProvider, FakeProvider]) -> None:
    first, second = pair
    first.answer, second.answer = Answer(status=503), MODELS
    of = service(keep_alive_interval=30)

    async def work() -> tuple[dict[str, Any], LLMConnectionWarmer]:
        warmer = LLMConnectionWarmer(of)
        assert warmer.get_provider_health()["openai"]["status"] == "stale"
        for _ in range(3):
            await warmer.warm_specific_provider("openai")
            await warmer.warm_specific_provider("groq")
        return warmer.get_provider_health(), warmer

    health, warmer = asyncio.run(work())
    assert health["openai"].keys() == {
        *("status", "last_ping", "seconds_since_ping", "total_pings", "failures", "failure_rate"),
    }
    assert (health["openai"]["status"], health["openai"]["failure_rate"]) == ("failing", 1.0)
    assert (health["groq"]["status"], health["groq"]["failures"]) == ("healthy", 0)
    error = warmer.get_stats()["stats"]["errors"][0]
    assert error.keys() == {"provider", "error", "time", "operation"}
    first.answer = Answer()
    of.generate_response(MESSAGES)
    assert warmer.get_provider_health()["openai"]["status"] == "healthy"  # it serves


def test_a_hanging_ping_ends_and_errors_are_bounded(pair: tuple[FakeProvider, FakeProvider]) -> None:
    first, _ = pair
    first.answer = Answer(delay=3)
    of = service(attempt_timeout=0.05)

    async def work() -> LLMConnectionWarmer:
        warmer = LLMConnectionWarmer(of)
        assert not await warmer.warm_specific_provider("openai")
        assert not await warmer.warm_specific_provider("nobody")
        assert not await warmer.warm_specific_provider("anthropic")  # no key
        for _ in range(150):
            await warmer.warm_specific_provider("nobody")
        return warmer

    assert len(asyncio.run(work()).get_stats()["stats"]["errors"]) == 100


def test_a_paid_ping_is_on_the_books_and_only_when_asked_for(
    pair: tuple[FakeProvider, FakeProvider], rows: Any
) -> None:
    async def work() -> bool:
        return await LLMConnectionWarmer(service(), generate=True).warm_specific_provider("openai")

    assert asyncio.run(work())
    assert pair[0].requests[0].body["max_tokens"] == 1
    (row,) = rows()
    assert row["service_name"] == "llm_warmer"


def test_it_does_nothing_when_it_is_switched_off(pair: tuple[FakeProvider, FakeProvider]) -> None:
    async def work() -> None:
        warmer = LLMConnectionWarmer(service(enable_warming=False))
        await warmer.start()
        assert not warmer.running

    asyncio.run(work())
    assert pair[0].requests == []


def test_an_application_starts_and_stops_it(pair: tuple[FakeProvider, FakeProvider]) -> None:
    pair[0].answer = pair[1].answer = MODELS
    set_llm_service(service())

    async def work() -> None:
        async with llm_lifespan(None):
            warmer = await get_llm_warmer()
            assert warmer is await get_llm_warmer()
            assert warmer.running
        assert not warmer.running

    asyncio.run(work())
    asyncio.run(work())  # another loop
    assert len(pair[0].requests) >= 4
