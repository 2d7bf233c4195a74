"""Programs as the first users have them, from the paths that they import from, against the fake provider."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from llmguard.testing import Answer, FakeProvider
from tests.command import ROOT
from tests.optional import optional

_WRAPPER = """
import asyncio
from app.services.llm_wrapper import llm_wrapper

async def main():
    result = await llm_wrapper.chat_completion(
        messages=[
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Hello!"}
        ],
        user_id="user123",
        service_name="my_service",
        model="openai/gpt-oss-20b",
        temperature=0.7,
        max_tokens=1000,
        metadata={"custom_field": "value"}
    )
    response = result["response"]
    usage = result["usage"]
    print(f"Tokens used: {usage['total_tokens']}")
    print(response.choices[0].message.content)

asyncio.run(main())
"""
_TRACKER = """
import asyncio, os
from groq import Groq
from openai import OpenAI
from anthropic import Anthropic
from app.services.llm_usage_tracker import llm_usage_tracker
groq_client = Groq(api_key="k", base_url=os.environ["ROOT"])
openai_client = OpenAI(api_key="k", base_url=os.environ["ROOT"] + "/v1")
anthropic_client = Anthropic(api_key="k", base_url=os.environ["ROOT"])
user_id = "user-1"
M = [{"role": "user", "content": "x"}]

async def main():
    response = groq_client.chat.completions.create(model="llama-3.1-70b-versatile", messages=M)
    await llm_usage_tracker.log_llm_call(
        user_id=user_id,
        model="llama-3.1-70b-versatile",
        tokens_used=response.usage.total_tokens,
        prompt_tokens=response.usage.prompt_tokens,
        completion_tokens=response.usage.completion_tokens,
        metadata={"provider": "groq"}
    )
    response = openai_client.chat.completions.create(model="gpt-4", messages=M)
    await llm_usage_tracker.log_llm_call(
        user_id=user_id,
        model="gpt-4",
        tokens_used=response.usage.total_tokens,
        prompt_tokens=response.usage.prompt_tokens,
        completion_tokens=response.usage.completion_tokens,
        metadata={"provider": "openai"}
    )
    response = anthropic_client.messages.create(model="claude-3-opus", messages=M, max_tokens=9)
    await llm_usage_tracker.log_llm_call(
        user_id=user_id,
        model="claude-3-opus",
        tokens_used=response.usage.input_tokens + response.usage.output_tokens,
        prompt_tokens=response.usage.input_tokens,
        completion_tokens=response.usage.output_tokens,
        metadata={"provider": "anthropic"}
    )
    from llmguard.usage.recorder import recorder
    recorder().flush(10)
    limit_info = await llm_usage_tracker.check_rate_limit(
        user_id=user_id,
        limit_type="day"
    )
    if not limit_info["can_call"]:
        raise SystemExit("Rate limit exceeded")
    print(limit_info["current_count"], limit_info["remaining"], limit_info["limit_value"])
    stats = await llm_usage_tracker.get_usage_stats(
        user_id=user_id,
        days=30
    )
    print(stats["total_calls"], sorted(stats["by_model"]))

asyncio.run(main())
"""
_SERVICE = """
import asyncio
from app.services.multi_model_service import multi_model_service, TaskComplexity

async def main():
    response = await multi_model_service.generate_response(
        prompt="What is machine learning?",
        task_type="chat",
        complexity=TaskComplexity.SIMPLE
    )
    print(response["status"], response["response"], response["model_used"])
    response = await multi_model_service.generate_response(
        prompt="Analyze migration dependencies",
        task_type="field_mapping",
        complexity=TaskComplexity.AGENTIC
    )
    print(response["status"], response["model_used"], response["tokens_used"])
    response = await multi_model_service.generate_response(
        prompt="Your prompt",
        task_type="chat",
        complexity=TaskComplexity.SIMPLE
    )
    print(response["status"], response.get("error_type"), "response" in response)

asyncio.run(main())
"""
_BLOCK = """
import asyncio, os
import litellm
from app.services.llm_usage_tracker import llm_tracker
model = model_name = "openai/gpt-4o"
messages = [{"role": "user", "content": "x"}]

async def main():
    async with llm_tracker.track_llm_call(
        provider="deepinfra",
        model=model_name,
        feature_context="crew_execution"
    ) as usage_log:
        response = litellm.completion(model=model, messages=messages)
        usage_log.input_tokens = response.usage.prompt_tokens
        usage_log.output_tokens = response.usage.completion_tokens
    print(usage_log.input_tokens, usage_log.output_tokens, usage_log.success)

asyncio.run(main())
"""
_UNIFIED = """
import asyncio
from services.llm.unified_llm_service import get_llm_service
from services.llm.unified_llm_client import UnifiedLLMClient
from services.llm.connection_warmer import get_llm_warmer

tools = [{
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get weather for a location",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string"}
            },
            "required": ["location"]
        }
    }
}]

async def main():
    # Get service instance
    service = get_llm_service()

    # Generate response
    response = await service.generate_response_async(
        messages=[
            {"role": "system", "content": "You are a helpful assistant."},
            {"role": "user", "content": "Hello!"}
        ],
        temperature=0.7,
        max_tokens=100
    )

    print(f"Response: {response.content}")
    print(f"Provider: {response.provider}")
    print(f"Model: {response.model}")

    client = UnifiedLLMClient()

    response = await client.generate_response(
        messages=[{"role": "user", "content": "Hello!"}]
    )

    print(response["content"])

    response = await service.generate_response_async(
        messages=[{"role": "user", "content": "What's the weather in Paris?"}],
        tools=tools
    )

    # Check for tool calls
    if response.raw_response and "tool_calls" in response.raw_response:
        for tool_call in response.raw_response["tool_calls"]:
            print(f"Tool: {tool_call['name']}")
            print(f"Args: {tool_call['arguments']}")

    stats = service.get_stats()
    print(f"Primary provider: {stats['primary_provider']}")
    print(f"Requests by provider: {stats['stats']['requests_by_provider']}")
    print(f"Errors by provider: {stats['stats']['errors_by_provider']}")
    print(f"Fallback count: {stats['stats']['fallback_count']}")

    # Warm all provider connections
    await service.warm_connections()

    # Get warmer instance
    warmer = await get_llm_warmer()

    # Start warming
    await warmer.start()

    # Get statistics
    stats = warmer.get_stats()

    # Check provider health
    health = warmer.get_provider_health()

    # Stop warming
    await warmer.stop()
    print(stats["running"], {name: each["status"] for name, each in health.items()})

asyncio.run(main())
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with the modules that `llmguard init --shims` writes."""
    command = [sys.executable, "-m", "llmguard", "init", "--shims", "--yes"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)}
    )
    assert (tmp_path / "app/services/llm_wrapper.py").exists(), done.stdout + done.stderr
    assert (tmp_path / "app/services/multi_model_service.py").exists(), done.stdout + done.stderr
    return tmp_path


def ran(code: str, project: Path, provider: FakeProvider) -> list[str]:
    root = provider.base_url.removesuffix("/v1")
    places = {"GROQ_BASE_URL": root, "DEEPINFRA_BASE_URL": provider.base_url, "OPENAI_API_BASE": provider.base_url}
    places |= {"AZURE_OPENAI_ENDPOINT": root, "OPENAI_BASE_URL": provider.base_url}
    keys = dict.fromkeys(("GROQ_API_KEY", "DEEPINFRA_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"), "k")
    ledger = {"LLMGUARD_DATABASE_URL": f"sqlite:///{project}/u.db", "LLMGUARD_SPOOL_DIR": f"{project}/spool"}
    env = {**os.environ, **places, **keys, **ledger, "ROOT": root, "PYTHONPATH": f"{project}{os.pathsep}{ROOT}"}
    env |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    env.pop("LLM_PRIMARY_PROVIDER", None)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], cwd=project, env=env, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_the_wrapper(project: Path, provider: FakeProvider) -> None:
    optional("groq")
    assert ran(_WRAPPER, project, provider) == ["Tokens used: 18", "The answer is 42."]
    (request,) = provider.requests
    assert request.path == "/openai/v1/chat/completions"
    assert (request.body["model"], request.body["max_tokens"]) == ("openai/gpt-oss-20b", 1000)


def test_the_tracker(project: Path, provider: FakeProvider) -> None:
    optional("groq")
    assert ran(_TRACKER, project, provider) == [
        "3 14397 14400",
        "3 ['claude-3-opus', 'gpt-4', 'llama-3.1-70b-versatile']",
    ]


def test_the_multi_model_service(project: Path, provider: FakeProvider) -> None:
    optional("openai")
    provider.answers.extend([Answer(), Answer(), Answer("bad key", status=401)])
    assert ran(_SERVICE, project, provider) == [
        "success The answer is 42. google/gemma-3-4b-it",
        "success meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8 18",
        "error AuthenticationError False",
    ]


def test_the_unified_service(project: Path, provider: FakeProvider) -> None:
    optional("openai")
    function = {"name": "get_weather", "arguments": '{"location": "Paris"}'}
    message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "1", "type": "function", "function": function}],
    }
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m"}
    choices = [{"index": 0, "finish_reason": "tool_calls", "message": message}]
    models = Answer(body=b'{"object": "list", "data": []}')
    tools = Answer(body=json.dumps({**body, "choices": choices}).encode())
    provider.answers.extend([Answer(), Answer(), tools])
    provider.answer = models
    assert ran(_UNIFIED, project, provider) == [
        *("Response: The answer is 42.", "Provider: azure_openai", "Model: gpt-4", "The answer is 42."),
        *("Tool: get_weather", "Args: {'location': 'Paris'}", "Primary provider: azure_openai"),
        *("Requests by provider: {'azure_openai': 3}", "Errors by provider: {}", "Fallback count: 0"),
        "True {'azure_openai': 'healthy', 'openai': 'healthy', 'groq': 'healthy'}",
    ]


def test_the_tracker_block(project: Path, provider: FakeProvider) -> None:
    optional("litellm")
    assert ran(_BLOCK, project, provider)[-1] == "11 7 True"
