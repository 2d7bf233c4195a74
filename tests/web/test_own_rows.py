"""A user never sees another one's rows, whatever is asked: all routes, all filters, made at random."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from llmguard.usage.store.totals import DIMENSIONS
from tests.web.test_llm_usage import URL, Add

SECRET = "of-bob-alone"
#: What a curious user would write where a name stands.
NAMES = st.sampled_from(
    ["", "bob", SECRET, "*", "%", "_", "' OR '1'='1", "bob' --", "ann\0bob", "ann bob", "null", "-1", "0", "ANN", "ann"]
)
TIMES = st.sampled_from(["", "all", "30d", "2020-01-01", "2099", "7d", "x"])
QUERIES = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("user", "model", "provider", "service", "feature", "environment", "user_id"), NAMES),
        "status": st.sampled_from(["", "ok", "error", "bob"]),
        "since": TIMES,
        "until": TIMES,
        "time_zone": st.sampled_from(["", "UTC", "Asia/Kolkata", "../etc/passwd"]),
        "by": st.lists(st.sampled_from([*DIMENSIONS, "tag:who", "tag:user_id", "x"]), max_size=3),
        "compare": st.sampled_from(["true", "false", "2"]),
        "format": st.sampled_from(["json", "csv", "xml"]),
        "limit": st.integers(-1, 501),
        "offset": st.integers(-1, 10),
        "cursor": st.sampled_from(["", "x", "WyIyMDk5LTAxLTAxVDAwOjAwOjAwKzAwOjAwIiwgInoiXQ"]),
        "days": st.integers(0, 400),
        "viewer": NAMES,
        "asks": NAMES,
        "is_admin": st.just("true"),
    },
)
PATHS = st.sampled_from(
    [
        *(f"{URL}/{name}" for name in ("summary", "stats", "rate-limits", "rate-limit/day", "logs", "totals")),
        *(f"/api/v1/admin/llm-usage/{name}" for name in ("usage/report", "usage/costs/breakdown", "health")),
        "/api/v1/finops/llm-costs",
    ]
)


def test_whatever_is_asked_the_rows_are_ones_own(client: Any, add: Add) -> None:
    add(user_id="ann", metadata={"who": "ann"})
    for name in ("service_name", "feature_context", "model", "provider", "environment", "tenant", "code_file"):
        add(user_id="bob", metadata={"who": SECRET, "user_id": SECRET}, **{name: SECRET})
    add(user_id=SECRET)
    add(service_name=SECRET)  # nobody's

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(path=PATHS, query=QUERIES)
    def ask(path: str, query: dict[str, Any]) -> None:
        response = client.get(path, params=query, headers={"x-test-user": "ann"})
        assert response.status_code in (200, 403, 422), response.text
        if response.status_code != 200:
            return
        assert SECRET not in response.text, (path, query)
        if response.headers["content-type"].startswith("application/json"):
            _only_own(path, response.json())

    ask()


def _only_own(path: str, body: Any) -> None:
    if path.endswith("/logs"):
        assert body["total"] <= 1
        assert {row["user_id"] for row in body["logs"]} <= {"ann"}
    elif path.endswith("/totals"):
        assert body["total"]["calls"] <= 1
    elif path.endswith("/summary"):
        assert body["summary"]["this_month"]["calls"] <= 1
    elif path.endswith("/stats"):
        assert body["stats"]["total_calls"] <= 1
    elif path.endswith("/llm-costs"):
        assert len(body) <= 1
