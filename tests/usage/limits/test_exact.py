"""Exactly so many: over processes, on both databases, for calls, tokens and money, whatever dies in between."""

from __future__ import annotations

import time
from decimal import Decimal

import pytest

from llmguard.testing import Answer, FakeProvider
from llmguard.usage.limits.control import limit_of
from llmguard.usage.recorder import Recorder
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.counters import read_counters
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.limits import set_limit, stop
from tests.optional import optional
from tests.usage.limits.processes import Processes, counted
from tests.usage.recorded import rows_of

optional("openai")
USER = "user_id=ann"
SERVICE = "service_name=search"


def not_at_midnight() -> None:
    """Wait until no day (UTC) ends while a test runs that is not about that."""
    while time.time() % 86_400 > 86_400 - 90:
        time.sleep(1)


def used(ledger: Ledger) -> dict[str, int]:
    """What is used of every counter."""
    with ledger.engine.connect() as connection:
        keys = connection.exec_driver_sql("SELECT limit_key, window_start FROM llm_rate_limit_counters").all()
        return {key: amount for (key, _), (amount, _) in read_counters(connection, [tuple(k) for k in keys]).items()}


WAYS = [("sqlite", way) for way in ("wrapper", "using", "track", "block", "async")]


@pytest.mark.full
@pytest.mark.parametrize(("settings", "way"), [*WAYS, ("postgresql", "async")], indirect=["settings"])
def test_eight_processes_and_three_scopes(
    ledger: Ledger, settings: UsageSettings, provider: FakeProvider, way: str
) -> None:
    not_at_midnight()
    set_limit(ledger.engine, limit_of(100, "day", user_id="ann"))
    set_limit(ledger.engine, limit_of(140, "day", service_name="search"))
    set_limit(ledger.engine, limit_of(10_000, "month"))
    groups = (f"4 60 {way} {USER} {SERVICE}", f"4 60 {way} user_id=bob {SERVICE}")
    processes = Processes(settings, provider.base_url, *groups)
    processes.go()
    assert counted(processes.results()) == {"admitted": 140, "RateLimitExceeded": 340}
    assert len(provider.requests) == 140
    # A refusal takes nothing of any scope.
    limits = used(ledger)
    assert limits['["requests","day","UTC",["service_name","search"]]'] == limits['["requests","month","UTC"]'] == 140
    assert limits['["requests","day","UTC",["user_id","ann"]]'] <= 100


@pytest.mark.full
@pytest.mark.parametrize("kind", ["requests", "tokens", "cost"])
def test_eight_processes_at_a_hundred(
    ledger: Ledger, settings: UsageSettings, provider: FakeProvider, kind: str
) -> None:
    """A call is reserved 10 tokens (2 asked, 8 answered at most), of gpt-4o-mini at 0.15 and 0.6 USD a million."""
    not_at_midnight()
    each = {"requests": Decimal(1), "tokens": Decimal(10), "cost": Decimal("0.0000051")}[kind]
    provider.answer = Answer(prompt_tokens=2, completion_tokens=8)
    for scope in ({"user_id": "ann"}, {"service_name": "search"}, {"user_id": "*", "model": "gpt-4o-mini"}):
        set_limit(ledger.engine, limit_of(each * 100, "day", kind, **scope))
    processes = Processes(settings, provider.base_url, f"8 200 wrapper {USER} {SERVICE} model=gpt-4o-mini")
    processes.go()
    assert counted(processes.results()) == {"admitted": 100, "RateLimitExceeded": 1500}
    assert len(provider.requests) == 100
    units = int(each * 100 * 10**9) if kind == "cost" else int(each * 100)
    assert list(used(ledger).values()) == [units] * 3


@pytest.mark.full
def test_across_the_edge_of_a_window(
    ledger: Ledger, settings: UsageSettings, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_limit(ledger.engine, limit_of(50, "minute", user_id="ann"))
    monkeypatch.setenv("LLMGUARD_TEST_CLOCK", "1")  # minutes of two seconds: see the program
    processes = Processes(settings, provider.base_url, f"8 0 wrapper {USER}")
    processes.go()
    said = counted(processes.results())
    with ledger.engine.connect() as connection:
        counters = connection.exec_driver_sql("SELECT used, calls FROM llm_rate_limit_counters").all()
    assert len(counters) > 1, "no edge was crossed"
    assert {used for used, _ in counters[:-1]} <= set(range(51))
    assert max(used for used, _ in counters) == 50
    assert sum(used for used, _ in counters) == said["admitted"] == len(provider.requests)


@pytest.mark.full
def test_a_switch_is_seen_everywhere_within_two_seconds(
    ledger: Ledger, settings: UsageSettings, provider: FakeProvider
) -> None:
    processes = Processes(settings, provider.base_url, f"8 0 wrapper {USER}")
    processes.go()
    while len(provider.requests) < 200:
        time.sleep(0.05)
    stop(ledger.engine, {"user_id": "ann"})
    thrown = time.time()
    said = processes.results()
    assert {each.process for each in said if each.what == "CallsStopped"} == {each.process for each in said}
    assert len({each.process for each in said}) == 8
    assert max(each.at for each in said if each.what == "admitted") - thrown < 2
    assert counted(said)["admitted"] == len(provider.requests)


@pytest.mark.full
def test_a_process_that_dies_between_reserve_and_settle(
    recording: Recorder, settings: UsageSettings, provider: FakeProvider
) -> None:
    not_at_midnight()
    ledger = Ledger.open(settings)
    set_limit(ledger.engine, limit_of(200, "day", "tokens", user_id="ann"))
    provider.answer = Answer(prompt_tokens=2, completion_tokens=8)
    provider.answers.extend([Answer(delay=60)] * 4)
    processes = Processes(settings, provider.base_url, f"1 4 dying {USER}", f"4 40 heirs {USER}")
    processes.go()
    said = counted(processes.results())
    assert said["admitted"] == 16  # the four that died keep what they had reserved
    rows = rows_of(recording)
    assert sorted(row["status"] for row in rows) == ["ok"] * 16 + ["unknown"] * 4
    assert used(ledger) == {'["tokens","day","UTC",["user_id","ann"]]': 200}
    ledger.close()
