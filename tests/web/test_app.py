"""The whole application: keys, administrators, costs, headers, and what it says of itself."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select

from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.api_keys import create_key, keys, owner_of, revoke_key
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.tables import api_keys
from tests.web.conftest import NOW

Add = Callable[..., str]
ADMIN = "/api/v1/admin/llm-usage"
ADMIN_PATHS = (
    "/usage/report",
    "/usage/summary/daily",
    "/usage/costs/breakdown",
    "/usage/real-time",
    "/pricing/models",
    "/health",
)


def ask(client: Any, path: str, who: str = "*", **query: Any) -> Any:
    response = client.get(path, params=query, headers={"x-test-user": who})
    assert response.status_code == 200, response.text
    return response.json()


# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_key_is_its_owners_until_it_ends(ledger: Ledger) -> None:
    now = datetime.now(timezone.utc)
    key = create_key(ledger.engine, "ann", name="laptop")
    admin = create_key(ledger.engine, "bob", is_admin=True, expires_at=now + timedelta(days=1))
    old = create_key(ledger.engine, "cid", expires_at=now - timedelta(seconds=1))
    assert (owner_of(ledger.engine, key), owner_of(ledger.engine, admin)) == (("ann", False), ("bob", True))
    assert owner_of(ledger.engine, old) is None
    identity = key.split("_")[1]
    for wrong in (
        "",
        "llmguard",
        key[:-1],
        key + "x",
        key.replace("llmguard", "other"),
        f"llmguard_{identity}_",
        "x" * 9999,
    ):
        assert owner_of(ledger.engine, wrong) is None, wrong
    with ledger.engine.connect() as connection:
        kept = json.dumps([list(map(str, row)) for row in connection.execute(select(api_keys)).all()])
    assert key.split("_", 2)[2] not in kept
    assert [row["user_id"] for row in keys(ledger.engine)] == ["ann", "bob", "cid"]
    assert "key_hash" not in keys(ledger.engine)[0]
    assert (revoke_key(ledger.engine, identity), revoke_key(ledger.engine, identity)) == (True, False)
    assert owner_of(ledger.engine, key) is None


def test_keys_open_the_api(client: Any, ledger: Ledger, add: Add) -> None:
    from llmguard.web.viewer import current_user

    client.app.dependency_overrides.pop(current_user)
    add(user_id="ann")
    add(user_id="bob")
    ann, root = create_key(ledger.engine, "ann"), create_key(ledger.engine, "root", is_admin=True)
    logs = "/api/llm/usage/logs"
    assert client.get(logs).status_code == 401
    assert client.get(logs, headers={"authorization": f"Bearer {ann}x"}).status_code == 401
    for headers in ({"authorization": f"Bearer {ann}"}, {"x-api-key": ann}):
        assert client.get(logs, headers=headers).json()["total"] == 1
        assert client.get(f"{ADMIN}/health", headers=headers).status_code == 403
    headers = {"authorization": f"bearer {root}"}
    assert client.get(logs, headers=headers).json()["total"] == 2
    assert client.get(f"{ADMIN}/health", headers=headers).json()["data"]["calls"] == 2


# -- administrators ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ADMIN_PATHS)
def test_administrators_routes_are_theirs(path: str, client: Any, add: Add) -> None:
    add(user_id="ann")
    assert client.get(ADMIN + path, headers={"x-test-user": "ann"}).status_code == 403
    assert client.get(ADMIN + path, headers={"x-test-user": ""}).status_code == 401
    assert ask(client, ADMIN + path).keys() == {"success", "data", "message"}


def test_what_administrators_see_is_of_all(client: Any, add: Add) -> None:
    add(user_id="ann", feature_context="chat")
    add(user_id="bob", model="nobody-knows-it")
    report = ask(client, f"{ADMIN}/usage/report")["data"]
    assert report["summary"]["total_requests"] == 2
    assert report["summary"]["total_cost"] == "0.003500000"
    assert ask(client, f"{ADMIN}/usage/report", user_id="bob")["data"]["summary"]["unpriced_requests"] == 1
    (day,) = ask(client, f"{ADMIN}/usage/summary/daily")["data"]
    assert (day["date"], day["calls"]) == (NOW.date().isoformat(), 2)
    costs = ask(client, f"{ADMIN}/usage/costs/breakdown")["data"]
    assert [line["cost"] for line in costs["by_model"]] == ["0.003500000", None]
    assert costs["unpriced_models"] == [{"provider": "openai", "model": "nobody-knows-it", "calls": 1}]
    now = ask(client, f"{ADMIN}/usage/real-time", hours=2)["data"]
    assert now["total"]["calls"] == 2
    assert now["hourly_trend"][-1].keys() == {"hour", "requests", "tokens", "cost"}
    made = client.post(f"{ADMIN}/pricing/initialize", headers={"x-test-user": "ann"})
    assert made.status_code == 403


def test_costs_are_known_or_null(client: Any, add: Add) -> None:
    add(user_id="ann", feature_context="chat")
    add(user_id="ann", feature_context="search")
    add(user_id="ann", model="nobody-knows-it")
    add(user_id="bob")
    known, unknown = ask(client, "/api/v1/finops/llm-costs", "ann")
    assert known.keys() >= {
        *("id", "name", "type", "status", "currentCost", "tokenUsage", "costPerToken", "usageTypes", "recommendation"),
    }
    assert (known["name"], known["currentCost"], known["tokenUsage"]) == ("openai: gpt-4o", 0.007, "2,200 tokens")
    assert {(each["name"], each["tokens"], each["percentage"]) for each in known["usageTypes"]} == {
        ("chat", 1100, 50.0),
        ("search", 1100, 50.0),
    }
    assert (unknown["currentCost"], unknown["costPerToken"], unknown["status"]) == (None, None, "unpriced")
    assert ask(client, "/api/v1/finops/llm-costs")[0]["currentCost"] == 0.0105
    assert ask(client, "/api/v1/finops/llm-costs", "cid") == []


# -- the outside -------------------------------------------------------------------------------------------------------


def test_every_answer_is_closed_to_others(client: Any) -> None:
    for path in ("/api/llm/usage/summary", "/nowhere", "/openapi.json"):
        response = client.get(path, headers={"x-test-user": "ann", "origin": "https://evil.example"})
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in response.headers
    missing = client.get("/nowhere")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    assert client.delete("/api/llm/usage/summary").status_code == 405


def test_on_the_loopback_only_its_names_are_heard(client: Any, add: Add, ledger: Ledger) -> None:
    from fastapi.testclient import TestClient

    from llmguard.web.app import create_app

    add(user_id="ann")
    local = TestClient(create_app(local=True))
    hosts = {"127.0.0.1:8710": 200, "localhost": 200, "[::1]:8710": 200, "[::1]": 200, "localhost.": 403}
    hosts |= {"evil.example:8710": 403, "testserver": 403, "127.0.0.1.evil.example": 403, "": 403}
    for host, status in hosts.items():
        assert local.get("/api/llm/usage/logs", headers={"host": host}).status_code == status, host
    assert local.get("/api/llm/usage/logs", headers={"host": "localhost"}).json()["total"] == 1


def test_another_website_changes_nothing(client: Any, ledger: Ledger) -> None:
    from fastapi.testclient import TestClient

    from llmguard.web.app import create_app

    local = TestClient(create_app(local=True), base_url="http://127.0.0.1:8710")
    for headers in ({"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        assert local.post(f"{ADMIN}/pricing/initialize", headers=headers, content="x").status_code == 403
    assert local.get(f"{ADMIN}/pricing/models").json()["data"] == []
    own = {"origin": "http://127.0.0.1:8710", "sec-fetch-site": "same-origin"}
    assert local.post(f"{ADMIN}/pricing/initialize", headers=own).status_code in (200, 503)


def test_a_hosts_own_errors_are_its_own(settings: UsageSettings) -> None:
    from fastapi import FastAPI
    from fastapi.responses import PlainTextResponse
    from fastapi.testclient import TestClient

    from llmguard.web import llm_usage
    from llmguard.web.viewer import current_user

    class LoginError(Exception):
        pass

    def nobody() -> None:
        raise LoginError

    host = FastAPI()
    host.include_router(llm_usage.router)
    host.dependency_overrides[current_user] = nobody
    host.add_exception_handler(LoginError, lambda request, error: PlainTextResponse("log in", 302))
    assert TestClient(host).get("/summary", follow_redirects=False).status_code == 302


@pytest.mark.parametrize(
    ("user", "status"),
    [
        *((0, 200), ("ann", 200), (uuid.UUID(int=7), 200), ({"sub": "ann"}, 200), (SimpleNamespace(id=7), 200)),
        *(("", 403), ({}, 403), ("ann\0bob", 403), ("\ud800", 403), (SimpleNamespace(id=print), 403), (None, 401)),
        *((True, 403), (3.5, 403), ([], 403)),
    ],
)
def test_a_user_is_who_has_an_identifier(user: Any, status: int, client: Any) -> None:
    from llmguard.web.viewer import current_user

    client.app.dependency_overrides[current_user] = lambda: user
    assert client.get("/api/llm/usage/logs").status_code == status


def test_only_what_is_true_makes_an_administrator(client: Any, add: Add) -> None:
    from llmguard.web.viewer import Viewer, current_user

    add(user_id="bob")
    client.app.dependency_overrides[current_user] = lambda: Viewer("ann", "no")  # type: ignore[arg-type]
    assert client.get("/api/llm/usage/logs").json()["total"] == 0
    assert client.get(f"{ADMIN}/health").status_code == 403


@pytest.mark.parametrize("path", ["/usage/report?user_id=%00", "/pricing/models?provider=a%00b"])
def test_what_no_column_holds_is_no_argument(path: str, client: Any) -> None:
    assert client.get(ADMIN + path, headers={"x-test-user": "*"}).status_code == 422


@pytest.mark.parametrize("since", ["9999-12-31T23:30:00", "0001-01-01", "9999-12-31"])
def test_there_is_an_end_to_time(since: str, client: Any) -> None:
    for path in (f"{ADMIN}/usage/costs/breakdown", "/api/llm/usage/totals", "/api/llm/usage/logs"):
        assert client.get(path, params={"since": since}, headers={"x-test-user": "*"}).status_code == 422


def test_the_document_names_every_answer(client: Any) -> None:
    document = client.get("/openapi.json").json()
    assert len(document["paths"]) == 8 + len(ADMIN_PATHS) + 1 + 1
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert {"200", "401", "403", "422", "503"} <= set(operation["responses"]), path
            for status in ("401", "403", "422", "503"):
                assert list(operation["responses"][status]["content"]) == ["application/problem+json"], path
