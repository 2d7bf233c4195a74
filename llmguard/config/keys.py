"""The keys of a configuration: what each is, for whoever checks, documents or publishes them.

Rule codes are checked by whoever knows the rules (`llmguard.check`), not here.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

from llmguard.config.place import is_inside
from llmguard.config.settings import CALLBACKS, CONFIDENCES, KEYS, SEVERITIES, Glob
from llmguard.errors import ConfigError

if TYPE_CHECKING:
    from llmguard.config.files import Layer


class Key(NamedTuple):
    """What a key holds (`kind`), in one sentence (`about`), and an example in TOML."""

    kind: str
    about: str
    example: str


TABLE: dict[str, Key] = {
    "extend": Key(
        "extend",
        "Configuration files to build on: paths relative to this file, or `package:path` for a file in an installed "
        "package (a company's policy). Keys given here replace theirs; `per-file-ignores`, `severity`, `doors`, "
        "`providers` and `prices` are added to theirs.",
        'extend = "acme_policy:llmguard.yaml"',
    ),
    "exclude": Key(
        "globs",
        "Files and folders that are not checked; they win over names on the command line.",
        'exclude = ["tests/", "app/services/llm_wrapper.py"]',
    ),
    "skip-modules": Key("strings", "Modules (globs) whose calls are left alone.", 'skip-modules = ["app.legacy.*"]'),
    "skip-names": Key(
        "strings",
        "Functions and classes (globs) whose calls are left alone.",
        'skip-names = ["DebugClient", "Bot.ask"]',
    ),
    "per-file-ignores": Key(
        "ignores",
        "Path glob to the codes, prefixes or names that are not reported there. An entry that ignores nothing is "
        "reported (LLG802).",
        'per-file-ignores = { "scripts/*.py" = ["LLG201"] }',
    ),
    "select": Key("strings", "Codes, prefixes or names of the rules to report; empty means all.", "select = []"),
    "ignore": Key("strings", "Codes, prefixes or names of the rules not to report.", 'ignore = ["LLG301"]'),
    "severity": Key(
        "severity",
        "Code, prefix or name to error, warning or note; the longest match counts. It changes what reports show, not "
        "the exit code.",
        'severity = { LLG2 = "note" }',
    ),
    "min-confidence": Key("confidence", "Least confidence to report.", 'min-confidence = "likely"'),
    "require-reason": Key("bool", "Report suppression comments that give no reason (LLG804).", "require-reason = true"),
    "baseline": Key(
        "path",
        "The baseline file, relative to this file; without the key, `llmguard-baseline.txt` beside it where there is "
        "one.",
        'baseline = "ci/llmguard-baseline.txt"',
    ),
    "wrapper": Key("dotted", "What findings tell people to call.", 'wrapper = "app.llm.ask"'),
    "doors": Key(
        "doors",
        "The project's own sanctioned ways to call a model: calls in them, or on what they give, are on the books.",
        'doors = [{ name = "app.llm.ask" }]',
    ),
    "providers": Key(
        "providers",
        "SDKs, endpoints and gateways that llmguard does not know, as rows like its own.",
        'providers = [{ name = "acme", hosts = ["llm.acme.example"] }]',
    ),
    "prices": Key(
        "prices",
        "What you really pay: prices of your own in dollars per million tokens, or a discount in per cent off the list "
        "price, each from one day to another. `model` is a glob; without it the row is about all models.",
        'prices = [{ provider = "openai", discount = "15%", from = "2026-01-01", source = "contract" }]',
    ),
    "litellm-callback": Key(
        "callback",
        "Whether the project installs the LiteLLM callback: auto looks for it.",
        'litellm-callback = "auto"',
    ),
}
CHOICES = {"confidence": CONFIDENCES, "callback": CALLBACKS}
_ADDED = ("per_file_ignores", "severity", "doors", "providers", "prices")


def checked(layer: Layer, key: str, value: Any) -> tuple[str, Any]:
    """(field of `Settings`, its value) of a key; the field is "" for what needs no more attention.

    Raises:
        ConfigError: the key is unknown, or the value is of no use.
    """
    if key not in TABLE:
        raise ConfigError(layer.source, key, f"unknown key; {nearest(key, KEYS)}")
    kind = TABLE[key].kind
    if kind == "extend":
        return "", None
    return key.replace("-", "_"), _CHECKS[kind](layer, key, value)


def merged(field: str, before: Any, value: Any) -> Any:
    """What a field holds when `value` is laid over what a base said."""
    return (*before, *(item for item in value if item not in before)) if before and field in _ADDED else value


def nearest(word: str, known: tuple[str, ...] | list[str]) -> str:
    """Words for an error: the known word that is meant, or all of them."""
    import difflib

    near = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {near[0]}?" if near else f"known keys are {', '.join(known)}"


def string(layer: Layer, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ConfigError(layer.source, key, f"must be a string, not {type(value).__name__}")
    if "\0" in value:
        raise ConfigError(layer.source, key, "has a NUL character in it")
    return value


def strings(layer: Layer, key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(layer.source, key, "must be a list of strings")
    if not all(item.strip() for item in value):
        raise ConfigError(layer.source, key, "has an empty string in it")
    return tuple(string(layer, key, item) for item in value)


def dotted(layer: Layer, key: str, value: Any) -> str:
    name = string(layer, key, value)
    if not all(part.isidentifier() for part in name.removesuffix("()").split(".")):
        raise ConfigError(layer.source, key, f"must be a dotted name, not {name!r}")
    return name


def choice(layer: Layer, key: str, value: Any, known: tuple[str, ...]) -> str:
    if string(layer, key, value) not in known:
        raise ConfigError(layer.source, key, f"must be one of {', '.join(known)}, not {value!r}")
    return str(value)


def table(layer: Layer, key: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not all(isinstance(name, str) for name in value):
        raise ConfigError(layer.source, key, "must be a table")
    return value


def _globs(layer: Layer, key: str, value: Any) -> tuple[Glob, ...]:
    return tuple(Glob(item, layer.folder, layer.source) for item in strings(layer, key, value))


def _ignores(layer: Layer, key: str, value: Any) -> tuple[tuple[Glob, tuple[str, ...]], ...]:
    return tuple(
        (Glob(pattern, layer.folder, layer.source), strings(layer, f"{key}.{pattern}", codes))
        for pattern, codes in table(layer, key, value).items()
    )


def _severity(layer: Layer, key: str, value: Any) -> tuple[tuple[str, str], ...]:
    rows = table(layer, key, value)
    return tuple((code, choice(layer, f"{key}.{code}", level, SEVERITIES)) for code, level in rows.items())


def _path(layer: Layer, key: str, value: Any) -> str:
    path = os.path.normpath(os.path.join(layer.folder, string(layer, key, value)))
    if not is_inside(path, layer.folder):
        raise ConfigError(layer.source, key, "leads out of the project")
    return path


def _bool(layer: Layer, key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ConfigError(layer.source, key, f"must be true or false, not {value!r}")
    return value


def _doors(layer: Layer, key: str, value: Any) -> Any:
    from llmguard.config.rows import doors

    return doors(layer, value)


def _prices(layer: Layer, key: str, value: Any) -> Any:
    from llmguard.config.prices import prices

    return prices(layer, value)


def _providers(layer: Layer, key: str, value: Any) -> Any:
    from llmguard.config.rows import providers

    return providers(layer, value)


_CHECKS: dict[str, Any] = {
    "strings": strings,
    "globs": _globs,
    "ignores": _ignores,
    "severity": _severity,
    "path": _path,
    "bool": _bool,
    "dotted": dotted,
    "doors": _doors,
    "prices": _prices,
    "providers": _providers,
    **{
        kind: (lambda layer, key, value, known=known: choice(layer, key, value, known))
        for kind, known in CHOICES.items()
    },
}
