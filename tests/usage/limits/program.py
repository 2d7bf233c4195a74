"""What the processes of these tests do: call a fake provider, and say what became of it.

    python -m tests.usage.limits.program DATABASE SCHEMA SPOOL BASE_URL

It imports what it needs once. Each line of its input, `NUMBER ATTEMPTS WAY [FIELD=VALUE ...]`, forks so many processes,
each of which prints a line when it is ready; an empty line has all of them begin. Each call of theirs gives a line
"admitted", or the name of the exception, with the time and the process.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from datetime import datetime, timezone, tzinfo
from typing import Any

import openai

from llmguard import llm_tracker, llm_wrapper, track
from llmguard.errors import RateLimitExceeded
from llmguard.usage import recorder
from llmguard.usage.limits import gate, limit
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store import counters, ledger, limits, write

LOADED = (counters, gate, ledger, limits, write)  # once, before the forks
MESSAGES = [{"role": "user", "content": "12345678"}]  # two tokens, by the estimate


def _quick_minutes() -> None:
    """Minutes of two seconds, so that a test need not wait for one."""
    before = limit.window

    def quick(name: str, now: datetime, zone: tzinfo) -> tuple[datetime, datetime]:
        if name != "minute":
            return before(name, now, zone)
        start = int(now.timestamp()) // 2 * 2
        return datetime.fromtimestamp(start, timezone.utc), datetime.fromtimestamp(start + 2, timezone.utc)

    limit.window = quick


def main() -> None:
    if os.environ.get("LLMGUARD_TEST_CLOCK"):
        _quick_minutes()
    url, schema, spool, base_url = sys.argv[1:]
    settings = UsageSettings(url, schema, spool, limits_deadline=30.0)
    children = []
    reading, writing = os.pipe()
    for line in sys.stdin:
        if not line.strip():
            break
        number, attempts, way, *given = line.split()
        for _ in range(int(number)):
            child = os.fork()
            if child == 0:
                os.close(writing)
                _call(settings, reading, base_url, int(attempts), way, dict(each.split("=", 1) for each in given))
            children.append(child)
    os.close(writing)  # which lets all of them go
    for child in children:
        os.waitpid(child, 0)


def _call(
    settings: UsageSettings, reading: int, base_url: str, attempts: int, way: str, fields: dict[str, str]
) -> None:
    try:
        recorder.configure(settings)
        asked: dict[str, Any] = {"model": fields.pop("model", "m"), "max_tokens": 8, "messages": MESSAGES}
        said: list[str] = []

        def note(error: BaseException | None) -> None:
            said.append(f"{type(error).__name__ if error else 'admitted'} {time.time()} {os.getpid()}")

        os.write(1, b"ready\n")
        os.read(reading, 1)
        if way == "dying":
            threading.Thread(target=_die, args=(settings,)).start()
        while way == "heirs" and not os.path.exists(f"{settings.spool_dir}.died"):
            time.sleep(0.02)
        if way == "async":
            asyncio.run(_asynchronously(base_url, attempts, asked, fields, note))
        else:
            _in_threads(_asker(way, base_url, asked, fields), attempts, note)
        os.write(1, "".join(f"{each}\n" for each in said).encode())
        recorder.recorder().flush(30)
    finally:
        os._exit(0)


def _die(settings: UsageSettings) -> None:
    """Die when all four calls are under way."""
    while len(recorder.recorder().underway.of("ann", 0, time.time())) < 4:
        time.sleep(0.02)
    time.sleep(1.0)
    with open(f"{settings.spool_dir}.died", "w", encoding="utf-8"):
        os.kill(os.getpid(), signal.SIGKILL)


def _in_threads(ask: Any, attempts: int, note: Any) -> None:
    if not attempts:  # for five seconds
        ends = time.time() + 5
        while time.time() < ends:
            _several(ask, 1, note)
            time.sleep(0.005)
        return
    threads = [threading.Thread(target=_several, args=(ask, attempts // 4, note)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _several(ask: Any, times: int, note: Any) -> None:
    for _ in range(times):
        try:
            ask()
        except RateLimitExceeded as error:  # noqa: PERF203  (that is what it is about)
            note(error)
        else:
            note(None)


def _asker(way: str, base_url: str, asked: dict[str, Any], fields: dict[str, Any]) -> Any:
    options: dict[str, Any] = {"base_url": base_url, "api_key": "k", "max_retries": 0}
    if way == "block":
        client = openai.OpenAI(**options)

        def block() -> None:
            with llm_tracker.track_llm_call("openai", asked["model"], **fields):
                client.chat.completions.create(**asked)

        return block
    if way == "track":
        tracked = track(openai.OpenAI(**options), **fields)
        return lambda: tracked.chat.completions.create(**asked)
    if way == "using":
        mine = openai.OpenAI(**options)
        return lambda: llm_wrapper.using(mine, **fields).chat.completions.create(**asked)
    return lambda: llm_wrapper.chat_completion_sync(**asked, provider="openai", client_options=options, **fields)


async def _asynchronously(
    base_url: str, attempts: int, asked: dict[str, Any], fields: dict[str, Any], note: Any
) -> None:
    options = {"base_url": base_url, "api_key": "k", "max_retries": 0}

    async def one() -> None:
        try:
            await llm_wrapper.chat_completion(**asked, provider="openai", client_options=options, **fields)
        except RateLimitExceeded as error:
            note(error)
        else:
            note(None)

    for start in range(0, attempts, 20):
        await asyncio.gather(*(one() for _ in range(min(20, attempts - start))))


if __name__ == "__main__":
    main()
