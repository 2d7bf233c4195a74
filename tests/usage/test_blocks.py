"""Tracker blocks where Python makes it hard: tasks that outlive them, generators, one object used at once."""

from __future__ import annotations

import asyncio
import contextvars
import gc
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from llmguard import llm_tracker
from llmguard.testing import MemoryLedger, memory_ledger

track = llm_tracker.track_llm_call


@pytest.fixture
def ledger() -> Iterator[MemoryLedger]:
    with memory_ledger() as memory:
        yield memory


def response(prompt: int = 5, completion: int = 2) -> SimpleNamespace:
    return SimpleNamespace(usage=SimpleNamespace(prompt_tokens=prompt, completion_tokens=completion))


def models(ledger: MemoryLedger) -> list[tuple[Any, ...]]:
    return [(row.get("model"), row["status"]) for row in ledger.rows]


def test_a_task_that_outlives_a_block_is_on_its_own(ledger: MemoryLedger) -> None:
    async def later(go: asyncio.Event) -> None:
        await go.wait()
        async with track("p", "later"):
            pass

    async def work() -> None:
        go = asyncio.Event()
        async with track("p", "block"):
            task = asyncio.create_task(later(go))
            await asyncio.sleep(0)
        go.set()
        await task

    asyncio.run(work())
    assert models(ledger) == [("block", "ok"), ("later", "ok")]


def test_a_generator_that_is_stepped_in_other_contexts(ledger: MemoryLedger) -> None:
    def generate() -> Iterator[int]:
        with track("p", "generator"):
            yield 1
            yield 2

    steps = generate()
    seen = [contextvars.copy_context().run(next, steps, None) for _ in range(3)]
    assert seen == [1, 2, None]
    assert models(ledger) == [("generator", "ok")]


def test_a_suspended_generator_does_not_swallow_what_others_call(ledger: MemoryLedger) -> None:
    def generate(name: str) -> Iterator[int]:
        with track("p", name):
            yield 1
            with track("p", "inner"):
                pass
            yield 2

    for _ in generate("a"):
        with track("p", "consumer"):
            pass
    list(zip(generate("b"), generate("c"), strict=True))
    assert [model for model, _ in models(ledger)] == ["a", "consumer", "consumer", "b", "c"]


def test_an_asynchronous_generator_that_is_left(ledger: MemoryLedger) -> None:
    async def generate() -> AsyncIterator[int]:
        async with track("p", "generator"):
            yield 1
            yield 2

    async def work() -> None:
        async for _ in generate():
            break
        gc.collect()
        await asyncio.sleep(0.01)
        async with track("p", "after"):
            pass

    asyncio.run(work())
    assert models(ledger) == [("generator", "cancelled"), ("after", "ok")]


def test_one_object_in_several_tasks_and_inside_itself(ledger: MemoryLedger) -> None:
    block = track("p", "m")

    async def use(number: int) -> None:
        async with block as usage_log:
            await asyncio.sleep(0.01 * (3 - number))
            usage_log.input_tokens = number
            usage_log.output_tokens = 0

    async def work() -> None:
        await asyncio.gather(*(use(number) for number in range(3)))

    asyncio.run(work())
    assert sorted(row["prompt_tokens"] for row in ledger.rows) == [0, 1, 2]
    with block as outer:
        with block as inner:
            inner.input_tokens, inner.output_tokens = 1, 1
        outer.input_tokens, outer.output_tokens = 10, 10
    assert ledger.rows[-1]["tokens_used"] == 20
    assert len(ledger.rows) == 4


def test_inner_blocks_give_their_tokens_to_the_outer_one(ledger: MemoryLedger) -> None:
    @track("p", "outer")
    def work() -> None:
        for _ in range(2):
            with track("p", "inner") as usage_log:
                usage_log.response = response()
        asyncio.run(llm_tracker.log_llm_call("u", "m", prompt_tokens=1, completion_tokens=1))

    work()
    (row,) = ledger.rows
    assert (row["model"], row["prompt_tokens"], row["completion_tokens"]) == ("outer", 11, 5)


def test_decorated_generators(ledger: MemoryLedger) -> None:
    chunk = {"choices": [{"delta": {"content": "four"}}]}

    @track("p", "sync")
    def generate() -> Iterator[Any]:
        yield chunk
        yield {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 1}}

    @track("p", "async")
    async def generate_async() -> AsyncIterator[Any]:
        yield chunk
        raise ValueError("broken")

    async def work() -> None:
        with pytest.raises(ValueError, match="broken"):
            async for _ in generate_async():
                pass

    assert len(list(generate())) == 2
    asyncio.run(work())
    assert models(ledger) == [("sync", "ok"), ("async", "error")]
    assert ledger.rows[0]["tokens_used"] == 4


class Broken:
    """Every attribute raises."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "given",
    [
        {"metadata": None},
        {"input_tokens": "12", "output_tokens": 5},
        {"input_tokens": -1, "output_tokens": float("nan")},
        {"response": Broken()},
        {"request_data": {("a",): 1}},
    ],
    ids=lambda given: next(iter(given)),
)
def test_odd_values_never_reach_the_users_code(ledger: MemoryLedger, given: dict[str, Any]) -> None:
    with track("p", "m") as usage_log:
        for name, value in given.items():
            setattr(usage_log, name, value)

    def fails() -> None:
        with track("p", "m") as usage_log:
            for name, value in given.items():
                setattr(usage_log, name, value)
            raise KeyError("the user's own")

    with pytest.raises(KeyError, match="the user's own"):
        fails()
    assert [row["status"] for row in ledger.rows] == ["ok", "error"]


def test_a_stream_that_a_block_follows(ledger: MemoryLedger) -> None:
    lines = ['data: {"choices": [{"delta": {"content": "fourfour"}}]}', "", "data: [DONE]"]
    with track("p", "m") as usage_log:
        usage_log.request_data = {"messages": [{"role": "user", "content": "1234"}]}
        assert len(list(usage_log.follow(lines))) == 3
    with track("p", "m") as usage_log:
        next(usage_log.follow([Broken(), 1]))
    whole, left = ledger.rows
    assert (whole["status"], whole["prompt_tokens"], whole["completion_tokens"]) == ("ok", 1, 2)
    assert left["status"] == "partial"
