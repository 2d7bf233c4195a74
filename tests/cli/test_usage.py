"""`llmguard usage` and `llmguard db`, as a user runs them."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from llmguard.usage.ids import call_id
from llmguard.usage.prices import priced
from llmguard.usage.rows import row_of
from llmguard.usage.settings import UsageSettings
from llmguard.usage.spool import SpoolWriter
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.schema import HEAD, upgrade
from tests.command import ROOT, run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> UsageSettings:
    """A ledger of its own, found by the environment."""
    found = UsageSettings(f"sqlite:///{tmp_path / 'usage.db'}", spool_dir=str(tmp_path / "spool"))
    monkeypatch.setenv("LLMGUARD_DATABASE_URL", found.database_url)
    monkeypatch.setenv("LLMGUARD_SPOOL_DIR", found.spool_dir)
    return found


def add(settings: UsageSettings, at: datetime, **columns: Any) -> str:
    """A call in the ledger."""
    identity = call_id()
    data = {
        "call_id": identity,
        "started_at": at.timestamp(),
        "status": "ok",
        "provider": "openai",
        "model": "gpt-4o",
        "prompt_tokens": 1000,
        "completion_tokens": 100,
        "usage_source": "provider",
        "service_name": "search",
        **columns,
    }
    opened = Ledger.open(settings)
    opened.write([priced(row_of(data), data)])
    opened.close()
    return identity


NOW = datetime.now(timezone.utc)


@pytest.fixture
def filled(home: UsageSettings) -> UsageSettings:
    """Three services, two users, one call without a price, one that failed."""
    add(home, NOW - timedelta(hours=1), user_id="ann", code_file="app/search.py", code_function="find", code_line=3)
    add(home, NOW - timedelta(hours=2), user_id="bob")
    add(home, NOW - timedelta(hours=3), user_id="bob", service_name="chat", model="house-model", provider="house")
    failed = {"status": "error", "prompt_tokens": None, "completion_tokens": None, "status_code": 429}
    add(home, NOW - timedelta(days=40), service_name="old", **failed)
    return home


def summary(tmp_path: Path, *arguments: str) -> dict[str, Any]:
    done = run("usage", "summary", "--output-format", "json", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_summary_adds_up_by_every_dimension(filled: UsageSettings, tmp_path: Path) -> None:
    found = summary(tmp_path)
    assert [(row["service"], row["calls"], row["unpriced_calls"]) for row in found["rows"]] == [
        ("search", 2, 0),
        ("chat", 1, 1),
    ]
    price = Decimal(found["rows"][0]["cost"])
    assert price == 2 * (1000 * Decimal("2.5") + 100 * Decimal(10)) / 10**6
    assert found["total"]["tokens"] == 3300
    for by, labels in {
        "user": ["bob", "ann"],
        "model": ["openai/gpt-4o", "house/house-model"],
        "provider": ["openai", "house"],
        "feature": [""],
        "site": ["app/search.py::find", ""],
    }.items():
        rows = summary(tmp_path, "--by", by)["rows"]
        assert {row[by] for row in rows} == set(labels), by
        assert sum(row["calls"] for row in rows) == 3
    everything = summary(tmp_path, "--since", "2020-01-01", "--by", "day")["rows"]
    assert sum(row["calls"] for row in everything) == 4
    assert summary(tmp_path, "--user", "ann")["total"]["calls"] == 1
    assert summary(tmp_path, "--since", "90m")["total"]["calls"] == 1


def test_summary_in_a_time_zone(home: UsageSettings, tmp_path: Path) -> None:
    add(home, datetime(2026, 3, 1, 23, 30, tzinfo=timezone.utc))
    add(home, datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc))
    whole = ("--since", "2026-01-01", "--by", "day")
    assert [row["day"] for row in summary(tmp_path, *whole)["rows"]] == ["2026-03-01"]
    berlin = summary(tmp_path, *whole, "--time-zone", "Europe/Berlin")["rows"]
    assert [(row["day"], row["calls"]) for row in berlin] == [("2026-03-01", 1), ("2026-03-02", 1)]
    kathmandu = ("--since", "2026-03-01", "--until", "2026-03-02", "--time-zone", "Asia/Kathmandu")
    assert summary(tmp_path, *kathmandu)["total"]["calls"] == 1
    hours = summary(tmp_path, "--since", "2026-01-01", "--by", "hour", "--time-zone", "Europe/Berlin")["rows"]
    assert [row["hour"] for row in hours] == ["2026-03-01 13:00", "2026-03-02 00:00"]


def test_summary_as_a_table_and_as_csv(filled: UsageSettings, tmp_path: Path) -> None:
    table = run("usage", "summary", cwd=tmp_path).stdout
    assert "search" in table
    assert "total" in table
    assert "$0.007" in table
    text = run("usage", "summary", "--output-format", "csv", cwd=tmp_path).stdout
    rows = list(csv.DictReader(io.StringIO(text)))
    assert rows[0]["service"] == "search"
    assert Decimal(rows[0]["cost"]) == Decimal("0.007")


def test_logs_filter_and_show_the_newest_last(filled: UsageSettings, tmp_path: Path) -> None:
    done = run("usage", "logs", cwd=tmp_path)
    lines = done.stdout.splitlines()
    assert len(lines) == 5
    assert lines[-1].endswith("app/search.py:3")
    assert "$0.0035" in done.stdout
    only = json.loads(run("usage", "logs", "--status", "error", "--output-format", "json", cwd=tmp_path).stdout)["logs"]
    assert [row["service_name"] for row in only] == ["old"]
    assert len(run("usage", "logs", "-n", "2", cwd=tmp_path).stdout.splitlines()) == 3
    assert run("usage", "logs", "--user", "nobody", cwd=tmp_path).stdout == "No calls.\n"


def test_export_is_whole_and_safe_for_spreadsheets(filled: UsageSettings, tmp_path: Path) -> None:
    add(filled, NOW, user_id="=cmd()", metadata={"a": [1]})
    done = run("usage", "export", "calls.csv", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "5 calls written to calls.csv\n")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "calls.csv").read_text(encoding="utf-8"))))
    assert len(rows) == 5
    assert rows[-1]["user_id"] == "'=cmd()"
    assert json.loads(rows[-1]["metadata"]) == {"a": [1]}
    lines = run("usage", "export", "--output-format", "json-lines", cwd=tmp_path).stdout.splitlines()
    assert json.loads(lines[-1])["user_id"] == "=cmd()"
    refused = run("usage", "export", "no/such/folder.csv", cwd=tmp_path)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)


def test_tail_follows(filled: UsageSettings, tmp_path: Path) -> None:
    command = [sys.executable, "-u", "-m", "llmguard", "usage", "tail", "-f", "-n", "1"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    heeding = lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)  # noqa: E731  (a shell's background job ignores it)
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, env=env, preexec_fn=heeding)
    assert process.stdout is not None
    assert process.stdout.readline().startswith("time")
    assert "search" in process.stdout.readline()
    add(filled, NOW, service_name="fresh")
    assert "fresh" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 130


def test_recover_and_flush_bring_in_what_a_dead_process_left(home: UsageSettings, tmp_path: Path) -> None:
    from llmguard.usage.lines import FINISH, INTENT, encode

    assert run("usage", "recover", cwd=tmp_path).stdout == "Nothing to recover.\n"
    left = SpoolWriter(home.spool_folder, 10**9)
    for number in range(3):
        data = {"call_id": call_id(), "started_at": time.time(), "model": "m"}
        left.append(encode(INTENT, data))
        if number:
            left.append(encode(FINISH, {**data, "status": "ok"}))
    left.append(b"00000000 F torn\n")
    waiting = run("usage", "flush", "--timeout", "0", cwd=tmp_path)
    assert waiting.returncode == 1
    assert "are not in the database yet" in waiting.stderr
    left.close()
    done = run("usage", "recover", cwd=tmp_path)
    assert done.stdout == "2 calls from 1 files of processes that are gone; 1 had not ended and are unknown.\n"
    assert "1 corrupt lines" in done.stderr
    assert run("usage", "flush", cwd=tmp_path).returncode == 0
    assert len(run("usage", "logs", cwd=tmp_path).stdout.splitlines()) == 4


def test_verify_finds_and_repairs_sums(filled: UsageSettings, tmp_path: Path) -> None:
    assert run("usage", "verify", cwd=tmp_path).stdout == "The sums agree with the calls.\n"
    opened = Ledger.open(filled)
    with opened.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE llm_usage_hourly SET calls = calls + 5 WHERE user_id = 'ann'")
    opened.close()
    wrong = run("usage", "verify", cwd=tmp_path)
    assert wrong.returncode == 1
    assert "calls 6 is 1" in wrong.stdout
    assert run("usage", "verify", "--repair", cwd=tmp_path).returncode == 0
    assert run("usage", "verify", cwd=tmp_path).returncode == 0


def test_doctor_says_where_and_what(filled: UsageSettings, tmp_path: Path) -> None:
    done = run("usage", "doctor", cwd=tmp_path)
    assert "usage.db" in done.stdout
    assert f"revision {HEAD}, 4 calls" in done.stdout
    assert "genai-prices" in done.stdout
    assert "lost       nothing" in done.stdout


def test_doctor_names_losses_and_waiting_records(home: UsageSettings, tmp_path: Path) -> None:
    from llmguard.usage import losses
    from llmguard.usage.lines import INTENT, encode

    left = SpoolWriter(home.spool_folder, 10**9)
    left.append(encode(INTENT, {"call_id": "a", "started_at": 0}))
    losses.note(home.spool_folder, left.owner, 7, 2)
    os.utime(left.path, (time.time() - 500,) * 2)
    done = run("usage", "doctor", cwd=tmp_path)
    assert done.returncode == 1
    assert "7 records dropped, 2 corrupt lines" in done.stdout
    assert "have been waiting for" in done.stdout
    left.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("usage", "summary", "--since", "tomorrow"), "'tomorrow' is no time"),
        (("usage", "summary", "--since", "2026-02-01", "--until", "2026-01-01"), "is not before"),
        (("usage", "summary", "--time-zone", "Mars/Phobos"), "there is no time zone 'Mars/Phobos'"),
        (("usage", "summary", "--database-url", "nonsense"), "is no database URL"),
        (("usage", "summary", "--database-url", "mysql://x/y"), "not supported"),
        (("usage", "summary", "--database-url", "postgresql+asyncpg://x/y"), "asynchronous"),
        (("usage", "summary", "--database-url", "postgresql://nobody@127.0.0.1:1/x"), "cannot be used"),
        (("usage", "summary", "--database-url", "sqlite:////proc/nothing/here.db"), "cannot be used"),
        (("db", "upgrade", "9999"), "9999"),
    ],
)
def test_what_cannot_be_answered_is_one_line(
    home: UsageSettings, tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    done = run(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_no_password_is_printed(tmp_path: Path, home: UsageSettings) -> None:
    url = "postgresql://me:hunter2secret@127.0.0.1:1/x"
    done = run("usage", "summary", "--database-url", url, cwd=tmp_path)
    assert "hunter2secret" not in done.stdout + done.stderr
    assert "hunter2secret" not in run("usage", "doctor", "--database-url", url, cwd=tmp_path).stdout


def test_db_upgrade_current_history_and_sql(settings: UsageSettings, tmp_path: Path) -> None:
    env = {"LLMGUARD_DATABASE_SCHEMA": settings.schema, "LLMGUARD_DATABASE_URL": settings.database_url}
    if settings.schema:
        env["LLMGUARD_DATABASE_SCHEMA"] = f"{settings.schema}_b"
    try:
        before = run("db", "current", cwd=tmp_path, env=env)
        assert (before.returncode, before.stdout.partition(" (")[0]) == (1, "no tables")
        assert run("db", "upgrade", cwd=tmp_path, env=env).stdout.endswith(f"is at revision {HEAD}.\n")
        assert run("db", "current", cwd=tmp_path, env=env).stdout == f"{HEAD} (the newest)\n"
        assert HEAD in run("db", "history", cwd=tmp_path, env=env).stdout
        script = run("db", "sql", cwd=tmp_path, env=env).stdout
        assert "CREATE TABLE llm_usage_logs" in script
        assert "CREATE VIEW llm_usage_daily_summary" in script
    finally:
        if settings.schema:
            from sqlalchemy import create_engine, text

            engine = create_engine(settings.database_url)
            with engine.begin() as connection:
                connection.execute(text(f'DROP SCHEMA IF EXISTS "{settings.schema}_b" CASCADE'))
            engine.dispose()


def test_a_database_that_is_newer_than_the_code_is_refused(home: UsageSettings, tmp_path: Path) -> None:
    from llmguard.usage.store.engine import connect

    engine = connect(home.database_url)
    upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE llmguard_alembic_version SET version_num = '9876'")
    engine.dispose()
    for command in (("usage", "summary"), ("db", "upgrade")):
        done = run(*command, cwd=tmp_path)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "9876" in done.stderr
        assert "newer" in done.stderr


@pytest.mark.parametrize("command", ["summary", "recover", "flush", "export"])
def test_without_the_runtime_it_says_what_to_install(home: UsageSettings, tmp_path: Path, command: str) -> None:
    code = """
import sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("sqlalchemy", "alembic"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
sys.argv = ["llmguard", "usage", sys.argv[1]]
from llmguard.cli import main
main()
"""
    process = [sys.executable, "-c", code, command]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(process, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "llmguard[runtime]" in done.stderr
