"""The JSON Schema of a configuration, for editors: `llmguard config schema` prints it, docs/ publishes it."""

from __future__ import annotations

from typing import Any

from llmguard.config.keys import CHOICES, TABLE
from llmguard.config.prices import PRICE_KEYS
from llmguard.config.rows import CLIENT_KEYS, DOOR_KEYS, FAMILIES, KNOWN_CALLS, PROVIDER_KEYS
from llmguard.config.settings import SEVERITIES
from llmguard.doors import DOOR_KINDS

_STRING: dict[str, Any] = {"type": "string"}
_STRINGS: dict[str, Any] = {"type": "array", "items": _STRING}
_DOTTED: dict[str, Any] = {"type": "string", "pattern": r"^[^\W\d]\w*(\.[^\W\d]\w*)*(\(\))?$"}
_FAMILIES: dict[str, Any] = {"type": "object", "additionalProperties": {"enum": list(FAMILIES)}}


def _table(properties: dict[str, Any], known: tuple[str, ...], *required: str) -> dict[str, Any]:
    assert set(properties) == set(known)
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


def _door() -> dict[str, Any]:
    properties = {
        "name": {**_DOTTED, "description": "Dotted name, as the project imports it."},
        "kind": {"enum": list(DOOR_KINDS), "default": DOOR_KINDS[0]},
        "methods": {**_STRINGS, "description": "Of a wrapper that is a class: the methods that ask a model."},
        "family": {"enum": list(FAMILIES), "default": "chat"},
    }
    return _table(properties, DOOR_KEYS, "name")


def _provider() -> dict[str, Any]:
    client = _table(
        {
            "names": {**_STRINGS, "description": "Names of the client classes."},
            "calls": {"anyOf": [{"enum": sorted(KNOWN_CALLS)}, _FAMILIES]},
            "returns": {"type": "object", "additionalProperties": _STRING},
        },
        CLIENT_KEYS,
        "names",
        "calls",
    )
    properties = {
        "name": {**_STRING, "description": "What reports and the ledger call it."},
        "title": {**_STRING, "description": "How people write it."},
        "modules": {**_STRINGS, "description": "Import roots of its SDK."},
        "clients": {"type": "array", "items": client},
        "functions": {**_FAMILIES, "description": "Dotted path of a generating function to its family."},
        "endpoints": {**_FAMILIES, "description": "Piece of a generation URL to its family."},
        "hosts": {**_STRINGS, "description": "Hosts of the API; a base_url on one of them names this provider."},
        "key-env": _STRINGS,
        "base-url": _STRING,
        "dialect": _STRING,
    }
    return _table(properties, PROVIDER_KEYS, "name")


def _price() -> dict[str, Any]:
    rate = {"type": ["number", "string"], "description": "Dollars per million tokens."}
    day = {"type": "string", "format": "date"}
    properties = {
        "provider": {**_STRING, "description": "As the ledger names it."},
        "model": {**_STRING, "default": "*", "description": "As requests name it, or a glob."},
        **dict.fromkeys(("input", "output", "cache-read", "cache-write"), rate),
        "discount": {"type": ["number", "string"], "description": "Per cent off the list price."},
        "from": {**day, "description": "The first day it holds (UTC)."},
        "to": {**day, "description": "The first day it does not hold any more."},
        "source": {**_STRING, "description": "Where it is from."},
    }
    return _table(properties, PRICE_KEYS, "provider")


def schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of llmguard.yaml, and of `[tool.llmguard]`."""
    kinds: dict[str, dict[str, Any]] = {
        "extend": {"anyOf": [_STRING, _STRINGS]},
        "globs": _STRINGS,
        "strings": _STRINGS,
        "ignores": {"type": "object", "additionalProperties": _STRINGS},
        "severity": {"type": "object", "additionalProperties": {"enum": list(SEVERITIES)}},
        "bool": {"type": "boolean"},
        "path": _STRING,
        "dotted": _DOTTED,
        "doors": {"type": "array", "items": _door()},
        "providers": {"type": "array", "items": _provider()},
        "prices": {"type": "array", "items": _price()},
        **{kind: {"enum": list(known)} for kind, known in CHOICES.items()},
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "llmguard",
        "description": "Configuration of llmguard: llmguard.yaml, or [tool.llmguard] in pyproject.toml.",
        "type": "object",
        "properties": {name: {"description": key.about, **kinds[key.kind]} for name, key in TABLE.items()},
        "additionalProperties": False,
    }
