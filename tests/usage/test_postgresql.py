"""PostgreSQL as operators have it: a schema of one's own beside another ledger, and a pool of transactions in front."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from llmguard.usage.block import TrackedBlock
from llmguard.usage.recorder import Recorder, replace
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.engine import connect
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.rollup import differences, recompute
from llmguard.usage.store.schema import downgrade, upgrade

PGBOUNCER = os.environ.get("LLMGUARD_TEST_PGBOUNCER", "") or shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/bin")


@pytest.fixture
def database(postgres: str) -> Iterator[str]:
    """The URL of a database of its own."""
    name = f"llmguard_{uuid.uuid4().hex[:12]}"
    server = create_engine(postgres, isolation_level="AUTOCOMMIT")
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield make_url(postgres).set(database=name).render_as_string(hide_password=False)
    with server.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    server.dispose()


def record(settings: UsageSettings, calls: int) -> None:
    recording = Recorder(settings)
    before = replace(recording)
    try:
        for _ in range(calls):
            with TrackedBlock({"provider": "openai", "model": "gpt-4o-mini"}) as log:
                log.input_tokens, log.output_tokens = 3, 2
        assert recording.flush(20)
    finally:
        replace(before)
        recording.close(5)


def count(url: str, schema: str) -> int:
    engine = create_engine(url)
    with engine.connect() as connection:
        found: int = connection.execute(text(f'SELECT count(*) FROM "{schema}".llm_usage_logs')).scalar_one()
    engine.dispose()
    return found


@pytest.mark.parametrize("schema", ["usage2", "Mixed_Case"])
def test_a_schema_of_its_own_beside_a_ledger_in_public(schema: str, database: str, tmp_path: Path) -> None:
    for each in ("", schema):
        engine = connect(database, each)
        upgrade(engine, each)
        engine.dispose()
    record(UsageSettings(database, schema, str(tmp_path)), 3)
    assert (count(database, "public"), count(database, schema)) == (0, 3)
    ledger = Ledger.open(UsageSettings(database, schema, str(tmp_path)))
    assert differences(ledger.engine) == []
    recompute(ledger.engine)
    ledger.close()
    engine = create_engine(database)
    with engine.begin() as connection:
        # Whatever the search path of who calls it, it recomputes the sums that lie beside it.
        connection.execute(text(f'DELETE FROM "{schema}".llm_usage_hourly'))
        connection.execute(text(f'SELECT "{schema}".refresh_llm_usage_summary()'))
        calls = connection.execute(
            text(f'SELECT sum(total_calls) FROM "{schema}".llm_usage_daily_summary')
        ).scalar_one()
    engine.dispose()
    assert calls == 3
    engine = connect(database, schema)
    downgrade(engine, schema, "base")
    engine.dispose()
    assert count(database, "public") == 0, "the other ledger is still there"


@pytest.fixture
def pooled(database: str, tmp_path: Path) -> Iterator[str]:
    """The URL of PgBouncer, in transaction mode with two connections, before a database."""
    if PGBOUNCER is None:
        if os.environ.get("CI"):
            pytest.fail("no pgbouncer: .ci/run installs it")
        pytest.skip("no pgbouncer (LLMGUARD_TEST_PGBOUNCER)")
    url = make_url(database)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configuration = tmp_path / "pgbouncer.ini"
    configuration.write_text(
        f"[databases]\n{url.database} = host={url.host or '127.0.0.1'} port={url.port or 5432} user={url.username}"
        f"{f' password={url.password}' if url.password else ''}\n"
        f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        f"pool_mode = transaction\ndefault_pool_size = 2\nlogfile = {tmp_path}/log\n"
    )
    tmp_path.chmod(0o777)
    # It refuses to run as root.
    user = {"user": "postgres"} if os.geteuid() == 0 else {}
    for folder in tmp_path.parents:
        if str(folder).startswith("/tmp/"):
            folder.chmod(0o755)
    process = subprocess.Popen([PGBOUNCER, str(configuration)], stderr=subprocess.DEVNULL, **user)  # type: ignore[call-overload]
    ends = time.monotonic() + 10
    while time.monotonic() < ends:
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                break
        time.sleep(0.05)
    yield url.set(host="127.0.0.1", port=port).render_as_string(hide_password=False)
    process.terminate()
    process.wait(10)


@pytest.mark.parametrize("schema", ["", "usage2"])
def test_behind_pgbouncer_in_transaction_mode(schema: str, pooled: str, database: str, tmp_path: Path) -> None:
    engine = connect(pooled, schema)
    upgrade(engine, schema)
    engine.dispose()
    for _ in range(3):  # a statement that a session had prepared would be missing, or there twice, in another one
        record(UsageSettings(pooled, schema, str(tmp_path / "spool")), 20)
    assert count(database, schema or "public") == 60
    ledger = Ledger.open(UsageSettings(pooled, schema, str(tmp_path)))
    assert differences(ledger.engine) == []
    ledger.close()
    server = create_engine(database)
    with server.connect() as connection:
        ours = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        held = text(f"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND {ours}")
        locks = connection.execute(held).scalar_one()
    server.dispose()
    assert locks == 0
