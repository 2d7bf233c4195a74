"""Configuration: `[tool.llmguard]` in pyproject.toml, or the same keys in llmguard.yaml.

`Configuration` says which `Settings` hold in which folder: those of the nearest file, on top of what it extends.
Only what is there is read, and only when it is there: a TOML parser costs a hook more than its check.
"""

from __future__ import annotations

from llmguard.config.folders import Configuration, find_settings
from llmguard.config.settings import CALLBACKS, CONFIDENCES, DEFAULT_EXCLUDE, KEYS, Glob, Settings

__all__ = [
    "CALLBACKS",
    "CONFIDENCES",
    "DEFAULT_EXCLUDE",
    "KEYS",
    "Configuration",
    "Glob",
    "Settings",
    "find_settings",
]
