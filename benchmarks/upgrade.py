"""How long the upgrade of a ledger of version 0.1 takes, and how long it keeps a writer waiting.

    python benchmarks/upgrade.py [ROWS]     # 1,000,000 by default, in SQLite and in PostgreSQL

PostgreSQL is found by LLMGUARD_TEST_POSTGRES. A writer inserts a row every 10 milliseconds meanwhile, as 0.1 does.
Exits with 1 when a row is missing afterwards.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
import uuid

from sqlalchemy import Engine, create_engine, text

from llmguard.usage.store import schema
from llmguard.usage.store.engine import connect

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


def measured(engine: Engine, name: str, rows: int) -> bool:
    """Fill a ledger, upgrade it under a writer, and print; whether nothing is missing."""
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


def main() -> int:
    """Measure both databases."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        engine = connect(f"sqlite:///{folder}/usage.db")
        good = measured(engine, "", rows)
        engine.dispose()
    name = f"llmguard_{uuid.uuid4().hex[:12]}"
    engine = connect(POSTGRES, name)
    try:
        good &= measured(engine, name, rows)
    finally:
        engine.dispose()
        with create_engine(POSTGRES).begin() as connection:
            connection.execute(text(f'DROP SCHEMA IF EXISTS "{name}" CASCADE'))
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
