"""The failover service: who is asked, in which order, and what the rows and the statistics say of it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from llmguard import AllProvidersFailed, LLMProvider, UnifiedLLMClient, UnifiedLLMService, get_llm_service
from llmguard.calls.breaker import Rules
from llmguard.calls.failures import may_pass, retry_after
from llmguard.calls.service_settings import from_environment
from llmguard.calls.unified import set_llm_service
from llmguard.errors import ConfigError, MalformedAnswer, UsageError
from llmguard.testing import Answer, FakeProvider
from tests.calls.conftest import MESSAGES
from tests.calls.test_http import Server
from tests.optional import optional

openai = optional("openai")
optional("groq")
Providers = dict[str, FakeProvider]


@pytest.fixture
def providers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Providers]:
    """Azure, OpenAI, Groq and Anthropic on the loopback, each with a key."""
    names = ("azure_openai", "openai", "groq", "anthropic")
    with ExitStack() as stack:
        found = {name: stack.enter_context(FakeProvider(Answer(text=f"I am {name}."))) for name in names}
        for name in names:
            monkeypatch.setenv(f"{name.upper()}_API_KEY", f"key of {name}")
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", found["azure_openai"].url)
        monkeypatch.setenv("OPENAI_BASE_URL", found["openai"].base_url)
        monkeypatch.setenv("GROQ_BASE_URL", found["groq"].url)
        monkeypatch.setenv("ANTHROPIC_BASE_URL", found["anthropic"].url)
        monkeypatch.setenv("ANTHROPIC_API_BASE", found["anthropic"].url)
        for name in ("LLM_PRIMARY_PROVIDER", "LLM_FALLBACK_PROVIDERS", "LLM_ENABLE_FALLBACK"):
            monkeypatch.delenv(name, raising=False)
        yield found
    set_llm_service(None)


def service(**changes: Any) -> UnifiedLLMService:
    return UnifiedLLMService(from_environment()._replace(**changes))


def asked(providers: Providers) -> dict[str, int]:
    return {name: len(each.requests) for name, each in providers.items() if each.requests}


def test_the_primary_is_asked_and_the_answer_has_one_shape(providers: Providers, rows: Any) -> None:
    of = service()
    answer = of.generate_response(MESSAGES, user_id="ann", service_name="chat")
    assert (answer.content, answer.provider, answer.model) == ("I am azure_openai.", "azure_openai", "gpt-4")
    assert answer.raw_response == {"content": "I am azure_openai."}
    assert (answer.usage["prompt_tokens"], answer.usage["completion_tokens"]) == (11, 7)
    assert answer.to_dict().keys() == {"content", "provider", "model", "usage"}
    assert asked(providers) == {"azure_openai": 1}
    assert providers["azure_openai"].requests[0].body["temperature"] == 0.7
    assert "max_tokens" not in providers["azure_openai"].requests[0].body
    (row,) = rows()
    assert (row["user_id"], row["service_name"], row["status"], row["attempt_no"]) == ("ann", "chat", "ok", 0)
    assert row["call_id"] == answer.usage["call_id"]
    assert row["code_file"].endswith("test_unified.py")
    assert json.loads(json.dumps(of.get_stats()))["stats"]["fallback_count"] == 0


def test_the_rows_say_which_line_has_asked(providers: Providers, rows: Any) -> None:
    of = service()

    async def work() -> None:
        await of.generate_response_async(MESSAGES)  # here
        await UnifiedLLMClient(service=of).generate_response(MESSAGES)  # here
        async for _ in of.stream_response_async(MESSAGES):  # here
            pass

    of.generate_response(MESSAGES)  # here
    asyncio.run(work())
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    for row in rows():
        assert row["code_file"].endswith("test_unified.py")
        assert lines[row["code_line"] - 1].endswith("# here")
    assert len({row["code_line"] for row in rows()}) == 4


@pytest.mark.parametrize(
    "answer",
    [
        Answer(status=503),
        Answer(status=500),
        Answer(status=429),
        Answer(status=408),
        Answer(body=b"<html>", content_type="text/html"),
        Answer(body=b'{"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": []}'),
    ],
)
def test_who_fails_is_followed_by_the_next(answer: Answer, providers: Providers, rows: Any) -> None:
    providers["azure_openai"].answer = answer
    of = service()
    found = [of.generate_response(MESSAGES), asyncio.run(of.generate_response_async(MESSAGES))]
    assert [each.content for each in found] == ["I am openai."] * 2
    assert asked(providers) == {"azure_openai": 2, "openai": 2}  # the SDK has not asked again by itself
    calls: dict[str, list[tuple[int, str]]] = {}
    for row in rows():
        calls.setdefault(row["call_id"], []).append((row["attempt_no"], row["provider"]))
    assert [sorted(each) for each in calls.values()] == [[(0, "azure_openai"), (1, "openai")]] * 2
    stats = of.get_stats()["stats"]
    assert stats["requests_by_provider"] == {"azure_openai": 2, "openai": 2}
    assert (stats["errors_by_provider"], stats["fallback_count"]) == ({"azure_openai": 2}, 2)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 422])
def test_what_the_question_is_to_blame_for_asks_nobody_else(status: int, providers: Providers) -> None:
    providers["azure_openai"].answer = Answer(status=status)
    of = service()
    with pytest.raises(openai.APIStatusError) as raised:
        of.generate_response(MESSAGES)
    assert raised.value.status_code == status
    assert asked(providers) == {"azure_openai": 1}


def test_when_all_fail_the_last_error_is_the_cause(providers: Providers) -> None:
    for each in providers.values():
        each.answer = Answer(status=502)
    of = service()
    with pytest.raises(AllProvidersFailed, match="azure_openai gpt-4: InternalServerError; openai gpt-4: ") as raised:
        of.generate_response(MESSAGES)
    assert [provider for provider, _, _ in raised.value.attempts] == ["azure_openai", "openai", "groq"]
    assert type(raised.value.__cause__).__name__ == "InternalServerError"
    assert of.get_stats()["stats"]["fallback_count"] == 0
    client = UnifiedLLMClient(["ignored"], service=of)
    with pytest.raises(AllProvidersFailed):
        asyncio.run(client.generate_response(MESSAGES))
    told = asyncio.run(UnifiedLLMClient(service=of, apologise=True).generate_response(MESSAGES))
    assert "sorry" in told["content"]


def test_a_slow_one_is_not_waited_for(providers: Providers, rows: Any) -> None:
    providers["azure_openai"].answer = Answer(delay=8)
    of = service(attempt_timeout=1.5)
    assert of.generate_response(MESSAGES).provider == "openai"
    assert asyncio.run(of.generate_response_async(MESSAGES)).provider == "openai"
    assert sorted(row["status"] for row in rows()) == ["ok", "ok", "timeout", "timeout"]


def test_a_broken_one_is_left_alone_and_asked_again_once_it_works(providers: Providers) -> None:
    of = service(rules=Rules(in_a_row=2, pause=3))
    providers["azure_openai"].answer = Answer(status=503)
    for _ in range(5):
        assert of.generate_response(MESSAGES).provider == "openai"
    assert asked(providers) == {"azure_openai": 2, "openai": 5}
    assert of.stats["breakers"]["azure_openai/gpt-4"]["state"] == "open"
    providers["azure_openai"].answer = Answer()
    threading.Event().wait(3.1)
    assert of.generate_response(MESSAGES).provider == "azure_openai"
    assert of.stats["breakers"]["azure_openai/gpt-4"]["state"] == "closed"


def test_who_asks_to_be_left_alone_is(providers: Providers) -> None:
    providers["azure_openai"].answers.append(Answer(status=429, headers=(("retry-after", "60"),)))
    of = service()
    assert [of.generate_response(MESSAGES).provider for _ in range(4)] == ["openai"] * 4
    assert asked(providers) == {"azure_openai": 1, "openai": 4}
    alone = service(fallbacks=())
    providers["azure_openai"].answers.append(Answer(status=429, headers=(("retry-after-ms", "2500"),)))
    with pytest.raises(AllProvidersFailed) as raised:
        alone.generate_response(MESSAGES)
    assert raised.value.retry_after is not None
    assert 0 < raised.value.retry_after <= 2.5
    assert alone.generate_response(MESSAGES).provider == "azure_openai"  # waited for
    assert asked(providers)["azure_openai"] == 3


def test_when_all_are_left_alone_somebody_is_asked_all_the_same(providers: Providers) -> None:
    of = service(rules=Rules(in_a_row=1, pause=60))
    for each in providers.values():
        each.answers.append(Answer(status=503))
    with pytest.raises(AllProvidersFailed):
        of.generate_response(MESSAGES)
    assert of.generate_response(MESSAGES).content.startswith("I am")


def test_rounds_ask_again_after_a_pause(providers: Providers) -> None:
    providers["azure_openai"].answers.extend([Answer(status=503)])
    of = service(fallbacks=(), rounds=2)
    assert of.generate_response(MESSAGES).provider == "azure_openai"
    assert asked(providers) == {"azure_openai": 2}


def test_a_synchronous_question_inside_a_loop(providers: Providers) -> None:
    async def work() -> str:
        return service().generate_response(MESSAGES).content

    assert asyncio.run(work()) == "I am azure_openai."
    assert asyncio.new_event_loop().is_closed() is False


def test_who_sends_a_byte_now_and_then_has_his_time_and_no_more(
    providers: Providers, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No wait for the next byte is long; a synchronous call ends all the same."""
    gone = threading.Event()

    def dribble(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("content-type", "application/json")
        handler.send_header("content-length", "100000")
        handler.end_headers()
        with suppress(OSError):
            while not gone.wait(0.05):
                handler.wfile.write(b" ")
                handler.wfile.flush()

    with Server(dribble) as slow:
        monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", f"http://127.0.0.1:{slow.port}")
        of = service(attempt_timeout=1.5)
        answer = [of.generate_response(MESSAGES), asyncio.run(of.generate_response_async(MESSAGES))]
        gone.set()
    assert [each.provider for each in answer] == ["openai", "openai"]
    assert [(row["provider"], row["status"]) for row in rows()] == [("azure_openai", "timeout"), ("openai", "ok")] * 2


def test_tools_arrive_and_come_back_wherever_it_goes(providers: Providers) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    body["choices"] = [{"index": 0, "finish_reason": "tool_calls", "message": message}]
    providers["azure_openai"].answer = Answer(status=503)
    providers["openai"].answer = Answer(status=503)
    providers["groq"].answer = Answer(body=json.dumps(body).encode())
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}]
    found = service().generate_response(MESSAGES, tools=tools, tool_choice="auto", response_format={"type": "text"})
    assert found.raw_response == {
        "content": "",
        "tool_calls": [{"id": "c1", "name": "weather", "arguments": {"city": "Oslo"}}],
    }
    for name in ("azure_openai", "openai", "groq"):
        sent = providers[name].requests[0].body
        assert (sent["tools"], sent["tool_choice"]) == (tools, "auto")
    call["function"]["arguments"] = "{"  # type: ignore[index]
    providers["groq"].answer = Answer(body=json.dumps(body).encode())
    with pytest.raises(AllProvidersFailed) as raised:
        service().generate_response(MESSAGES, tools=tools)
    assert isinstance(raised.value.__cause__, MalformedAnswer)


def test_a_temperature_that_nobody_asked_for_is_left_out_where_it_is_refused(providers: Providers) -> None:
    body = b'{"error": {"message": "Unsupported value: temperature does not support 0.7 with this model."}}'
    providers["azure_openai"].answers.append(Answer(status=400, body=body))
    of = service()
    assert of.generate_response(MESSAGES).provider == "azure_openai"
    assert of.generate_response(MESSAGES).provider == "azure_openai"
    sent = ["temperature" in request.body for request in providers["azure_openai"].requests]
    assert sent == [True, False, False]


def test_anthropic_answers_in_the_same_shape(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    optional("litellm")
    monkeypatch.setenv("LLM_PRIMARY_PROVIDER", "anthropic")
    several = [{"role": "system", "content": "Be kind."}, {"role": "system", "content": "Be brief."}, *MESSAGES]
    found = asyncio.run(service().generate_response_async(several))
    assert (found.content, found.provider) == ("I am anthropic.", "anthropic")
    assert found.usage["total_tokens"] == 18
    sent = providers["anthropic"].requests[0]
    assert sent.path.endswith("/messages")
    assert sent.body["max_tokens"] == 1024
    assert "Be kind." in json.dumps(sent.body["system"])
    assert "Be brief." in json.dumps(sent.body["system"])
    assert sent.headers["x-api-key"] == "key of anthropic"


def test_tools_and_images_survive_the_way_to_anthropic(providers: Providers) -> None:
    optional("litellm")
    wanted = {"type": "tool_use", "id": "t1", "name": "weather", "input": {"city": "Oslo"}}
    body = {"id": "m", "type": "message", "role": "assistant", "model": "claude", "stop_reason": "tool_use"}
    body |= {"content": [wanted], "usage": {"input_tokens": 3, "output_tokens": 4}}  # type: ignore[dict-item]
    providers["azure_openai"].answer = Answer(status=503)
    providers["anthropic"].answer = Answer(body=json.dumps(body).encode())
    tools = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    question = [{"role": "user", "content": [{"type": "text", "text": "What?"}, image]}]
    found = service(fallbacks=("anthropic",)).generate_response(question, tools=tools, tool_choice="auto")
    assert (found.provider, found.content) == ("anthropic", "")
    assert found.tool_calls == [{"id": "t1", "name": "weather", "arguments": {"city": "Oslo"}}]
    sent = providers["anthropic"].requests[0].body
    assert [tool["name"] for tool in sent["tools"]] == ["weather"]
    assert [part["type"] for part in sent["messages"][0]["content"]] == ["text", "image"]


@pytest.mark.parametrize(
    ("fallbacks", "expected"),
    [
        ("", ["azure_openai"]),
        (" openai , groq ", ["azure_openai", "openai", "groq"]),
        ("openai,azure_openai,openai", ["azure_openai", "openai"]),
        ("OpenAI,,anthropic", ["azure_openai", "openai", "anthropic"]),
    ],
)
def test_blanks_in_the_list_do_not_matter(
    fallbacks: str, expected: list[str], providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_FALLBACK_PROVIDERS", fallbacks)
    assert service().get_available_providers() == expected


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("LLM_FALLBACK_PROVIDERS", "openai,nobody", 'LLM_FALLBACK_PROVIDERS: unknown provider "nobody"'),
        ("LLM_PRIMARY_PROVIDER", "nobody", 'LLM_PRIMARY_PROVIDER: unknown provider "nobody"'),
        ("LLM_POOL_SIZE", "many", "LLM_POOL_SIZE: must be a number from 1 to 64, not 'many'"),
        ("LLM_ENABLE_FALLBACK", "perhaps", "LLM_ENABLE_FALLBACK: must be true or false"),
        ("OPENAI_ENABLED", "perhaps", "OPENAI_ENABLED: must be true or false"),
        ("LLM_ATTEMPT_TIMEOUT", "-1", "LLM_ATTEMPT_TIMEOUT: must be a number"),
    ],
)
def test_what_is_wrong_is_said_at_the_start(
    name: str, value: str, said: str, providers: Providers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError) as raised:
        UnifiedLLMService()
    assert said in str(raised.value)


def test_who_is_switched_off_or_has_no_key_is_not_asked(providers: Providers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_OPENAI_ENABLED", "false")
    monkeypatch.delenv("OPENAI_API_KEY")
    monkeypatch.setenv("GROQ_MODEL", "mine")
    found = service().generate_response(MESSAGES)
    assert (found.provider, found.model) == ("groq", "mine")
    monkeypatch.delenv("GROQ_API_KEY")
    with pytest.raises(AllProvidersFailed, match="none is configured"):
        service().generate_response(MESSAGES)


def test_attributes_that_old_callers_change_count(providers: Providers) -> None:
    of = get_llm_service()
    assert of is get_llm_service()
    of.primary_provider = LLMProvider.GROQ
    of.fallback_providers = ["openai"]
    assert of.get_available_providers() == ["groq", "openai"]
    assert of.generate_response(MESSAGES).provider == "groq"
    of.enable_fallback = False
    assert of.get_stats()["enabled_providers"] == ["groq"]
    assert of.configs == {"groq": {"model": "meta-llama/llama-4-scout-17b-16e-instruct"}}
    with pytest.raises(UsageError, match="not a text"):
        of.generate_response("hello")
    with pytest.raises(UsageError, match="stream"):
        of.generate_response(MESSAGES, stream=True)


def test_a_cancelled_question_asks_nobody_else_and_blames_nobody(providers: Providers) -> None:
    providers["azure_openai"].answer = Answer(delay=5)
    of = service()

    async def work() -> None:
        task = asyncio.ensure_future(of.generate_response_async(MESSAGES))
        while not providers["azure_openai"].requests:
            await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    assert asked(providers) == {"azure_openai": 1}
    assert of.stats["errors_by_provider"] == {}
    assert of.stats["breakers"]["azure_openai/gpt-4"]["state"] == "closed"


class _Failure(Exception):  # noqa: N818
    def __init__(self, headers: dict[str, str], status: int = 429) -> None:
        self.status_code = status
        self.response = type("Response", (), {"headers": headers})()


def test_what_a_provider_asks_for_is_read_in_all_its_forms() -> None:
    from email.utils import formatdate
    from time import time

    assert retry_after(_Failure({"retry-after": "7"})) == 7
    assert retry_after(_Failure({"retry-after-ms": "250", "retry-after": "7"})) == 0.25
    assert 50 < (retry_after(_Failure({"retry-after": formatdate(time() + 60, usegmt=True)})) or 0) <= 60
    assert retry_after(_Failure({"retry-after": "soon"})) is None
    assert retry_after(_Failure({})) is None
    assert retry_after(ValueError()) is None
    assert may_pass(_Failure({}, 529))
    assert not may_pass(_Failure({}, 404))
    assert may_pass(ConnectionResetError())
    assert may_pass(asyncio.TimeoutError())
    assert not may_pass(KeyError())
    assert not may_pass(KeyboardInterrupt())


def test_a_stream_comes_from_whoever_begins_to_answer(providers: Providers, rows: Any) -> None:
    providers["azure_openai"].answer = Answer(status=503)
    of = service()

    async def work() -> list[Any]:
        return [chunk async for chunk in of.stream_response_async(MESSAGES, user_id="ann")]

    *pieces, last = asyncio.run(work())
    assert "".join(each.content for each in pieces) == "I am openai."
    assert {each.provider for each in (*pieces, last)} == {"openai"}
    assert last.usage["total_tokens"] > 0
    assert of.stats["fallback_count"] == 1
    assert sorted((row["attempt_no"], row["status"]) for row in rows()) == [(0, "error"), (1, "ok")]


def test_a_stream_that_breaks_off_is_not_begun_again(providers: Providers) -> None:
    providers["azure_openai"].answer = Answer(cut=3, chunk_delay=0.1)
    of = service()
    got: list[str] = []

    async def work() -> None:
        async for chunk in of.stream_response_async(MESSAGES):
            got.append(chunk.content)  # noqa: PERF401  (those before the error)

    with pytest.raises(Exception, match=r"."):
        asyncio.run(work())
    assert got
    assert asked(providers) == {"azure_openai": 1}
    assert of.stats["errors_by_provider"] == {"azure_openai": 1}


def test_a_stream_that_nobody_reads_on_is_closed(providers: Providers, rows: Any) -> None:
    of = service()

    async def work() -> str:
        stream = of.stream_response_async(MESSAGES)
        async for chunk in stream:
            await stream.aclose()  # type: ignore[attr-defined]
            return str(chunk.content)
        return ""

    assert asyncio.run(work())
    (row,) = rows()
    assert row["status"] == "partial"


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["azure_openai", "openai", "groq", "anthropic"])
def test_every_provider_takes_all_that_can_be_asked(name: str, providers: Providers, rows: Any) -> None:
    if name == "anthropic":
        optional("litellm")
    of = service(primary=name, fallbacks=())
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    question = [
        {"role": "system", "content": "Be kind."},
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "What?"}, image]},
    ]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    asked_for: dict[str, Any] = {"tools": tools, "tool_choice": "auto", "stop": ["."], "max_tokens": 50}

    async def work() -> list[Any]:
        return [chunk async for chunk in of.stream_response_async(question, **asked_for)]

    whole = of.generate_response(question, **asked_for)
    as_json = of.generate_response(question, response_format={"type": "json_object"})
    pieces = asyncio.run(work())
    text = f"I am {name}."
    assert (whole.content, as_json.content, "".join(each.content for each in pieces)) == (text, text, text)
    assert {each.provider for each in (whole, as_json, *pieces)} == {name}
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.keys() == whole.usage.keys()
    assert pieces[-1].usage["total_tokens"] > 0
    for request in providers[name].requests:
        sent = json.dumps(request.body)
        for part in ("Be kind.", "Be brief.", "iVBORw0KGgo="):
            assert part in sent
    for number in (0, 2):
        assert "look" in json.dumps(providers[name].requests[number].body["tools"])
    assert [row["status"] for row in rows()].count("ok") == 3


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_who_does_not_take_a_question_is_not_to_blame_for_it(providers: Providers, rows: Any) -> None:
    optional("litellm")
    of = service(primary="anthropic", fallbacks=("openai",), rules=Rules(in_a_row=1))
    for _ in range(2):
        assert of.generate_response(MESSAGES, None, logprobs=True).provider == "openai"
    assert of.generate_response(MESSAGES, None).provider == "anthropic"
    assert asked(providers) == {"anthropic": 1, "openai": 2}
    assert of.stats["errors_by_provider"] == {"anthropic": 2}
    of.fallback_providers = []
    with pytest.raises(AllProvidersFailed) as raised:
        of.generate_response(MESSAGES, None, logprobs=True)
    assert type(raised.value.__cause__).__name__ == "UnsupportedParamsError"
