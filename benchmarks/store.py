"""How fast records get into the ledger, how fast a question is answered, and what memory does in an outage.

    python benchmarks/store.py flush      # rows per second from the spool into SQLite and PostgreSQL
    python benchmarks/store.py stats      # get_usage_stats, and sums by call site, over 1,000,000 rows
    python benchmarks/store.py outage     # growth of the process at 200 calls/s while the database is gone

PostgreSQL is found by LLMGUARD_TEST_POSTGRES (postgresql+psycopg://root@127.0.0.1:5432/test). Exits with 1 below 5,000
rows a second, above 50 milliseconds (100 for the sums by site), above 10 MiB.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import Any

from llmguard.usage.call import Call
from llmguard.usage.recorder import Recorder
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.tokens import Tokens

POSTGRES = os.environ.get("LLMGUARD_TEST_POSTGRES", "postgresql+psycopg://root@127.0.0.1:5432/test")
ROWS = 20_000
LEAST_ROWS, MOST_MILLISECONDS, MOST_GROWTH = 5000, 50, 10 * 1024 * 1024
MOST_SITES = 100  # milliseconds


@contextmanager
def databases() -> Iterator[dict[str, UsageSettings]]:
    """A ledger in SQLite and one in PostgreSQL, empty."""
    from sqlalchemy import create_engine, text

    from llmguard.usage.store.engine import connect
    from llmguard.usage.store.schema import upgrade

    schema = f"llmguard_{uuid.uuid4().hex[:12]}"
    engine = connect(POSTGRES, schema)
    upgrade(engine, schema)
    engine.dispose()
    with tempfile.TemporaryDirectory() as folder:
        yield {
            "SQLite": UsageSettings(f"sqlite:///{folder}/usage.db", spool_dir=f"{folder}/spool"),
            "PostgreSQL": UsageSettings(POSTGRES, schema, f"{folder}/spool"),
        }
    admin = create_engine(POSTGRES)
    with admin.begin() as connection:
        connection.execute(text(f'DROP SCHEMA "{schema}" CASCADE'))


def flush() -> bool:
    """Whether a flush is fast enough; what was recorded waits until the clock runs."""
    good = True
    with databases() as ledgers:
        for name, settings in ledgers.items():
            Ledger.open(settings).close()
            recording = Recorder(settings)
            started = recording._started
            recording._started = lambda: type("Idle", (), {"wake": lambda self: None})()  # type: ignore[assignment]
            for number in range(ROWS):
                call = Call(recording, {"provider": "openai", "model": "gpt-4o", "user_id": f"u{number % 50}"})
                call.start()
                call.finish("ok", tokens=Tokens(100, 40, 140))
            recording._started = started  # type: ignore[method-assign]
            before = time.perf_counter()
            recording.wake()
            assert recording.flush(120)
            rate = ROWS / (time.perf_counter() - before)
            recording.close(5)
            good &= rate >= LEAST_ROWS
            print(f"flush into {name:10} {rate:8,.0f} rows/s")
    return good


def stats() -> bool:
    """Whether a user's statistics, and the sums by call site, over a million rows are fast enough."""
    from llmguard.usage.store.query import Period
    from llmguard.usage.store.read import usage_stats
    from llmguard.usage.store.totals import summary

    good = True
    now = datetime.now(timezone.utc)
    users = [f"user-{number}" for number in range(50)]
    with databases() as ledgers:
        for name, settings in ledgers.items():
            opened = Ledger.open(settings)
            for batch in range(200):
                age = 30 * 86400 * (1 - batch / 200)
                opened.write([_row(now - timedelta(seconds=age), random.choice(users)) for _ in range(5000)])
            times = []
            for user in random.sample(users, 30):
                before = time.perf_counter()
                found = usage_stats(opened.engine, user, 30)
                times.append((time.perf_counter() - before) * 1000)
                assert found["total_calls"] > 15_000
            sites = []
            for _ in range(10):
                before = time.perf_counter()
                assert len(summary(opened.engine, "site", Period(), {})) == 40
                sites.append((time.perf_counter() - before) * 1000)
            opened.close()
            median = statistics.median(times)
            good &= median <= MOST_MILLISECONDS and statistics.median(sites) <= MOST_SITES
            print(f"sums by call site over 1,000,000 rows in {name:10} median {statistics.median(sites):5.1f} ms")
            print(
                f"get_usage_stats over 1,000,000 rows in {name:10} median {median:5.1f} ms, most {max(times):5.1f} ms"
            )
    return good


def _row(at: datetime, user: str) -> dict[str, Any]:
    model = random.choice(("gpt-4o", "gpt-4o-mini", "claude-sonnet-4"))
    counts = {"tokens_used": 140, "prompt_tokens": 100, "completion_tokens": 40}
    at += timedelta(seconds=random.randrange(12960))
    head = {"call_id": str(uuid.uuid4()), "attempt_no": 0, "created_at": at, "status": "ok", "user_id": user}
    site = random.randrange(40)
    place = {"code_file": f"app/file_{site % 10}.py", "code_function": f"ask_{site}", "code_line": site}
    return {**head, **counts, **place, "model": model, "provider": "openai", "service_name": "abc"[site % 3]}


def outage() -> bool:
    """Whether memory stays flat: 200 calls a second for a minute, the database refuses connections."""
    import gc

    with tempfile.TemporaryDirectory() as folder:
        recording = Recorder(UsageSettings("postgresql://nobody@127.0.0.1:1/x", spool_dir=folder))
        before = grown = 0
        for second in range(60):
            for _ in range(200):
                call = Call(recording, {"provider": "openai", "model": "gpt-4o", "metadata": {"note": "x" * 200}})
                call.start()
                call.finish("ok", tokens=Tokens(100, 40, 140))
                time.sleep(0.0045)
            gc.collect()
            if second == 9:
                before = _resident()
        grown = _resident() - before
        recording.spool.close()
    print(f"growth in 50 s of an outage at 200 calls/s: {grown / 1024 / 1024:.1f} MiB")
    return grown < MOST_GROWTH


def _resident() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    chosen = sys.argv[1:] or ["flush", "stats", "outage"]
    results = [{"flush": flush, "stats": stats, "outage": outage}[name]() for name in chosen]
    os._exit(0 if all(results) else 1)
