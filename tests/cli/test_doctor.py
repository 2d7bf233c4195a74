"""`llmguard doctor`: who is asked, and whether they answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmguard.calls.doctor import missing_packages
from llmguard.testing import Answer, FakeProvider
from llmguard.usage.settings import UsageSettings
from tests.cli.test_usage import NOW, add, home
from tests.command import ROOT, Done
from tests.command import run as run_in
from tests.optional import optional

__all__ = ["home"]
optional("openai")
NAMES = ("AZURE_OPENAI", "OPENAI", "GROQ", "ANTHROPIC")


@pytest.fixture
def place(home: UsageSettings, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without keys."""
    for name in NAMES:
        for what in ("API_KEY", "ENABLED", "MODEL", "BASE_URL", "ENDPOINT"):
            monkeypatch.delenv(f"{name}_{what}", raising=False)
    for name in ("LLM_PRIMARY_PROVIDER", "LLM_FALLBACK_PROVIDERS"):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch


def run(*arguments: str) -> Done:
    return run_in("doctor", *arguments, cwd=ROOT)


def of_providers(done: Done) -> list[str]:
    """The lines of the table."""
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.partition("\n\n")[0].splitlines()


def reports(*arguments: str) -> dict[str, Any]:
    done = run(*arguments, "--output-format", "json")
    assert done.returncode in (0, 1), done.stderr
    return {each["provider"]: each for each in json.loads(done.stdout)["providers"]}


def test_without_a_key_nobody_is_asked_and_all_is_well(place: pytest.MonkeyPatch) -> None:
    done = run()
    assert not [line for line in of_providers(done) if line.startswith("!")]
    assert "no key: AZURE_OPENAI_API_KEY" in done.stdout
    assert "fallback 1" in done.stdout
    assert "revision" in done.stdout  # the ledger's part


def test_each_is_asked_for_free_and_no_key_is_printed(place: pytest.MonkeyPatch, provider: FakeProvider) -> None:
    provider.answer = Answer(body=b'{"object": "list", "data": []}')
    place.setenv("LLM_PRIMARY_PROVIDER", "openai")
    place.setenv("LLM_FALLBACK_PROVIDERS", "deepseek")
    for name in ("OPENAI", "DEEPSEEK"):
        place.setenv(f"{name}_API_KEY", "sk-very-secret")
        place.setenv(f"{name}_BASE_URL", provider.base_url)
    place.setenv("DEEPSEEK_MODEL", "deepseek-chat")
    done = run()
    assert not [line for line in of_providers(done) if line.startswith("!")]
    assert "sk-very-secret" not in done.stdout + done.stderr
    found = reports()
    assert (found["openai"]["answer"], found["openai"]["role"], found["openai"]["model"]) == (
        *("answers", "primary", "gpt-4"),
    )
    assert found["openai"]["milliseconds"] >= 0
    assert (found["deepseek"]["answer"], found["deepseek"]["key"]) == ("answers", "DEEPSEEK_API_KEY")
    assert {request.method for request in provider.requests} == {"GET"}
    before = len(provider.requests)
    assert reports("--offline")["openai"]["answer"] == "not asked (--offline)"
    assert len(provider.requests) == before


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(status=401), "refuses the key in OPENAI_API_KEY (401)"),
        (Answer(status=503), "InternalServerError"),
        (Answer(delay=3), "Timeout"),
    ],
)
def test_who_does_not_answer_needs_a_look(
    answer: Answer, said: str, place: pytest.MonkeyPatch, provider: FakeProvider
) -> None:
    provider.answer = answer
    place.setenv("LLM_PRIMARY_PROVIDER", "openai")
    place.setenv("OPENAI_API_KEY", "k")
    place.setenv("OPENAI_BASE_URL", provider.base_url)
    done = run("--timeout", "0.5")
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if " openai " in line)
    assert line.startswith("!")
    assert said in line


def test_a_paid_question_is_on_the_books(
    place: pytest.MonkeyPatch, provider: FakeProvider, home: UsageSettings
) -> None:
    place.setenv("LLM_PRIMARY_PROVIDER", "openai")
    place.setenv("OPENAI_API_KEY", "k")
    place.setenv("OPENAI_BASE_URL", provider.base_url)
    command = [sys.executable, "-m", "llmguard", "doctor", "--generate"]  # this process records elsewhere already
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=False)
    assert "answers" in done.stdout, done.stderr
    assert provider.requests[0].body["max_tokens"] == 1
    run_in("usage", "recover", cwd=ROOT)  # where the flusher was too slow for the command's time
    assert "llm_warmer" in run_in("usage", "logs", cwd=ROOT).stdout


def test_a_primary_that_nobody_can_ask_needs_a_look(place: pytest.MonkeyPatch) -> None:
    place.setenv("OPENAI_API_KEY", "k")
    found = reports("--offline")
    assert found["azure_openai"]["is_problem"]
    assert found["azure_openai"]["answer"] == "no key: AZURE_OPENAI_API_KEY"
    place.setenv("AZURE_OPENAI_API_KEY", "k")
    assert reports("--offline")["azure_openai"]["answer"] == "AZURE_OPENAI_ENDPOINT is not set"
    place.setenv("AZURE_OPENAI_ENABLED", "false")
    assert "switched off" in reports("--offline")["azure_openai"]["answer"]


def test_wrong_settings_are_one_line(place: pytest.MonkeyPatch) -> None:
    place.setenv("LLM_FALLBACK_PROVIDERS", "nobody")
    done = run()
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert 'LLM_FALLBACK_PROVIDERS: unknown provider "nobody"' in done.stderr


def test_models_without_a_price_and_what_is_not_installed_are_named(
    place: pytest.MonkeyPatch, home: UsageSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(home, NOW, provider="acme", model="large")
    assert "acme large (1)" in run("--offline").stdout
    monkeypatch.setattr("llmguard.calls.doctor.find_spec", lambda name: None if name == "groq" else object())
    assert list(missing_packages()) == ["groq"]


def test_the_test_script_of_old_runs_it(place: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    made = [sys.executable, "-m", "llmguard", "init", "--shims", "--yes"]
    subprocess.run(made, cwd=tmp_path, capture_output=True, env=env, check=True)
    script = [sys.executable, "examples/test_llm_service.py", "--offline"]
    done = subprocess.run(script, cwd=tmp_path, capture_output=True, text=True, env=env, check=False)
    assert done.returncode in (0, 1), done.stderr  # an SQLite file in a container needs a look
    assert "no key: AZURE_OPENAI_API_KEY" in done.stdout


def test_the_cache_is_a_line(place: pytest.MonkeyPatch, redis_url: str) -> None:
    optional("redis")
    assert "  cache  off (LLM_CACHE_ENABLED)" in run().stdout
    place.setenv("LLM_CACHE_ENABLED", "1")
    assert "  cache  memory: on, 3600 s" in run().stdout
    place.setenv("LLM_CACHE_URL", redis_url)
    done = run("--output-format", "json")
    cache = json.loads(done.stdout)["cache"]
    assert (cache["enabled"], cache["is_problem"], cache["answer"]) == (True, False, "on, 3600 s")
    assert 0 <= cache["milliseconds"] < 1000
    place.setenv("LLM_CACHE_URL", "redis://:geheim@127.0.0.1:1/0")
    done = run()
    assert done.returncode == 1
    assert "! cache  redis at 127.0.0.1:1: does not answer (ConnectionError): memory is used" in done.stdout
    assert "geheim" not in done.stdout + done.stderr
    place.setenv("LLM_CACHE_URL", "nonsense")
    assert run().returncode == 2
