"""The published JSON Schema accepts what llmguard accepts and refuses what it refuses."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmguard.config import KEYS, find_settings
from llmguard.config.json_schema import schema
from llmguard.config.keys import TABLE
from llmguard.errors import ConfigError
from tests.command import ROOT
from tests.optional import optional

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

GOOD: list[dict[str, Any]] = [
    {},
    {"exclude": ["a/"], "skip-modules": [], "skip-names": ["x"], "select": ["LLG1"], "ignore": []},
    {"severity": {"LLG1": "error"}, "per-file-ignores": {"a.py": ["LLG101"]}, "require-reason": True},
    {"wrapper": "a.b()", "baseline": "b.txt", "min-confidence": "proved", "litellm-callback": "absent"},
    {"doors": [{"name": "a.b", "kind": "tracker"}, {"name": "a.C", "methods": ["m"], "family": "text"}]},
    {
        "providers": [
            {"name": "acme", "hosts": ["h"], "modules": ["m"], "clients": [{"names": ["C"], "calls": "openai"}]}
        ]
    },
]
BAD: list[dict[str, Any]] = [
    {"exlude": []},
    {"exclude": "tests/"},
    {"select": [3]},
    {"severity": {"LLG1": "loud"}},
    {"per-file-ignores": {"a.py": "LLG101"}},
    {"require-reason": "yes"},
    {"wrapper": "a b"},
    {"min-confidence": "sure"},
    {"baseline": 3},
    {"doors": [{}]},
    {"doors": [{"name": "a", "kind": "gate"}]},
    {"doors": [{"name": "a", "other": 1}]},
    {"providers": [{"hosts": ["h"]}]},
    {"providers": [{"name": "a", "modules": ["m"], "clients": [{"names": ["C"], "calls": "grok"}]}]},
]


def test_the_published_schema_is_the_one_that_is_printed() -> None:
    published = json.loads((ROOT / "docs" / "llmguard.schema.json").read_text(encoding="utf-8"))
    assert published == schema(), "write it anew: llmguard config schema > docs/llmguard.schema.json"


def test_it_is_a_schema() -> None:
    optional("jsonschema").Draft202012Validator.check_schema(schema())
    assert set(schema()["properties"]) == set(KEYS) == set(TABLE)


@pytest.mark.parametrize("document", GOOD)
def test_both_accept(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "llmguard.yaml").write_text(yaml.safe_dump(document))
    find_settings(str(tmp_path))
    optional("jsonschema").Draft202012Validator(schema()).validate(document)


@pytest.mark.parametrize("document", BAD)
def test_both_refuse(document: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "llmguard.yaml").write_text(yaml.safe_dump(document))
    with pytest.raises(ConfigError):
        find_settings(str(tmp_path))
    assert not optional("jsonschema").Draft202012Validator(schema()).is_valid(document)


@pytest.mark.parametrize("key", KEYS)
def test_the_example_of_every_key_is_good(key: str, tmp_path: Path) -> None:
    example = tomllib.loads(TABLE[key].example)
    assert list(example) == [key]
    optional("jsonschema").Draft202012Validator(schema()).validate(example)
    if key != "extend":
        (tmp_path / "pyproject.toml").write_text(f"[tool.llmguard]\n{TABLE[key].example}\n")
        find_settings(str(tmp_path))
