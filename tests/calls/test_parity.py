"""Through the wrapper and through the SDK itself: the same requests, answers and exceptions, one row.

Each SDK in a process of its own: what clients leave behind that nobody closes is no concern of the other tests.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command import ROOT
from tests.optional import optional


def run(sdk: str, **environment: str) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "tests.calls.parity", sdk]
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", **environment}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("sdk", ["groq", "openai", "anthropic"])
def test_the_sdks_of_today(sdk: str) -> None:
    optional(sdk)
    run(sdk)


@pytest.mark.full
@pytest.mark.parametrize("sdk", ["azure_openai", "deepseek", "litellm"])
def test_other_ways_to_reach_a_provider(sdk: str) -> None:
    optional({"azure_openai": "openai", "deepseek": "openai"}.get(sdk, sdk))
    run(sdk)


@pytest.mark.full
@pytest.mark.parametrize("sdk", ["groq", "openai", "anthropic"])
def test_over_httpx(sdk: str) -> None:
    optional(sdk)
    run(sdk, LLM_HTTP_TRANSPORT="httpx")


@pytest.mark.full
@pytest.mark.parametrize("requirement", ["groq<1", "openai<2", "anthropic<2", "anthropic<1"])
def test_one_major_version_back(requirement: str, tmp_path: Path) -> None:
    sdk = requirement.partition("<")[0]
    optional(sdk)
    command = [sys.executable, "-m", "pip", "install", "-q", "--target", str(tmp_path), requirement]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode:
        reason = f"{requirement} cannot be installed: {done.stderr.splitlines()[-1:]}"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    run(sdk, PYTHONPATH=str(tmp_path))
