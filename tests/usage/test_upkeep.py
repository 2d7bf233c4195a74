"""Old calls go and their sums stay; a user is erased, or becomes a name that says nothing; FOCUS and the days."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import text

from llmguard.usage.limits.limit import Limit
from llmguard.usage.prices import own
from llmguard.usage.prices.own import Book, OwnPrice
from llmguard.usage.store.focus import COLUMNS, charges, without_cost
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.limits import load, set_limit
from llmguard.usage.store.query import Period, newest
from llmguard.usage.store.rollup import differences, recompute
from llmguard.usage.store.totals import daily, summary
from llmguard.usage.store.upkeep import Erased, advice, anonymise, erase, prune
from tests.usage.test_totals import NOON, at, write

D = Decimal


def number(ledger: Ledger) -> int:
    return len(newest(ledger.engine, Period(), {}, 10_000))


def test_old_calls_go_piece_by_piece_and_their_sums_stay(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmguard.usage.store.upkeep._PIECE", 100)
    write(ledger, *(at(hours=each) for each in range(-250, 0)), *(at(hours=each) for each in range(20)))
    before = summary(ledger.engine, "month", Period(), {})
    assert prune(ledger.engine, NOON, dry_run=True) == 250
    assert number(ledger) == 270
    assert prune(ledger.engine, NOON) == 250
    assert number(ledger) == 20
    assert summary(ledger.engine, "month", Period(), {}) == before
    assert differences(ledger.engine) == []
    recompute(ledger.engine)
    if ledger.engine.dialect.name == "postgresql":
        with ledger.engine.begin() as connection:
            connection.execute(text("SELECT refresh_llm_usage_summary()"))
    assert summary(ledger.engine, "month", Period(), {}) == before
    assert differences(ledger.engine) == []
    write(ledger, at(hours=-5))  # comes late
    assert differences(ledger.engine) == []
    assert prune(ledger.engine, NOON) == 1


def test_a_prune_that_breaks_off_loses_no_sums(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from llmguard.usage.store import upkeep

    write(ledger, *(at(hours=each) for each in range(-30, 0)))
    before = summary(ledger.engine, "day", Period(), {})
    monkeypatch.setattr(upkeep, "_PIECE", 7)
    real, left = upkeep._writing, [4]

    def breaking(engine: Any) -> Any:
        left[0] -= 1
        if not left[0]:
            raise RuntimeError("the machine is switched off")
        return real(engine)

    monkeypatch.setattr(upkeep, "_writing", breaking)
    with pytest.raises(RuntimeError, match="switched off"):
        prune(ledger.engine, NOON)
    assert 0 < number(ledger) < 30
    recompute(ledger.engine)
    assert summary(ledger.engine, "day", Period(), {}) == before
    assert prune(ledger.engine, NOON) > 0
    assert number(ledger) == 0
    assert summary(ledger.engine, "day", Period(), {}) == before


@pytest.mark.parametrize("user", ["ann", "o'h%r_a\\"])
def test_a_user_is_erased_from_calls_sums_and_limits(
    user: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("llmguard.usage.store.upkeep._PIECE", 50)
    mine = {"user_id": user, "code_file": "a.py", "code_line": 1}
    write(ledger, *(mine for _ in range(120)), {"user_id": "bob", "code_file": "a.py", "code_line": 1})
    for each in (user, "bob"):
        set_limit(ledger.engine, Limit((("user_id", each),), "requests", "day", D(5)))
    assert erase(ledger.engine, user) == Erased(120, 1, 1)
    assert {row["user_id"] for row in newest(ledger.engine, Period(), {}, 5000)} == {"bob"}
    assert list(summary(ledger.engine, "user", Period(), {})) == [("bob",)]
    assert [sums.calls for sums in summary(ledger.engine, "line", Period(), {}).values()] == [1]
    assert [limit.scope for limit in load(ledger.engine).limits] == [(("user_id", "bob"),)]
    assert differences(ledger.engine) == []
    assert erase(ledger.engine, user) == Erased(0, 0, 0)


def test_a_user_whose_old_calls_are_gone_is_erased_from_the_sums(ledger: Ledger) -> None:
    write(ledger, {"user_id": "ann", **at(days=-9)}, {"user_id": "ann"})
    prune(ledger.engine, NOON - timedelta(days=1))
    assert erase(ledger.engine, "ann").calls == 1
    assert summary(ledger.engine, "user", Period(), {}) == {}
    assert differences(ledger.engine) == []


def test_an_anonymous_user_keeps_what_he_spent_and_nothing_else(ledger: Ledger) -> None:
    told = {"username": "Ann", "ip_address": "10.0.0.1", "metadata": {"mail": "ann@example.com"}}
    write(ledger, {"user_id": "ann", **told, "error_message": "ann's words", "status": "error"}, {"user_id": "bob"})
    before = sorted(sums.cost for sums in summary(ledger.engine, "user", Period(), {}).values())
    name, done = anonymise(ledger.engine, "ann")
    assert (done.calls, done.sums) == (1, 1)
    rows = {row["user_id"]: row for row in newest(ledger.engine, Period(), {}, 10)}
    assert set(rows) == {name, "bob"}
    assert "ann" not in repr({key: value for key, value in rows[name].items() if key != "user_id"}).lower()
    assert sorted(sums.cost for sums in summary(ledger.engine, "user", Period(), {}).values()) == before
    assert differences(ledger.engine) == []
    assert list(advice(ledger.engine)) == []


# -- exports ----------------------------------------------------------------------------------------------------------


def test_the_charges_of_focus_add_up_to_the_cost(ledger: Ledger) -> None:
    write(
        ledger,
        *({**at(hours=each), "prompt_tokens": 1000 + each, "cache_read_tokens": each * 7} for each in range(100)),
        {"provider": "anthropic", "model": "claude-sonnet-4-5", "cache_write_tokens": 400, "cache_read_tokens": 300},
        {"provider": "acme", "model": "x", "given_cost": 0.25},
        {"provider": "acme", "model": "y"},
    )
    rows = list(charges(ledger.engine, Period(), {}, "acme"))
    assert all(tuple(sorted(row)) == tuple(sorted(COLUMNS)) for row in rows)
    cost = sum((row["total_cost"] for row in newest(ledger.engine, Period(), {}, 500) if row["total_cost"]), D(0))
    assert sum(D(row["BilledCost"]) for row in rows) == cost == sum(D(row["ListCost"]) for row in rows)
    tokens = sum(D(row["ConsumedQuantity"]) for row in rows if row["ConsumedUnit"] == "Tokens")
    assert tokens == sum(range(1000, 1100)) + 100 * 1000 + 2000
    cached = {row["x_TokenType"]: D(row["BilledCost"]) for row in rows if row["x_Model"] == "claude-sonnet-4-5"}
    assert cached == {
        "input": D("0.0009"),
        "cache_read": D("0.00009"),
        "cache_write": D("0.0015"),
        "output": D("0.015"),
    }
    assert without_cost(ledger.engine, Period(), {}) == 1
    days = {(row["ChargePeriodStart"], row["BillingPeriodEnd"]) for row in rows}
    assert ("2026-11-18T00:00:00Z", "2026-12-01T00:00:00Z") in days


def test_a_discount_is_billed_and_the_list_price_is_listed(ledger: Ledger) -> None:
    own.use(Book([OwnPrice("openai", "*", discount=D(20))]))
    try:
        write(ledger, {})
        rows = list(charges(ledger.engine, Period(), {}, "acme"))
    finally:
        own.use(Book())
    sums = [sum(D(row[name]) for row in rows) for name in ("BilledCost", "ListCost")]
    assert sums == [D("0.01"), D("0.0125")]


def test_the_list_price_is_that_of_all_that_was_used(ledger: Ledger) -> None:
    sound = {"audio_input_tokens": 600, "audio_cache_read_tokens": 0, "web_searches": 10}
    calls = [
        {"model": "gpt-realtime", "prompt_tokens": 1000, "usage_details": sound},
        {"provider": "anthropic", "model": "claude-sonnet-4-5", "cache_write_tokens": 900, "usage_details": sound},
    ]
    write(ledger, *calls)
    listed = sum(D(row["ListCost"]) for row in charges(ledger.engine, Period(), {}, "acme"))
    own.use(Book([OwnPrice("openai", "*", discount=D(20)), OwnPrice("anthropic", "*", discount=D(50))]))
    try:
        write(ledger, *calls)  # beside those without a discount
        rows = list(charges(ledger.engine, Period(), {}, "acme"))
    finally:
        own.use(Book())
    both = [sum(D(row[name]) for row in rows) for name in ("ListCost", "BilledCost")]
    cost = sum((row["total_cost"] for row in newest(ledger.engine, Period(), {}, 2)), D(0))
    assert both[0] - listed == listed
    assert both[1] - listed == cost < listed


def test_days_are_those_of_the_zone(ledger: Ledger) -> None:
    from zoneinfo import ZoneInfo

    write(ledger, {"user_id": "ann"}, {"user_id": "ann", **at(hours=11)}, {"user_id": "bob"})
    found = [(row["day"], row["user_id"], row["calls"]) for row in daily(ledger.engine, Period(), {})]
    assert found == [("2026-11-18", "ann", 2), ("2026-11-18", "bob", 1)]
    tokyo = [
        (row["day"], row["calls"]) for row in daily(ledger.engine, Period(), {"user": "ann"}, ZoneInfo("Asia/Tokyo"))
    ]
    assert tokyo == [("2026-11-18", 1), ("2026-11-19", 1)]


def test_moments_are_taken_down_to_the_hour(ledger: Ledger) -> None:
    write(ledger, {})
    assert prune(ledger.engine, datetime(2026, 11, 18, 12, 59, tzinfo=timezone.utc)) == 0
    assert prune(ledger.engine, datetime(2026, 11, 18, 13, 0, tzinfo=timezone.utc)) == 1
