"""Answers that are given again: what is the same question, who waits for whom, and what the ledger says."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import Any

import httpx
import pytest

from llmguard import BudgetExceeded, LLMWrapper, UnifiedLLMService, budget, llm_usage_tracker, llm_wrapper, track
from llmguard.calls.cache import MemoryCache
from llmguard.calls.process_cache import get_llm_cache, set_llm_cache
from llmguard.calls.service_settings import CacheLimits, cache_from_environment, from_environment
from llmguard.errors import ConfigError, UsageError
from llmguard.testing import Answer, FakeProvider, memory_ledger
from tests.calls.conftest import MESSAGES
from tests.optional import optional

openai = optional("openai")
optional("groq")
optional("anthropic")


@pytest.fixture
def cache() -> MemoryCache:
    return MemoryCache()


def cached(provider: FakeProvider, cache: Any = True, **options: Any) -> LLMWrapper:
    """A wrapper that asks the fake provider as OpenAI, through a cache."""
    given = {"api_key": "k", "base_url": provider.base_url, "max_retries": 0, **options}
    return LLMWrapper(provider="openai", default_model="gpt-4o", client_options=given, cache=cache)


def test_the_second_time_nobody_is_asked(provider: FakeProvider, rows: Any, cache: MemoryCache) -> None:
    wrapper = cached(provider, cache)
    first = wrapper.chat_completion_sync(MESSAGES, "ann", "search")
    again = asyncio.run(wrapper.chat_completion(MESSAGES, "bob", "chat"))
    assert len(provider.requests) == 1
    assert again["response"] == first["response"]
    assert type(again["response"]) is type(first["response"])
    assert again["response"] is not first["response"]
    assert again["response"]._request_id == first["response"]._request_id
    assert again["usage"] == {
        **dict.fromkeys(("total_tokens", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"), 0),
        "duration_ms": again["usage"]["duration_ms"],
        "cost": 0.0,
        "usage_source": "cache",
        "call_id": again["usage"]["call_id"],
    }
    paid, hit = rows()
    assert (hit["user_id"], hit["service_name"], hit["status"], hit["provider"]) == ("bob", "chat", "ok", "openai")
    assert (hit["tokens_used"], hit["prompt_tokens"], hit["completion_tokens"]) == (0, 0, 0)
    assert (hit["total_cost"], hit["price_status"], hit["usage_source"]) == (0, "given", "cache")
    assert hit["usage_details"] == {"saved_tokens": 18, "saved_cost": str(paid["total_cost"])}
    assert hit["metadata"] == {"service": "chat", "cache_hit": True, "cached_call_id": paid["call_id"]}
    assert hit["call_id"] == again["usage"]["call_id"] != paid["call_id"]
    assert hit["code_file"].endswith("test_cache.py")
    assert "provider_response_id" not in hit, "what is told of it later would be settled onto both"


def test_nothing_is_kept_unless_somebody_asks(provider: FakeProvider, wrapper: LLMWrapper, rows: Any) -> None:
    for _ in range(2):
        wrapper.chat_completion_sync(MESSAGES)
    asked = cached(provider)
    for _ in range(2):
        asked.chat_completion_sync(MESSAGES, cache=False)
    assert len(provider.requests) == 4
    with pytest.raises(UsageError, match="cache="):
        asked.chat_completion_sync(MESSAGES, cache="memory")  # type: ignore[call-overload]


OTHER: dict[str, dict[str, Any]] = {
    "a letter at the very end": {"messages": [{"role": "user", "content": "x" * 5000 + "b"}]},
    "who says it": {"messages": [{"role": "system", "content": "x" * 5000 + "a"}]},
    "a message more": {"messages": [*MESSAGES, {"role": "user", "content": "x" * 5000 + "a"}]},
    "the model": {"model": "gpt-4o-mini"},
    "the temperature": {"temperature": 0.0},
    "no temperature": {"temperature": None},
    "the number of tokens": {"max_tokens": 5},
    "a tool": {"tools": [{"type": "function", "function": {"name": "look", "parameters": {}}}]},
    "the form of the answer": {"response_format": {"type": "json_object"}},
    "a header": {"extra_headers": {"x-who": "me"}},
    "a field of the provider": {"extra_body": {"reasoning": {"effort": "low"}}},
    "a seed": {"seed": 1},
    "true, not one": {"logprobs": True},
    "one, not true": {"logprobs": 1},
}


def test_what_differs_anywhere_is_another_question(provider: FakeProvider, rows: Any, cache: MemoryCache) -> None:
    wrapper = cached(provider, cache)
    usual: dict[str, Any] = {"messages": [{"role": "user", "content": "x" * 5000 + "a"}], "temperature": 0.7}
    asked = [usual, *({**usual, **change} for change in OTHER.values())]
    for _ in range(2):
        for each in asked:
            arguments = dict(each)
            wrapper.chat_completion_sync(arguments.pop("messages"), **arguments)
    assert len(provider.requests) == len(asked) == 15
    assert (cache.statistics()["misses"], cache.statistics()["hits"]) == (15, 15)


def test_the_order_of_names_and_the_time_to_wait_are_no_difference(provider: FakeProvider, cache: MemoryCache) -> None:
    wrapper = cached(provider, cache)
    wrapper.chat_completion_sync([{"role": "user", "content": "a"}], timeout=3, seed=1, temperature=1)
    wrapper.chat_completion_sync([{"content": "a", "role": "user"}], temperature=1, seed=1, timeout=9.5)
    cached(provider, cache, timeout=8).chat_completion_sync(({"content": "a", "role": "user"},), temperature=1, seed=1)
    assert len(provider.requests) == 1


def test_another_place_or_key_is_another_question(
    provider: FakeProvider, cache: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached(provider, cache).chat_completion_sync(MESSAGES)
    cached(provider, cache, api_key="other").chat_completion_sync(MESSAGES)
    cached(provider, cache, organization="o").chat_completion_sync(MESSAGES)
    with FakeProvider() as elsewhere:
        cached(elsewhere, cache).chat_completion_sync(MESSAGES)
        assert (len(provider.requests), len(elsewhere.requests)) == (3, 1)
        own = LLMWrapper(provider="openai", default_model="gpt-4o", cache=cache)
        for key, place in (("k", provider), ("l", provider), ("k", elsewhere)):
            monkeypatch.setenv("OPENAI_API_KEY", key)
            monkeypatch.setenv("OPENAI_BASE_URL", place.base_url)
            own.chat_completion_sync(MESSAGES)
        assert (len(provider.requests), len(elsewhere.requests)) == (5, 2)


def test_tenants_never_share_answers_and_users_not_where_that_is_said(provider: FakeProvider, rows: Any) -> None:
    shared, own = cached(provider, MemoryCache()), cached(provider, MemoryCache(CacheLimits(scope="user")))

    def ask(wrapper: LLMWrapper, user: str | None = None, **request: Any) -> None:
        llm_usage_tracker.set_request_context(**request)
        wrapper.chat_completion_sync(MESSAGES, user)

    for wrapper, expected in ((shared, 4), (own, 7)):
        provider.requests.clear()
        for user in ("ann", "bob", "ann", "bob"):
            copy_context().run(ask, wrapper, user)
        for request in ({"tenant": "a"}, {"tenant": "b"}, {"client_account_id": "a"}):
            for _ in range(2):
                copy_context().run(ask, wrapper, "ann", **request)
        for user in ("cid", "dan"):
            copy_context().run(ask, wrapper, user_id=user)
        assert len(provider.requests) == expected


def test_each_sdk_gives_its_own_object_again(monkeypatch: pytest.MonkeyPatch, rows: Any, cache: MemoryCache) -> None:
    for name in ("GROQ", "ANTHROPIC"):
        monkeypatch.setenv(f"{name}_API_KEY", "k")
    wrapper = LLMWrapper(cache=cache)
    calls: list[Callable[[dict[str, Any]], Any]] = [
        lambda options: wrapper.chat_completion_sync(MESSAGES, model="m", provider="groq", client_options=options),
        lambda options: wrapper.messages_create_sync(MESSAGES, model="m", max_tokens=9, client_options=options),
    ]
    for call in calls:
        with FakeProvider() as provider:
            first, again = (call({"base_url": provider.url}) for _ in range(2))
            assert len(provider.requests) == 1
        assert again["usage"]["usage_source"] == "cache"
        assert (type(again["response"]), again["response"]) == (type(first["response"]), first["response"])
        assert again["response"].to_dict() == first["response"].to_dict()


def test_litellm_gives_its_own_object_again(
    provider: FakeProvider, rows: Any, cache: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    optional("litellm")
    options = {"api_key": "k", "base_url": provider.base_url}
    wrapper = LLMWrapper(provider="litellm", default_model="openai/gpt-4o", client_options=options, cache=cache)
    first, again = (wrapper.chat_completion_sync(MESSAGES) for _ in range(2))
    assert len(provider.requests) == 1
    assert type(again["response"]) is type(first["response"])
    new, old = again["response"], first["response"]
    assert new.choices[0].message.model_dump() == old.choices[0].message.model_dump()
    assert (new.id, new.model, new.usage.model_dump()) == (old.id, old.model, old.usage.model_dump())
    assert [row["provider"] for row in rows()] == ["openai", "openai"]


def test_what_calls_tools_and_what_the_provider_adds_comes_back(provider: FakeProvider, cache: MemoryCache) -> None:
    provider.answer = Answer(
        body=b'{"id": "1", "object": "chat.completion", "created": 1, "model": "m", "x_groq": {"id": "q"}, "choices":'
        b' [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null,'
        b' "reasoning": "hm", "tool_calls": [{"id": "t", "type": "function", "function": {"name": "look",'
        b' "arguments": "{}"}}]}}], "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}}'
    )
    wrapper = cached(provider, cache)
    first, again = (wrapper.chat_completion_sync(MESSAGES)["response"] for _ in range(2))
    assert len(provider.requests) == 1
    assert again.to_dict() == first.to_dict()
    assert again.choices[0].message.tool_calls[0].function.name == "look"
    assert (again.x_groq, again.choices[0].message.reasoning) == ({"id": "q"}, "hm")
    follow_up = [*MESSAGES, again.choices[0].message, {"role": "tool", "tool_call_id": "t", "content": "42"}]
    for _ in range(2):
        wrapper.chat_completion_sync(follow_up)
    assert len(provider.requests) == 2, "a message that a model has answered is part of a question"


def test_what_is_no_answer_and_what_fails_is_not_kept(provider: FakeProvider, rows: Any, cache: MemoryCache) -> None:
    wrapper = cached(provider, cache)
    for answer in (Answer(status=500), Answer(body=b'{"id": "1", "choices": []}')):
        provider.answer = answer
        for _ in range(2):
            with suppress(openai.InternalServerError):
                wrapper.chat_completion_sync(MESSAGES)
    assert len(provider.requests) == 4
    assert cache.statistics()["entries"] == 0


def test_streams_and_what_cannot_be_said_in_full_go_through(provider: FakeProvider, rows: Any, cache: Any) -> None:
    wrapper = cached(provider, cache)
    for _ in range(2):
        assert len(list(wrapper.chat_completion_sync(MESSAGES, stream=True))) > 1
        wrapper.chat_completion_sync(each for each in MESSAGES)  # can be read once only
    assert len(provider.requests) == 4
    assert [request.body["messages"] for request in provider.requests] == [MESSAGES] * 4


CLIENTS: dict[str, Callable[[str, str], Any]] = {
    "a function that gives the key": lambda url, who: openai.OpenAI(base_url=url, api_key=lambda: who),
    "an HTTP client": lambda url, who: openai.OpenAI(
        base_url=url, api_key="k", http_client=httpx.Client(headers={"x-tenant": who})
    ),
    "a token of Azure": lambda url, who: openai.AzureOpenAI(
        azure_endpoint=url, api_version="v", azure_ad_token=who, azure_deployment="d"
    ),
    "a function of Azure": lambda url, who: openai.AzureOpenAI(
        azure_endpoint=url, api_version="v", azure_ad_token_provider=lambda: who
    ),
    "a header": lambda url, who: openai.OpenAI(base_url=url, api_key="k", default_headers={"x-tenant": who}),
    "a query": lambda url, who: openai.OpenAI(base_url=url, api_key="k", default_query={"t": who}),
    "an organization": lambda url, who: openai.OpenAI(base_url=url, api_key="k", organization=who),
    "who it is tracked for": lambda url, who: track(openai.OpenAI(base_url=url, api_key="k"), user_id=who),
    "a view for a tenant": lambda url, who: llm_wrapper.using(openai.OpenAI(base_url=url, api_key="k"), tenant=who),
}


@pytest.mark.parametrize("kind", CLIENTS)
def test_clients_that_stand_for_others_share_nothing(kind: str, provider: FakeProvider, rows: Any) -> None:
    wrapper = LLMWrapper(cache=MemoryCache(CacheLimits(scope="user")))
    url = provider.url if "Azure" in kind else provider.base_url
    for who in ("a", "b"):
        wrapper.chat_completion_sync(MESSAGES, model="gpt-4o", client=CLIENTS[kind](url, who))
    assert len(provider.requests) == 2


def test_the_row_of_a_hit_says_what_its_client_says(provider: FakeProvider, rows: Any, cache: MemoryCache) -> None:
    wrapper = LLMWrapper(cache=cache)
    plain = openai.OpenAI(base_url=provider.base_url, api_key="k")
    view = llm_wrapper.using(plain, tenant="t", service_name="s", user_id="ann")
    tracked = track(openai.OpenAI(base_url=provider.base_url, api_key="k"), service_name="s", user_id="ann")
    for client in (view, tracked):
        for user in (None, "bob"):
            wrapper.chat_completion_sync(MESSAGES, user, model="gpt-4o", client=client)
    assert len(provider.requests) == 2, "of a tenant, and of none"
    assert [(row.get("tenant"), row["user_id"], row["service_name"], row["usage_source"]) for row in rows()] == [
        *[("t", "ann", "s", "provider"), ("t", "bob", "s", "cache")],
        *[(None, "ann", "s", "provider"), (None, "bob", "s", "cache")],
    ]


def test_options_that_only_an_object_knows_are_not_looked_up(provider: FakeProvider, rows: Any, cache: Any) -> None:
    for _ in range(2):
        cached(provider, cache, api_key=lambda: "k").chat_completion_sync(MESSAGES)
        with httpx.Client() as client:
            cached(provider, cache, http_client=client).chat_completion_sync(MESSAGES)
    assert len(provider.requests) == 4


def test_litellms_keys_and_places_are_part_of_the_question(
    provider: FakeProvider, rows: Any, cache: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    litellm = optional("litellm")
    wrapper = LLMWrapper(provider="litellm", default_model="openai/gpt-4o", cache=cache)
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with FakeProvider() as elsewhere:
        for place in (provider, elsewhere):
            monkeypatch.setenv("OPENAI_BASE_URL", place.base_url)
            monkeypatch.setenv("OPENAI_API_BASE", place.base_url)
            wrapper.chat_completion_sync(MESSAGES)
            wrapper.chat_completion_sync(MESSAGES)
        assert (len(provider.requests), len(elsewhere.requests)) == (1, 1)
        monkeypatch.setenv("OPENAI_API_KEY", "other")
        wrapper.chat_completion_sync(MESSAGES)
        monkeypatch.setattr(litellm, "api_key", "third")
        wrapper.chat_completion_sync(MESSAGES)
        assert (len(provider.requests), len(elsewhere.requests)) == (1, 3)


def test_a_client_of_ones_own_has_its_own_questions(provider: FakeProvider, rows: Any, cache: MemoryCache) -> None:
    wrapper = LLMWrapper(cache=cache)
    for key in ("a", "a", "b"):
        client = openai.OpenAI(api_key=key, base_url=provider.base_url)
        wrapper.chat_completion_sync(MESSAGES, model="gpt-4o", client=client)
    assert len(provider.requests) == 2

    class Fake:
        def __init__(self) -> None:
            self.chat = self.completions = self
            self.asked = 0

        def create(self, **asked: Any) -> str:
            self.asked += 1
            return "hello"

    fake = Fake()
    for _ in range(2):
        assert wrapper.chat_completion_sync(MESSAGES, model="m", client=fake)["response"] == "hello"  # type: ignore[arg-type]
    assert fake.asked == 2, "what no SDK made is not known well enough"


# -- many at once ------------------------------------------------------------------------------------------------------


def test_many_who_ask_at_once_pay_once(provider: FakeProvider, rows: Any, cache: MemoryCache) -> None:
    provider.answer = Answer(delay=0.3)
    wrapper = cached(provider, cache)

    async def tasks() -> list[Any]:
        return await asyncio.gather(*(wrapper.chat_completion(MESSAGES, str(n)) for n in range(20)))

    with ThreadPoolExecutor(9) as threads:
        loops = [threads.submit(lambda: asyncio.run(tasks())) for _ in range(3)]
        plain = [threads.submit(wrapper.chat_completion_sync, MESSAGES, "t") for _ in range(6)]
        results = [result for loop in loops for result in loop.result()] + [each.result() for each in plain]
    assert len(provider.requests) == 1
    assert sorted(result["usage"]["usage_source"] for result in results) == ["cache"] * 65 + ["provider"]
    assert len({id(result["response"]) for result in results}) == 66, "each has an object of his own"
    statistics = cache.statistics()
    assert (statistics["misses"], statistics["hits"] + statistics["shared"]) == (1, 65)
    paid = [row for row in rows() if row["tokens_used"]]
    assert (len(rows()), len(paid)) == (66, 1)
    waited = [row["duration_ms"] for row in rows() if row["usage_source"] == "cache"]
    assert max(waited) > 100, "who waits has waited"


def test_when_the_first_fails_each_asks_for_himself(provider: FakeProvider, rows: Any, cache: MemoryCache) -> None:
    provider.answer = Answer(status=500, delay=0.2)
    wrapper = cached(provider, cache)

    async def work() -> list[Any]:
        asked = [asyncio.create_task(wrapper.chat_completion(MESSAGES)) for _ in range(5)]
        return await asyncio.gather(*asked, return_exceptions=True)

    errors = asyncio.run(work())
    assert all(isinstance(error, openai.InternalServerError) for error in errors)
    assert len({id(error) for error in errors}) == 5
    assert len(provider.requests) == cache.statistics()["misses"] == 5


def test_when_the_first_gives_up_another_one_asks_for_all(provider: FakeProvider, rows: Any, cache: Any) -> None:
    provider.answers.append(Answer())
    provider.answer = Answer(delay=1.5)
    wrapper = cached(provider, cache)

    async def work() -> list[Any]:
        await wrapper.chat_completion(MESSAGES, temperature=0.9)  # so that there is a client
        first = asyncio.create_task(wrapper.chat_completion(MESSAGES))
        await asyncio.sleep(0.4)
        others = [asyncio.create_task(wrapper.chat_completion(MESSAGES)) for _ in range(5)]
        await asyncio.sleep(0.2)
        others[0].cancel()  # who waits stops only himself
        first.cancel()
        return await asyncio.gather(first, *others, return_exceptions=True)

    results = asyncio.run(work())
    assert [type(each) for each in results[:2]] == [asyncio.CancelledError] * 2
    assert sorted(each["usage"]["usage_source"] for each in results[2:]) == ["cache"] * 3 + ["provider"]
    assert len(provider.requests) == 1 + 2


def test_a_synchronous_call_in_the_loop_of_who_asks_does_not_wait_for_him(
    provider: FakeProvider, rows: Any, cache: Any
) -> None:
    provider.answer = Answer(delay=0.3)
    wrapper = cached(provider, cache)

    async def work() -> list[Any]:
        first = asyncio.create_task(wrapper.chat_completion(MESSAGES))
        await asyncio.sleep(0.1)
        inside = wrapper.chat_completion_sync(MESSAGES)  # blocks the loop that the first one needs
        return [inside, await first]

    results = asyncio.run(asyncio.wait_for(work(), 10))
    assert [result["usage"]["usage_source"] for result in results] == ["provider", "provider"]


def test_who_waits_has_a_limit_of_his_own(provider: FakeProvider, rows: Any, cache: MemoryCache) -> None:
    provider.answers.extend([Answer(delay=8), Answer()])
    wrapper = cached(provider, cache)

    async def work() -> list[str]:
        slow = asyncio.create_task(wrapper.chat_completion(MESSAGES))
        await asyncio.sleep(0.2)
        fast = await wrapper.chat_completion(MESSAGES, timeout=2)
        in_thread = asyncio.create_task(asyncio.to_thread(wrapper.chat_completion_sync, MESSAGES, timeout=2))
        assert not slow.done()
        found = [await in_thread, await slow]
        return [each["usage"]["usage_source"] for each in (fast, *found)]

    assert asyncio.run(work()) == ["provider"] * 3


def test_loops_whose_synchronous_calls_meet_do_not_wait_for_each_other(
    provider: FakeProvider, rows: Any, cache: MemoryCache
) -> None:
    provider.answer = Answer(delay=0.5)
    wrapper = cached(provider, cache)
    both = threading.Barrier(2)

    async def work(mine: float, theirs: float) -> int:
        leading = asyncio.create_task(wrapper.chat_completion(MESSAGES, temperature=mine))
        await asyncio.sleep(0.1)
        both.wait(10)
        wrapper.chat_completion_sync(MESSAGES, temperature=theirs)  # stops the loop that the other one waits for
        return int((await leading)["usage"]["total_tokens"])

    with ThreadPoolExecutor(2) as threads:
        done = [threads.submit(asyncio.run, work(*each)) for each in ((0.1, 0.2), (0.2, 0.1))]
        assert [each.result(30) for each in done] == [18, 18]


def test_a_question_that_is_collected_lands_wherever_that_happens(cache: MemoryCache) -> None:
    """Also in the middle of another one's way through the same lock."""
    flight, _ = cache.flights.join("left")
    with cache.flights._lock:  # as in `join`, when the collector runs there
        cache.flights.land("left", flight, b"x")
    assert flight.wait() is not None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_child_finds_no_lock_that_somebody_in_the_parent_has_held(cache: MemoryCache) -> None:
    cache.set("key", b"x")
    with cache._lock, cache._counting, cache.flights._lock:
        child = os.fork()
        if child == 0:  # as if another thread had held them
            threading.Thread(target=lambda: os._exit(0 if _works(cache) else 1)).start()
            time.sleep(30)
            os._exit(2)
    assert os.waitpid(child, 0)[1] == 0


def _works(cache: MemoryCache) -> bool:
    cache.set("other", b"y")
    cache.counted("hits")
    return cache.get("other") == b"y" and cache.flights.join("key")[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_does_not_wait_for_its_parent(provider: FakeProvider, cache: MemoryCache) -> None:
    flight, is_own = cache.flights.join("key")
    assert is_own
    child = os.fork()
    if child == 0:
        os._exit(0 if cache.flights.join("key")[1] else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert cache.flights.join("key") == (flight, False)


# -- what the books say ------------------------------------------------------------------------------------------------


def test_limits_have_nothing_to_do_with_an_answer_that_is_given_again(provider: FakeProvider, cache: Any) -> None:
    wrapper = cached(provider, cache)
    with memory_ledger() as ledger, budget("b", calls=1):
        for _ in range(3):
            wrapper.chat_completion_sync(MESSAGES, "ann")
        with pytest.raises(BudgetExceeded):
            wrapper.chat_completion_sync(MESSAGES, "ann", temperature=0.5)
        assert wrapper.chat_completion_sync(MESSAGES)["usage"]["cost"] == 0
    assert len(provider.requests) == 1
    assert [row["status"] for row in ledger.rows] == ["ok"] * 4


def test_a_block_around_it_costs_nothing_either(provider: FakeProvider, rows: Any, cache: MemoryCache) -> None:
    wrapper = cached(provider, cache)
    wrapper.chat_completion_sync(MESSAGES)
    with llm_usage_tracker.track_llm_call("openai", "gpt-4o") as log:
        log.response = wrapper.chat_completion_sync(MESSAGES)["response"]
    with llm_usage_tracker.track_llm_call("openai", "gpt-4o"):
        wrapper.chat_completion_sync(MESSAGES)
        wrapper.chat_completion_sync(MESSAGES, temperature=0.5)
    paid, block, mixed = rows()
    assert (block["tokens_used"], block["total_cost"], block["usage_source"]) == (0, 0, "cache")
    assert block["usage_details"] == {"saved_tokens": 18, "saved_cost": str(paid["total_cost"])}
    assert (mixed["tokens_used"], mixed["total_cost"]) == (18, paid["total_cost"])
    assert mixed["usage_details"]["saved_cost"] == str(paid["total_cost"])


def test_what_is_logged_by_hand_is_the_same_call(provider: FakeProvider, rows: Any, cache: MemoryCache) -> None:
    wrapper = cached(provider, cache)
    for _ in range(2):
        response = wrapper.chat_completion_sync(MESSAGES)["response"]
        counts = (response.usage.prompt_tokens, response.usage.completion_tokens)
        asyncio.run(llm_usage_tracker.log_llm_usage("openai", response.model, *counts))
    assert [row["tokens_used"] for row in rows()] == [18, 0]


def test_a_model_without_a_price_costs_nothing_and_saves_nobody_knows_what(provider: FakeProvider, rows: Any) -> None:
    wrapper = cached(provider, MemoryCache())
    for _ in range(2):
        wrapper.chat_completion_sync(MESSAGES, model="nobody-knows-it")
    hit = rows()[1]
    assert (hit["total_cost"], hit["price_status"]) == (0, "given")
    assert hit["usage_details"] == {"saved_tokens": 18}


def test_without_a_ledger_answers_are_given_again_too(
    provider: FakeProvider, cache: MemoryCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMGUARD_DISABLED", "1")
    wrapper = cached(provider, cache)
    assert [len(wrapper.chat_completion_sync(MESSAGES)["response"].choices) for _ in range(2)] == [1, 1]
    assert len(provider.requests) == 1


# -- the service -------------------------------------------------------------------------------------------------------


def test_the_service_gives_an_answer_again_whoever_gave_it(pair: Any, rows: Any, cache: MemoryCache) -> None:
    first, second = pair
    first.answer = Answer(status=503)
    settings = from_environment({"LLM_PRIMARY_PROVIDER": "openai", "LLM_FALLBACK_PROVIDERS": "groq"})
    service = UnifiedLLMService(settings, cache=cache)
    found = [service.generate_response(MESSAGES), asyncio.run(service.generate_response_async(MESSAGES))]
    assert [(each.provider, each.content) for each in found] == [("groq", "The answer is 42.")] * 2
    assert [each.usage["usage_source"] for each in found] == ["provider", "cache"]
    assert (len(first.requests), len(second.requests)) == (1, 1)
    assert service.stats["requests_by_provider"] == {"openai": 1, "groq": 1}
    assert service.stats["fallback_count"] == 1
    assert service.get_stats()["cache"]["hits"] == 1
    assert [(row["provider"], row["status"], row["attempt_no"]) for row in rows()] == [
        ("openai", "error", 0),
        ("groq", "ok", 1),
        ("groq", "ok", 0),
    ]
    service.fallback_providers = []
    first.answer = Answer()
    assert service.generate_response(MESSAGES).provider == "openai", "of others it is another question"
    assert service.generate_response(MESSAGES, cache=False).usage["usage_source"] == "provider"


def test_the_environment_switches_it_on(pair: Any, rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_PRIMARY_PROVIDER", "openai")
    monkeypatch.setenv("LLM_CACHE_ENABLED", "true")
    monkeypatch.setenv("LLM_CACHE_TTL", "60")
    set_llm_cache(None)
    try:
        service = UnifiedLLMService()
        for _ in range(2):
            service.generate_response(MESSAGES)
        assert len(pair[0].requests) == 1
        assert get_llm_cache().limits == CacheLimits(ttl=60)
        LLMWrapper(provider="openai", default_model="m").chat_completion_sync(MESSAGES)
        LLMWrapper(provider="openai", default_model="m").chat_completion_sync(MESSAGES)
        assert len(pair[0].requests) == 3, "what a program's calls do is not for the environment to change"
    finally:
        set_llm_cache(None)


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("LLM_CACHE_TTL", "0", "must be a number"),
        ("LLM_CACHE_MAX_BYTES", "many", "must be a number"),
        ("LLM_CACHE_SCOPE", "everybody", "tenant or user"),
        ("LLM_CACHE_URL", "http://127.0.0.1", "must begin with redis://"),
    ],
)
def test_what_the_environment_cannot_mean_is_said(name: str, value: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as error:
        cache_from_environment({name: value})
    assert str(error.value).startswith(name)


# -- the memory --------------------------------------------------------------------------------------------------------


def test_the_memory_has_bounds() -> None:
    cache = MemoryCache(CacheLimits(max_entries=3))
    for number in range(5):
        cache.set(str(number), b"x")
        cache.get("0")
    assert [cache.get(str(number)) for number in range(5)] == [b"x", None, None, b"x", b"x"]
    assert cache.statistics()["evictions"] == 2
    small = MemoryCache(CacheLimits(max_bytes=10_000))
    for number in range(50):
        small.set(str(number), b"x" * 1000)
    small.set("huge", b"x" * 20_000)
    assert small.get("huge") is None
    assert small.statistics()["bytes"] <= 10_000
    assert 5 <= small.statistics()["entries"] <= 10
    assert small.clear() > 0
    assert small.statistics()["entries"] == 0


def test_what_is_too_old_is_forgotten() -> None:
    cache = MemoryCache(CacheLimits(ttl=0.2))
    cache.set("key", b"x")
    assert cache.get("key") == b"x"
    time.sleep(0.3)
    assert cache.get("key") is None
    assert cache.statistics()["entries"] == 0


@pytest.mark.parametrize(
    "kept",
    [
        b"",
        b"\x00",
        b"null",
        b"[]",
        b"{}",
        b'{"answer": "os:system", "body": {}, "provider": "p", "model": "m", "call_id": "c"}',
        b'{"answer": "openai:ChatCompletion", "body": [], "provider": "p", "model": "m", "call_id": "c"}',
        b'{"answer": "openai:ChatCompletion", "body": {}, "provider": 1, "model": "m", "call_id": "c"}',
        b'{"answer": "openai:ChatCompletion", "body": {}, "provider": "p", "model": "m", "call_id": "c"}',
        b'{"answer": "openai:ChatCompletion", "body": {"choices": 5}, "provider": "p", "model": "m", "call_id": "c"}',
        b'{"answer": "anthropic:Message", "body": {"content": []}, "provider": "p", "model": "m", "call_id": "c"}',
    ],
)
def test_what_others_have_written_there_is_no_answer(kept: bytes, provider: FakeProvider, rows: Any) -> None:

    class Foreign(MemoryCache):
        def get(self, key: str) -> bytes | None:
            return kept

    wrapper = cached(provider, Foreign())
    assert wrapper.chat_completion_sync(MESSAGES)["usage"]["usage_source"] == "provider"
    assert [row["usage_source"] for row in rows()] == ["provider"]
