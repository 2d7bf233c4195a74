"""What services that choose a model get wrong: each check fails on a stand-in with the fault, as it was seen in use.
The numbers are those of the list of faults."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llmguard import ModelType, MultiModelService, TaskComplexity
from llmguard.calls.multi_model import MODELS
from llmguard.testing import Answer, FakeProvider
from tests.calls.test_multi_model import ask, deepinfra
from tests.optional import optional
from tests.usage.test_weaknesses import refutes

__all__ = ["deepinfra"]
optional("openai")


def test_17_an_error_of_the_provider_is_an_error(deepinfra: FakeProvider, rows: Any) -> None:
    deepinfra.answer = Answer(status=401)

    def check(answer: dict[str, Any], recorded: str) -> None:
        assert answer["status"] == "error"
        assert answer["error"]
        assert "response" not in answer
        assert recorded == "error"

    refutes(check, {"status": "success", "response": "I could not answer that."}, "ok")
    check(ask(MultiModelService()), rows()[0]["status"])


def test_18_tokens_are_the_providers_and_a_call_is_one_row(deepinfra: FakeProvider, rows: Any) -> None:
    prompt, text = "word " * 40, "one two three"
    deepinfra.answer = Answer(text=text, prompt_tokens=1027, completion_tokens=100)

    def check(answer: dict[str, Any], recorded: int) -> None:
        assert (answer["prompt_tokens"], answer["completion_tokens"], answer["tokens_used"]) == (1027, 100, 1127)
        assert recorded == 1

    words = (len(prompt.split()), len(text.split()))
    refutes(check, {"prompt_tokens": words[0], "completion_tokens": words[1], "tokens_used": words[1]}, 2)
    check(ask(MultiModelService(), complexity=TaskComplexity.AGENTIC), len(rows()))


def test_19_auto_is_a_model_and_complex_is_not_chat(deepinfra: FakeProvider, rows: Any) -> None:
    models = {ModelType.LLAMA_4_MAVERICK: "large", ModelType.GEMMA_3_4B: "small"}

    def check(used: Callable[..., str], large: str) -> None:
        assert used(model_type=ModelType.AUTO)
        assert used(complexity=TaskComplexity.COMPLEX) == large

    def stand_in(model_type: ModelType | None = None, complexity: Any = None) -> str:
        if model_type is not None:
            return models[model_type]
        return "large" if complexity is TaskComplexity.AGENTIC else "small"

    refutes(check, stand_in, "large")
    check(
        lambda **arguments: ask(MultiModelService(), **arguments)["model_used"], MODELS[ModelType.LLAMA_4_MAVERICK].name
    )


def test_20_a_call_that_is_cancelled_ends_and_a_slow_one_has_its_time(
    deepinfra: FakeProvider, rows: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    deepinfra.answer = Answer(delay=5)

    async def stand_in() -> dict[str, Any]:
        with ThreadPoolExecutor(1) as pool:  # its end waits for the thread, and holds the loop up
            return await asyncio.get_running_loop().run_in_executor(pool, lambda: time.sleep(3) or {})

    async def cancelled(call: Callable[[], Awaitable[Any]]) -> float:
        task = asyncio.ensure_future(call())
        await asyncio.sleep(0.2)
        began = time.perf_counter()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return time.perf_counter() - began

    def check(call: Callable[[], Awaitable[Any]]) -> None:
        assert asyncio.run(cancelled(call)) < 2

    refutes(check, stand_in)
    service = MultiModelService()
    check(lambda: service.generate_response("What?"))
    assert rows()[0]["status"] == "cancelled"
    monkeypatch.setenv("LLM_ATTEMPT_TIMEOUT", "0.3")
    answer = asyncio.run(service.generate_response("What?", client_options={"max_retries": 0}))
    assert (answer["status"], answer["error_type"]) == ("error", "APITimeoutError")
