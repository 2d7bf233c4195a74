"""Modules of the dev extra: absent, a test is skipped with the reason, but not in CI."""

from __future__ import annotations

import importlib
import os
from typing import Any

import pytest


def optional(name: str) -> Any:
    """A module, or the end of the test."""
    if os.environ.get("CI"):
        return importlib.import_module(name)
    return pytest.importorskip(name, reason="installed by the dev extra")
