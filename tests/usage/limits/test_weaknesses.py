"""What limiters of this kind get wrong. Each check fails on a small stand-in that has the fault, and passes on ours.

The numbers are those of the list that this was built against (6, 9 and those above stand in `tests.usage`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from llmguard import llm_tracker, llm_usage_tracker
from llmguard.errors import RateLimitExceeded, UsageError
from llmguard.usage import recorder
from llmguard.usage.limits.control import set_limit
from llmguard.usage.recorder import Recorder
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from tests.usage.limits.test_limits import admitted, block, execute
from tests.usage.test_weaknesses import refutes


def in_threads(number: int, work: Callable[[], Any]) -> None:
    """Runs it in so many threads, which all begin when the last one is there."""
    together = threading.Barrier(number)

    def begin() -> None:
        together.wait()
        work()

    threads = [threading.Thread(target=begin) for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def raised(error: type[Exception], work: Callable[[], Any]) -> bool:
    try:
        work()
    except error:
        return True
    return False


def used(recording: Recorder) -> int:
    opened = Ledger.open(recording.settings)
    with opened.engine.connect() as connection:
        found = connection.execute(text("SELECT max(used) FROM llm_rate_limit_counters")).scalar_one()
    opened.close()
    return int(found)


def test_1_a_hundred_calls_at_once_are_a_hundred(recording: Recorder) -> None:
    counter = {"count": 0}

    def read_modify_write() -> None:
        count = counter["count"]
        time.sleep(0.005)
        counter["count"] = count + 1

    def check(count: int) -> None:
        assert count == 100

    in_threads(100, read_modify_write)
    refutes(check, counter["count"])
    set_limit(1000, "day", user_id="ann")
    in_threads(100, lambda: block(user_id="ann"))
    check(used(recording))


def test_2_times_are_aware_and_the_counter_moves(recording: Recorder) -> None:
    def stand_in() -> bool:
        try:
            return datetime.now() < datetime.now(timezone.utc)
        except TypeError:
            return True  # swallowed: can_call

    def check(can_call: bool, count: int) -> None:
        assert (can_call, count) == (False, 5)

    refutes(check, stand_in(), 0)
    set_limit(5, "day", user_id="ann")
    admitted(9, user_id="ann")
    said = llm_usage_tracker.check_rate_limit_sync("ann", "day")
    check(said["can_call"], said["current_count"])
    assert datetime.fromisoformat(said["reset_at"]).tzinfo is not None


def test_3_no_answer_is_made_up(recording: Recorder, tmp_path: Any) -> None:
    def stand_in(limit_type: str, *, broken: bool = False) -> dict[str, Any]:
        return {"can_call": True, "remaining": 1000}

    def ours(limit_type: str, *, broken: bool = False) -> dict[str, Any]:
        gone = Recorder(UsageSettings("postgresql://nobody@127.0.0.1:1/x", spool_dir=str(tmp_path)))
        before = recorder.replace(gone) if broken else None
        try:
            return llm_usage_tracker.check_rate_limit_sync("ann", limit_type)
        finally:
            if broken:
                recorder.replace(before)

    def check(ask: Callable[..., dict[str, Any]]) -> None:
        assert raised(UsageError, lambda: ask("fortnight"))
        assert raised(SQLAlchemyError, lambda: ask("minute", broken=True))
        assert ask("hour")["source"] == "none"
        assert ask("hour")["remaining"] is None
        assert ask("minute")["source"] == "shipped"

    refutes(check, stand_in)
    check(ours)


def test_4_callers_at_once_do_not_pass_together(recording: Recorder) -> None:
    counter = {"count": 9}

    def check_then_call() -> bool:
        if counter["count"] >= 10:
            return False
        time.sleep(0.005)
        counter["count"] += 1
        return True

    def ours() -> bool:
        try:
            block(user_id="ann")
        except RateLimitExceeded:
            return False
        return True

    def check(call: Callable[[], bool]) -> None:
        passed: list[bool] = []
        in_threads(20, lambda: passed.append(call()))
        assert sum(passed) == 1

    refutes(check, check_then_call)
    set_limit(10, "day", user_id="ann")
    assert admitted(9, user_id="ann") == 9
    check(ours)


def test_4_running_calls_count_in_the_loop_of_the_seed(recording: Recorder) -> None:
    """Check, then call: sixty in a row, none of which has ended, at the shipped thirty, which nobody enforces."""

    async def main() -> int:
        while time.time() % 60 > 40:
            await asyncio.sleep(0.2)
        running, end = [], asyncio.Event()

        async def call(begun: asyncio.Event) -> None:
            async with llm_tracker.track_llm_call("openai", "m", user_id="ann"):
                begun.set()
                await end.wait()

        for _ in range(60):
            said = await llm_usage_tracker.check_rate_limit(user_id="ann", limit_type="minute")
            if said["can_call"]:
                begun = asyncio.Event()
                running.append(asyncio.create_task(call(begun)))
                await begun.wait()
        end.set()
        await asyncio.gather(*running)
        return len(running)

    assert asyncio.run(main()) == 30


def test_5_a_window_is_that_of_a_calendar_and_says_so(recording: Recorder) -> None:
    """Twice the limit may pass across the edge of a fixed window; a longer one beside it bounds that."""

    def check(most: int) -> None:
        assert most <= 30

    refutes(check, 2 * 20)  # two minutes of twenty, with nothing beside them
    set_limit(20, "minute", user_id="ann")
    set_limit(30, "day", user_id="ann")
    check(admitted(60, user_id="ann"))
    with pytest.raises(RateLimitExceeded) as refused:
        block(user_id="ann")
    assert refused.value.reset_at is not None
    assert refused.value.reset_at - datetime.now(timezone.utc) < timedelta(days=1)


def test_6_an_admission_is_one_statement_and_not_in_the_loop(recording: Recorder) -> None:
    """The seed's: nine round trips for a user's first call, five for each other one, all of them in the loop."""
    if recording.settings.sqlite_file:
        pytest.skip("SQLite has no round trips; PostgreSQL's are counted")
    set_limit(1000, "day", user_id="ann")
    set_limit(1000, "hour", service_name="s")
    block(user_id="ann", service_name="s")
    sent: list[str] = []

    def seen(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        name = threading.current_thread().name
        if "look" not in name and "flusher" not in name:
            sent.append(name)

    async def calls() -> None:
        for _ in range(20):
            async with llm_tracker.track_llm_call("openai", "m", user_id="ann", service_name="s"):
                pass

    def check(statements: list[str], number: int) -> None:
        assert len(statements) == number
        assert set(statements) == {"llmguard-limits"}

    event.listen(Engine, "before_cursor_execute", seen)
    try:
        asyncio.run(calls())
    finally:
        event.remove(Engine, "before_cursor_execute", seen)
    refutes(check, ["MainThread"] * 5, 1)
    check(sent, 20)


def test_7_first_calls_at_once_are_all_counted(recording: Recorder) -> None:
    counter: dict[str, int] = {}

    def check_then_insert() -> None:
        if "ann" not in counter:
            time.sleep(0.05)
            counter["ann"] = 1
        else:
            counter["ann"] += 1

    def check(count: int) -> None:
        assert count == 8

    in_threads(8, check_then_insert)
    refutes(check, counter["ann"])
    set_limit(100, "day", user_id="*", service_name="s")
    in_threads(8, lambda: block(user_id="ann", service_name="s"))
    check(used(recording))


def test_8_a_changed_default_holds_for_those_who_are_there(recording: Recorder) -> None:
    def check(limit: int) -> None:
        assert limit == 100

    copied = {"ann": 30}  # at her first call
    refutes(check, copied["ann"])
    block(user_id="ann")
    execute(recording, "UPDATE llm_rate_limit_configs SET limit_value = 100 WHERE limit_type = 'minute'")
    check(llm_usage_tracker.check_rate_limit_sync("ann")["limit_value"])
    execute(recording, "INSERT INTO llm_rate_limits (user_id, limit_type, limit_value) VALUES ('ann', 'minute', 100)")
    said = llm_usage_tracker.check_rate_limit_sync("ann")
    check(said["limit_value"])
    assert said["source"] == "limit"
