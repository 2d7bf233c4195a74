"""What limits cost: admissions a second over many keys, and the wait of one while the flusher writes.

    python benchmarks/limits.py throughput   # 64 users, each with a limit, against bare INSERTs (PostgreSQL)
    python benchmarks/limits.py wait         # the wait of an admission while the flusher writes (SQLite, PostgreSQL)
    python benchmarks/limits.py refused      # a refusal that is known to be one

PostgreSQL is found by LLMGUARD_TEST_POSTGRES. Exits with 1 below half of the INSERTs, and above 20 milliseconds at the
99th percentile in SQLite.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import text

from benchmarks.store import databases
from llmguard.errors import RateLimitExceeded
from llmguard.usage.call import Call
from llmguard.usage.limits.control import limit_of
from llmguard.usage.limits.counting import Charge
from llmguard.usage.recorder import Recorder
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.counters import StoredCounters
from llmguard.usage.store.engine import connect
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.limits import set_limit
from llmguard.usage.tokens import Tokens

PROCESSES, THREADS, SECONDS = 4, 4, 5.0
KEYS = 64
LEAST_RATIO, MOST_WAIT = 0.5, 20.0  # of the INSERTs; milliseconds
CALLS_A_SECOND = 300  # that are recorded and flushed while admissions wait


def main() -> int:
    commands: dict[str, Callable[[], bool]] = {"throughput": throughput, "wait": wait, "refused": refused}
    if len(sys.argv) != 2 or sys.argv[1] not in commands:
        print(__doc__)
        return 2
    return 0 if commands[sys.argv[1]]() else 1


def throughput() -> bool:
    """Whether admissions of different keys do not wait for each other: the statement alone, and with what is round it
    (a thread, so that a deadline can be kept). Best of three, by turns."""
    with databases() as found:
        settings = found["PostgreSQL"]._replace(limits_deadline=30.0)
        _limited(settings, 10**8)
        ratios = []
        for _ in range(3):
            inserted, reserved, admitted = (_all_at_once(work, settings) for work in (_insert, _reserve, _admit))
            ratios.append(reserved / inserted)
            print(
                f"PostgreSQL: {inserted:,.0f} INSERTs a second; {reserved:,.0f} reservations, {ratios[-1]:.2f} times; "
                f"{admitted:,.0f} admissions, {admitted / inserted:.2f} times"
            )
        return max(ratios) >= LEAST_RATIO


def _all_at_once(work: Callable[..., None], settings: UsageSettings) -> float:
    """How often several processes did something in a second."""
    counts = multiprocessing.get_context("spawn").Queue()
    started = [
        multiprocessing.get_context("spawn").Process(target=work, args=(settings, number, counts))
        for number in range(PROCESSES)
    ]
    for process in started:
        process.start()
    total = sum(counts.get(timeout=120) for _ in started)
    for process in started:
        process.join()
    return total / SECONDS


def _insert(settings: UsageSettings, number: int, counts: Any) -> None:
    engine = connect(settings.database_url, settings.schema)
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE IF NOT EXISTS bare (key text, start bigint, used bigint)"))
    statement = text(f'INSERT INTO "{settings.schema}".bare VALUES (:key, :start, :used)')

    def thread(which: int) -> Callable[[], None]:
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        values = {"key": f"u{which}", "start": 0, "used": 1}
        return lambda: connection.execute(statement, values).close()

    counts.put(_for_a_while(thread, number))


def _reserve(settings: UsageSettings, number: int, counts: Any) -> None:
    counters = StoredCounters(connect(settings.database_url, settings.schema), settings.schema, 30.0)

    def thread(which: int) -> Callable[[], None]:
        users = [[Charge(f"u{user}", 0, 0, "requests", 1, 10**8)] for user in range(which, KEYS, PROCESSES * THREADS)]
        turn = iter(range(10**9))
        return lambda: void(counters.reserve(users[next(turn) % len(users)]))

    counts.put(_for_a_while(thread, number))


def void(_: object) -> None:
    """Nothing."""


def _admit(settings: UsageSettings, number: int, counts: Any) -> None:
    gate = Recorder(settings).gate
    assert gate is not None

    def thread(which: int) -> Callable[[], None]:
        users = [{"user_id": f"u{user}"} for user in range(which, KEYS, PROCESSES * THREADS)]
        turn = iter(range(10**9))

        def admit() -> None:
            gate.admit(users[next(turn) % len(users)], None, 10)

        admit()
        return admit

    counts.put(_for_a_while(thread, number))


def _for_a_while(thread: Callable[[int], Callable[[], None]], number: int) -> int:
    """How often the threads of a process do something."""
    works = [thread(number * THREADS + each) for each in range(THREADS)]
    done = [0] * THREADS
    time.sleep(1.0)  # all processes are there
    ends = time.monotonic() + SECONDS

    def repeat(which: int) -> None:
        while time.monotonic() < ends:
            works[which]()
            done[which] += 1

    threads = [threading.Thread(target=repeat, args=(each,)) for each in range(THREADS)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return sum(done)


def wait() -> bool:
    """Whether an admission is quick while another process records and flushes."""
    fine = True
    with databases() as found:
        for name, settings in found.items():
            settings = settings._replace(limits_deadline=30.0)
            _limited(settings, 10**8)
            stop = multiprocessing.get_context("spawn").Event()
            busy = multiprocessing.get_context("spawn").Process(target=_record, args=(settings, stop))
            busy.start()
            time.sleep(3)
            gate = Recorder(settings).gate
            assert gate is not None
            times = []
            for number in range(3000):
                before = time.perf_counter()
                gate.admit({"user_id": f"u{number % KEYS}"}, None, 10)
                times.append((time.perf_counter() - before) * 1e3)
                time.sleep(0.002)
            stop.set()
            busy.join()
            times.sort()
            p99 = times[int(len(times) * 0.99)]
            print(
                f"{name}: {statistics.median(times):.2f} ms at the median, {p99:.1f} at 99 %, {times[-1]:.1f} at most"
            )
            fine = fine and (name != "SQLite" or p99 <= MOST_WAIT)
    return fine


def _record(settings: UsageSettings, stop: Any) -> None:
    """Record calls that are limited too, at the pace of a busy service; the flusher writes and settles them."""
    recording = Recorder(settings)
    number = 0
    while not stop.is_set():
        for _ in range(CALLS_A_SECOND // 50):
            call = Call(recording, {"provider": "openai", "model": "gpt-4o", "user_id": f"u{number % KEYS}"})
            call.start({"messages": [{"role": "user", "content": "x" * 100}]})
            call.finish("ok", tokens=Tokens(100, 40, 140), source="provider")
            number += 1
        time.sleep(0.02)
    recording.close()
    os._exit(0)


def refused() -> bool:
    """What a refusal takes that needs no question."""
    with tempfile.TemporaryDirectory() as folder:
        settings = UsageSettings(f"sqlite:///{folder}/usage.db", spool_dir=f"{folder}/spool")
        _limited(settings, 1)
        gate = Recorder(settings).gate
        assert gate is not None
        times = []
        for _ in range(5000):
            before = time.perf_counter()
            try:
                gate.admit({"user_id": "u1"}, None, 10)
            except RateLimitExceeded:
                times.append((time.perf_counter() - before) * 1e6)
        times.sort()
        print(f"SQLite: {statistics.median(times):.0f} microseconds at the median, {times[-50]:.0f} at 99 %")
    return True


def _limited(settings: UsageSettings, value: int) -> None:
    opened = Ledger.open(settings)
    set_limit(opened.engine, limit_of(value, "month", user_id="*", service_name="", on_outage="closed"))
    opened.close()


if __name__ == "__main__":
    sys.exit(main())
