"""A call that a tracked client has recorded, and that the program logs by hand as well, is one call with one row."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from typing import Any

import pytest

from llmguard import llm_tracker, llm_wrapper, track
from llmguard.testing import FakeProvider, memory_ledger
from llmguard.usage import segments
from llmguard.usage.recorder import Recorder, replace
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.rollup import differences
from tests.command import ROOT
from tests.optional import optional
from tests.usage.recorded import rows_of

M = [{"role": "user", "content": "x"}]
LOGGED: dict[str, Any] = {"prompt_tokens": 11, "completion_tokens": 7, "tokens_used": 18, "duration_ms": 5}


async def log(user: str = "ann", model: str = "gpt-4o-mini", **more: Any) -> str:
    metadata = {"service": "voice", "samples": 3}
    return await llm_tracker.log_llm_call(user, model, metadata=metadata, **{**LOGGED, **more})


@pytest.mark.parametrize("how", ["sync", "async", "stream", "wrapper", "block"])
def test_it_is_one_row_with_what_both_say(how: str) -> None:
    openai = optional("openai")
    with FakeProvider() as provider, memory_ledger() as ledger:
        options = {"base_url": provider.base_url, "api_key": "k"}
        asked: dict[str, Any] = {"model": "gpt-4o-mini", "messages": M}

        async def work() -> str:
            if how == "sync":
                track(openai.OpenAI(**options), service_name="s").chat.completions.create(**asked)
            elif how == "async":
                await track(openai.AsyncOpenAI(**options), service_name="s").chat.completions.create(**asked)
            elif how == "stream":
                usage = {"stream": True, "stream_options": {"include_usage": True}}
                stream = await track(openai.AsyncOpenAI(**options), service_name="s").chat.completions.create(
                    **asked, **usage
                )
                async for _ in stream:
                    pass
            elif how == "wrapper":
                await llm_wrapper.chat_completion(
                    M, model="gpt-4o-mini", provider="openai", service_name="s", client_options=options
                )
            else:
                client = openai.OpenAI(**options)
                with llm_tracker.track_llm_call("openai", "gpt-4o-mini", service_name="s") as usage_log:
                    usage_log.response = client.chat.completions.create(**asked)
            return await log()

        identity = asyncio.run(work())
    (row,) = ledger.rows
    assert row["call_id"] == identity
    assert (row["user_id"], row["service_name"], row["tokens_used"], row["usage_source"]) == (
        "ann",
        "s",
        18,
        "provider",
    )
    assert row["metadata"]["samples"] == 3


@pytest.mark.parametrize(
    ("model", "more", "rows"),
    [
        ("gpt-4o-mini", {}, 1),
        ("openai/GPT-4o-mini", {}, 1),
        ("gpt-4o", {}, 2),
        ("gpt-4o-mini", {"prompt_tokens": 12}, 2),
        ("gpt-4o-mini", {"tokens_used": None, "prompt_tokens": None, "completion_tokens": None}, 1),
        ("gpt-4o-mini", {"tokens_used": 0, "prompt_tokens": 0, "completion_tokens": 0}, 2),
        ("gpt-4o-mini", {"error_message": "no JSON"}, 2),
    ],
)
def test_only_what_is_surely_the_same_is(model: str, more: dict[str, Any], rows: int) -> None:
    openai = optional("openai")
    with FakeProvider() as provider, memory_ledger() as ledger:
        client = track(openai.OpenAI(base_url=provider.base_url, api_key="k"))
        client.chat.completions.create(model="gpt-4o-mini", messages=M)
        asyncio.run(log(model=model, **more))
        assert len(ledger.rows) == rows


def test_each_log_means_a_call_of_its_own_and_other_contexts_mean_others() -> None:
    openai = optional("openai")
    with FakeProvider() as provider, memory_ledger() as ledger:
        client = track(openai.AsyncOpenAI(base_url=provider.base_url, api_key="k"))

        async def request(user: str) -> None:
            for _ in range(2):
                await client.chat.completions.create(model="gpt-4o-mini", messages=M)
            for number in range(3):
                await log(f"{user}{number}")

        async def work() -> None:
            await asyncio.gather(*(asyncio.create_task(request(user)) for user in "abc"))
            await log("nobody")

        asyncio.run(work())
    users = sorted(row["user_id"] for row in ledger.rows)
    assert users == sorted([f"{user}{number}" for user in "abc" for number in range(3)] + ["nobody"])


def test_the_row_and_its_sums_are_those_of_the_user(settings: UsageSettings) -> None:
    openai = optional("openai")
    recording = Recorder(settings)
    before = replace(recording)
    try:
        with FakeProvider() as provider:
            client = track(openai.OpenAI(base_url=provider.base_url, api_key="k"), service_name="s", user_id="default")
            for user in ("ann", "bob"):
                client.chat.completions.create(model="gpt-4o-mini", messages=M)
                _log(user)
            client.chat.completions.create(model="gpt-4o-mini", messages=M)
        rows = rows_of(recording)
        assert [row["user_id"] for row in rows] == ["ann", "bob", "default"]
        assert rows[0]["metadata"]["samples"] == 3
        ledger = Ledger.open(settings)
        assert differences(ledger.engine) == []
        ledger.close()
    finally:
        replace(before)
        recording.close(5)


def _log(user: str) -> None:
    """In this context: `asyncio.run` would copy it."""
    coroutine = log(user)
    with pytest.raises(StopIteration):
        coroutine.send(None)


def test_without_a_spool_too(settings: UsageSettings) -> None:
    openai = optional("openai")
    recording = Recorder(settings._replace(spool=False))
    before = replace(recording)
    try:
        with FakeProvider() as provider:
            track(openai.OpenAI(base_url=provider.base_url, api_key="k")).chat.completions.create(model="m", messages=M)
            coroutine = log("ann", model="m")
            with pytest.raises(StopIteration):
                coroutine.send(None)
    finally:
        replace(before)
    ledger = Ledger.open(settings)
    with ledger.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT user_id FROM llm_usage_logs").scalars().all() == ["ann"]
    ledger.close()


def test_a_kill_after_it_loses_nothing(settings: UsageSettings) -> None:
    optional("openai")
    program = """
import asyncio, os, signal, sys
import openai
from llmguard import llm_tracker, track
from llmguard.usage import flusher, recorder
from llmguard.usage.settings import UsageSettings
flusher.Flusher.step = lambda self: False
recorder.configure(UsageSettings(*sys.argv[1:4]))
client = track(openai.AsyncOpenAI(base_url=sys.argv[4], api_key="k"))
async def work():
    await client.chat.completions.create(model="m", messages=[{"role": "user", "content": "x"}])
    await llm_tracker.log_llm_call("ann", "m", tokens_used=18, metadata={"n": 1})
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(work())
"""
    from tests.usage.test_crash import bring_in, rows

    with FakeProvider() as provider:
        command = [sys.executable, "-c", program, settings.database_url, settings.schema, settings.spool_dir]
        done = subprocess.run([*command, provider.base_url], cwd=ROOT, env=os.environ, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    bring_in(settings)
    (row,) = rows(settings)
    assert (row["user_id"], row["status"], row["tokens_used"]) == ("ann", "ok", 18)
    assert row["metadata"]["n"] == 1
    assert segments.segments(settings.spool_folder) == []
