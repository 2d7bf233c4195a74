"""What usage APIs of this kind get wrong. Each check fails on a stand-in that has the fault, as it was seen in use, and
passes on ours. The numbers are those of the lists of faults (the card's, 19, are in test_card)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from llmguard.usage.limits.limit import Limit
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.limits import set_limit
from llmguard.web import ledger as opened
from tests.usage.test_weaknesses import refutes
from tests.web.conftest import NOW
from tests.web.test_app import ADMIN
from tests.web.test_llm_usage import URL, Add, get


def test_9_today_is_a_day_and_this_month_a_month(client: Any, add: Add) -> None:
    midnight = NOW.replace(hour=0, minute=0, second=0, microsecond=0)
    moments = [midnight, midnight - timedelta(seconds=1), midnight.replace(day=1) - timedelta(seconds=1)]
    for moment in moments:
        add(moment, user_id="ann")

    def check(today: int, month: int) -> None:
        assert today == sum(moment >= midnight for moment in moments) == 1
        assert month == sum(moment >= midnight.replace(day=1) for moment in moments)

    at_night = midnight + timedelta(hours=1)
    refutes(check, *(sum(moment >= at_night - timedelta(days=days) for moment in moments) for days in (1, 30)))
    summary = get(client, "/summary")["summary"]
    check(summary["today"]["calls"], summary["this_month"]["calls"])


def test_10_sums_are_made_in_the_database_and_know_no_cap(client: Any, ledger: Ledger, add: Add) -> None:
    from sqlalchemy import event

    for _ in range(60):
        add(user_id="ann")
    fetched = [0]

    def check(rows_read: int, total: int) -> None:
        assert rows_read < 30
        assert total == 60

    refutes(check, 60, min(60, 50))  # all rows, and of these as many as a page has
    with opened.ledger.reading() as engine:

        @event.listens_for(engine, "after_cursor_execute")
        def count(_: Any, cursor: Any, *rest: Any) -> None:
            fetched[0] += max(0, cursor.rowcount)

        total = get(client, "/summary")["summary"]["today"]["calls"]
        event.remove(engine, "after_cursor_execute", count)
    check(fetched[0], total)


def test_11_and_26_an_outage_is_said_and_nothing_is_invented(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def check(status: int, body: Any) -> None:
        assert status == 503
        assert not {"summary", "currentCost", "data"} & set(body[0] if isinstance(body, list) else body)

    zeros = {"today": {"calls": 0, "tokens": 0}}
    refutes(check, 200, {"success": True, "summary": zeros})
    refutes(check, 200, [{"name": "OpenAI: gpt-4", "currentCost": 156.78}])
    away = UsageSettings("postgresql+psycopg://x@127.0.0.1:1/none")
    monkeypatch.setattr(opened.ledger, "_settings", lambda: away)
    for path in (f"{URL}/summary", "/api/v1/finops/llm-costs", f"{ADMIN}/usage/costs/breakdown"):
        response = client.get(path, headers={"x-test-user": "*"})
        check(response.status_code, response.json())


def test_12_and_18_a_window_that_is_over_is_over_and_failures_and_hits_take_nothing(
    client: Any, add: Add, ledger: Ledger
) -> None:
    set_limit(ledger.engine, Limit((("user_id", "ann"),), "requests", "minute", Decimal(5)))
    for number in range(3):
        add(NOW - timedelta(minutes=10), user_id="ann", status="error" if number else "ok")

    def check(shown: int, one: int) -> None:
        assert shown == one == 0

    refutes(check, 3, 0)  # the list shows the counts of a window that is over, and failures in them
    limits = {each["limit_type"]: each for each in get(client, "/rate-limits")["rate_limits"]}
    check(limits["minute"]["current_count"], get(client, "/rate-limit/minute")["current_count"])


def test_20_pages_filters_files_and_a_view_of_all(client: Any, add: Add) -> None:
    for number in range(6):
        add(NOW - timedelta(minutes=number), user_id="ann", service_name="search" if number % 2 else "mail")

    def check(page: Callable[[str | None], tuple[list[str], str | None]]) -> None:
        seen, place = page(None)
        add(user_id="ann")  # while somebody reads
        more, _ = page(place)
        assert not set(seen) & set(more)

    def by_offset(place: str | None) -> tuple[list[str], str | None]:
        offset = int(place or 0)
        rows = get(client, "/logs", limit=3, offset=offset)["logs"]
        return [row["call_id"] for row in rows], str(offset + 3)

    def by_cursor(place: str | None) -> tuple[list[str], str | None]:
        body = get(client, "/logs", limit=3, cursor=place or "")
        return [row["call_id"] for row in body["logs"]], body["next_cursor"]

    refutes(check, by_offset)
    check(by_cursor)
    assert get(client, "/logs", service="search")["total"] == 3
    today = datetime.now(timezone.utc).date().isoformat()
    assert get(client, "/logs", since=today)["total"] <= 8
    text = client.get(f"{URL}/logs", params={"format": "csv"}, headers={"x-test-user": "ann"}).text
    assert len(text.splitlines()) == 1 + get(client, "/logs")["total"]
    assert get(client, "/totals", "*", by="user")["total"]["calls"] == 8
    refused = client.get(f"{ADMIN}/health", headers={"x-test-user": "ann"})
    assert refused.status_code == 403


def test_26_costs_are_per_token_exact_and_of_what_is_there(client: Any, add: Add) -> None:
    for _ in range(2):
        add(user_id="ann")

    def check(costs: list[dict[str, Any]], again: list[dict[str, Any]]) -> None:
        (cost,) = costs
        assert cost["currentCost"] == 0.007
        assert "million tokens" in cost["costPerToken"]
        assert cost["id"] == again[0]["id"]

    invented = [
        {"id": "1", "currentCost": 0.0, "costPerToken": "$0.0032"}
    ]  # rounded, per thousand, another id each time
    refutes(check, invented, [{"id": "2"}])
    path = "/api/v1/finops/llm-costs"
    check(*(client.get(path, headers={"x-test-user": "ann"}).json() for _ in range(2)))
