"""groq_* to llm_*, everywhere it is the project's, and nowhere that it is Groq's."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmguard.migrate.rename import rename
from llmguard.migrate.rename.names import converted
from tests.command import ROOT, run

PROJECT = ROOT / "fixtures" / "projects" / "renaming"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copytree(PROJECT, tmp_path / "p")
    folder = tmp_path / "p"
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "x")):
        subprocess.run(["git", "-c", "user.name=t", "-c", "user.email=t@t", *arguments], cwd=folder, check=True)
    return folder


def python(project: Path, *arguments: str) -> str:
    (project / "stubs").mkdir(exist_ok=True)
    (project / "stubs" / "groq.py").write_text("class Groq: pass\nclass RateLimitError(Exception): pass\n")
    path = os.pathsep.join((str(project / "backend"), str(project / "stubs")))
    env = {**os.environ, "PYTHONPATH": path}
    done = subprocess.run(
        [sys.executable, *arguments], cwd=project / "backend", env=env, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_project_is_renamed_as_a_whole(project: Path) -> None:
    before = python(project, "-m", "app.main")
    shutil.rmtree(project / "stubs")
    done = run("migrate", "--rename", "--write", "--force", "--isolated", cwd=project)
    assert done.returncode == 0, done.stderr
    files = [path.relative_to(project) for path in project.rglob("*") if path.is_file()]
    names = {str(path) for path in files if not {".git", "__pycache__"} & {*path.parts}}
    assert {
        "backend/app/services/llm_usage_tracker.py",
        "backend/app/api/routes/llm_usage.py",
        "frontend/src/components/LLMUsageCard.tsx",
        "backend/database_migrations/006_rename_groq_to_llm.sql",
    } <= names
    assert not [name for name in names if "groq_usage" in name or "GroqUsage" in name]
    tracker = (project / "backend/app/services/llm_usage_tracker.py").read_text()
    assert "class LLMUsageTracker:" in tracker
    assert "async def log_llm_call(" in tracker
    assert 'os.environ.get("GROQ_API_KEY", "")' in tracker
    assert 'self.provider = "groq"' in tracker
    assert '"groq": True' in tracker
    assert '.table("llm_usage_logs")' in tracker
    assert '__all__ = ["LLMUsageTracker", "llm_usage_tracker"]' in tracker
    main = (project / "backend/app/main.py").read_text()
    assert "import groq\nfrom groq import Groq\n" in main
    assert 'app.include_router(llm_usage.router, prefix="/api/llm/usage", tags=["Groq Usage"])\n' in main
    assert (
        'app.include_router(llm_usage.router, prefix="/api/groq/usage", tags=["Groq Usage"], include_in_schema=False)'
        in main
    )
    assert 'URL = "https://api.groq.com/openai/v1"' in main
    after = python(project, "-m", "app.main")
    assert before == "groq ['/api/groq/usage'] GroqUsageTracker\n"
    assert after == "groq ['/api/groq/usage', '/api/llm/usage'] LLMUsageTracker\n"
    python(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    migration = (project / "backend/database_migrations/006_rename_groq_to_llm.sql").read_text()
    assert migration.splitlines()[2:] == [
        "ALTER TABLE groq_usage_logs RENAME TO llm_usage_logs;",
        "ALTER INDEX idx_groq_usage_user_id RENAME TO idx_llm_usage_user_id;",
        "ALTER MATERIALIZED VIEW groq_usage_daily_summary RENAME TO llm_usage_daily_summary;",
        "ALTER FUNCTION refresh_groq_usage_summary RENAME TO refresh_llm_usage_summary;",
        "",
        "CREATE OR REPLACE FUNCTION refresh_llm_usage_summary() RETURNS void AS $$",
        "BEGIN REFRESH MATERIALIZED VIEW llm_usage_daily_summary; END;",
        "$$ LANGUAGE plpgsql;",
    ]
    applied = (project / "backend/database_migrations/005_api_usage_tracking.sql").read_text()
    assert "groq_usage_logs" in applied  # it may have been applied
    card = (project / "frontend/src/components/LLMUsageCard.tsx").read_text()
    assert "export function LLMUsageCard()" in card
    assert "const groqUsage: LLMUsageSummary" not in card
    assert 'className="groq-card" data-testid="groq-usage"' in card
    assert 'fetch("/api/llm/usage/summary")' in card
    assert "// Shows the Groq quota" in card
    dashboard = (project / "frontend/src/pages/Dashboard.tsx").read_text()
    assert 'import Groq from "groq-sdk"' in dashboard
    assert 'import { LLMUsageCard } from "../components/LLMUsageCard"' in dashboard
    shutil.rmtree(project / "stubs")
    again = run("migrate", "--rename", "--check", "--isolated", cwd=project)
    assert again.returncode == 0, again.stderr


def test_without_the_option_nothing_is_renamed(project: Path) -> None:
    assert run("migrate", "--check", "--isolated", cwd=project).returncode == 0


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("groq_usage", "llm_usage"),
        ("log_groq_call", "log_llm_call"),
        ("my_groq", "my_llm"),
        ("GROQ_TABLE", "LLM_TABLE"),
        ("GroqUsageTracker", "LLMUsageTracker"),
        ("useGroqUsage", "useLLMUsage"),
        ("groqUsage", "llmUsage"),
        ("Groq", "Groq"),
        ("AsyncGroq", "AsyncGroq"),
        ("ChatGroq", "ChatGroq"),
        ("groq", "groq"),
        ("grouping", "grouping"),
    ],
)
def test_names(old: str, new: str) -> None:
    assert converted(old) == new


def refused(*files: tuple[str, str]) -> dict[str, str]:
    renaming = rename([(path, text.encode()) for path, text in files])
    return {outcome.old: outcome.refused for outcome in renaming.renames if outcome.refused}


def test_a_name_changes_everywhere_or_nowhere() -> None:
    both = ("a.py", "def groq_call(): pass\ndef llm_call(): pass\n")
    assert refused(both) == {"groq_call": "llm_call is there already"}
    several = (("a.py", "def log_groq(a): pass\n"), ("b.py", "class L:\n    def log_groq(self, x, y): pass\n"))
    assert refused(*several) == {"log_groq": "it has several definitions that take different arguments"}
    assert refused(("a.py", 'import os\nGROQ_MODEL = os.environ["GROQ_MODEL"]\n')) == {
        "GROQ_MODEL": "it is the name of a setting outside the code"
    }
    assert rename([("a.py", b"def f(:\ngroq_x = 1\n"), ("b.py", b"groq_x = 2\n")]).contents.keys() <= {"b.py"}


def test_fresh_edits_migrations_in_place() -> None:
    renaming = rename([("m/001.sql", b"CREATE TABLE groq_logs (id int);\nSELECT * FROM groq_logs;\n")], fresh=True)
    assert renaming.contents == {"m/001.sql": b"CREATE TABLE llm_logs (id int);\nSELECT * FROM llm_logs;\n"}
    assert renaming.created == {}
