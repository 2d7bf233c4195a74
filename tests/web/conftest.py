"""A ledger of its own, and an application that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

import pytest

from llmguard.usage.ids import call_id
from llmguard.usage.rows import entry, row_of
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from tests.optional import optional

NOW = datetime.now(timezone.utc)


@pytest.fixture
def add(ledger: Ledger) -> Callable[..., str]:
    """Writes a call of gpt-4o with 1,000 tokens in and 100 out: 0.0035 dollars."""

    def write(at: datetime = NOW, **columns: Any) -> str:
        identity = call_id()
        data = {"call_id": identity, "started_at": at.timestamp(), "status": "ok", "provider": "openai"}
        data |= {"model": "gpt-4o", "prompt_tokens": 1000, "completion_tokens": 100, "usage_source": "provider"}
        ledger.write([entry({**data, **columns}, row_of)])
        return identity

    return write


@pytest.fixture
def client(ledger: Ledger, settings: UsageSettings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Asks the routes as the user that the header `x-test-user` names; `*` is an administrator."""
    optional("fastapi")
    from fastapi import Request
    from fastapi.testclient import TestClient

    from llmguard.web import ledger as opened
    from llmguard.web.app import create_app
    from llmguard.web.viewer import Viewer, current_user

    def who(request: Request) -> Any:
        name = request.headers.get("x-test-user", "")
        return Viewer("admin", is_admin=True) if name == "*" else {"id": name} if name else None

    who.__annotations__["request"] = Request  # the name is one of this function, where FastAPI does not look
    monkeypatch.setattr(opened.ledger, "_settings", lambda: settings)
    app = create_app()
    app.dependency_overrides[current_user] = who
    with TestClient(app, headers={"x-test-user": "ann"}, raise_server_exceptions=False) as found:
        yield found
    opened.ledger.close()
