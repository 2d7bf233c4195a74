"""What a call leaves in the ledger: 18 ways that it can go, for each way to make it.

The table was written down before the code. A cell is (status, prompt tokens, completion tokens, usage source); the
fake provider counts 11 and 7, an estimate of the request is 17.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from llmguard.testing import Answer, FakeProvider
from llmguard.usage import recorder
from llmguard.usage.recorder import Recorder
from llmguard.usage.settings import UsageSettings
from tests.command import ROOT
from tests.optional import optional
from tests.usage.arms import ARMS
from tests.usage.recorded import rows_of

# What LiteLLM and the SDKs warn of is theirs.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

TEXT = "four" * 10  # 5 pieces of 8 characters: 2 tokens each
COUNTED = ("ok", 11, 7, "provider")
ESTIMATED = ("ok", 17, 10, "estimated")
LEFT = ("partial", 17, 4, "estimated")  # two pieces of the answer were read
UNREAD = ("partial", 17, 0, "estimated")
CANCELLED = ("cancelled", 17, None, "estimated")
BROKEN = ("cancelled", 17, 4, "estimated")
REFUSED = ("error", None, None, "none")
KILLED = ("unknown", 17, None, "estimated")


class Cell(NamedTuple):
    """What a row must say."""

    status: str
    prompt: int | None
    completion: int | None
    source: str


#: case: what OpenAI's format leaves.
EXPECTED: dict[str, list[tuple[Any, ...]]] = {
    "sync call": [COUNTED],
    "async call": [COUNTED],
    "sync stream to its end": [ESTIMATED],
    "async stream to its end": [ESTIMATED],
    "async stream with include_usage": [COUNTED],
    "sync stream, break": [LEFT],
    "async stream, break": [LEFT],
    "async stream, break and close": [LEFT],
    "stream never iterated": [UNREAD],
    "cancelled during the call": [CANCELLED],
    "cancelled during the stream": [BROKEN],
    "HTTP 400, sync": [REFUSED],
    "HTTP 400, async": [REFUSED],
    "asyncio.run returns at once": [COUNTED],
    "five times asyncio.run": [COUNTED] * 5,
    "20 at once": [COUNTED] * 20,
    "killed right after the response": [COUNTED],
    "killed during the call": [KILLED],
}
#: Where an arm differs, and why.
DIFFERS: dict[tuple[str, str], list[tuple[Any, ...]]] = {
    # Anthropic sends its counts in every stream, that of the input first, and of the output (1) to begin with.
    ("anthropic", "sync stream to its end"): [COUNTED],
    ("anthropic", "async stream to its end"): [COUNTED],
    ("anthropic", "sync stream, break"): [("partial", 11, 4, "estimated")],
    ("anthropic", "async stream, break"): [("partial", 11, 4, "estimated")],
    ("anthropic", "async stream, break and close"): [("partial", 11, 4, "estimated")],
    ("anthropic", "cancelled during the stream"): [("cancelled", 11, 4, "estimated")],
    # A block does not know the request when it begins.
    ("httpx", "killed during the call"): [("unknown", None, None, "none")],
}
#: Events before the first piece of text, for an arm whose streams do not begin with text.
HEAD = {"anthropic": 2}


def two_pieces(arm: str, provider: FakeProvider) -> int:
    """How many chunks hold two pieces of the answer."""
    return HEAD.get(arm, 0) + 2


def sync_call(arm: Any, provider: FakeProvider, take: int) -> None:
    arm.call()


def async_call(arm: Any, provider: FakeProvider, take: int) -> None:
    asyncio.run(arm.acall())


def sync_to_end(arm: Any, provider: FakeProvider, take: int) -> None:
    with arm.stream() as stream:
        assert sum(1 for _ in stream) >= 5


async def _read(arm: Any, most: int | None = None, *, usage: bool = False, close: bool = False) -> None:
    async with arm.astream(usage) as stream:
        number = 0
        async for _ in stream:
            number += 1
            if number == most:
                break
        if close:
            await getattr(stream, "aclose", getattr(stream, "close", None))()


def async_to_end(arm: Any, provider: FakeProvider, take: int) -> None:
    asyncio.run(_read(arm))


def async_with_usage(arm: Any, provider: FakeProvider, take: int) -> None:
    asyncio.run(_read(arm, usage=True))


def sync_break(arm: Any, provider: FakeProvider, take: int) -> None:
    with arm.stream() as stream:
        for number, _ in enumerate(stream, 1):
            if number == take:
                break


def async_break(arm: Any, provider: FakeProvider, take: int) -> None:
    asyncio.run(_read(arm, take))


def async_break_and_close(arm: Any, provider: FakeProvider, take: int) -> None:
    asyncio.run(_read(arm, take, close=True))


def never_iterated(arm: Any, provider: FakeProvider, take: int) -> None:
    with arm.stream():
        pass


def cancelled_in_call(arm: Any, provider: FakeProvider, take: int) -> None:
    provider.answer = provider.answer._replace(delay=1.0)

    async def work() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(arm.acall(), 0.4)

    asyncio.run(work())


def cancelled_in_stream(arm: Any, provider: FakeProvider, take: int) -> None:
    provider.answer = provider.answer._replace(chunk_delay=0.05)

    async def read(seen: asyncio.Event) -> None:
        async with arm.astream() as stream:
            number = 0
            async for _ in stream:
                number += 1
                if number == take:
                    provider.answer = provider.answer._replace(chunk_delay=5)
                    seen.set()
                    await asyncio.sleep(5) if arm.__class__.__name__ == "HTTPArm" else None

    async def work() -> None:
        seen = asyncio.Event()
        task = asyncio.create_task(read(seen))
        await asyncio.wait_for(seen.wait(), 20)
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())


def refused(arm: Any, provider: FakeProvider, take: int) -> None:
    provider.answer = Answer("no", status=400)
    with pytest.raises(Exception, match=r"400|BadRequest"):
        arm.call()


def refused_async(arm: Any, provider: FakeProvider, take: int) -> None:
    provider.answer = Answer("no", status=400)
    with pytest.raises(Exception, match=r"400|BadRequest"):
        asyncio.run(arm.acall())


def five_runs(arm: Any, provider: FakeProvider, take: int) -> None:
    for _ in range(5):
        asyncio.run(arm.acall())


def twenty_at_once(arm: Any, provider: FakeProvider, take: int) -> None:
    async def work() -> None:
        await asyncio.gather(*(arm.acall() for _ in range(20)))

    asyncio.run(work())


_PROGRAM = """
import sys
from llmguard.usage import recorder
from llmguard.usage.settings import UsageSettings
from tests.usage.arms import ARMS
recorder.configure(UsageSettings(sys.argv[1], sys.argv[2], sys.argv[3], project_root=sys.argv[5]))
recorder.recorder()._running = lambda: type("Idle", (), {"wake": lambda s: None, "stop": lambda s, d: None})()
arm = ARMS[sys.argv[6]](sys.argv[4])
arm.call()
print("returned", flush=True)
import time; time.sleep(60)
"""


def _start(name: str, provider: FakeProvider, settings: UsageSettings) -> subprocess.Popen[str]:
    """A program that makes one call; its flusher never gets to run, so that only the spool can tell."""
    place = (settings.database_url, settings.schema, settings.spool_dir, provider.url, str(ROOT), name)
    return subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, *place], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=os.environ
    )


def killed_after(name: str, provider: FakeProvider, settings: UsageSettings) -> None:
    process = _start(name, provider, settings)
    assert process.stdout is not None
    assert process.stdout.readline() == "returned\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()


def killed_during(name: str, provider: FakeProvider, settings: UsageSettings) -> None:
    provider.answer = provider.answer._replace(delay=60)
    process = _start(name, provider, settings)
    ends = time.monotonic() + 60
    while not provider.requests:
        assert time.monotonic() < ends, "the request did not arrive"
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()


CASES: dict[str, Callable[[Any, FakeProvider, int], None]] = {
    "sync call": sync_call,
    "async call": async_call,
    "sync stream to its end": sync_to_end,
    "async stream to its end": async_to_end,
    "async stream with include_usage": async_with_usage,
    "sync stream, break": sync_break,
    "async stream, break": async_break,
    "async stream, break and close": async_break_and_close,
    "stream never iterated": never_iterated,
    "cancelled during the call": cancelled_in_call,
    "cancelled during the stream": cancelled_in_stream,
    "HTTP 400, sync": refused,
    "HTTP 400, async": refused_async,
    "asyncio.run returns at once": async_call,
    "five times asyncio.run": five_runs,
    "20 at once": twenty_at_once,
}
KILLS = {"killed right after the response": killed_after, "killed during the call": killed_during}


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with FakeProvider(Answer(TEXT)) as running:
        yield running


def settled(recording: Recorder, number: int) -> list[dict[str, Any]]:
    """The rows, once there are so many: LiteLLM's threads hold a stream for a moment after it was dropped."""
    ends = time.monotonic() + 5
    while True:
        gc.collect()
        rows = rows_of(recording)
        if len(rows) >= number or time.monotonic() > ends:
            return rows
        time.sleep(0.05)


def cells(rows: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [
        tuple(row[name] for name in ("status", "prompt_tokens", "completion_tokens", "usage_source")) for row in rows
    ]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", ARMS)
def test_a_call(name: str, case: str, settings: UsageSettings, provider: FakeProvider) -> None:
    optional(name)
    recording = recorder.configure(settings._replace(project_root=str(ROOT)))
    try:
        arm = ARMS[name](provider.url)
        CASES[case](arm, provider, two_pieces(name, provider))
        expected = DIFFERS.get((name, case), EXPECTED[case])
        rows = settled(recording, len(expected))
    finally:
        recorder.configure(settings._replace(disabled=True))
    assert cells(rows) == expected
    assert len(rows) == len(provider.requests)
    for row in rows:
        assert (row["model"], row["service_name"]) == ("test-model", "matrix")
        assert row["code_file"] == "tests/usage/arms.py"
        if row["status"] == "error":
            assert row["status_code"] == 400


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.parametrize("case", KILLS)
@pytest.mark.parametrize(
    "name", [name if name in ("openai", "httpx") else pytest.param(name, marks=pytest.mark.full) for name in ARMS]
)
def test_a_kill(name: str, case: str, settings: UsageSettings, provider: FakeProvider) -> None:
    optional(name)
    KILLS[case](name, provider, settings)
    recording = recorder.configure(settings)
    try:
        rows = rows_of(recording)
    finally:
        recorder.configure(settings._replace(disabled=True))
    assert cells(rows) == DIFFERS.get((name, case), EXPECTED[case])


def test_the_table_is_whole() -> None:
    assert list(EXPECTED) == [*CASES, *KILLS]
    assert len(EXPECTED) == 18
