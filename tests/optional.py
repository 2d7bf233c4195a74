"""Modules of the dev and sdks extras: absent, a test is skipped with the reason, but not in CI.

The gate's runs with other versions install no tools: they say so by LLMGUARD_TEST_WITHOUT_DEV=1.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest

_TOOLS = frozenset(
    {
        "axe_playwright_python.sync_playwright",
        "check_jsonschema",
        "genai_prices",
        "jsonschema",
        "junitparser",
        "markdown_it",
        "playwright.sync_api",
        "sarif_pydantic",
    }
)


def optional(name: str) -> Any:
    """A module, or the end of the test."""
    if os.environ.get("CI") and not (name in _TOOLS and os.environ.get("LLMGUARD_TEST_WITHOUT_DEV")):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason="installed by the dev extra")
