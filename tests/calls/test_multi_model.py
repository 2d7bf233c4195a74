"""The multi-model service: which model a task gets, and what an answer says."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from llmguard import LLMWrapper, ModelType, MultiModelService, TaskComplexity
from llmguard.calls.multi_model import MODELS, Model
from llmguard.errors import ConfigError, UsageError
from llmguard.testing import Answer, FakeProvider
from tests.optional import optional

optional("openai")


@pytest.fixture
def deepinfra(provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> FakeProvider:
    for name in ("DEEPINFRA", "OPENAI"):
        monkeypatch.setenv(f"{name}_API_KEY", "k")
        monkeypatch.setenv(f"{name}_BASE_URL", provider.base_url)
    return provider


def ask(service: MultiModelService, **arguments: Any) -> dict[str, Any]:
    options = {"max_retries": 0}
    return asyncio.run(service.generate_response("What?", client_options=options, **arguments))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ModelType.GEMMA_3_4B),
        ({"model_type": ModelType.AUTO}, ModelType.GEMMA_3_4B),
        ({"task_type": "field_mapping"}, ModelType.LLAMA_4_MAVERICK),
        ({"complexity": TaskComplexity.AGENTIC}, ModelType.LLAMA_4_MAVERICK),
        ({"complexity": TaskComplexity.COMPLEX}, ModelType.LLAMA_4_MAVERICK),
        ({"task_type": "chat", "complexity": TaskComplexity.SIMPLE}, ModelType.GEMMA_3_4B),
        ({"task_type": "market_analysis"}, ModelType.LLAMA_4_MAVERICK),
        ({"model_type": ModelType.LLAMA_4_MAVERICK}, ModelType.LLAMA_4_MAVERICK),
    ],
)
def test_a_task_gets_its_model(arguments: dict[str, Any], expected: ModelType, deepinfra: FakeProvider) -> None:
    answer = ask(MultiModelService(), **arguments)
    assert answer["status"] == "success", answer
    assert answer["model_used"] == MODELS[expected].name == deepinfra.requests[0].body["model"]
    assert answer.keys() >= {
        *("status", "response", "model_used", "task_type", "interface", "timestamp", "tokens_used", "prompt_tokens"),
        *("completion_tokens", "model_config", "usage_log_id"),
    }


def test_counts_are_those_of_the_provider(deepinfra: FakeProvider, rows: Any) -> None:
    deepinfra.answer = Answer(prompt_tokens=1027, completion_tokens=100)
    answer = ask(MultiModelService(), complexity=TaskComplexity.AGENTIC)
    assert (answer["prompt_tokens"], answer["completion_tokens"], answer["tokens_used"]) == (1027, 100, 1127)
    (row,) = rows()
    assert row["call_id"] == answer["usage_log_id"]


def test_an_error_of_the_provider_is_no_answer(deepinfra: FakeProvider, rows: Any) -> None:
    deepinfra.answer = Answer(text="bad key", status=401)
    answer = ask(MultiModelService())
    assert (answer["status"], answer["error_type"]) == ("error", "AuthenticationError")
    assert "response" not in answer
    (row,) = rows()
    assert row["status"] == "error"


def test_models_of_tasks_and_complexities_can_be_configured(
    deepinfra: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLM_MODEL_SIMPLE", "openai:gpt-4o-mini")
    monkeypatch.setenv("LLM_MODEL_TASK_FIELD_MAPPING", " deepinfra:acme/large ")
    service = MultiModelService()
    assert ask(service, complexity=TaskComplexity.SIMPLE)["model_used"] == "gpt-4o-mini"
    assert ask(service, task_type="field mapping", complexity=TaskComplexity.SIMPLE)["model_used"] == "acme/large"
    assert ask(service)["model_used"] == MODELS[ModelType.GEMMA_3_4B].name
    given = ask(service, complexity=TaskComplexity.SIMPLE, model_type=ModelType.LLAMA_4_MAVERICK)
    assert given["model_used"] == MODELS[ModelType.LLAMA_4_MAVERICK].name
    mine = Model("openai", "mine", 0.2, 5, "tests")
    own = MultiModelService(LLMWrapper(), models={"chat": mine, TaskComplexity.SIMPLE: mine})
    assert ask(own, task_type="chat")["model_config"] == {"temperature": 0.2, "max_tokens": 5}
    assert ask(own, complexity=TaskComplexity.SIMPLE)["model_used"] == "mine"
    assert asyncio.run(own.chat_with_context("And?", [{"role": "user", "content": "x"}] * 9))["model_used"] == "mine"
    assert len(deepinfra.requests[-1].body["messages"]) == 6


@pytest.mark.parametrize(
    ("value", "said"),
    [("gpt-4o", 'must be "provider:model"'), ("nobody:x", 'unknown provider "nobody"'), ("openai:", "must be")],
)
def test_a_model_that_is_none_is_said(value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLM_MODEL_MEDIUM", value)
    with pytest.raises(ConfigError) as raised:
        ask(MultiModelService())
    assert said in str(raised.value)
    assert "LLM_MODEL_MEDIUM" in str(raised.value)


def test_a_model_type_that_is_none_is_said() -> None:
    with pytest.raises(UsageError, match="no model is called 'gpt'"):
        ask(MultiModelService(), model_type="gpt")


def test_the_models_can_be_listed() -> None:
    assert MultiModelService().get_model_info().keys() == {"llama4_maverick", "gemma3_4b", "gemini"}
