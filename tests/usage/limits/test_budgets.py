"""Budgets of runs: by context into tasks, threads and processes; nested; what happens when they are used up."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest

from llmguard import budget, llm_tracker, llm_wrapper
from llmguard.errors import BudgetExceeded, LLMGuardError, UsageError
from llmguard.testing import Answer, FakeProvider, memory_ledger
from llmguard.usage import context
from llmguard.usage.limits import runs
from llmguard.usage.limits.control import set_limit
from llmguard.usage.recorder import Recorder
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.query import Period
from llmguard.usage.store.totals import summary
from tests.command import ROOT
from tests.optional import optional
from tests.usage.recorded import rows_of

MESSAGES = [{"role": "user", "content": "12345678"}]
#: gpt-4o-mini: 2 tokens asked at 0.15 USD a million, 8 answered at 0.6.
PRICE = Decimal("0.0000051")


def block(**fields: Any) -> None:
    with llm_tracker.track_llm_call("openai", "gpt-4o-mini", **fields) as log:
        log.input_tokens, log.output_tokens = 2, 8


def admitted(times: int) -> int:
    passed = 0
    for _ in range(times):
        try:
            block()
        except BudgetExceeded:
            continue
        passed += 1
    return passed


@pytest.fixture
def carried(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    submit, start = ThreadPoolExecutor.submit, __import__("threading").Thread.start
    context.carry_into_threads()
    yield
    monkeypatch.setattr(ThreadPoolExecutor, "submit", submit)
    monkeypatch.setattr("threading.Thread.start", start)


def test_a_budget_names_itself_and_its_run(recording: Recorder) -> None:
    with budget("nightly", calls=3) as b:
        assert admitted(5) == 3
        with pytest.raises(
            BudgetExceeded, match=r"the budget 'nightly' of 3 requests \(run [0-9a-f]{32}\)"
        ) as exceeded:
            block()
        assert (exceeded.value.budget, exceeded.value.run_id) == ("nightly", b.run_id)
        assert b.spent() == {"calls": 3}
    block()  # outside
    rows = rows_of(recording)
    assert [(row["run_id"], row["budget"]) for row in rows] == [(b.run_id, "nightly")] * 3 + [(None, None)]
    with budget("nightly", calls=3):  # a new run is a new budget
        assert admitted(5) == 3
    assert recording.flush(10)
    opened = Ledger.open(recording.settings)
    found = summary(opened.engine, "run", Period(), {})
    opened.close()
    assert found[b.run_id, "nightly"].calls == 3
    assert sorted(sums.calls for sums in found.values()) == [1, 3, 3]


def test_a_child_takes_from_its_parents(recording: Recorder) -> None:
    with budget("whole", calls=5) as whole:
        with budget("part", calls=3) as part:
            assert admitted(9) == 3
        assert part.run_id == whole.run_id
        assert part.opened is not None
        assert part.opened.name == "whole/part"
        with budget("part two", calls=3):
            assert admitted(9) == 2
        assert admitted(1) == 0
        assert whole.spent() == {"calls": 5}


def test_a_limit_and_a_budget_hold_at_once_and_a_refusal_takes_from_neither(recording: Recorder) -> None:
    set_limit(4, "day")
    with budget("b", calls=3) as b:
        assert admitted(6) == 3
    with budget("c", calls=3, on_exceed="warn") as c:
        block()
        with pytest.raises(LLMGuardError, match="4 requests per day"):
            block()
        assert c.spent() == {"calls": 1}
    assert b.spent() == {"calls": 3}


def test_warn_lets_calls_go_and_counts_them(recording: Recorder, caplog: Any) -> None:
    with budget("b", calls=2, on_exceed="warn") as b:
        assert admitted(5) == 5
        assert b.spent() == {"calls": 5}
    assert caplog.text.count("calls go beyond the budget 'b' of 2 requests") == 1


def test_a_callback_decides_and_may_grant_more(recording: Recorder) -> None:
    asked: list[BudgetExceeded] = []

    def decide(exceeded: BudgetExceeded) -> bool:
        asked.append(exceeded)
        block()  # what it asks itself is not of the run
        if len(asked) == 1:
            b.extend(calls=2)
            return True
        return len(asked) == 2

    with budget("b", calls=1, on_exceed=decide) as b:
        assert admitted(9) == 4  # one, two that were granted, one that was let go; the rest was refused
        assert b.spent() == {"calls": 4}
    assert [each.budget for each in asked] == ["b"] * 7


def test_an_asynchronous_callback_is_awaited_one_call_at_a_time(recording: Recorder) -> None:
    running, most = 0, 0

    async def person(exceeded: BudgetExceeded) -> bool:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        b.extend(calls=5)
        return True

    async def one() -> None:
        async with llm_tracker.track_llm_call("openai", "m"):
            await asyncio.sleep(0)

    async def all_of_them() -> None:
        async with b:
            await asyncio.gather(*(one() for _ in range(11)))

    b = budget("b", calls=1, on_exceed=person)
    asyncio.run(all_of_them())
    assert most == 1
    assert b.spent() == {"calls": 11}
    with b:
        block()
        with pytest.raises(UsageError, match="is asynchronous, and the call is not"):
            block()


def test_a_cancelled_call_does_not_keep_the_others_from_being_asked(recording: Recorder) -> None:
    async def person(exceeded: BudgetExceeded) -> bool:
        await asyncio.sleep(30 if not recording.underway.of("x", 0, 1e12) and not asked else 0)
        return True

    asked: list[int] = []

    async def one() -> None:
        async with llm_tracker.track_llm_call("openai", "m"):
            pass

    async def main() -> None:
        with budget("b", calls=1, on_exceed=person):
            await one()
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(one(), 0.3)
            asked.append(1)
            await asyncio.wait_for(one(), 5)

    asyncio.run(main())


def test_a_decorator_gives_each_call_a_budget(recording: Recorder) -> None:
    @budget("job", calls=2)
    def job() -> int:
        return admitted(5)

    @budget("job", calls=3)
    async def async_job() -> int:
        return admitted(5)

    assert [job(), job(), asyncio.run(async_job())] == [2, 2, 3]
    with pytest.raises(UsageError, match="a generator is suspended"):

        @budget("job", calls=2)
        def generator() -> Any:
            yield


def test_tasks_and_threads_share_it_and_others_do_not(recording: Recorder, carried: None) -> None:
    async def task() -> int:
        return admitted(3)

    async def in_tasks() -> int:
        with budget("a", calls=7):
            inside = asyncio.gather(*(task() for _ in range(4)))
            return sum(await inside)

    async def main() -> list[int]:
        return await asyncio.gather(in_tasks(), task())

    assert asyncio.run(main()) == [7, 3]
    with ThreadPoolExecutor(4) as pool:
        with budget("b", calls=7):
            inside = [pool.submit(admitted, 3) for _ in range(4)]
            assert sum(each.result() for each in inside) == 7
        assert pool.submit(admitted, 3).result() == 3


def test_a_budget_in_memory() -> None:
    with memory_ledger() as ledger, budget("b", usd=PRICE * 205, tokens=2100) as b:
        assert admitted(500) == 85  # 1,024 tokens are reserved for an answer (0.0006144 USD), and 10 are taken
        assert b.spent() == {"usd": PRICE * 85, "tokens": 850}
    assert {row["budget"] for row in ledger.rows} == {"b"}


@pytest.mark.parametrize(
    ("name", "terms", "said"),
    [
        ("", {"usd": 1}, "a budget must have a name"),
        ("b", {}, "the budget 'b' limits nothing: give it usd=, calls= or tokens="),
        ("b", {"usd": "nan"}, "a limit must be a number from 0"),
        ("b", {"calls": -1}, "a limit must be a number from 0"),
        ("b", {"calls": 1.5}, "a limit of requests must be a whole number"),
        ("b", {"calls": 1, "on_exceed": "stop"}, "on_exceed must be raise, warn or a function, not 'stop'"),
        ("b", {"calls": 1, "on_outage": "x"}, "on_outage must be one of open, closed"),
        ("b", {"calls": 1, "unpriced": "x"}, "unpriced must be one of refuse, count, allow"),
        ("b", {"calls": 1, "warn_at": 0}, "warn_at must be a share"),
    ],
)
def test_bad_input_is_one_clear_line(name: str, terms: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        budget(name, **terms)
    assert said in str(error.value)


_CHILD = """
import asyncio, sys
from llmguard import budget, llm_wrapper
from llmguard.errors import BudgetExceeded
from llmguard.usage import recorder
from llmguard.usage.settings import UsageSettings
url, schema, spool, base_url, how = sys.argv[1:]
recorder.configure(UsageSettings(url, schema, spool, limits_deadline=30.0))
asked = {"model": "gpt-4o-mini", "provider": "openai", "client_options": {"base_url": base_url, "api_key": "k"}}
messages = [{"role": "user", "content": "12345678"}]
def some():
    passed = 0
    for _ in range(60):
        try:
            llm_wrapper.chat_completion_sync(messages, max_tokens=8, **asked)
            passed += 1
        except BudgetExceeded as error:
            assert error.budget == "nightly"
    return passed
if how == "joins":
    with budget("nightly", usd=1000):  # its own figure does not count: the run has one
        print(some())
else:
    print(some())
recorder.recorder().flush(30)
"""


@pytest.mark.full
def test_a_tree_of_tasks_threads_and_processes(recording: Recorder, provider: FakeProvider, carried: None) -> None:
    """So much is admitted, so much is settled, and so much is beyond it, by the fake provider's own log."""
    optional("openai")
    provider.answer = Answer(prompt_tokens=2, completion_tokens=10)  # two tokens more than were asked at most
    settings = recording.settings._replace(limits_deadline=30.0)
    recording.settings = settings
    options = {"base_url": provider.base_url, "api_key": "k"}
    asked: dict[str, Any] = {"model": "gpt-4o-mini", "max_tokens": 8, "provider": "openai", "client_options": options}

    async def task() -> int:
        passed = 0
        for _ in range(3):
            try:
                await llm_wrapper.chat_completion(MESSAGES, **asked)
            except BudgetExceeded:
                continue
            passed += 1
        return passed

    def thread() -> int:
        return sum(1 for _ in range(3) if _passes(asked))

    async def tree() -> int:
        with ThreadPoolExecutor(4) as pool:
            loop = asyncio.get_running_loop()
            tasks = [task() for _ in range(50)]
            threads = [loop.run_in_executor(pool, thread) for _ in range(8)]
            return sum(await asyncio.gather(*tasks, *threads))

    where = (settings.database_url, settings.schema, settings.spool_dir, provider.base_url)
    with budget("nightly", usd=PRICE * 200) as nightly:
        children = [
            subprocess.Popen([sys.executable, "-c", _CHILD, *where, how], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for how in ("inherits", "joins")
        ]
        mine = asyncio.run(tree())
        theirs = sum(int(child.communicate(timeout=120)[0]) for child in children)
    assert runs.RUN not in os.environ
    assert recording.flush(30)
    sent = len(provider.requests)
    assert mine + theirs == sent
    assert sent <= 200  # never more than the sum of reservations
    took = sent * (2 * Decimal("0.00000015") + 10 * Decimal("0.0000006"))
    assert nightly.spent()["usd"] == took
    opened = Ledger.open(settings)
    with opened.engine.connect() as connection:
        row = connection.exec_driver_sql("SELECT used, admitted, over FROM llm_rate_limit_counters").one()
    opened.close()
    assert row.admitted == sent * PRICE * 10**9 <= 200 * PRICE * 10**9
    assert row.over == sent * 2 * Decimal("0.0000006") * 10**9
    assert took + PRICE > PRICE * 200  # it is used up
    rows = rows_of(recording)
    assert len(rows) == sent
    assert {(each["run_id"], each["budget"]) for each in rows} == {(nightly.run_id, "nightly")}


def _passes(asked: dict[str, Any]) -> bool:
    try:
        llm_wrapper.chat_completion_sync(MESSAGES, **asked)
    except BudgetExceeded:
        return False
    return True
