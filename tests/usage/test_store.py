"""The store: each row once, a real end in place of an unknown one, and a roll-up that always agrees."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import inspect, select, text

from llmguard.errors import ConfigError
from llmguard.usage.rows import row_of, unknown_row_of
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store import schema
from llmguard.usage.store.engine import connect, shown
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.rollup import differences, recompute
from llmguard.usage.store.tables import metadata, usage_hourly, usage_logs
from llmguard.usage.store.write import write_rows
from tests.command import ROOT

NOON = datetime(2026, 3, 1, 12, 30, tzinfo=timezone.utc)


def row(call: str, **more: Any) -> dict[str, Any]:
    return {
        "call_id": call,
        "status": "ok",
        "created_at": NOON,
        "model": "m",
        "prompt_tokens": 2,
        "tokens_used": 5,
        **more,
    }


def total(ledger: Ledger, column: str = "calls") -> Any:
    with ledger.engine.connect() as connection:
        return sum(connection.execute(select(usage_hourly.c[column])).scalars())


def test_a_replay_changes_nothing(ledger: Ledger) -> None:
    rows = [row(str(n), user_id=f"u{n % 3}", total_cost=Decimal("0.000000001") * n) for n in range(50)]
    assert ledger.write(rows) == 50
    for _ in range(2):
        assert ledger.write(rows) == 0
        assert ledger.write(rows + rows) == 0
    assert (total(ledger), total(ledger, "tokens")) == (50, 250)
    assert total(ledger, "total_cost") == Decimal("0.000001225")
    assert differences(ledger.engine) == []


def test_a_real_end_takes_the_place_of_an_unknown_one_and_never_the_other_way(ledger: Ledger) -> None:
    unknown = row("a", status="unknown", prompt_tokens=None, tokens_used=None)
    ledger.write([unknown])
    assert (total(ledger, "unknown_calls"), total(ledger, "tokens")) == (1, 0)
    assert ledger.write([row("a", model="other")]) == 1
    assert ledger.write([unknown]) == 0
    assert (total(ledger), total(ledger, "unknown_calls"), total(ledger, "tokens")) == (1, 0, 5)
    assert differences(ledger.engine) == []
    ledger.write([unknown_row_of({"call_id": "b"}), row("b"), unknown_row_of({"call_id": "b"})])
    assert total(ledger, "unknown_calls") == 0


def test_attempts_are_rows_of_their_own(ledger: Ledger) -> None:
    ledger.write([row("a", status="error"), row("a", attempt_no=1)])
    assert (total(ledger), total(ledger, "errors")) == (2, 1)


def test_any_order_of_any_mixture_agrees(ledger: Ledger) -> None:
    choice = random.Random(7)
    rows = []
    for number in range(300):
        made = row(
            str(number % 120),
            status=choice.choice(["ok", "error", "unknown", "cancelled", "timeout", "partial"]),
            created_at=NOON + timedelta(hours=number % 120 % 5),
            total_cost=choice.choice([None, Decimal(number % 120)]),
            user_id=choice.choice([None, "a", "b"]) if number < 120 else "a",
        )
        rows.append(made)
    while rows:
        size = choice.randint(1, 40)
        ledger.write(rows[:size])
        rows = rows[size:]
    assert differences(ledger.engine) == []
    with ledger.engine.connect() as connection:
        before = connection.execute(select(usage_hourly).order_by(*usage_hourly.primary_key)).all()
    recompute(ledger.engine)
    with ledger.engine.connect() as connection:
        after = connection.execute(select(usage_hourly).order_by(*usage_hourly.primary_key)).all()
    assert [r for r in before if r.calls] == after


def test_writers_at_once_write_each_row_once(settings: UsageSettings) -> None:
    rows = [row(str(n), user_id=f"u{n % 7}") for n in range(400)]
    ledgers = [Ledger.open(settings) for _ in range(4)]

    def work(ledger: Ledger, seed: int) -> None:
        mine = rows[:]
        random.Random(seed).shuffle(mine)
        for start in range(0, 400, 50):
            ledger.write(mine[start : start + 50])

    threads = [threading.Thread(target=work, args=(ledger, at)) for at, ledger in enumerate(ledgers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total(ledgers[0]) == 400
    assert differences(ledgers[0].engine) == []
    for ledger in ledgers:
        ledger.close()


def test_refresh_function_and_views_have_the_names_that_people_expect(ledger: Ledger) -> None:
    ledger.write([row("a", user_id="u", duration_ms=10), row("b", user_id="u", status="error", duration_ms=30)])
    with ledger.engine.begin() as connection:
        if ledger.engine.dialect.name == "postgresql":
            connection.execute(text("DELETE FROM llm_usage_hourly"))
            connection.execute(text("SELECT refresh_llm_usage_summary()"))
        daily = connection.execute(text("SELECT * FROM llm_usage_daily_summary")).mappings().one()
        assert {
            k: str(v) if k == "usage_date" else float(v) if k == "avg_duration_ms" else v for k, v in daily.items()
        } == {
            "user_id": "u",
            "model": "m",
            "usage_date": "2026-03-01",
            "total_calls": 2,
            "total_tokens": 10,
            "total_prompt_tokens": 4,
            "total_completion_tokens": 0,
            "avg_duration_ms": 20.0,
            "error_count": 1,
        }
        report = connection.execute(text("SELECT model_name, total_tokens, success FROM llm_usage_report ORDER BY id"))
        assert [tuple(r) for r in report] == [("m", 5, True), ("m", 5, False)]
    assert differences(ledger.engine) == []


def test_the_migrations_make_what_the_code_declares_and_go_back(settings: UsageSettings) -> None:
    engine = connect(settings.database_url, settings.schema)
    schema.upgrade(engine, settings.schema)
    found = inspect(engine)
    for table in metadata.sorted_tables:
        assert {column["name"] for column in found.get_columns(table.name)} == {column.name for column in table.columns}
        key = found.get_pk_constraint(table.name)["constrained_columns"]
        assert key == [column.name for column in table.primary_key.columns]
        assert {index["name"] for index in found.get_indexes(table.name)} >= {index.name for index in table.indexes}
    schema.downgrade(engine, settings.schema, "base")
    assert "llm_usage_logs" not in inspect(engine).get_table_names()
    schema.upgrade(engine, settings.schema)
    with engine.connect() as connection:
        assert schema.current(connection) == schema.HEAD
    engine.dispose()


def test_the_revisions_are_those_of_the_folder() -> None:
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(schema.configuration())
    assert tuple(reversed([script.revision for script in scripts.walk_revisions()])) == schema.REVISIONS


def test_two_workers_that_upgrade_at_once(settings: UsageSettings) -> None:
    engine = connect(settings.database_url, settings.schema)
    if settings.schema:
        schema.downgrade(engine, settings.schema, "base")
    code = (
        "import sys; from llmguard.usage.store.engine import connect; from llmguard.usage.store.schema import upgrade;"
        "upgrade(connect(sys.argv[1], sys.argv[2]), sys.argv[2])"
    )
    command = [sys.executable, "-c", code, settings.database_url, settings.schema]
    workers = [subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    for worker in workers:
        _, said = worker.communicate(timeout=60)
        assert worker.returncode == 0, said
    with engine.connect() as connection:
        assert schema.current(connection) == schema.HEAD
    engine.dispose()


def test_a_database_that_is_newer_or_has_no_tables_is_refused_with_a_sentence(settings: UsageSettings) -> None:
    ledger = Ledger.open(settings)
    with ledger.engine.begin() as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'"))
    ledger.close()
    with pytest.raises(schema.SchemaError, match="revision 9999, which this llmguard does not know: it is newer"):
        Ledger.open(settings)
    engine = connect(settings.database_url, settings.schema)
    with pytest.raises(schema.SchemaError, match="newer than this llmguard"):
        schema.upgrade(engine, settings.schema)
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE {schema.VERSION_TABLE} SET version_num = '{schema.HEAD}'"))
    if settings.schema:
        schema.downgrade(engine, settings.schema, "base")
        with pytest.raises(schema.SchemaError, match="has no tables of llmguard: run llmguard db upgrade"):
            Ledger.open(settings)
    engine.dispose()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "is no database URL"),
        ("mysql://localhost/x", "is not supported: use sqlite or postgresql"),
        ("postgresql+asyncpg://localhost/x", "asyncpg is asynchronous"),
        ("postgresql+pg8000://localhost/x", "needs the driver pg8000"),
    ],
)
def test_a_url_of_no_use_is_one_line(url: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        connect(url)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    assert shown("postgresql://me:secret@db/x") == "postgresql://me:***@db/x"
    assert shown("://") == "(not a database URL)"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ({"prompt_tokens": float("nan")}, {"prompt_tokens": None}),
        ({"prompt_tokens": -1}, {"prompt_tokens": None}),
        ({"prompt_tokens": "7"}, {"prompt_tokens": 7}),
        ({"prompt_tokens": True}, {"prompt_tokens": None}),
        ({"prompt_tokens": 10**30}, {"prompt_tokens": None}),
        ({"prompt_tokens": 0}, {"prompt_tokens": 0, "tokens_used": 0}),
        ({"prompt_tokens": 2, "completion_tokens": 3}, {"tokens_used": 5}),
        ({}, {"tokens_used": None}),
        ({"status": "odd"}, {"status": "unknown"}),
        ({"user_id": 7}, {"user_id": "7"}),
        ({"model": "a\x00b\ud800"}, {"model": "ab?"}),
        ({"metadata": {"x": float("inf"), "y\x00": ["\x00"]}}, {"metadata": {"x": None, "y": [""]}}),
        ({"started_at": float("nan")}, {}),
        ({"started_at": "soon"}, {}),
        ({"started_at": 1e300}, {}),
    ],
)
def test_what_is_not_usable_is_left_out_and_the_row_stays(
    ledger: Ledger, given: dict[str, Any], kept: dict[str, Any]
) -> None:
    ledger.write([row_of({"call_id": "c", "status": "ok", **given})])
    with ledger.engine.connect() as connection:
        found = dict(connection.execute(select(usage_logs)).mappings().one())
    assert {name: found[name] for name in kept} == kept
    assert found["created_at"].tzinfo is not None
    if kept.get("prompt_tokens", 0) is None:
        assert found["metadata"] == {"llmguard_unusable": ["prompt_tokens"]}


def test_a_naive_time_is_refused() -> None:
    engine = connect("sqlite://")
    metadata.create_all(engine)
    with pytest.raises(Exception, match="is a naive time"):
        write_rows(engine, [row("a", created_at=datetime(2026, 1, 1))])
    engine.dispose()
