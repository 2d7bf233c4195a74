"""The usage API: the bodies that older clients expect, and that nobody sees another one's calls."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from llmguard.usage.limits.limit import Limit
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.limits import set_limit
from llmguard.usage.store.upkeep import prune
from llmguard.web import ledger as opened
from tests.web.conftest import NOW

Add = Callable[..., str]
URL = "/api/llm/usage"
LIMIT = {"can_call", "current_count", "limit_value", "reset_at", "remaining", "source", "retry_after"}


def get(client: Any, path: str, who: str = "ann", **query: Any) -> Any:
    response = client.get(URL + path, params=query, headers={"x-test-user": who})
    assert response.status_code == 200, response.text
    return response.json()


def test_the_summary_is_of_the_calendar_day_and_month(client: Any, add: Add) -> None:
    add(user_id="ann")
    add(user_id="bob")
    begin = NOW.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    add(begin, user_id="ann")
    add(begin - timedelta(seconds=1), user_id="ann")
    body = get(client, "/summary")
    today = 2 if NOW.day == 1 else 1
    assert body.keys() == {"success", "summary"}
    assert body["success"] is True
    summary = body["summary"]
    assert summary.keys() == {"today", "this_month", "rate_limits"}
    amounts = {"calls": today, "tokens": 1100 * today, "prompt_tokens": 1000 * today, "completion_tokens": 100 * today}
    assert summary["today"] == amounts
    assert summary["this_month"] == {"calls": 2, "tokens": 2200, "prompt_tokens": 2000, "completion_tokens": 200}
    assert summary["rate_limits"].keys() == {"per_minute", "per_day"}
    assert summary["rate_limits"]["per_day"].keys() == LIMIT
    assert summary["rate_limits"]["per_day"]["current_count"] == today


def test_the_stats_are_by_model_and_day(client: Any, add: Add) -> None:
    add(user_id="ann")
    add(NOW - timedelta(days=3), user_id="ann", model="gpt-4o-mini")
    add(NOW - timedelta(days=40), user_id="ann")
    add(user_id="bob")
    stats = get(client, "/stats")["stats"]
    assert stats["total_calls"] == 2
    assert set(stats["by_model"]) == {"gpt-4o", "gpt-4o-mini"}
    assert [day["date"] for day in stats["by_day"]] == sorted(day["date"] for day in stats["by_day"])
    assert stats["by_day"][0].keys() == {"date", "calls", "tokens", "prompt_tokens", "completion_tokens"}
    assert get(client, "/stats", days=365)["stats"]["total_calls"] == 3
    for days in (0, 366, "many"):
        assert client.get(f"{URL}/stats", params={"days": days}).status_code == 422


def test_limits_say_what_is_left(client: Any, add: Add, ledger: Ledger) -> None:
    for _ in range(3):
        add(user_id="ann")
    shown = {each["limit_type"]: each for each in get(client, "/rate-limits")["rate_limits"]}
    assert shown["day"].keys() == {
        *("limit_type", "current_count", "limit_value", "remaining", "reset_at", "percentage_used"),
    }
    assert (shown["day"]["current_count"], shown["day"]["limit_value"]) == (3, 14_400)
    assert shown["day"]["percentage_used"] == 0.02
    set_limit(ledger.engine, Limit((("user_id", "ann"),), "requests", "hour", Decimal(4)))
    one = get(client, "/rate-limit/hour")
    assert one.keys() == {"success", *LIMIT}
    assert (one["limit_value"], one["source"]) == (4, "limit")
    assert get(client, "/rate-limit/hour", "bob")["limit_value"] is None
    assert client.get(f"{URL}/rate-limit/fortnight").status_code == 422


def test_logs_are_pages_that_nothing_shifts(client: Any, add: Add) -> None:
    identities = [add(NOW - timedelta(minutes=number), user_id="ann", model=f"m{number}") for number in range(7)]
    add(user_id="bob")
    body = get(client, "/logs", limit=3)
    assert body.keys() == {"success", "logs", "total", "limit", "offset", "next_cursor"}
    assert (body["total"], body["limit"], body["offset"]) == (7, 3, 0)
    seen = [row["call_id"] for row in body["logs"]]
    while body["next_cursor"]:
        add(user_id="ann")  # meanwhile
        body = get(client, "/logs", limit=3, cursor=body["next_cursor"])
        seen += [row["call_id"] for row in body["logs"]]
    assert seen == identities
    assert [row["model"] for row in get(client, "/logs", limit=2, offset=4, until=NOW.isoformat())["logs"]] == [
        "m5",
        "m6",
    ]
    row = body["logs"][0]
    assert row["total_cost"] is None, "nobody knows a price of m6"
    assert get(client, "/logs", model="gpt-4o")["logs"][0]["total_cost"] == "0.003500000"
    assert datetime.fromisoformat(row["created_at"]).tzinfo is not None
    made = [json.dumps([moment, "x"]) for moment in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59")]
    made.append(json.dumps(["2026-01-01T00:00:00+00:00", "\ud800"]))
    odd = [base64.urlsafe_b64encode(text.encode()).decode() for text in made]
    for cursor in ("x", "bnVsbA", "W10", "WyIyMDI2LTExLTAxIiwgMV0", *odd):
        assert client.get(f"{URL}/logs", params={"cursor": cursor}).status_code == 422


def test_all_calls_of_all_are_counted(client: Any, add: Add) -> None:
    for number in range(3):
        add(user_id=f"u{number}")
    assert get(client, "/logs", "*", since="all", limit=1)["total"] == 3
    assert get(client, "/totals", "*", since="all")["total"]["calls"] == 3


def test_calls_that_were_deleted_are_counted_no_more_but_their_sums_stay(client: Any, add: Add, ledger: Ledger) -> None:
    for days in (40, 20, 0):
        add(NOW - timedelta(days=days), user_id="ann")
    prune(ledger.engine, NOW - timedelta(days=30))
    assert get(client, "/logs", since="all")["total"] == len(get(client, "/logs", since="all")["logs"]) == 2
    assert get(client, "/logs", since="all", status="ok")["total"] == 2
    assert get(client, "/totals", since="all")["total"]["calls"] == 3


def test_limits_of_all_say_nothing_of_others(client: Any, add: Add, ledger: Ledger) -> None:
    for _ in range(3):
        add(user_id="bob")
    set_limit(ledger.engine, Limit((), "requests", "day", Decimal(3)))
    set_limit(ledger.engine, Limit((), "cost", "month", Decimal(100)))
    set_limit(ledger.engine, Limit((("user_id", "*"),), "requests", "hour", Decimal(9)))
    assert [each["window"] for each in get(client, "/limits")["limits"]] == ["hour"]
    assert len(get(client, "/limits", "*")["limits"]) == 3
    for body in (get(client, "/rate-limit/day"), get(client, "/summary")["summary"]["rate_limits"]["per_day"]):
        assert (body["current_count"], body["limit_value"]) == (0, 14_400)
        assert body["can_call"] is False, "whoever it is that has used it up"
        assert body["retry_after"] > 0
    assert get(client, "/rate-limit/hour")["limit_value"] == 9


def test_days_of_a_zone_with_half_hours_are_whole(client: Any, add: Add) -> None:
    noon = NOW.replace(hour=12, minute=0) - timedelta(days=3)
    for minutes in (370, 405):  # 18:10 and 18:45 are 23:40 and 00:15 in Kolkata
        add(noon + timedelta(minutes=minutes), user_id="ann")
    days = get(client, "/stats", days=30, time_zone="Asia/Kolkata")["stats"]["by_day"]
    assert [day["calls"] for day in days] == [1, 1]
    totals = get(client, "/totals", by="day", time_zone="Asia/Kolkata")["totals"]
    assert [line["key"][0][0] for line in totals] == [day["date"] for day in days]


def test_a_period_without_one_before_has_figures_too(client: Any, add: Add) -> None:
    add(user_id="ann")
    for since in ("all", "1000-01-01", "2090-01-01"):
        assert get(client, "/totals", since=since)["before"] is None
    assert client.get(f"{URL}/totals", params={"since": "1000-01-01", "compare": True}).status_code == 422


def test_a_file_that_cannot_be_made_is_no_empty_one(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opened.ledger, "_settings", lambda: UsageSettings("postgresql+psycopg://x@127.0.0.1:1/none"))
    for path in ("/logs", "/totals"):
        response = client.get(URL + path, params={"format": "csv"}, headers={"x-test-user": "ann"})
        assert response.status_code == 503, path


def test_filters_hold_all_at_once(client: Any, add: Add) -> None:
    add(user_id="ann", service_name="search", feature_context="chat", environment="prod", status="error")
    add(user_id="ann", service_name="search")
    add(user_id="ann", provider="groq", model="llama", service_name="mail")
    for query, number in (
        ({}, 3),
        ({"service": "search"}, 2),
        ({"service": "search", "feature": "chat", "environment": "prod", "status": "error"}, 1),
        ({"provider": "groq", "model": "llama"}, 1),
        ({"provider": "groq", "model": "gpt-4o"}, 0),
        ({"since": "1h"}, 3),
        ({"until": "2020-01-01", "since": "all"}, 0),
    ):
        assert get(client, "/logs", **query)["total"] == number, query
        if "status" not in query:
            assert get(client, "/totals", **query)["total"]["calls"] == number, query


def test_totals_are_of_all_calls(client: Any, add: Add) -> None:
    for number in range(4):
        add(user_id="ann", service_name="search", code_file="a.py", code_function="f", code_line=number % 2 + 1)
    add(user_id="ann", service_name="mail", model="nobody-knows-it")
    add(NOW - timedelta(days=40), user_id="ann", service_name="search")
    add(user_id="bob", service_name="search")
    body = get(client, "/totals", by="service", compare=True)
    assert [(line["key"], line["calls"], line["cost"], line["unpriced_calls"]) for line in body["totals"]] == [
        ([["search"]], 4, "0.014000000", 0),
        ([["mail"]], 1, None, 1),
    ]
    assert (body["total"]["calls"], body["total"]["cost"]) == (5, "0.014000000")
    assert (body["totals"][0]["before"]["calls"], body["total"]["before"]["calls"]) == (1, 1)
    lines = get(client, "/totals", by=["line", "service"])["totals"]
    assert {(*line["key"][0], *line["key"][1]): line["calls"] for line in lines} == {
        ("a.py", "1", "search"): 2,
        ("a.py", "2", "search"): 2,
        ("", "", "mail"): 1,
    }
    assert client.get(f"{URL}/totals", params={"by": ["model", "day", "user"]}).status_code == 422
    assert client.get(f"{URL}/totals", params={"by": "colour"}).status_code == 422


def test_a_day_is_that_of_the_zone(client: Any, add: Add) -> None:
    add(datetime(2026, 11, 1, 23, 30, tzinfo=timezone.utc), user_id="ann")
    query = {"by": "day", "since": "2026-10-01", "until": "2026-11-20"}
    assert [line["key"] for line in get(client, "/totals", **query)["totals"]] == [[["2026-11-01"]]]
    in_tokyo = get(client, "/totals", **query, time_zone="Asia/Tokyo")["totals"]
    assert [line["key"] for line in in_tokyo] == [[["2026-11-02"]]]
    assert client.get(f"{URL}/totals", params={"time_zone": "Mars"}).status_code == 422


def test_a_file_for_a_spreadsheet_has_no_formulas(client: Any, add: Add) -> None:
    add(user_id="ann", service_name="=1+1", model="<script>alert(1)</script>", feature_context='a\nb,c"d')
    response = client.get(f"{URL}/logs", params={"format": "csv"}, headers={"x-test-user": "ann"})
    assert response.headers["content-type"].startswith("text/csv")
    assert "attachment" in response.headers["content-disposition"]
    (row,) = csv.DictReader(io.StringIO(response.text))
    assert (row["service_name"], row["model"]) == ("'=1+1", "<script>alert(1)</script>")
    assert row["feature_context"] == 'a\nb,c"d'
    text = client.get(f"{URL}/totals", params={"format": "csv", "by": "service"}).text
    assert [each["service"] for each in csv.DictReader(io.StringIO(text))] == ["'=1+1"]


# -- who may see what --------------------------------------------------------------------------------------------------

PATHS = ("/summary", "/stats", "/rate-limits", "/rate-limit/day", "/logs", "/totals")


@pytest.mark.parametrize("path", PATHS)
def test_nobody_is_told_nothing(path: str, client: Any, add: Add) -> None:
    response = client.get(URL + path, headers={"x-test-user": ""})
    assert response.status_code == 401
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["www-authenticate"] == "Bearer"


def test_a_user_asks_in_vain_for_anothers_calls(client: Any, add: Add) -> None:
    add(user_id="bob")
    for path in ("/logs", "/totals"):
        for user in ("bob", "*", "%", "' OR 1=1 --"):
            body = get(client, path, user=user)
            assert body.get("total") in (0, {**(body["total"] if path == "/totals" else {}), "calls": 0})
    assert get(client, "/logs", "*", user="bob")["total"] == get(client, "/logs", "*")["total"] == 1


def test_an_outage_is_no_zero(client: Any, add: Add, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    add(user_id="ann")
    away = UsageSettings("postgresql+psycopg://llmguard:geheim@127.0.0.1:1/none")
    monkeypatch.setattr(opened.ledger, "_settings", lambda: away)
    for path in PATHS:
        response = client.get(URL + path, headers={"x-test-user": "ann"})
        assert response.status_code == 503, path
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json().keys() == {"type", "title", "status", "detail"}
        for inside in ("geheim", "127.0.0.1", "psycopg", "Traceback"):
            assert inside not in response.text


def test_it_goes_on_after_an_outage(
    client: Any, add: Add, monkeypatch: pytest.MonkeyPatch, settings: UsageSettings
) -> None:
    add(user_id="ann")
    away = UsageSettings("postgresql+psycopg://x@127.0.0.1:1/none")
    for given, status in ((settings, 200), (away, 503), (settings, 200)):
        monkeypatch.setattr(opened.ledger, "_settings", lambda given=given: given)
        assert client.get(f"{URL}/summary", headers={"x-test-user": "ann"}).status_code == status
