"""The same call twice, by the SDK itself and by the wrapper: what was asked, what came back, what was raised.

Run as a program (`python -m tests.calls.parity groq openai`), it compares with whatever versions are on the path.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from llmguard import LLMWrapper
from llmguard.testing import Answer, FakeProvider, memory_ledger

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is the answer?"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
BROKEN = b'{"id": "chatcmpl-1", "choices": ['
#: Headers that say who carries the request, not what the user asks.
CARRIER = frozenset({"host", "connection", "content-length", "accept-encoding", "transfer-encoding", "x-request-id"})


class Case(NamedTuple):
    """One way to ask, and to be answered."""

    name: str
    arguments: dict[str, Any] = {}  # noqa: RUF012
    answer: Answer = Answer()
    options: dict[str, Any] = {}  # noqa: RUF012
    chat_only: bool = False


CASES = (
    Case("plain", {"temperature": 0.7, "top_p": 0.9, "stop": ["x"]}, chat_only=True),
    Case("nothing given"),
    Case("stream", {"stream": True}),
    Case("stream said not to be", {"stream": False}),
    Case("explicit none", {"temperature": None}, chat_only=True),
    Case("tools", {"tools": [TOOL], "tool_choice": "auto"}, chat_only=True),
    Case("json mode", {"response_format": {"type": "json_object"}, "seed": 7, "n": 1}, chat_only=True),
    Case("images", {"messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, IMAGE]}]}, chat_only=True),
    Case("extras", {"extra_headers": {"x-mine": "1"}, "extra_query": {"q": "2"}, "extra_body": {"b": [3]}}),
    Case("their metadata", {"provider_metadata": {"user_id": "theirs"}}),
    Case("headers of the client", options={"default_headers": {"x-team": "search"}, "timeout": 30.0}),
    Case("rate limited", answer=Answer("slow down", status=429, headers=(("retry-after", "0.02"),))),
    Case("server error, no retry", answer=Answer("oops", status=500), options={"max_retries": 0}),
    Case("server error", answer=Answer("oops", status=503, headers=(("retry-after-ms", "10"),))),
    Case("refused", answer=Answer("no such model", status=404)),
    Case("unauthorised", answer=Answer("bad key", status=401)),
    Case("timeout", answer=Answer(delay=0.6), options={"timeout": 0.15, "max_retries": 0}),
    Case("timeout of the call", {"timeout": 0.15}, answer=Answer(delay=0.6), options={"max_retries": 0}),
    Case("malformed", answer=Answer(body=BROKEN), options={"max_retries": 0}),
    Case("empty", answer=Answer(body=b""), options={"max_retries": 0}),
    Case("cut", {"stream": True}, answer=Answer(cut=3), options={"max_retries": 0}),
    Case("no usage", answer=Answer(usage=False)),
    Case("unknown argument", {"no_such_argument": 1}),
    Case("connection refused", options={"base_url": "http://127.0.0.1:9/v1", "max_retries": 0}),
    Case("no such host", options={"base_url": "http://no-such-host.invalid/v1", "max_retries": 0}),
    Case("odd query", {"extra_query": {"q": "a b+c%/é&=", "r": "x,y;z'(*)"}}),
    Case("long header", answer=Answer(headers=(("x-long", "a" * 20_000),)), chat_only=True),
)
SDKS = {
    "groq": ("groq", "Groq", "AsyncGroq", "chat"),
    "openai": ("openai", "OpenAI", "AsyncOpenAI", "chat"),
    "azure_openai": ("openai", "AzureOpenAI", "AsyncAzureOpenAI", "chat"),
    "deepseek": ("openai", "OpenAI", "AsyncOpenAI", "chat"),
    "anthropic": ("anthropic", "Anthropic", "AsyncAnthropic", "messages"),
    "litellm": ("litellm", "completion", "acompletion", "litellm"),
}


def options_of(sdk: str, base_url: str, case: Case) -> dict[str, Any]:
    if sdk == "azure_openai":
        place = {"azure_endpoint": base_url, "api_version": "2024-10-21"}
    else:
        place = {"base_url": base_url.removesuffix("/v1") if sdk in ("groq", "anthropic") else base_url}
    options = {**place, "api_key": "key-1", **case.options}
    if sdk == "azure_openai" and "base_url" in options:
        options["azure_endpoint"] = options.pop("base_url")
    return options


def arguments_of(sdk: str, case: Case) -> dict[str, Any]:
    given = {"model": "openai/gpt-x" if sdk == "litellm" else "gpt-x", "messages": MESSAGES, **case.arguments}
    if sdk == "anthropic":
        given.setdefault("max_tokens", 50)
    return given


def direct(sdk: str, case: Case, base_url: str, asynchronous: bool) -> Callable[[], Any]:
    """The call as it was before."""
    module, sync_name, async_name, shape = SDKS[sdk]
    loaded = importlib.import_module(module)
    made = getattr(loaded, async_name if asynchronous else sync_name)
    given = arguments_of(sdk, case)
    if "provider_metadata" in given:
        given["metadata"] = given.pop("provider_metadata")
    options = options_of(sdk, base_url, case)
    if shape == "litellm":
        names = {"base_url": "api_base", "default_headers": "extra_headers"}
        return lambda: made(**{names.get(name, name): value for name, value in options.items()}, **given)

    def call() -> Any:
        client = made(**options)
        return (client.chat.completions if shape == "chat" else client.messages).create(**given)

    return call


def wrapped(sdk: str, case: Case, base_url: str, asynchronous: bool) -> Callable[[], Any]:
    """The same call through the wrapper."""
    wrapper = LLMWrapper(client_options=options_of(sdk, base_url, case))
    given = {"user_id": "u-1", "service_name": "parity", "provider": sdk, "metadata": {"of": "mine"}}
    given |= arguments_of(sdk, case)
    name = "messages_create" if SDKS[sdk][3] == "messages" else "chat_completion"
    method = getattr(wrapper, name if asynchronous else f"{name}_sync")
    if not asynchronous:
        return lambda: method(**given)["response"]

    async def call() -> Any:
        return (await method(**given))["response"]

    return call


def outcome(call: Callable[[], Any], asynchronous: bool) -> Any:
    """What a call gave, in a form that can be compared."""
    try:
        return asyncio.run(_drained_async(call)) if asynchronous else _drained(call())
    except Exception as error:  # noqa: BLE001  (whatever it is: it is compared)
        response = getattr(error, "response", None)
        return {
            "class": f"{type(error).__module__}.{type(error).__qualname__}",
            "text": str(error),
            "status_code": getattr(error, "status_code", None),
            "body": getattr(error, "body", None),
            "code": getattr(error, "code", None),
            "retry-after": getattr(response, "headers", {}).get("retry-after"),
        }


def _drained(response: Any) -> Any:
    return [_plain(chunk) for chunk in response] if hasattr(response, "__next__") else _plain(response)


async def _drained_async(call: Callable[[], Any]) -> Any:
    # What an SDK's own client, which nobody closes, says when it is collected after its loop is not what is compared.
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    response = call()
    if inspect.isawaitable(response):
        response = await response
    if hasattr(response, "__anext__"):
        return [_plain(chunk) async for chunk in response]
    return _plain(response)


def _plain(value: Any) -> Any:
    dump = value.model_dump() if hasattr(value, "model_dump") else value
    if isinstance(dump, dict):  # LiteLLM makes these up
        dump = {name: inner for name, inner in dump.items() if name not in ("created",) or dump[name] == 1767225600}
    return {
        "class": f"{type(value).__module__}.{type(value).__qualname__}",
        "value": json.loads(json.dumps(dump, default=str)),
    }


def requests_of(provider: FakeProvider) -> list[Any]:
    found = [
        {
            "path": request.path,
            "body": request.body,
            "headers": {name: value for name, value in request.headers.items() if name not in CARRIER},
        }
        for request in provider.requests
    ]
    for request in found:  # what the SDK counts of itself
        request["headers"].pop("idempotency-key", None)
        request["headers"].pop("x-stainless-idempotency-key", None)
    return found


def compared(sdk: str, case: Case, asynchronous: bool) -> tuple[Any, Any, list[dict[str, Any]]]:
    """What the SDK itself and the wrapper gave and asked, and the wrapper's rows."""
    found = []
    rows: list[dict[str, Any]] = []
    for way in (direct, wrapped):
        with FakeProvider(case.answer) as provider, memory_ledger() as ledger:
            call = way(sdk, case, provider.base_url, asynchronous)
            result = outcome(call, asynchronous)
            text = json.dumps({"result": result, "requests": requests_of(provider)}, sort_keys=True, default=str)
            text = re.sub(r"time taken=[\d.]+", "time taken=<measured>", text)  # which LiteLLM puts into its errors
            found.append(json.loads(text.replace(provider.base_url.removesuffix("/v1"), "<base>")))
            rows = ledger.rows
    return found[0], found[1], rows


def differences(sdk: str) -> list[str]:
    """What differs between an SDK and the wrapper, a text for each; empty when nothing does."""
    found = []
    for case in CASES:
        if case.chat_only and sdk == "anthropic":
            continue
        for asynchronous in (False, True):
            theirs, ours, rows = compared(sdk, case, asynchronous)
            if theirs != ours or len(rows) != 1:
                parts = [key for key in theirs if theirs[key] != ours[key]]
                shown = [json.dumps({key: told[key] for key in parts})[:1000] for told in (theirs, ours)]
                where = f"{sdk}, {case.name}, {'async' if asynchronous else 'sync'}, {len(rows)} rows"
                found.append("\n  ".join([where, *shown]))
    return found


if __name__ == "__main__":
    told = [text for name in sys.argv[1:] for text in differences(name)]
    sys.exit("\n".join(told) if told else 0)
