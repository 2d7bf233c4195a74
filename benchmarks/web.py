"""How fast the usage API answers over 1,000,000 calls.

    python benchmarks/web.py            # in SQLite and PostgreSQL
    python benchmarks/web.py SQLite     # in one

Each route is asked by a user and by an administrator, in the process, 20 times. Exits with 1 where a route's p95 is
above 100 milliseconds.
"""

from __future__ import annotations

import random
import sys
import time
from datetime import datetime, timedelta, timezone
from typing import Any

from fastapi.testclient import TestClient

from benchmarks.store import _row, databases
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.totals import percentile
from llmguard.web.app import create_app
from llmguard.web.ledger import ledger
from llmguard.web.viewer import Viewer, current_user

TIMES, MOST = 20, 100
USAGE, ADMIN = "/api/llm/usage", "/api/v1/admin/llm-usage"
OF_USERS = (
    *(f"{USAGE}/summary", f"{USAGE}/stats", f"{USAGE}/rate-limits", f"{USAGE}/rate-limit/day", f"{USAGE}/logs"),
    *(f"{USAGE}/logs?model=gpt-4o&status=ok", f"{USAGE}/logs?offset=5000", f"{USAGE}/totals?by=model&compare=true"),
    *(f"{USAGE}/totals?by=day&by=service", f"{USAGE}/totals?by=line&since=7d", "/api/v1/finops/llm-costs"),
)
OF_ADMINS = (
    *(f"{USAGE}/logs", f"{USAGE}/logs?model=gpt-4o", f"{USAGE}/totals?by=user&compare=true", f"{USAGE}/totals?by=day"),
    *(f"{USAGE}/totals?by=site", f"{USAGE}/totals?by=day&by=model", "/api/v1/finops/llm-costs"),
    *(f"{ADMIN}/usage/summary/daily", f"{ADMIN}/usage/costs/breakdown", f"{ADMIN}/usage/real-time"),
    *(f"{ADMIN}/usage/report", f"{ADMIN}/health", f"{ADMIN}/pricing/models"),
)


def main() -> int:
    """Print the times; 1 where one is too long."""
    wanted = sys.argv[1:]
    slow = 0
    with databases() as ledgers:
        for name, settings in ledgers.items():
            if wanted and name not in wanted:
                continue
            opened = Ledger.open(settings)
            now = datetime.now(timezone.utc)
            users = [f"user-{number}" for number in range(50)]
            for batch in range(200):
                at = now - timedelta(seconds=30 * 86400 * (1 - batch / 200))
                opened.write([_row(at, random.choice(users)) for _ in range(5000)])
            opened.close()
            ledger._settings = lambda settings=settings: settings
            for who, paths in ((Viewer("user-7"), OF_USERS), (Viewer("root", is_admin=True), OF_ADMINS)):
                slow += asked(name, who, paths)
            ledger.close()
    return 1 if slow else 0


def asked(name: str, who: Viewer, paths: tuple[str, ...]) -> int:
    """How many routes are too slow for somebody."""
    app = create_app()
    app.dependency_overrides[current_user] = lambda: who
    slow = 0
    with TestClient(app) as client:
        for path in paths:
            times = []
            for _ in range(TIMES):
                before = time.perf_counter()
                response: Any = client.get(path)
                times.append(round((time.perf_counter() - before) * 1000))
                assert response.status_code == 200, response.text
            p95 = percentile(times, 95) or 0
            slow += p95 > MOST
            mark, whose = "!" if p95 > MOST else " ", "all" if who.is_admin else "own"
            print(f"{name:10} {whose} p50 {percentile(times, 50):5} ms  p95 {p95:5} ms  {mark} {path}")
    return slow


if __name__ == "__main__":
    sys.exit(main())
