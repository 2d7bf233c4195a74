"""One way to ask a model for each SDK, against a fake provider: what the behaviour matrix runs.

Each arm has `call()`, `stream()` (an iterator of chunks) and their asynchronous twins.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

MESSAGES = [{"role": "user", "content": "What is the answer to everything? " * 2}]  # 68 characters, 17 tokens
MODEL = "test-model"


class OpenAIArm:
    """The OpenAI SDK through a tracked client."""

    sync_class, async_class = "OpenAI", "AsyncOpenAI"
    module = "openai"

    def __init__(self, url: str) -> None:
        import importlib

        from llmguard import track

        sdk = importlib.import_module(self.module)
        options: dict[str, Any] = {"base_url": self.base_url(url), "api_key": "test", "max_retries": 0, "timeout": 20}
        self.client = track(getattr(sdk, self.sync_class)(**options), service_name="matrix")
        self.make_async = lambda: track(getattr(sdk, self.async_class)(**options), service_name="matrix")

    def base_url(self, url: str) -> str:
        return f"{url}/v1"

    def asked(self, usage: bool) -> dict[str, Any]:
        more = {"stream_options": {"include_usage": True}} if usage else {}
        return {"model": MODEL, "messages": MESSAGES, **more}

    def call(self) -> Any:
        return self.client.chat.completions.create(**self.asked(False))

    @contextlib.contextmanager
    def stream(self, usage: bool = False) -> Iterator[Any]:
        yield self.client.chat.completions.create(stream=True, **self.asked(usage))

    async def acall(self) -> Any:
        async with self.make_async() as client:
            return await client.chat.completions.create(**self.asked(False))

    @contextlib.asynccontextmanager
    async def astream(self, usage: bool = False) -> AsyncIterator[Any]:
        async with self.make_async() as client:
            yield await client.chat.completions.create(stream=True, **self.asked(usage))


class GroqArm(OpenAIArm):
    """The Groq SDK through a tracked client."""

    sync_class, async_class = "Groq", "AsyncGroq"
    module = "groq"

    def base_url(self, url: str) -> str:
        return url

    def asked(self, usage: bool) -> dict[str, Any]:
        # Its `create` has no argument for stream_options.
        more = {"extra_body": {"stream_options": {"include_usage": True}}} if usage else {}
        return {"model": MODEL, "messages": MESSAGES, **more}


class AnthropicArm(OpenAIArm):
    """The Anthropic SDK through a tracked client."""

    sync_class, async_class = "Anthropic", "AsyncAnthropic"
    module = "anthropic"

    def base_url(self, url: str) -> str:
        return url

    def asked(self, usage: bool) -> dict[str, Any]:
        return {"model": MODEL, "messages": MESSAGES, "max_tokens": 100}

    def call(self) -> Any:
        return self.client.messages.create(**self.asked(False))

    @contextlib.contextmanager
    def stream(self, usage: bool = False) -> Iterator[Any]:
        yield self.client.messages.create(stream=True, **self.asked(usage))

    async def acall(self) -> Any:
        async with self.make_async() as client:
            return await client.messages.create(**self.asked(False))

    @contextlib.asynccontextmanager
    async def astream(self, usage: bool = False) -> AsyncIterator[Any]:
        async with self.make_async() as client:
            yield await client.messages.create(stream=True, **self.asked(usage))


class HTTPArm:
    """httpx by hand, inside a tracker block."""

    def __init__(self, url: str) -> None:
        self.url = f"{url}/v1/chat/completions"

    def block(self) -> Any:
        from llmguard import llm_tracker

        return llm_tracker.track_llm_call("openai", MODEL, service_name="matrix")

    def body(self, stream: bool, usage: bool = False) -> dict[str, Any]:
        more = {"stream": True} if stream else {}
        if usage:
            more["stream_options"] = {"include_usage": True}  # type: ignore[assignment]
        return {"model": MODEL, "messages": MESSAGES, **more}

    def call(self) -> Any:
        import httpx

        with self.block() as usage_log:
            usage_log.request_data = self.body(False)
            usage_log.response = httpx.post(self.url, json=usage_log.request_data, timeout=20)
            return usage_log.response.raise_for_status()

    @contextlib.contextmanager
    def stream(self, usage: bool = False) -> Iterator[Any]:
        import httpx

        with self.block() as usage_log:
            usage_log.request_data = self.body(True, usage)
            with httpx.stream("POST", self.url, json=usage_log.request_data, timeout=20) as response:
                yield usage_log.follow(line for line in response.iter_lines() if line)

    async def acall(self) -> Any:
        import httpx

        async with httpx.AsyncClient() as client, self.block() as usage_log:
            usage_log.request_data = self.body(False)
            usage_log.response = await client.post(self.url, json=usage_log.request_data, timeout=20)
            return usage_log.response.raise_for_status()

    @contextlib.asynccontextmanager
    async def astream(self, usage: bool = False) -> AsyncIterator[Any]:
        import httpx

        async with httpx.AsyncClient() as client, self.block() as usage_log:
            usage_log.request_data = self.body(True, usage)
            async with client.stream("POST", self.url, json=usage_log.request_data, timeout=20) as response:
                yield usage_log.follow(line async for line in response.aiter_lines() if line)


class LiteLLMArm:
    """LiteLLM with the callback."""

    def __init__(self, url: str) -> None:
        from llmguard import setup_litellm_tracking

        setup_litellm_tracking()
        self.options = {
            "model": f"openai/{MODEL}",
            "messages": MESSAGES,
            "api_base": f"{url}/v1",
            "api_key": "test",
            "max_retries": 0,
            "timeout": 20,
            "metadata": {"service_name": "matrix"},
        }

    def asked(self, usage: bool) -> dict[str, Any]:
        return {**self.options, **({"stream_options": {"include_usage": True}} if usage else {})}

    def call(self) -> Any:
        import litellm

        return litellm.completion(**self.asked(False))

    @contextlib.contextmanager
    def stream(self, usage: bool = False) -> Iterator[Any]:
        import litellm

        yield litellm.completion(stream=True, **self.asked(usage))

    async def acall(self) -> Any:
        import litellm

        return await litellm.acompletion(**self.asked(False))

    @contextlib.asynccontextmanager
    async def astream(self, usage: bool = False) -> AsyncIterator[Any]:
        import litellm

        yield await litellm.acompletion(stream=True, **self.asked(usage))


ARMS: dict[str, Any] = {
    "openai": OpenAIArm,
    "groq": GroqArm,
    "anthropic": AnthropicArm,
    "litellm": LiteLLMArm,
    "httpx": HTTPArm,
}
