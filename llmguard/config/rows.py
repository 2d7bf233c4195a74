"""Rows of the project's own: doors and providers, from tables in a configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llmguard.config import keys
from llmguard.doors import DOOR_KINDS, OwnDoor
from llmguard.errors import ConfigError
from llmguard.providers import PROVIDERS, Client, Family, Provider
from llmguard.providers.anthropic import ANTHROPIC
from llmguard.providers.openai_shape import OPENAI_CALLS, OPENAI_TRANSPARENT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from llmguard.config.files import Layer

FAMILIES = tuple(str(family) for family in Family)
#: What may stand for a table of calls: the calls of that SDK's client.
KNOWN_CALLS: dict[str, Mapping[str, Family]] = {"openai": OPENAI_CALLS, "anthropic": ANTHROPIC.clients[0].calls}
DOOR_KEYS = ("name", "kind", "methods", "family")
PROVIDER_KEYS = (
    "name",
    "title",
    "modules",
    "clients",
    "functions",
    "endpoints",
    "hosts",
    "key-env",
    "base-url",
    "dialect",
)
CLIENT_KEYS = ("names", "calls", "returns")


def doors(layer: Layer, value: Any) -> tuple[OwnDoor, ...]:
    """The doors of `[[tool.llmguard.doors]]`.

    Raises:
        ConfigError: a row is of no use; the key in it says which, counted from 1.
    """
    found = []
    for where, row in rows_of(layer, "doors", value, DOOR_KEYS):
        name = keys.dotted(layer, f"{where}.name", needed(layer, where, row, "name"))
        kind = keys.choice(layer, f"{where}.kind", row.get("kind", DOOR_KINDS[0]), DOOR_KINDS)
        methods = keys.strings(layer, f"{where}.methods", row.get("methods", []))
        family = keys.choice(layer, f"{where}.family", row.get("family", "chat"), FAMILIES)
        found.append(OwnDoor(name, kind, methods, family))
    return tuple(found)


def providers(layer: Layer, value: Any) -> tuple[Provider, ...]:
    """The rows of `[[tool.llmguard.providers]]`.

    Raises:
        ConfigError: a row is of no use, or has the name of one that llmguard has.
    """
    taken = {provider.name for provider in PROVIDERS}
    found = []
    for where, row in rows_of(layer, "providers", value, PROVIDER_KEYS):
        name = keys.string(layer, f"{where}.name", needed(layer, where, row, "name"))
        if not name.strip():
            raise ConfigError(layer.source, f"{where}.name", "must not be empty")
        if name in taken:
            raise ConfigError(layer.source, f"{where}.name", f"{name!r} is a row already; choose another name")
        taken.add(name)
        given = {
            key: keys.strings(layer, f"{where}.{key}", row.get(key, [])) for key in ("modules", "hosts", "key-env")
        }
        texts = {
            key: keys.string(layer, f"{where}.{key}", row.get(key, default))
            for key, default in (("title", name), ("base-url", ""), ("dialect", "openai"))
        }
        endpoints = _families(layer, f"{where}.endpoints", row.get("endpoints", {}))
        clients = _clients(layer, where, row.get("clients", []))
        functions = _families(layer, f"{where}.functions", row.get("functions", {}))
        if (clients or functions) and not given["modules"]:
            raise ConfigError(layer.source, f"{where}.modules", "is needed for clients and functions")
        if not (clients or functions or endpoints or given["hosts"]):
            raise ConfigError(layer.source, where, "says nothing: give clients, functions, endpoints or hosts")
        found.append(
            Provider(
                name=name,
                title=texts["title"],
                modules=given["modules"],
                clients=clients,
                functions=functions,
                transparent=OPENAI_TRANSPARENT,
                endpoints=endpoints,
                hosts=given["hosts"],
                key_env=given["key-env"],
                base_url=texts["base-url"],
                dialect=texts["dialect"],
            )
        )
    return tuple(found)


def _clients(layer: Layer, where: str, value: Any) -> tuple[Client, ...]:
    found = []
    for place, row in rows_of(layer, f"{where}.clients", value, CLIENT_KEYS):
        names = keys.strings(layer, f"{place}.names", needed(layer, place, row, "names"))
        calls = needed(layer, place, row, "calls")
        if isinstance(calls, str):
            known = KNOWN_CALLS[keys.choice(layer, f"{place}.calls", calls, tuple(KNOWN_CALLS))]
        else:
            known = _families(layer, f"{place}.calls", calls)
        returns = keys.table(layer, f"{place}.returns", row.get("returns", {}))
        found.append(Client(names, known, {path: str(cls) for path, cls in returns.items()}))
    return tuple(found)


def _families(layer: Layer, key: str, value: Any) -> dict[str, Family]:
    rows = keys.table(layer, key, value)
    return {path: Family(keys.choice(layer, f"{key}.{path}", family, FAMILIES)) for path, family in rows.items()}


def rows_of(layer: Layer, key: str, value: Any, known: tuple[str, ...]) -> list[tuple[str, dict[str, Any]]]:
    """(name of the row for errors, row) of a list of tables.

    Raises:
        ConfigError: it is none, or a row has a key that is not known.
    """
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise ConfigError(layer.source, key, "must be a list of tables")
    for number, row in enumerate(value, 1):
        for name in row:
            if name not in known:
                raise ConfigError(
                    layer.source, f"{key}[{number}].{name}", f"unknown key; {keys.nearest(str(name), known)}"
                )
    return [(f"{key}[{number}]", row) for number, row in enumerate(value, 1)]


def needed(layer: Layer, where: str, row: dict[str, Any], key: str) -> Any:
    """The value of a key that a row must have.

    Raises:
        ConfigError: it has none.
    """
    if key not in row:
        raise ConfigError(layer.source, f"{where}.{key}", "is missing")
    return row[key]
