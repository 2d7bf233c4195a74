"""What older trackers' databases and reports get wrong, of the same lists as `tests.usage.test_weaknesses`: each check
fails on a stand-in that has the fault, and passes on ours."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from llmguard import llm_tracker, llm_usage_tracker
from llmguard.usage import recorder
from llmguard.usage.recorder import Recorder
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store import schema
from llmguard.usage.store.query import Period
from llmguard.usage.store.totals import summary
from llmguard.usage.store.upkeep import prune
from tests.usage.older.conftest import fill, script
from tests.usage.test_weaknesses import NOW, Ours, refutes


def test_a12_a_window_that_is_over_counts_nothing(settings: UsageSettings) -> None:
    stored = {"current_count": 7, "reset_at": NOW - timedelta(minutes=5)}
    mine = Recorder(settings)
    before = recorder.replace(mine)
    try:
        Ours(settings).add(datetime.now(timezone.utc) - timedelta(minutes=3), user_id="ann")
        said = llm_usage_tracker.check_rate_limit_sync("ann", "minute")
    finally:
        recorder.replace(before)
        mine.close(5)

    def check(count: int) -> None:
        assert count == 0

    refutes(check, stored["current_count"])
    check(said["current_count"])


def test_a14_calls_can_go_and_bills_stay(settings: UsageSettings) -> None:
    ours = Ours(settings)
    for days in range(10):
        ours.add(NOW - timedelta(days=days))

    def check(rows: int, billed: int) -> None:
        assert (rows, billed) == (5, 10)

    kept = list(range(10))
    refutes(check, len(kept), 10)  # no retention
    del kept[5:]
    refutes(check, len(kept), len(kept))  # a plain DELETE
    with ours.ledger() as ledger:
        prune(ledger.engine, NOW - timedelta(days=4))
        billed = sum(sums.calls for sums in summary(ledger.engine, "day", Period(), {}).values())
    check(len(ours.rows()), billed)


def test_a15_the_documented_renaming_leaves_a_function_that_works(database: Callable[..., Engine]) -> None:
    engine = database()
    fill(engine, "option-1", 20)

    def check(refresh: Callable[[], None]) -> None:
        refresh()

    def refreshed() -> None:
        script(engine, "SELECT refresh_llm_usage_summary()")

    with pytest.raises(SQLAlchemyError, match="groq_usage_daily_summary"):
        refreshed()  # the stand-in is the real thing
    schema.upgrade(engine)
    check(refreshed)
    script(engine, "UPDATE llm_rate_limits SET limit_value = 7")
    with engine.connect() as connection:
        touched = connection.execute(text("SELECT count(*) FROM llm_rate_limits WHERE updated_at > created_at"))
        assert touched.scalar_one() == 1


def test_b15_filters_take_uuids_and_numbers_and_naive_dates_are_utc(settings: UsageSettings) -> None:
    user = uuid.uuid4()
    mine = Recorder(settings)
    before = recorder.replace(mine)
    try:
        ours = Ours(settings)
        ours.add(NOW, user_id=str(user))
        ours.add(NOW, user_id="7")

        def report(**filters: Any) -> int:
            found = asyncio.run(llm_tracker.get_usage_report(**filters))
            return int(found["summary"]["total_requests"])

        def stand_in(**filters: Any) -> int:
            if not isinstance(filters.get("user_id", 1), int):
                raise TypeError("operator does not exist: integer = uuid")
            return 0

        def check(ask: Callable[..., int]) -> None:
            assert ask(user_id=user) == ask(user_id=7) == 1
            naive = NOW.replace(tzinfo=None)
            assert ask(start_date=naive - timedelta(minutes=1), end_date=naive + timedelta(minutes=1)) == 2
            assert ask(start_date=naive + timedelta(minutes=1)) == 0

        refutes(check, stand_in)
        check(report)
    finally:
        recorder.replace(before)
        mine.close(5)


def test_b16_a_full_pool_of_the_application_keeps_no_record_out(settings: UsageSettings) -> None:
    if settings.sqlite_file:
        pytest.skip("an SQLite file has no pool that fills")
    application = create_engine(
        settings.database_url, poolclass=QueuePool, pool_size=1, max_overflow=0, pool_timeout=0.2
    )
    mine = Recorder(settings)
    before = recorder.replace(mine)

    def through_the_applications_pool() -> int:
        with application.connect() as connection:
            return int(connection.execute(text("SELECT 1")).scalar_one())

    def through_ours() -> int:
        with llm_tracker.track_llm_call("openai", "m"):
            pass
        assert mine.flush(20)
        return len(Ours(settings).rows())

    def check(record: Callable[[], int]) -> None:
        assert record() == 1

    try:
        with application.connect():  # a request is being answered
            refutes(check, through_the_applications_pool)
            check(through_ours)
    finally:
        recorder.replace(before)
        mine.close(5)
        application.dispose()
