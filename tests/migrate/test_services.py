"""A project as the first users had it before they moved by hand: five services, their table, and their tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llmguard.testing import FakeProvider
from tests.command import ROOT, run
from tests.optional import optional


def pytest_of(project: Path, provider: FakeProvider) -> subprocess.CompletedProcess[str]:
    root = provider.base_url.removesuffix("/v1")
    env = {
        **os.environ,
        "GROQ_API_KEY": "k",
        "GROQ_BASE_URL": root,
        "PYTHONPATH": f"{project}{os.pathsep}{ROOT}",
        "LLMGUARD_DATABASE_URL": f"sqlite:///{project / 'usage.db'}",
        "LLMGUARD_SPOOL_DIR": str(project / "spool"),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "ignore", "tests"]
    return subprocess.run(command, cwd=project, env=env, capture_output=True, text=True, timeout=120)


def test_five_services_move_and_their_tests_stay_green(tmp_path: Path) -> None:
    optional("groq")
    project = tmp_path / "creator"
    shutil.copytree(ROOT / "fixtures" / "projects" / "creator", project)
    (project / "pytest.ini").write_text("[pytest]\n")
    with FakeProvider() as provider:
        before = pytest_of(project, provider)
        asked = [request.body for request in provider.requests]
    assert before.returncode == 0, before.stdout
    done = run("migrate", "--write", "--force", "--isolated", "--output-format", "json", cwd=project)
    assert done.returncode == 0, done.stderr
    sites = {Path(site["path"]).stem: site for site in json.loads(done.stdout)["sites"]}
    assert {name: (site["target"], site["reason"]) for name, site in sites.items()} == {
        "voice_analyzer": ("to-wrapper", "yields-now"),
        "draft_generator": ("to-wrapper", "yields-now"),
        "feedback_analyzer": ("to-wrapper", "no-user-id"),
        "content_summarizer": ("to-wrapper", "test-patches-target"),
        "trend_detector": ("to-wrapper", "no-user-id"),
    }
    voice = (project / "app/services/voice_analyzer.py").read_text()
    assert "llm_usage_tracker" not in voice
    assert "import time" not in voice
    assert "from groq" not in voice
    assert 'metadata={"service": "voice_analyzer", "samples_count": len(samples)}' in voice
    assert "temperature=0.3,  # Lower for more consistent analysis" in voice
    with FakeProvider() as provider:
        after = pytest_of(project, provider)
        assert [request.body for request in provider.requests] == asked
    assert after.returncode == 0, after.stdout
    done = run("migrate", "--check", "--isolated", cwd=project)
    assert done.returncode == 0, done.stderr
    usage = run("usage", "summary", "--by", "service", "--output-format", "json", cwd=project, env=_ledger(project))
    services = {row["service"]: row["calls"] for row in json.loads(usage.stdout)["rows"]}
    assert services == {"voice_analyzer": 2, "draft_generator": 1}


def _ledger(project: Path) -> dict[str, str]:
    return {
        "LLMGUARD_DATABASE_URL": f"sqlite:///{project / 'usage.db'}",
        "LLMGUARD_SPOOL_DIR": str(project / "spool"),
    }


@pytest.mark.parametrize("name", ["voice_analyzer", "draft_generator"])
def test_what_the_code_becomes(name: str) -> None:
    """The text itself, so that a change of it is seen."""
    from llmguard.migrate import migrate_source

    path = ROOT / "fixtures" / "projects" / "creator" / "app" / "services" / f"{name}.py"
    expected = ROOT / "fixtures" / "migrate" / "services" / f"{name}.py"
    assert migrate_source(path.read_text(), path.name) == expected.read_text()
