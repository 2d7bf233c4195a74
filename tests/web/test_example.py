"""The application of the guide: its users ask, and see what they spent."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Iterator
from typing import Any

import pytest

from llmguard.testing import FakeProvider
from llmguard.usage.recorder import recorder
from llmguard.usage.settings import UsageSettings
from tests.cli.test_usage import home
from tests.command import ROOT
from tests.optional import optional

__all__ = ["home"]
optional("fastapi")
optional("openai")


@pytest.fixture
def application(home: UsageSettings, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    from fastapi.testclient import TestClient

    from llmguard.usage import recorder as recorders
    from llmguard.web import ledger as opened

    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", provider.base_url)
    monkeypatch.setenv("LLM_ENABLE_CONNECTION_WARMING", "false")
    monkeypatch.setattr(recorders, "_recorder", None)
    spec = importlib.util.spec_from_file_location("example", ROOT / "docs" / "examples" / "fastapi_app" / "main.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with TestClient(module.app) as client:
        yield client
    recorder().close(5)
    opened.ledger.close()


def test_who_asks_sees_what_it_costs(application: Any) -> None:
    for user, times in (("ann", 2), ("bob", 1)):
        for _ in range(times):
            response = application.post("/ask", json={"text": "What?"}, headers={"x-user": user})
            assert response.json() == {"answer": "The answer is 42."}
    assert application.post("/ask", json={"text": "What?"}).status_code == 401
    assert application.get("/api/llm/usage/summary").status_code == 401
    recorder().flush(20)
    until = time.monotonic() + 20
    totals: dict[str, Any] = {}
    while time.monotonic() < until and totals.get("calls") != 2:
        time.sleep(0.1)
        body = application.get("/api/llm/usage/totals?by=service", headers={"x-user": "ann"}).json()
        totals = body["total"]
    assert (totals["calls"], totals["tokens"], totals["cost"]) == (2, 36, "0.000195000")
    row = application.get("/api/llm/usage/logs", headers={"x-user": "bob"}).json()["logs"][0]
    assert (row["user_id"], row["service_name"], row["endpoint"]) == ("bob", "ask", "/v1/chat/completions")
    assert row["code_file"].endswith("main.py")
    assert application.get("/finops/llm-costs").text.startswith("<!doctype html>")
    assert application.get("/finops/assets/page.js").headers["content-type"].startswith("text/javascript")
    for path in ("../app.py", "..%2fapp.py", "vendor/../../app.py", "nothing.js"):
        assert application.get(f"/finops/assets/{path}").status_code == 404
