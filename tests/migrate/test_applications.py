"""Applications in the styles that people write (FastAPI, Django, Flask, Celery, bots, scripts, a monorepo), before and
after the migration: the same output and requests, eight of them at once, and a row for each with its user and service.

They were written by somebody who had not seen the migration's code; the head of each `main.py` says what it asks.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.command import ROOT, run
from tests.migrate.test_programs import ran, rows, told
from tests.optional import optional

APPLICATIONS = sorted(path.parent for path in (ROOT / "fixtures" / "applications").glob("*/main.py"))
#: Rows that have no user though the application knows one, and why: nobody who calls hands it on by a name.
WITHOUT_USER = {
    "a13_celery_task_class": "the request is made by a method that takes any arguments",
    "b02_callable_service": "the service is called as an object",
    "b03_background_groq": "the task looks its ticket up by a number",
    "b09_async_queue": "one of the calls stands in an f-string",
    "b10_llm_package": "which provider's method is called is known only at run time",
    "b12_cached_glossary": "the function is cached by its arguments",
    "b13_litellm_router": "the coroutine is made in a comprehension of pairs",
    "b17_azure_fastapi": "the type of the parameter is an alias",
    "b19_reexported_client": "the author has a name and no identifier",
}


def migrated(folder: Path) -> list[dict[str, Any]]:
    done = run("migrate", "--write", "--force", "--isolated", "--output-format", "json", cwd=folder)
    assert done.returncode == 0, done.stderr
    sites: list[dict[str, Any]] = json.loads(done.stdout)["sites"]
    return sites


def counted(folder: Path, column: str) -> Counter[str]:
    connection = sqlite3.connect(folder / "usage.db")
    try:
        found = connection.execute(f"SELECT {column}, COUNT(*) FROM llm_usage_logs GROUP BY 1").fetchall()
    finally:
        connection.close()
    return Counter({str(value or "-"): number for value, number in found})


@pytest.mark.full
@pytest.mark.parametrize("application", APPLICATIONS, ids=lambda path: path.name)
def test_an_application_does_the_same_and_each_request_has_its_row(application: Path, tmp_path: Path) -> None:
    for name in ("fastapi", "flask", "django", "celery", "openai", "groq", "anthropic", "litellm"):
        optional(name)
    source = (application / "main.py").read_text(encoding="utf-8")
    folder = tmp_path / "application"
    shutil.copytree(application, folder)
    before = ran(folder / "main.py", folder)
    assert before.code == 0, before.stderr
    sites = migrated(folder)
    assert {site["verdict"] for site in sites} <= {"migrated", "migrated-review"}
    after = ran(folder / "main.py", folder)
    assert (after.code, after.stdout) == (0, before.stdout), after.stderr
    assert after.requests == before.requests
    requests = int(told(source, "requests").split()[0])
    assert len(after.requests) == requests
    name = application.name
    assert rows(folder) == requests
    users = counted(folder, "user_id")
    expected = set(told(source, "users").split())
    if name in WITHOUT_USER:
        assert users["-"] > 0, f"it has all its users now: take {name} out of WITHOUT_USER"
        said = {"no-user-id", "no-user-id-everywhere"}
        assert any(said & set(site["notes"]) for site in sites) or name == "b13_litellm_router"
    else:
        assert set(users) == expected
    services = counted(folder, "service_name")
    assert not {"app", "main", "tasks", "llm"} & set(services)
    assert "-" not in services or name == "b13_litellm_router"
    assert run("migrate", "--check", "--isolated", cwd=folder).returncode == 0


@pytest.mark.full
def test_what_moves_of_all_applications(tmp_path: Path) -> None:
    """At least nine of ten plain `create` calls reach the wrapper, and all sites are tracked."""
    targets: Counter[str] = Counter()
    plain: Counter[bool] = Counter()
    for application in APPLICATIONS:
        folder = tmp_path / application.name
        shutil.copytree(application, folder)
        for site in migrated(folder):
            targets[site["target"] or site["verdict"]] += 1
            if site["callee"].endswith((".chat.completions.create", ".messages.create")):
                plain[site["target"] in ("to-wrapper", "using")] += 1
    assert sum(targets.values()) >= 120
    assert plain[True] / plain.total() >= 0.9
    assert {"manual", "ignored"} & targets.keys() == set()
