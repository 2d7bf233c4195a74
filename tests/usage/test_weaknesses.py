"""What trackers of this kind get wrong. Each check fails on a small stand-in that has the fault, and passes on ours.

A stand-in is the least code that shows the fault. The numbers are those of the list that this was built against: A for
the usage tracker, B for the call tracker and its LiteLLM callback.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import SQLAlchemyError

from llmguard import llm_tracker, setup_litellm_tracking
from llmguard.testing import Answer, FakeProvider, memory_ledger
from llmguard.usage import recorder
from llmguard.usage.adoption import adopt_all
from llmguard.usage.content import kept
from llmguard.usage.ids import call_id
from llmguard.usage.recorder import Recorder
from llmguard.usage.rows import entry, row_of
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.query import Period, newest
from llmguard.usage.store.read import usage_stats
from llmguard.usage.store.schema import upgrade
from llmguard.usage.store.totals import summary
from tests.command import ROOT
from tests.optional import optional
from tests.usage.recorded import ended
from tests.usage.test_litellm import CALLBACKS

NOW = datetime.now(timezone.utc).replace(minute=10, second=0, microsecond=0)


class Ours:
    """The real thing, on a database of its own."""

    def __init__(self, settings: UsageSettings) -> None:
        self.settings = settings

    def add(self, at: datetime = NOW, **columns: Any) -> None:
        data = {"call_id": call_id(), "started_at": at.timestamp(), "status": "ok", "model": "m", "user_id": "u"}
        data |= {"prompt_tokens": 1, "completion_tokens": 1, "usage_source": "provider", **columns}
        with self.ledger() as ledger:
            ledger.write([entry(data, row_of)])

    @contextlib.contextmanager
    def ledger(self) -> Iterator[Ledger]:
        opened = Ledger.open(self.settings)
        try:
            yield opened
        finally:
            opened.close()

    def stats(self, days: int = 30) -> dict[str, Any]:
        with self.ledger() as ledger:
            return usage_stats(ledger.engine, "u", days)

    def rows(self) -> list[dict[str, Any]]:
        with self.ledger() as ledger:
            return newest(ledger.engine, Period(), {}, 10_000)


@pytest.fixture
def ours(settings: UsageSettings) -> Ours:
    return Ours(settings)


def refutes(check: Callable[..., Any], *stand_in: Any) -> None:
    """The check must fail on the stand-in: else it proves nothing."""
    with pytest.raises(Exception):  # noqa: B017, PT011  (whichever way the fault shows)
        check(*stand_in)


def test_a6_recording_does_not_wait_for_the_database(tmp_path: Path) -> None:
    def check(record: Callable[[], None]) -> None:
        started = time.perf_counter()
        for _ in range(10):
            record()
        assert time.perf_counter() - started < 0.3

    refutes(check, lambda: time.sleep(0.05))  # one round trip of five
    slow = Recorder(UsageSettings("postgresql://x@10.255.255.1/x", spool_dir=str(tmp_path)))
    check(lambda: slow.finish({"call_id": call_id(), "status": "ok"}))
    slow.spool.close()


def test_a9_a_call_belongs_to_one_day_everywhere(ours: Ours) -> None:
    moment = (NOW - timedelta(days=2)).replace(hour=23, minute=30)

    def check(days: list[str]) -> None:
        assert set(days) == {moment.date().isoformat()}

    refutes(check, [moment.isoformat()[:10], moment.astimezone(timezone(timedelta(hours=2))).date().isoformat()])
    ours.add(moment)
    with ours.ledger() as ledger, ledger.engine.connect() as connection:
        view = str(connection.exec_driver_sql("SELECT usage_date FROM llm_usage_daily_summary").scalar_one())
        by_day = next(iter(summary(ledger.engine, "day", Period(), {})))[0]
    check([ours.stats()["by_day"][0]["date"], view, by_day])
    assert ours.stats(days=1)["total_calls"] == 0  # today is today, not the last 24 hours


def test_a10_totals_do_not_stop_at_a_row_cap(ours: Ours) -> None:
    def check(total: int) -> None:
        assert total == 1500

    refutes(check, len(list(range(1500))[:1000]))
    made = [
        {"call_id": call_id(), "attempt_no": 0, "created_at": NOW, "status": "ok", "user_id": "u"} for _ in range(1500)
    ]
    with ours.ledger() as ledger:
        ledger.write(made)
    check(ours.stats()["total_calls"])


def test_a11_an_outage_is_not_no_usage(tmp_path: Path) -> None:
    def check(stats: Callable[[], dict[str, Any]]) -> None:
        with contextlib.suppress(SQLAlchemyError):
            stats()
            raise AssertionError("an outage reads like an answer")

    refutes(check, lambda: {"total_calls": 0})
    broken = UsageSettings("postgresql://nobody@127.0.0.1:1/x", spool_dir=str(tmp_path))
    check(lambda: Ours(broken).stats())


def test_a13_an_insert_that_fails_is_not_lost(ours: Ours, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(stored: int, counted: int) -> None:
        assert (stored, counted) == (1, 1)

    refutes(check, 0, 1)
    recording = Recorder(ours.settings)
    real = Ledger.write
    failures = iter([OSError("down"), OSError("down")])

    def failing(self: Ledger, rows: Any, amendments: Any = None) -> int:
        for error in failures:
            raise error
        return real(self, rows, amendments)

    monkeypatch.setattr(Ledger, "write", failing)
    data = {"call_id": call_id(), "started_at": NOW.timestamp(), "user_id": "u"}
    recording.intent(data)
    recording.finish({**data, "status": "ok"})
    assert recording.flush(20)
    recording.close(5)
    check(len(ours.rows()), ours.stats()["total_calls"])


def test_a14_sums_are_fresh_and_outlive_the_user(ours: Ours) -> None:
    def check(fresh: int) -> None:
        assert fresh == 1

    refutes(check, 0)  # a materialized view that nobody refreshes
    ours.add()
    with ours.ledger() as ledger, ledger.engine.connect() as connection:
        check(connection.exec_driver_sql("SELECT SUM(total_calls) FROM llm_usage_daily_summary").scalar_one())
        keys = connection.dialect.get_foreign_keys(connection, "llm_usage_logs")  # type: ignore[no-untyped-call]
    assert keys == []  # nothing cascades into the ledger


def test_a15_migrations_run_twice(ours: Ours) -> None:
    with ours.ledger() as ledger:

        def stand_in() -> None:
            with ledger.engine.begin() as connection:
                connection.exec_driver_sql("CREATE TABLE llm_usage_logs (id text)")

        def check(migrate: Callable[[], None]) -> None:
            migrate()
            migrate()

        refutes(check, stand_in)
        check(lambda: upgrade(ledger.engine, ours.settings.schema))
        if ledger.engine.dialect.name == "postgresql":
            with ledger.engine.begin() as connection:
                connection.exec_driver_sql("SELECT refresh_llm_usage_summary()")


def test_a16_long_names_are_stored(ours: Ours) -> None:
    def check(models: list[str]) -> None:
        assert len(models) == 1
        assert models[0].startswith("m" * 200)

    refutes(check, [])  # varchar(100): the insert fails, the row is lost
    ours.add(model="m" * 5000, endpoint="/" * 5000)
    check([row["model"] for row in ours.rows()])


def test_a17_provider_and_cost_can_be_asked_for(ours: Ours) -> None:
    def check(row: dict[str, Any]) -> None:
        assert (row["provider"], row["total_cost"] > 0) == ("openai", True)

    refutes(check, {"metadata": {"provider": "openai"}})
    ours.add(provider="openai", model="gpt-4o")
    check(ours.rows()[0])


def test_a20_pages_are_stable_while_calls_come_in(ours: Ours) -> None:
    def check(pages: Callable[[Callable[[], None]], list[str]]) -> None:
        seen = pages(lambda: ours.add(NOW + timedelta(seconds=99), model="new"))
        assert len(seen) == len(set(seen))
        assert seen[:4] == ["0", "1", "2", "3"]

    for number in range(4):
        ours.add(NOW + timedelta(seconds=number), model=str(number))

    def by_offset(between: Callable[[], None]) -> list[str]:
        first = [row["model"] for row in ours.rows()[::-1][0:2]]
        between()
        return first + [row["model"] for row in ours.rows()[::-1][2:4]]

    def by_key(between: Callable[[], None]) -> list[str]:
        with ours.ledger() as ledger:
            page = newest(ledger.engine, Period(), {}, 2, after=(NOW - timedelta(days=1), ""))
            between()
            rest = newest(ledger.engine, Period(), {}, 9, after=(page[-1]["created_at"], page[-1]["id"]))
        return [row["model"] for row in (*page, *rest)]

    refutes(check, by_offset)
    with ours.ledger() as ledger, ledger.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM llm_usage_logs WHERE model = 'new'")
    check(by_key)
    with ours.ledger() as ledger:
        assert len(newest(ledger.engine, Period(NOW + timedelta(seconds=1)), {"model": "2"}, 9)) == 1


def test_b8_b9_the_context_of_a_request_is_its_own_and_breaks_no_call() -> None:
    shared: dict[str, Any] = {}

    async def stand_in(user: str) -> str:
        shared["user_id"] = user
        await asyncio.sleep(0.01)
        return str(shared["user_id"])

    async def ours(user: str) -> str:
        llm_tracker.set_request_context(user_id=user, feature_context="f")
        await asyncio.sleep(0.01)
        async with llm_tracker.track_llm_call("p", "m", feature_context="given"):
            pass
        return next(row["user_id"] for row in ledger.rows if row["user_id"] == user)

    def check(request: Callable[[str], Any]) -> None:
        async def both() -> list[str]:
            return list(await asyncio.gather(request("a"), request("b")))

        assert asyncio.run(both()) == ["a", "b"]

    refutes(check, stand_in)
    with memory_ledger() as ledger:
        check(ours)
    assert {row["feature_context"] for row in ledger.rows} == {"given"}


def test_b10_a_program_that_ends_after_the_call_has_its_row(ours: Ours) -> None:
    saved: list[int] = []

    async def fire_and_forget() -> None:
        async def save() -> None:
            await asyncio.sleep(0.05)
            saved.append(1)

        asyncio.ensure_future(save())  # noqa: RUF006  (that is the fault)

    def check(number: int) -> None:
        assert number == 1

    asyncio.run(fire_and_forget())
    refutes(check, len(saved))
    code = """
import asyncio, sys
from llmguard import llm_tracker
from llmguard.usage import recorder
from llmguard.usage.settings import UsageSettings
recorder.configure(UsageSettings(*sys.argv[1:4]))
async def main():
    async with llm_tracker.track_llm_call("p", "m"):
        pass
asyncio.run(main())
"""
    place = (ours.settings.database_url, ours.settings.schema, ours.settings.spool_dir)
    subprocess.run([sys.executable, "-c", code, *place], check=True, cwd=ROOT, env=os.environ)
    with ours.ledger() as ledger:
        adopt_all(ours.settings.spool_folder, set(), ledger.write)  # what a slow machine's exit has left on the disk
    check(len(ours.rows()))


def test_b11_the_call_has_its_identifier_inside_the_block() -> None:
    def check(identifier: Any, stored: Any) -> None:
        assert identifier is not None
        assert identifier == stored

    refutes(check, None, "None")
    with memory_ledger() as ledger, llm_tracker.track_llm_call("p", "m") as usage_log:
        inside = usage_log.id
    check(inside, ledger.rows[0]["call_id"])


def test_b12_a_cancelled_call_is_no_success() -> None:
    def stand_in(error: BaseException) -> str:
        try:
            raise error
        except Exception:  # noqa: BLE001  (that is the fault)
            return "error"
        except BaseException:  # noqa: BLE001
            return "ok"  # nobody set anything, and the column's default is success

    def ours(error: BaseException) -> str:
        with memory_ledger() as ledger:
            with contextlib.suppress(BaseException), llm_tracker.track_llm_call("p", "m"):
                raise error
            return str(ledger.rows[0]["status"])

    def check(end: Callable[[BaseException], str]) -> None:
        assert end(asyncio.CancelledError()) == "cancelled"

    refutes(check, stand_in)
    check(ours)


def test_b13_totals_are_derived_and_costs_exact_or_unknown(ours: Ours) -> None:
    def check(total: int | None, cost: Any, unpriced: int) -> None:
        assert (total, cost, unpriced) == (150, Decimal("0.00075"), 1)

    refutes(check, None, 0.1 + 0.2, 0)
    tokens = {"prompt_tokens": 100, "completion_tokens": 50, "provider": "openai"}
    ours.add(model="gpt-4o-2024-08-06", **tokens)
    ours.add(model="nobody-knows-it", **tokens)
    with ours.ledger() as ledger:
        sums = summary(ledger.engine, "service", Period(), {})[("",)]
    check(ours.rows()[0]["tokens_used"], sums.cost, sums.unpriced_calls)


def test_b14_nested_and_cut_secrets_are_removed_and_the_price_is_of_the_call() -> None:
    secret = "sk-abcdefghijklmnopqrstuvwxyz"
    content = {"headers": {"authorization": f"Bearer {secret}", "x": ["password=hunter2hunter2"]}}

    def stand_in(value: dict[str, Any], most: int) -> str:
        clean = {key: inner for key, inner in value.items() if key != "authorization"}  # the top level only
        return json.dumps(clean)[:most]

    def check(keep: Callable[[Any, int], str | None]) -> None:
        for most in (45, 5000):
            found = keep(content, most) or ""
            assert not re.search("sk-abc|hunter2", found)

    refutes(check, stand_in)
    check(kept)
    tokens = {"prompt_tokens": 10**6, "completion_tokens": 0, "usage_source": "provider"}
    call = {"call_id": "x", "provider": "anthropic", "model": "claude-sonnet-4-20250514", **tokens}
    assert entry({**call, "started_at": NOW.timestamp(), "status": "ok"}, row_of)["price_version"]


@pytest.fixture
def litellm() -> Iterator[Any]:
    module = optional("litellm")
    before = {name: list(getattr(module, name)) for name in CALLBACKS}
    yield module
    for name, value in before.items():
        getattr(module, name)[:] = value


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_b21_to_b25_the_callback(litellm: Any) -> None:
    logger = litellm.integrations.custom_logger.CustomLogger

    class Other(logger):  # type: ignore[misc, valid-type]
        pass

    class StandIn(logger):  # type: ignore[misc, valid-type]
        """As callbacks of this kind are written."""

        rows: list[dict[str, Any]] = []  # noqa: RUF012

        def log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            duration = int((end_time - start_time) * 1000)  # a timedelta: raises, and LiteLLM swallows it
            self.rows.append({"status": "ok", "duration": duration})

        def log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
            feature = (kwargs.get("metadata") or {}).get("feature_context", "crewai")
            self.rows.append({"status": "error", "error_type": type(response_obj).__name__, "feature_context": feature})

    def install_stand_in() -> None:
        litellm.callbacks = []  # the others are gone
        litellm.success_callback.append(StandIn())
        litellm.failure_callback.append(StandIn())

    def check(rows: list[dict[str, Any]]) -> None:
        assert sorted(row["status"] for row in rows) == ["error", "error", "ok", "ok"]
        assert {row["error_type"] for row in rows if row["status"] == "error"} == {"BadRequestError"}
        assert {row["feature_context"] for row in rows} == {"search"}

    def calls(provider: FakeProvider) -> None:
        asked: dict[str, Any] = {"model": "openai/m", "api_base": provider.base_url, "api_key": "x", "max_retries": 0}
        asked |= {"messages": [{"role": "user", "content": "x"}], "metadata": {"feature_context": "search"}}
        for status in (200, 400):
            provider.answer = Answer(status=status)
            with contextlib.suppress(litellm.BadRequestError):
                litellm.completion(**asked)
            with contextlib.suppress(litellm.BadRequestError):
                asyncio.run(litellm.acompletion(**asked))
        time.sleep(0.3)

    other = Other()
    with FakeProvider() as provider, memory_ledger(disabled=True):
        litellm.callbacks.append(other)
        install_stand_in()
        calls(provider)
        refutes(check, StandIn.rows)
        assert other not in litellm.callbacks
    litellm.callbacks = [other]
    with FakeProvider() as provider, memory_ledger() as ledger:
        setup_litellm_tracking()
        assert other in litellm.callbacks
        calls(provider)
        check(ended(ledger, 4))


def test_the_recorder_is_as_it_was() -> None:
    assert recorder.recorder() is not None
