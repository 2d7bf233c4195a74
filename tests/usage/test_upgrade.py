"""A ledger of version 0.1 becomes one of today, with all that is in it, while others write; and goes back."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, text

from llmguard.usage.settings import UsageSettings
from llmguard.usage.store import schema
from llmguard.usage.store.engine import DatabaseError, connect
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.rollup import differences

START = datetime(2026, 11, 1, tzinfo=timezone.utc)
#: What revision 0001 had: written down here, for what the code declares has moved on.
HOURLY = ("hour", "user_id", "service_name", "feature_context", "provider", "model")


@pytest.fixture
def old(settings: UsageSettings) -> Iterator[Engine]:
    """An engine of a ledger at revision 0001, empty."""
    engine = connect(settings.database_url, settings.schema)
    if settings.schema:
        schema.downgrade(engine, settings.schema, "base")
    schema.upgrade(engine, settings.schema, "0001")
    yield engine
    engine.dispose()


def fill(engine: Engine, rows: int, start: int = 0) -> None:
    """Rows as version 0.1 has written them, with their sums by hour."""
    sqlite = engine.dialect.name == "sqlite"
    sums: dict[tuple[Any, ...], list[int]] = {}
    values = []
    for number in range(start, start + rows):
        moment = START + timedelta(minutes=number % 5000)
        at = moment.replace(tzinfo=None).isoformat(" ", "microseconds") if sqlite else moment.isoformat()
        estimated = number % 7 == 0
        values.append(
            {
                "id": f"call-{number:07}",
                "user_id": f"user-{number % 5}",
                "model": f"model-{number % 3}",
                "tokens": number % 11,
                "metadata": json.dumps({"number": number, "text": "Grüße \\ud83d"}) if number % 4 else None,
                "created_at": at,
                "usage_source": "estimated" if estimated else "provider",
                "code_file": f"app/file_{number % 4}.py" if number % 6 else None,
                "code_line": number % 50 if number % 6 else None,
                "cost": number % 1000 if sqlite else (number % 1000) / 1_000_000_000,
            }
        )
        hour = moment.replace(minute=0, second=0)
        hour_at = hour.replace(tzinfo=None).isoformat(" ", "microseconds") if sqlite else hour.isoformat()
        total = sums.setdefault((hour_at, f"user-{number % 5}", f"model-{number % 3}"), [0, 0, 0])
        for place, amount in enumerate((1, number % 11, number % 1000)):
            total[place] += amount
    with engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO llm_usage_logs (id, call_id, attempt_no, user_id, provider, model, tokens_used, metadata, "
                "created_at, status, usage_source, code_file, code_function, code_line, total_cost, price_status) "
                "VALUES (:id, :id, 0, :user_id, 'openai', :model, :tokens, :metadata, :created_at, 'ok', "
                ":usage_source, :code_file, 'ask', :code_line, :cost, 'priced')"
            ),
            values,
        )
        connection.execute(
            text(
                "INSERT INTO llm_usage_hourly (hour, user_id, service_name, feature_context, provider, model, calls, "
                "errors, unknown_calls, unpriced_calls, tokens, prompt_tokens, completion_tokens, duration_ms, "
                "total_cost) VALUES (:hour, :user, '', '', 'openai', :model, :calls, 0, 0, 0, :tokens, 0, 0, 0, :cost)"
            ),
            [
                {
                    **dict(zip(("hour", "user", "model"), key, strict=True)),
                    "calls": calls,
                    "tokens": tokens,
                    "cost": cost if sqlite else cost / 1_000_000_000,
                }
                for key, (calls, tokens, cost) in sums.items()
            ],
        )


def everything(engine: Engine) -> dict[str, list[dict[str, Any]]]:
    """All rows and sums, as far as revision 0001 has columns for them."""
    found = {}
    with engine.connect() as connection:
        for table, order in (("llm_usage_logs", "id"), ("llm_usage_hourly", ", ".join(HOURLY))):
            rows = connection.execute(text(f"SELECT * FROM {table} ORDER BY {order}")).mappings()
            found[table] = [{name: as_read(row[name]) for name in sorted(row) if name in COLUMNS} for row in rows]
    return found


def as_read(value: Any) -> Any:
    if isinstance(value, str) and value.startswith("{"):
        return json.loads(value)
    return value


COLUMNS = {
    *("id", "call_id", "attempt_no", "user_id", "provider", "model", "tokens_used", "metadata", "created_at", "status"),
    *("usage_source", "code_file", "code_function", "code_line", "total_cost", "price_status"),
    *HOURLY,
    *("calls", "errors", "unknown_calls", "unpriced_calls", "tokens", "prompt_tokens", "completion_tokens"),
}


def test_a_filled_ledger_of_version_0_1_keeps_all_there_and_back(old: Engine, settings: UsageSettings) -> None:
    fill(old, 6_000)
    before = everything(old)
    schema.upgrade(old, settings.schema)
    assert everything(old) == before
    assert differences(old) == []
    with old.connect() as connection:
        sites = connection.execute(text("SELECT sum(calls) FROM llm_usage_hourly_sites")).scalar_one()
        estimated = connection.execute(text("SELECT sum(estimated_calls) FROM llm_usage_hourly")).scalar_one()
        report = connection.execute(text("SELECT count(*) FROM llm_usage_report")).scalar_one()
        daily = connection.execute(text("SELECT sum(total_calls) FROM llm_usage_daily_summary")).scalar_one()
    assert (sites, estimated, report, daily) == (6_000, 6_000 // 7 + 1, 6_000, 6_000)
    schema.downgrade(old, settings.schema, "0001")
    assert everything(old) == before
    schema.upgrade(old, settings.schema)
    assert everything(old) == before


def test_it_is_upgraded_under_writers(old: Engine, settings: UsageSettings) -> None:
    """Writers of today wait until the tables are theirs; those of 0.1 go on until then, then their records wait."""
    fill(old, 2_000)
    stop = threading.Event()
    new, late = [0], [0]

    def write_as_today() -> None:
        while not stop.is_set():
            try:
                ledger = Ledger.open(settings)
            except Exception:  # noqa: BLE001  (the tables are not there yet: whatever it is, it is tried again)
                time.sleep(0.02)
                continue
            number = new[0]
            ledger.write([row(f"new-{number}")])
            ledger.close()
            new[0] = number + 1

    def write_as_before() -> None:
        engine = connect(settings.database_url, settings.schema)
        try:
            while not stop.is_set():
                fill(engine, 1, 100_000 + late[0])
                late[0] += 1
        except DatabaseError:
            return  # its statement for the sums has no key any more: it is rolled back, and stays in its spool
        finally:
            engine.dispose()

    threads = [
        threading.Thread(target=write) for write in ((write_as_today, write_as_before) if settings.schema else ())
    ]
    for thread in threads:
        thread.start()
    schema.upgrade(old, settings.schema)
    ends = time.monotonic() + 20
    while threads and not new[0] and time.monotonic() < ends:
        time.sleep(0.05)
    stop.set()
    for thread in threads:
        thread.join()
    with old.connect() as connection:
        rows = connection.execute(text("SELECT count(*) FROM llm_usage_logs")).scalar_one()
        objects = connection.execute(
            text("SELECT count(metadata) FROM llm_usage_logs WHERE id LIKE 'call-%'")
        ).scalar_one()
    assert rows == 2_000 + new[0] + late[0]
    assert objects == sum(1 for number in range(2_000) if number % 4) + sum(1 for n in range(late[0]) if n % 4)


def row(identity: str) -> dict[str, Any]:
    return {"call_id": identity, "status": "ok", "created_at": datetime.now(timezone.utc), "metadata": {"a": [1]}}


def test_an_upgrade_that_broke_off_is_taken_up(
    old: Engine, settings: UsageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(old, 1_000)
    before = everything(old)
    broken = [1]
    real = schema._run

    def breaking(action: str, connection: Any, *rest: Any) -> None:
        """Loses its connection in the middle of the copying (PostgreSQL), or before the end (SQLite)."""
        from sqlalchemy import event

        @event.listens_for(connection, "before_cursor_execute")
        def _die(*arguments: Any) -> None:
            statement = arguments[2]
            if broken and (
                "SET metadata = metadata" in statement or "CREATE TABLE llm_usage_hourly_sites" in statement
            ):
                broken.pop()
                raise RuntimeError("the machine is switched off")

        real(action, connection, *rest)

    monkeypatch.setattr(schema, "_run", breaking)
    with pytest.raises(RuntimeError, match="switched off"):
        schema.upgrade(old, settings.schema)
    schema.upgrade(old, settings.schema)
    assert not broken
    assert everything(old) == before
    assert differences(old) == []


def test_a_plain_insert_makes_a_row(old: Engine, settings: UsageSettings) -> None:
    """As the seeds' users write it: who it was, what it took, and nothing of identifiers or times."""
    schema.upgrade(old, settings.schema)
    with old.begin() as connection:
        for _ in range(2):
            connection.execute(
                text(
                    "INSERT INTO llm_usage_logs (user_id, endpoint, model, status_code, tokens_used, duration_ms) "
                    "VALUES ('u', '/v1/chat/completions', 'm', 200, 7, 12)"
                )
            )
    from llmguard.usage.store.query import Period, newest

    made = newest(old, Period(), {}, 10)
    assert len({each["id"] for each in made}) == len({each["call_id"] for each in made}) == 2
    assert abs(made[0]["created_at"] - datetime.now(timezone.utc)) < timedelta(minutes=1)
    assert made[0]["status"] == "ok"


def test_json_can_be_asked_in_postgresql(old: Engine, settings: UsageSettings) -> None:
    if not settings.schema:
        pytest.skip("SQLite has one kind of JSON")
    fill(old, 10)
    schema.upgrade(old, settings.schema)
    with old.connect() as connection:
        found = connection.execute(text("SELECT id FROM llm_usage_logs WHERE metadata @> '{\"number\": 3}'")).scalars()
        assert found.all() == ["call-0000003"]
