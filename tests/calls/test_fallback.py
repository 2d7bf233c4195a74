"""`fallback=` of the wrapper: who is asked when the first one fails, with the caller's own arguments."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmguard import AllProvidersFailed, LLMWrapper
from llmguard.calls.cache import MemoryCache
from llmguard.errors import ConfigError, UsageError
from llmguard.testing import Answer, FakeProvider
from tests.calls.conftest import MESSAGES
from tests.optional import optional

openai = optional("openai")
groq = optional("groq")
anthropic = optional("anthropic")
Pair = tuple[FakeProvider, FakeProvider]
DOWN = Answer(status=503)


def asked(pair: Pair) -> tuple[int, int]:
    return len(pair[0].requests), len(pair[1].requests)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("fallback", [["groq:llama"], "groq:llama", "groq : llama", ("openai:gpt-4o", "groq:llama")])
def test_the_next_one_is_asked(asynchronous: bool, fallback: Any, pair: Pair, rows: Any) -> None:
    pair[0].answer = DOWN
    wrapper = LLMWrapper()
    arguments: dict[str, Any] = {"provider": "openai", "model": "gpt-4o", "seed": 3, "fallback": fallback}
    if asynchronous:
        result = asyncio.run(wrapper.chat_completion(MESSAGES, "ann", "search", **arguments))
    else:
        result = wrapper.chat_completion_sync(MESSAGES, "ann", "search", **arguments)
    assert type(result["response"]) is groq.types.chat.ChatCompletion
    assert asked(pair) == (1, 1), "the SDK does not ask again by itself"
    assert [each.requests[0].body for each in pair] == [
        {"messages": MESSAGES, "model": "gpt-4o", "seed": 3},
        {"messages": MESSAGES, "model": "llama", "seed": 3},
    ]
    first, second = rows()
    assert (first["provider"], first["status"], first["attempt_no"]) == ("openai", "error", 0)
    assert (second["provider"], second["status"], second["attempt_no"]) == ("groq", "ok", 1)
    assert first["call_id"] == second["call_id"] == result["usage"]["call_id"]
    assert {(row["user_id"], row["service_name"]) for row in rows()} == {("ann", "search")}
    stats = wrapper.get_stats()["failover"]
    assert (stats["requests_by_provider"], stats["fallback_count"]) == ({"openai": 1, "groq": 1}, 1)
    assert list(stats["breakers"]) == ["groq/llama", "openai/gpt-4o"]


def test_who_fails_again_and_again_is_left_alone(pair: Pair, rows: Any) -> None:
    pair[0].answer = DOWN
    wrapper = LLMWrapper()
    for _ in range(8):
        wrapper.chat_completion_sync(MESSAGES, provider="openai", model="gpt-4o", fallback="groq")
    assert asked(pair) == (5, 8)


def test_what_the_question_is_to_blame_for_is_raised_as_it_is(pair: Pair, rows: Any) -> None:
    pair[0].answer = Answer(status=400)
    with pytest.raises(openai.BadRequestError):
        LLMWrapper().chat_completion_sync(MESSAGES, provider="openai", model="m", fallback="groq")
    assert asked(pair) == (1, 0)


def test_when_nobody_answers_the_last_error_is_the_cause(pair: Pair, rows: Any) -> None:
    pair[0].answer, pair[1].answer = Answer(status=500), Answer(status=429)
    with pytest.raises(AllProvidersFailed) as error:
        LLMWrapper().chat_completion_sync(MESSAGES, provider="openai", model="m", fallback="groq:llama")
    assert isinstance(error.value.__cause__, groq.RateLimitError)
    assert [each[:2] for each in error.value.attempts] == [("openai", "m"), ("groq", "llama")]


def test_a_malformed_answer_is_a_failure_where_others_can_answer(pair: Pair, rows: Any) -> None:
    pair[0].answer = Answer(body=b'{"id": "1", "choices": []}')
    wrapper = LLMWrapper()
    assert wrapper.chat_completion_sync(MESSAGES, provider="openai", model="m")["response"].choices == []
    result = wrapper.chat_completion_sync(MESSAGES, provider="openai", model="m", fallback="groq")
    assert result["response"].choices


def test_a_slow_one_has_its_time(pair: Pair, rows: Any) -> None:
    pair[0].answer = Answer(delay=20)
    options = {"timeout": 2}
    result = LLMWrapper().chat_completion_sync(
        MESSAGES, provider="openai", model="m", fallback="groq", client_options=options
    )
    assert result["usage"]["total_tokens"] == 18
    assert [row["status"] for row in rows()] == ["timeout", "ok"]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_stream_goes_to_whoever_begins_it(asynchronous: bool, pair: Pair, rows: Any) -> None:
    pair[0].answer = DOWN
    wrapper = LLMWrapper()
    arguments: dict[str, Any] = {"provider": "openai", "model": "m", "fallback": "groq:llama"}

    async def work() -> int:
        stream = await wrapper.chat_completion((each for each in MESSAGES), stream=True, **arguments)
        return len([chunk async for chunk in stream])

    if asynchronous:
        assert asyncio.run(work()) > 1
    else:
        assert len(list(wrapper.chat_completion_sync((each for each in MESSAGES), stream=True, **arguments))) > 1
    assert [(row["provider"], row["status"]) for row in rows()] == [("openai", "error"), ("groq", "ok")]
    assert pair[1].requests[0].body["messages"] == MESSAGES


def test_a_client_of_ones_own_is_asked_first_as_it_is(pair: Pair, rows: Any) -> None:
    pair[0].answer = DOWN
    client = openai.OpenAI(max_retries=1)
    result = LLMWrapper().chat_completion_sync(MESSAGES, model="gpt-4o", client=client, fallback=["groq:llama"])
    assert type(result["response"]) is groq.types.chat.ChatCompletion
    assert asked(pair) == (2, 1), "its own retries are its own"
    assert [(row["provider"], row["model"], row["attempt_no"]) for row in rows()] == [
        ("openai", "gpt-4o", 0),
        ("groq", "llama", 1),
    ]


def test_anthropics_format_goes_to_another_model_of_anthropic(
    pair: Pair, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", pair[0].url)
    pair[0].answer = Answer(status=529)
    with pytest.raises(AllProvidersFailed) as error:
        LLMWrapper().messages_create_sync(MESSAGES, model="big", max_tokens=5, fallback="anthropic:small")
    assert [each[1] for each in error.value.attempts] == ["big", "small"]
    assert [request.body["model"] for request in pair[0].requests] == ["big", "small"]
    with pytest.raises(UsageError, match="speaks Anthropic's format"):
        LLMWrapper().messages_create_sync(MESSAGES, model="big", max_tokens=5, fallback="groq:llama")


def test_through_a_cache_it_is_one_question(pair: Pair, rows: Any) -> None:
    pair[0].answer = DOWN
    wrapper = LLMWrapper(cache=MemoryCache())
    for _ in range(2):
        result = wrapper.chat_completion_sync(MESSAGES, provider="openai", model="m", fallback="groq:llama")
    assert asked(pair) == (1, 1)
    assert type(result["response"]) is groq.types.chat.ChatCompletion
    hit = rows()[-1]
    assert (hit["provider"], hit["model"], hit["attempt_no"], hit["total_cost"]) == ("groq", "llama", 0, 0)
    wrapper.chat_completion_sync(MESSAGES, provider="openai", model="m", fallback="groq:other")
    assert asked(pair) == (2, 2), "of others it is another question"


def test_who_cannot_be_asked_is_left_out_or_said(pair: Pair, rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    pair[0].answer = DOWN
    monkeypatch.delenv("GROQ_API_KEY")
    wrapper = LLMWrapper()
    arguments: dict[str, Any] = {"provider": "openai", "model": "m"}
    with pytest.raises(AllProvidersFailed):
        wrapper.chat_completion_sync(MESSAGES, fallback="groq", **arguments)
    with pytest.raises(UsageError, match='unknown provider "grok"'):
        wrapper.chat_completion_sync(MESSAGES, fallback=["grok"], **arguments)
    monkeypatch.setenv("DEEPSEEK_API_KEY", "k")
    with pytest.raises(ConfigError, match="DEEPSEEK_MODEL"):
        wrapper.chat_completion_sync(MESSAGES, fallback=["deepseek"], **arguments)
    assert asked(pair) == (1, 0)


def test_without_it_nothing_is_different(pair: Pair, rows: Any) -> None:
    pair[0].answer = DOWN
    for fallback in (None, [], ""):
        with pytest.raises(openai.InternalServerError):
            LLMWrapper(client_options={"max_retries": 1}).chat_completion_sync(
                MESSAGES, provider="openai", model="m", fallback=fallback
            )
    assert asked(pair) == (6, 0)


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_time_that_a_question_gives_counts(
    asynchronous: bool, pair: Pair, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_ATTEMPT_TIMEOUT", "0.2")
    pair[0].answer = Answer(delay=2)
    wrapper = LLMWrapper()
    arguments: dict[str, Any] = {"provider": "openai", "model": "m", "fallback": "groq:llama", "timeout": 20}
    if asynchronous:
        asyncio.run(wrapper.chat_completion(MESSAGES, **arguments))
    else:
        wrapper.chat_completion_sync(MESSAGES, **arguments)
    assert asked(pair) == (1, 0)


def test_options_of_the_wrapper_count_for_all(pair: Pair, rows: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_ATTEMPT_TIMEOUT", "0.2")
    pair[0].answer, pair[1].answer = DOWN, Answer(delay=1.5)
    wrapper = LLMWrapper(client_options={"timeout": 20})
    wrapper.chat_completion_sync(MESSAGES, provider="openai", model="m", fallback="groq:llama")
    assert asked(pair) == (1, 1)


def test_who_is_refused_closes_nobody_elses_way(pair: Pair, rows: Any) -> None:
    pair[0].answer = Answer(status=429, headers=(("retry-after", "60"),))
    wrapper = LLMWrapper()
    with FakeProvider() as other:
        for key, place in (("a", pair[0]), ("b", other)):
            client = openai.OpenAI(api_key=key, base_url=place.base_url, max_retries=0)
            wrapper.chat_completion_sync(MESSAGES, model="gpt-4o", client=client, fallback="groq:llama")
            options = {"api_key": key, "base_url": place.base_url}
            wrapper.chat_completion_sync(
                MESSAGES, provider="openai", model="gpt-4o", client_options=options, fallback="groq:llama"
            )
        assert (len(other.requests), asked(pair)) == (2, (2, 2))


def test_what_can_be_read_once_is_sent_to_all(pair: Pair, rows: Any) -> None:
    pair[0].answer = DOWN
    tools = [{"type": "function", "function": {"name": "look", "parameters": {}}}]
    LLMWrapper().chat_completion_sync(MESSAGES, provider="openai", model="m", tools=iter(tools), fallback="groq:llama")
    assert [each.requests[0].body["tools"] for each in pair] == [tools] * 2


def test_the_same_model_elsewhere_is_another_way(pair: Pair, rows: Any) -> None:
    with FakeProvider(DOWN) as proxy:
        client = openai.OpenAI(api_key="p", base_url=proxy.base_url, max_retries=0)
        LLMWrapper().chat_completion_sync(MESSAGES, model="gpt-4o", client=client, fallback="openai:gpt-4o")
        assert (len(proxy.requests), asked(pair)) == (1, (1, 0))
        assert "authorization" in pair[0].requests[0].headers
        assert pair[0].requests[0].headers["authorization"].removeprefix("Bearer ") != "p"


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_what_a_provider_needs_is_sent_where_the_question_does_not_say(
    pair: Pair, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    optional("litellm")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_BASE", pair[1].url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", pair[1].url)
    pair[0].answer = DOWN
    wrapper = LLMWrapper()
    wrapper.chat_completion_sync(MESSAGES, provider="openai", model="m", fallback="anthropic:claude-opus-4-5")
    wrapper.chat_completion_sync(
        MESSAGES, provider="openai", model="m", max_tokens=7, fallback="anthropic:claude-opus-4-5"
    )
    assert [request.body["max_tokens"] for request in pair[1].requests] == [1024, 7]


def test_what_is_no_name_is_said(pair: Pair) -> None:
    with pytest.raises(UsageError, match="fallback="):
        LLMWrapper().chat_completion_sync(MESSAGES, provider="openai", model="m", fallback=[None])  # type: ignore[call-overload]
