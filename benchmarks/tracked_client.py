"""What tracking adds to an SDK's calls: CPU of the whole process, recording and writing into the database included.

    python benchmarks/tracked_client.py

Calls of the OpenAI SDK against a provider on the loopback, one at a time and 64 at once: as they are, with `track`, and
with an INSERT awaited after each call (what most programs do that keep their own table): 64 workers, each of which asks
again when it has its answer. Rounds alternate; the ratio is
of the medians. Exits with 1 when tracking costs more than 1.05 times the CPU.
"""

from __future__ import annotations

import asyncio
import functools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

ROUNDS = 9
CALLS = {1: 192, 64: 512}  # calls at once -> calls of a round
MOST = 1.05
MESSAGES = [{"role": "user", "content": "What is the answer to everything?"}]


async def measure(arm: str, base_url: str, database: str) -> None:
    """One process: CPU milliseconds per call, for each line that is read."""
    import openai

    client = openai.AsyncOpenAI(base_url=base_url, api_key="x", max_retries=0)
    flush: Callable[[], Any] = _nothing
    after: Callable[[Any], Awaitable[None]] | None = None
    if arm == "tracked":
        from llmguard import track
        from llmguard.usage.recorder import recorder

        client = track(client, service_name="benchmark")
        flush = functools.partial(recorder().flush, 30)
    elif arm == "insert":
        after = _inserting(database)

    async def call() -> None:
        response = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
        if after is not None:
            await after(response)

    async def work(numbers: Iterator[int]) -> None:
        for _ in numbers:
            await call()

    for _ in range(20):
        await call()
    flush()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        at_once = int(line)
        numbers = iter(range(CALLS[at_once]))
        before = time.process_time()
        await asyncio.gather(*(work(numbers) for _ in range(at_once)))
        flush()
        print((time.process_time() - before) * 1000 / CALLS[at_once], flush=True)
    os._exit(0)


def _nothing() -> Any:
    return None


def _inserting(database: str) -> Callable[[Any], Awaitable[None]]:
    from sqlalchemy import JSON, Column, Integer, MetaData, String, Table, create_engine

    engine = create_engine(f"sqlite:///{database}")
    metadata = MetaData()
    names = ("user_id", "model", "endpoint", "error_message")
    counts = ("tokens_used", "prompt_tokens", "completion_tokens", "duration_ms", "status_code")
    columns = [*(Column(name, String) for name in names), *(Column(name, Integer) for name in counts)]
    table = Table("calls", metadata, Column("id", Integer, primary_key=True), *columns, Column("metadata", JSON))
    metadata.create_all(engine)

    async def insert(response: Any) -> None:
        with engine.begin() as connection:
            connection.execute(table.insert(), {"model": response.model, "tokens_used": response.usage.total_tokens})

    return insert


def main() -> int:
    """Run the arms by turns, and compare."""
    from loopback import provider

    failed = False
    with tempfile.TemporaryDirectory() as folder, provider() as base_url:
        arms = {arm: _start(arm, base_url, folder) for arm in ("plain", "tracked", "insert")}
        for at_once in CALLS:
            times: dict[str, list[float]] = {arm: [] for arm in arms}
            for number in range(ROUNDS):
                order = list(arms) if number % 2 else list(arms)[::-1]
                for arm in order:
                    times[arm].append(_round(arms[arm], at_once))
            plain = statistics.median(times["plain"])
            for arm, taken in times.items():
                ratio = statistics.median(mine / theirs for mine, theirs in zip(taken, times["plain"], strict=True))
                failed |= arm == "tracked" and ratio > MOST
                print(f"{at_once:2} at once  {arm:8} {statistics.median(taken):6.3f} ms CPU per call  {ratio:5.2f} x")
            assert plain
        for process in arms.values():
            process.kill()
            process.communicate()
    return 1 if failed else 0


def _start(arm: str, base_url: str, folder: str) -> subprocess.Popen[str]:
    env = {
        **os.environ,
        "LLMGUARD_DATABASE_URL": f"sqlite:///{folder}/ledger.db",
        "LLMGUARD_SPOOL_DIR": f"{folder}/spool",
    }
    process = subprocess.Popen(
        [sys.executable, __file__, arm, base_url, f"{folder}/own.db"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,  # type: ignore[call-overload]
    )
    assert process.stdout.readline() == "ready\n"
    return process


def _round(process: subprocess.Popen[str], at_once: int) -> float:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{at_once}\n")
    process.stdin.flush()
    return float(process.stdout.readline())


if __name__ == "__main__":
    if len(sys.argv) > 1:
        asyncio.run(measure(*sys.argv[1:]))
    sys.exit(main())
