"""Sums by one dimension and two, against the period before, latencies, what caching saved; both databases."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from llmguard.errors import UsageError
from llmguard.usage.ids import call_id
from llmguard.usage.rows import entry, row_of
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.query import Period
from llmguard.usage.store.savings import savings
from llmguard.usage.store.totals import before, dimensions, durations, percentile, totals

D = Decimal
NOON = datetime(2026, 11, 18, 12, 30, tzinfo=timezone.utc)  # a Wednesday of week 47


def write(ledger: Ledger, *calls: dict[str, Any]) -> None:
    """Calls of gpt-4o (2.5 and 10 dollars), 1,000 tokens each way, so that each costs 0.0125."""
    rows = []
    for call in calls:
        data = {"call_id": call_id(), "started_at": NOON.timestamp(), "status": "ok", "provider": "openai"}
        data |= {"model": "gpt-4o", "prompt_tokens": 1000, "completion_tokens": 1000, "usage_source": "provider"}
        rows.append(entry({**data, **call}, row_of))
    ledger.write(rows)


def at(**more: Any) -> dict[str, Any]:
    return {"started_at": (NOON + timedelta(**more)).timestamp()}


def calls(found: Any) -> dict[Any, int]:
    return {key: sums.calls for key, sums in found.items()}


def test_two_dimensions_are_added_up_from_the_sums_or_the_rows(ledger: Ledger) -> None:
    write(
        ledger,
        {"user_id": "ann", "feature_context": "chat"},
        {"user_id": "ann", "feature_context": "search", **at(days=1)},
        {"user_id": "bob", "feature_context": "chat", "metadata": {"team": "red", "a.b": 1}},
        {"user_id": "bob", "repository": "git@x", "code_file": "a.py", "code_line": 7, "metadata": {"team": "red"}},
    )
    every = Period()
    assert calls(totals(ledger.engine, ("user", "feature"), every, {})) == {
        (("ann",), ("chat",)): 1,
        (("ann",), ("search",)): 1,
        (("bob",), ("",)): 1,
        (("bob",), ("chat",)): 1,
    }
    assert calls(totals(ledger.engine, ("day", "user"), every, {})) == {
        (("2026-11-18",), ("ann",)): 1,
        (("2026-11-18",), ("bob",)): 2,
        (("2026-11-19",), ("ann",)): 1,
    }
    assert calls(totals(ledger.engine, ("tag:team", "user"), every, {})) == {
        (("",), ("ann",)): 2,
        (("red",), ("bob",)): 2,
    }
    assert calls(totals(ledger.engine, ("tag:a.b",), every, {})) == {(("1",),): 1, (("",),): 3}
    assert calls(totals(ledger.engine, ("line", "repository"), every, {"user": "bob"})) == {
        (("", ""), ("",)): 1,
        (("a.py", "7"), ("git@x",)): 1,
    }
    assert calls(totals(ledger.engine, ("line",), every, {})) == {(("", ""),): 3, (("a.py", "7"),): 1}
    assert calls(totals(ledger.engine, (), every, {})) == {(): 4}
    assert totals(ledger.engine, (), every, {})[()].cost == D("0.05")


def test_weeks_and_months_are_those_of_the_zone(ledger: Ledger) -> None:
    write(ledger, at(days=4, hours=11), at(days=12, hours=11), {})
    assert calls(totals(ledger.engine, ("week",), Period(), {})) == {(("2026-W47",),): 2, (("2026-W49",),): 1}
    tokyo = ZoneInfo("Asia/Tokyo")
    assert calls(totals(ledger.engine, ("week",), Period(), {}, tokyo)) == {
        (("2026-W47",),): 1,
        (("2026-W48",),): 1,
        (("2026-W49",),): 1,
    }
    assert calls(totals(ledger.engine, ("month",), Period(), {})) == {(("2026-11",),): 3}
    assert calls(totals(ledger.engine, ("month",), Period(), {}, tokyo)) == {(("2026-11",),): 2, (("2026-12",),): 1}
    kathmandu = ZoneInfo("Asia/Kathmandu")
    assert sum(calls(totals(ledger.engine, ("day",), Period(), {}, kathmandu)).values()) == 3


def test_the_period_before_is_as_long_and_a_month_for_a_month() -> None:
    utc = timezone.utc
    week = Period(datetime(2026, 11, 8, tzinfo=utc), datetime(2026, 11, 15, tzinfo=utc))
    assert before(week) == (datetime(2026, 11, 1, tzinfo=utc), datetime(2026, 11, 8, tzinfo=utc))
    march = Period(datetime(2026, 3, 1, tzinfo=utc), datetime(2026, 4, 1, tzinfo=utc))
    assert before(march) == (datetime(2026, 2, 1, tzinfo=utc), datetime(2026, 3, 1, tzinfo=utc))
    quarter = Period(datetime(2026, 4, 1, tzinfo=utc), datetime(2026, 7, 1, tzinfo=utc))
    assert before(quarter) == (datetime(2026, 1, 1, tzinfo=utc), datetime(2026, 4, 1, tzinfo=utc))
    year = Period(datetime(2025, 1, 1, tzinfo=utc), datetime(2026, 1, 1, tzinfo=utc))
    assert before(year) == (datetime(2024, 1, 1, tzinfo=utc), datetime(2025, 1, 1, tzinfo=utc))
    now = datetime.now(utc)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    running = before(Period(month))
    assert running.since == (month - timedelta(days=1)).replace(day=1)
    assert running.until is not None
    assert running.since is not None
    assert running.until == month or abs((running.until - running.since) - (now - month)) < timedelta(seconds=5)
    odd = Period(datetime(2026, 11, 8, 9, 59, 2, tzinfo=utc), datetime(2026, 11, 8, 10, 59, 2, tzinfo=utc))
    assert before(odd) == (datetime(2026, 11, 8, 8, 59, 2, tzinfo=utc), odd.since)
    with pytest.raises(UsageError, match="needs --since"):
        before(Period())


def test_a_period_may_begin_and_end_within_an_hour(ledger: Ledger) -> None:
    write(ledger, *(at(minutes=10 * each) for each in range(30)))
    for first, last in ((5, 295), (0, 300), (10, 20), (61, 119), (119, 121), (60, 120), (7, 60)):
        period = Period(NOON + timedelta(minutes=first), NOON + timedelta(minutes=last))
        expected = len([each for each in range(30) if first <= 10 * each < last])
        assert totals(ledger.engine, (), period, {})[()].calls == expected
        assert sum(calls(totals(ledger.engine, ("hour",), period, {})).values()) == expected


def test_latencies_are_those_of_the_calls(ledger: Ledger) -> None:
    write(ledger, *({"duration_ms": number, "user_id": "ann" if number % 2 else "bob"} for number in range(1, 201)), {})
    found = durations(ledger.engine, (), Period(), {})[()]
    assert [percentile(found, share) for share in (50, 95, 99)] == [100, 190, 198]
    assert percentile(durations(ledger.engine, ("user",), Period(), {})[(("ann",),)], 50) == 99
    assert percentile([], 50) is None


def test_what_caching_saved_is_the_difference_of_two_prices(ledger: Ledger) -> None:
    write(
        ledger,
        {"cache_read_tokens": 800, "user_id": "ann"},  # 800 at 1.25 instead of 2.5
        {"user_id": "bob"},
        {  # 1,000 written at 3.75 instead of 3
            "provider": "anthropic",
            "model": "claude-sonnet-4-5",
            "cache_write_tokens": 1000,
            "user_id": "bob",
        },
    )
    assert savings(ledger.engine, ("user",), Period(), {}) == {
        (("ann",),): D("0.001"),
        (("bob",),): D("-0.00075"),
    }


def test_cached_sound_saves_what_sound_costs(ledger: Ledger) -> None:
    sound = {"audio_input_tokens": 600, "audio_cache_read_tokens": 500}
    write(
        ledger,
        {"model": "gpt-realtime", "prompt_tokens": 1000, "cache_read_tokens": 500, "usage_details": sound},
    )
    assert savings(ledger.engine, (), Period(), {}) == {(): 500 * (D(32) - D("0.4")) / 1_000_000}


def test_an_answer_that_came_out_of_a_cache_here_saved_what_it_would_have_cost(ledger: Ledger) -> None:
    nothing = {"prompt_tokens": 0, "completion_tokens": 0, "tokens_used": 0, "usage_source": "cache", "given_cost": 0.0}
    noted = {"metadata": {"cache_hit": True}}
    saved = {"prompt_tokens": 1000, "completion_tokens": 1000, "tokens_used": 2000}
    write(
        ledger,
        {"user_id": "ann"},
        *({"user_id": user, **nothing, **noted, "saved": saved} for user in ("ann", "ann", "bob")),
        {"user_id": "bob", "model": "nobody-knows-it", **nothing, **noted, "saved": saved},
        {"user_id": "cid", **nothing, **noted, "saved": {"prompt_tokens": "many", "completion_tokens": -1}},
    )
    assert savings(ledger.engine, ("user",), Period(), {}) == {(("ann",),): D("0.025"), (("bob",),): D("0.0125")}
    sums = totals(ledger.engine, ("user",), Period(), {})
    assert [(each.calls, each.tokens, each.cost, each.unpriced_calls) for each in sums.values()] == [
        (3, 2000, D("0.0125"), 0),
        (2, 0, D(0), 0),
        (1, 0, D(0), 0),
    ]


def test_tags_are_the_same_words_in_both_databases(ledger: Ledger) -> None:
    write(ledger, *({"metadata": {"a-b": each}} for each in (True, 1, False, "x", 1.5, None)), {})
    found = calls(totals(ledger.engine, ("tag:a-b",), Period(), {}))
    assert found == {((each,),): 1 for each in ("true", "1", "false", "x", "1.5")} | {(("",),): 2}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["colour"], "no dimension 'colour'"),
        (["model,day", "user"], "two dimensions at most, not 3"),
        (["tag:"], "no dimension 'tag:'"),
        (['tag:a" or 1'], "no dimension"),
    ],
)
def test_what_is_no_dimension_is_refused(given: list[str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        dimensions(given)
    assert dimensions(["model,day"]) == dimensions(["model", "day"]) == ("model", "day")
