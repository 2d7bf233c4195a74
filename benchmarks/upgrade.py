"""How long the upgrade of a ledger of version 0.1 takes, and how long it keeps a writer waiting.

    python benchmarks/upgrade.py [ROWS] [CHECKOUT]     # 1,000,000 by default, in SQLite and in PostgreSQL

PostgreSQL is found by LLMGUARD_TEST_POSTGRES. A writer inserts a row every 10 milliseconds meanwhile, as 0.1 does. With
a checkout of version 0.1 (commit 1786f42), four of its processes record calls before, during and after the upgrade
instead. Exits with 1 when a row is missing afterwards.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time
import uuid

from sqlalchemy import Engine, create_engine, text

from llmguard.usage.adoption import adopt_all
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store import schema
from llmguard.usage.store.engine import connect
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.rollup import differences

POSTGRES = os.environ.get("LLMGUARD_TEST_POSTGRES", "postgresql+psycopg://root@127.0.0.1:5432/test")
_SERIES = {
    "sqlite": "WITH RECURSIVE series(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM series WHERE n < {rows}) ",
    "postgresql": "WITH series(n) AS (SELECT generate_series(1, {rows})) ",
}
_AT = {
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f000', '2026-11-01', '+' || (n * 2) || ' seconds')",
    "postgresql": "TIMESTAMPTZ '2026-11-01Z' + n * interval '2 seconds'",
}
_FILL = """INSERT INTO llm_usage_logs (id, call_id, user_id, provider, model, tokens_used, metadata, created_at, status,
code_file, code_function, code_line, total_cost) {series} SELECT {identity}, {identity}, 'user-' || (n % 50), 'openai',
'model-' || (n % 3), n % 1000, CAST('{{"note": "a text of some length, as metadata is"}}' AS {json}), {at}, 'ok',
'app/file_' || (n % 40) || '.py', 'ask', n % 40, {cost} FROM series"""


_HOUR = {
    "sqlite": "strftime('%Y-%m-%d %H:00:00.000000', created_at)",
    "postgresql": "date_trunc('hour', created_at, 'UTC')",
}
_SUMS = """INSERT INTO llm_usage_hourly (hour, user_id, service_name, feature_context, provider, model, calls, errors,
unknown_calls, unpriced_calls, tokens, prompt_tokens, completion_tokens, duration_ms, total_cost) SELECT {hour},
user_id, '', '', provider, model, count(*), 0, 0, 0, sum(tokens_used), 0, 0, 0, sum(total_cost) FROM llm_usage_logs
GROUP BY 1, 2, 5, 6"""
#: A program of version 0.1: calls, until a file says that it is enough.
_OLD = """
import asyncio, os, sys, time
from llmguard.usage import recorder
from llmguard.usage.settings import UsageSettings
from llmguard import llm_tracker
recorder.configure(UsageSettings(sys.argv[1], sys.argv[2], sys.argv[3]))
calls = 0
while not os.path.exists(sys.argv[4]):
    asyncio.run(llm_tracker.log_llm_call("ann", "gpt-4o", prompt_tokens=3, completion_tokens=4, tokens_used=7))
    calls += 1
    time.sleep(0.01)
print(calls)
"""


def under_old_writers(url: str, name: str, rows: int, checkout: str) -> bool:
    """Upgrade a filled ledger while processes of version 0.1 record into it; whether nothing is missing."""
    engine = connect(url, name)
    fill(engine, name, rows)
    with tempfile.TemporaryDirectory() as folder:
        spool, enough = os.path.join(folder, "spool"), os.path.join(folder, "enough")
        command = [sys.executable, "-c", _OLD, url, name, spool, enough]
        environment = {**os.environ, "PYTHONPATH": checkout, "PYTHONSAFEPATH": "1"}
        writers = [
            subprocess.Popen(command, env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            for _ in range(4)
        ]
        time.sleep(4)  # some of theirs are in the database
        before = time.perf_counter()
        schema.upgrade(engine, name)
        took = time.perf_counter() - before
        time.sleep(2)
        pathlib.Path(enough).touch()
        calls = sum(int(writer.communicate(timeout=120)[0]) for writer in writers)
        with engine.connect() as connection:
            at_once = connection.execute(text("SELECT count(*) FROM llm_usage_logs")).scalar_one() - rows
        settings = UsageSettings(url, name, spool)
        ledger = Ledger.open(settings)
        adopt_all(settings.spool_folder, set(), ledger.write)
        ledger.close()
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM llm_usage_logs")).scalar_one()
    wrong = differences(engine)
    engine.dispose()
    writers_said = f"of {calls:,} calls of four processes of 0.1 they wrote {at_once:,}, the others were in the spool"
    missing = f"{rows + calls - found:,} missing, {len(wrong)} sums wrong"
    print(f"{engine.dialect.name:10} {rows:,} rows upgraded in {took:5.1f} s; {writers_said}; {missing}")
    return bool(found == rows + calls and not wrong)


def fill(engine: Engine, name: str, rows: int) -> None:
    """A ledger of version 0.1 with so many rows."""
    dialect = engine.dialect.name
    schema.upgrade(engine, name, "0001")
    cast = {"identity": "CAST(n AS TEXT)", "json": "TEXT" if dialect == "sqlite" else "json"}
    cost = "n % 1000" if dialect == "sqlite" else "(n % 1000) / 1000000000.0"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            _FILL.format(series=_SERIES[dialect].format(rows=rows), at=_AT[dialect], cost=cost, **cast).replace(
                "%", "%%"
            )
            if dialect == "postgresql"
            else _FILL.format(series=_SERIES[dialect].format(rows=rows), at=_AT[dialect], cost=cost, **cast)
        )
        connection.exec_driver_sql(_SUMS.format(hour=_HOUR[dialect]).replace("%", "%%" if dialect != "sqlite" else "%"))


def measured(engine: Engine, name: str, rows: int) -> bool:
    """Fill a ledger, upgrade it under a writer, and print; whether nothing is missing."""
    dialect = engine.dialect.name
    fill(engine, name, rows)
    waits: list[float] = []
    stop = threading.Event()

    def write() -> None:
        statement = text(
            "INSERT INTO llm_usage_logs (id, call_id, metadata, created_at, status) VALUES (:id, :id, '{}', :at, 'ok')"
        )
        while not stop.is_set():
            before = time.perf_counter()
            try:
                with engine.begin() as connection:
                    identity = f"late-{len(waits)}"
                    connection.execute(statement, {"id": identity, "at": "2026-12-01 00:00:00.000000"})
            except Exception:  # noqa: BLE001  (SQLite's five seconds are over: the flusher tries again, so does this)
                continue
            waits.append(time.perf_counter() - before)
            time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    before = time.perf_counter()
    try:
        schema.upgrade(engine, name)
    finally:
        took = time.perf_counter() - before
        stop.set()
        writer.join()
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM llm_usage_logs")).scalar_one()
    meanwhile = f"{len(waits):,} written meanwhile, the longest wait {max(waits):.1f} s"
    print(f"{dialect:10} {rows:,} rows upgraded in {took:5.1f} s, {meanwhile}")
    return bool(found == rows + len(waits))


def on(url: str, name: str, rows: int, checkout: str) -> bool:
    """Measure one database; whether nothing is missing."""
    if checkout:
        return under_old_writers(url, name, rows, os.path.abspath(checkout))
    engine = connect(url, name)
    try:
        return measured(engine, name, rows)
    finally:
        engine.dispose()


def main() -> int:
    """Measure both databases."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    checkout = sys.argv[2] if len(sys.argv) > 2 else ""
    with tempfile.TemporaryDirectory() as folder:
        good = on(f"sqlite:///{folder}/usage.db", "", rows, checkout)
    name = f"llmguard_{uuid.uuid4().hex[:12]}"
    try:
        good &= on(POSTGRES, name, rows, checkout)
    finally:
        with create_engine(POSTGRES).begin() as connection:
            connection.execute(text(f'DROP SCHEMA IF EXISTS "{name}" CASCADE'))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
