"""What failover services of this kind get wrong. Each check fails on a stand-in that has the fault, as it was seen in
use, and passes on ours. The numbers are those of the list of faults."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import Any

import pytest

from llmguard import AllProvidersFailed, LLMConnectionWarmer, UnifiedLLMClient, UnifiedLLMService, get_llm_service
from llmguard.calls.breaker import Rules
from llmguard.calls.service_settings import from_environment
from llmguard.calls.unified import set_llm_service
from llmguard.testing import Answer
from tests.calls.conftest import MESSAGES
from tests.calls.test_unified import Providers, asked, providers, service
from tests.calls.test_warmer import MODELS
from tests.optional import optional
from tests.usage.test_weaknesses import refutes

__all__ = ["providers"]
optional("openai")
optional("groq")


class Name(Enum):
    """Providers as the stand-in names them."""

    AZURE = "azure_openai"
    OPENAI = "openai"
    GROQ = "groq"


class StandIn:
    """A failover service as programs have them: one attribute says who is first, and pings go by it too."""

    def __init__(self, broken: set[str] = frozenset(), fallbacks: str = "openai,groq") -> None:  # type: ignore[assignment]
        self.primary, self.fallbacks, self.broken = "azure_openai", fallbacks.split(","), set(broken)
        self.log: list[str] = []
        self.failures = 0
        self.errors: list[str] = []

    def send(self, name: str) -> str:
        self.log.append(name)
        if name in self.broken:
            self.failures += 1
            raise ConnectionError(name)
        return f"I am {name}."

    def generate(self) -> str:
        order = [Name(self.primary), *(Name(name) for name in self.fallbacks)]  # all names, before the first attempt
        for each in order:
            try:
                return self.send(each.value)
            except Exception as error:  # noqa: BLE001, PERF203
                self.errors.append(str(error))
        raise Exception("All providers failed")

    def ping(self, name: str) -> bool:
        self.primary = name  # the place where everybody looks
        try:
            self.send(self.primary if name == self.primary else name)
        except ConnectionError:
            return False
        self.primary = "azure_openai"
        return True

    def stats(self) -> dict[str, Any]:
        return {"enabled_providers": list(Name), "fallback_count": self.failures}

    async def answer(self) -> dict[str, str]:
        try:
            return {"content": self.generate()}
        except Exception:  # noqa: BLE001
            return {"content": "I apologise, but I am having trouble right now."}


def ours(**changes: Any) -> UnifiedLLMService:
    return service(**changes)


def test_1_2_pings_do_not_change_who_is_first(providers: Providers) -> None:
    for each in providers.values():
        each.answer = MODELS
    providers["openai"].answer = Answer(status=503)
    of = ours()

    def check(first_after: Callable[[], str]) -> None:
        assert first_after() == "azure_openai"

    def stand_in() -> str:
        fake = StandIn(broken={"openai"})
        fake.ping("openai")  # it is down, and stays first
        return fake.primary

    async def pinged() -> None:
        warmer = LLMConnectionWarmer(of)
        for name in ("groq", "openai", "azure_openai", "openai"):
            await warmer.warm_specific_provider(name)

    def mine() -> str:
        asyncio.run(pinged())
        return of.primary_provider

    refutes(check, stand_in)
    check(mine)


def test_3_12_a_ping_reaches_the_provider_that_it_is_for_and_costs_nothing(providers: Providers) -> None:
    for each in providers.values():
        each.answer = MODELS

    def check(reached: list[str], paid: int) -> None:
        assert set(reached) == {"groq"}
        assert paid == 0

    refutes(check, ["azure_openai"], 1)  # by way of the primary, as a generation
    assert asyncio.run(LLMConnectionWarmer(ours()).warm_specific_provider("groq"))
    check(list(asked(providers)), sum(r.method == "POST" for each in providers.values() for r in each.requests))


@pytest.mark.parametrize("fallbacks", ["", "openai, groq"])
def test_4_blanks_and_an_empty_list_break_nothing(
    fallbacks: str, providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(ask: Callable[[], str]) -> None:
        assert ask() == "I am azure_openai."

    refutes(check, StandIn(fallbacks=fallbacks).generate)
    monkeypatch.setenv("LLM_FALLBACK_PROVIDERS", fallbacks)
    check(lambda: UnifiedLLMService(from_environment()).generate_response(MESSAGES).content)


def test_5_a_synchronous_question_inside_a_loop_is_answered(providers: Providers) -> None:
    def check(ask: Callable[[], str]) -> None:
        async def inside() -> str:
            return ask()

        assert asyncio.run(inside()) == "I am azure_openai."

    async def answered() -> str:
        return "I am azure_openai."

    def stand_in() -> str:
        coroutine = answered()
        try:
            return asyncio.new_event_loop().run_until_complete(coroutine)
        finally:
            coroutine.close()

    refutes(check, stand_in)
    check(lambda: ours().generate_response(MESSAGES).content)


def test_6_a_fallback_is_an_answer_by_another_one(providers: Providers) -> None:
    for each in providers.values():
        each.answer = Answer(status=503)
    of, fake = ours(), StandIn(broken={"azure_openai", "openai", "groq"})

    def check(ask: Callable[[], Any], count: Callable[[], int]) -> None:
        with pytest.raises(Exception, match=r"(?i)all providers failed"):
            ask()
        assert count() == 0

    refutes(check, fake.generate, lambda: fake.failures)
    check(lambda: of.generate_response(MESSAGES), lambda: of.stats["fallback_count"])


def test_7_a_failure_is_no_answer(providers: Providers) -> None:
    for each in providers.values():
        each.answer = Answer(status=503)

    def check(ask: Callable[[], Any]) -> None:
        said: Any = None
        try:
            said = ask()
        except AllProvidersFailed:
            return
        raise AssertionError(f"a failure that looks like an answer: {said}")

    fake = StandIn(broken={"azure_openai", "openai", "groq"})
    refutes(check, lambda: asyncio.run(fake.answer()))
    check(lambda: asyncio.run(UnifiedLLMClient(service=ours()).generate_response(MESSAGES)))


def test_8_statistics_are_json(providers: Providers) -> None:
    def check(stats: dict[str, Any]) -> None:
        assert json.loads(json.dumps(stats))

    refutes(check, StandIn().stats())
    check(ours().get_stats())


def test_9_tools_survive_a_failover(providers: Providers) -> None:
    providers["azure_openai"].answer = providers["openai"].answer = Answer(status=503)
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]

    def check(sent: dict[str, Any]) -> None:
        assert (sent["tools"], sent["tool_choice"], sent["seed"]) == (tools, "required", 7)
        assert "functions" not in sent

    refutes(check, {"messages": MESSAGES, "functions": [tools[0]["function"]], "function_call": "auto"})
    ours().generate_response(MESSAGES, tools=tools, tool_choice="required", seed=7)
    check(providers["groq"].requests[0].body)


def test_14_statistics_are_exact_whoever_asks(providers: Providers) -> None:
    of = ours()

    def check(counted: int) -> None:
        assert counted == 64

    unlocked = {"count": 0}

    def one_more() -> None:
        seen = unlocked["count"]
        time.sleep(0.001)  # another thread's turn
        unlocked["count"] = seen + 1

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda _: one_more(), range(64)))
        list(threads.map(lambda _: of.generate_response(MESSAGES), range(64)))
    refutes(check, unlocked["count"])
    check(of.stats["requests_by_provider"]["azure_openai"])
    check(len(providers["azure_openai"].requests))


def test_10_who_is_dead_is_not_asked_first_every_time(providers: Providers) -> None:
    providers["azure_openai"].answer = Answer(status=503)
    of, fake = ours(rules=Rules(in_a_row=3, pause=60)), StandIn(broken={"azure_openai"})

    def check(ask: Callable[[], Any], tries: Callable[[], int]) -> None:
        for _ in range(20):
            ask()
        assert tries() == 3

    refutes(check, fake.generate, lambda: fake.log.count("azure_openai"))
    check(lambda: of.generate_response(MESSAGES), lambda: len(providers["azure_openai"].requests))


def test_11_a_bad_question_is_asked_once_and_its_error_comes_through(providers: Providers) -> None:
    providers["azure_openai"].answer = Answer(status=400)

    def check(ask: Callable[[], Any], others: Callable[[], int]) -> None:
        with pytest.raises(Exception, match=r".") as raised:
            ask()
        assert getattr(raised.value, "status_code", None) == 400
        assert others() == 0

    fake = StandIn(broken={"azure_openai", "openai", "groq"})
    refutes(check, fake.generate, lambda: len(fake.log) - 1)
    of = ours()
    check(lambda: of.generate_response(MESSAGES), lambda: len(asked(providers)) - 1)


def test_13_loops_do_not_share_clients(providers: Providers) -> None:
    of = ours()
    for _ in range(3):
        assert asyncio.run(of.generate_response_async(MESSAGES)).content == "I am azure_openai."


def test_15_usage_has_one_shape(providers: Providers) -> None:
    def check(shapes: list[Any]) -> None:
        assert len({tuple(sorted(each)) for each in shapes}) == 1

    refutes(check, [{"prompt_tokens": 1, "completion_tokens": 1}, {"input_tokens": 1, "output_tokens": 1}])
    found = []
    for name in ("azure_openai", "openai", "groq"):
        of = ours(primary=name, fallbacks=())
        found.append(of.generate_response(MESSAGES).usage)
    check(found)


def test_16_who_cannot_be_reached_is_not_available(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AZURE_OPENAI_ENDPOINT")

    def check(available: list[str]) -> None:
        assert "azure_openai" not in available

    refutes(check, ["azure_openai"])  # a key was there
    check(ours().get_available_providers())
    assert ours().generate_response(MESSAGES).provider == "openai"


def test_17_the_service_of_a_process_can_be_another_one(providers: Providers) -> None:
    mine = ours(primary="groq", fallbacks=())
    set_llm_service(mine)
    assert get_llm_service() is mine
    set_llm_service(None)
    assert get_llm_service() is not mine


def test_18_health_looks_at_failures_and_at_what_is_served(providers: Providers) -> None:
    providers["openai"].answer = Answer(status=503)
    of = ours()
    of.generate_response(MESSAGES)  # azure serves, and was never pinged
    warmer = LLMConnectionWarmer(of)

    def check(serving: str, broken: str) -> None:
        assert (serving, broken) == ("healthy", "failing")

    refutes(check, "stale", "healthy")
    asyncio.run(warmer.warm_specific_provider("openai"))
    health = warmer.get_provider_health()
    check(health["azure_openai"]["status"], health["openai"]["status"])
