"""Settings, from `[tool.llmguard]` in pyproject.toml or from llmguard.yaml, whichever is nearest.

Only what is there is read, and only when it is there: a TOML parser costs a hook more than its check.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

from llmguard.doors import DEFAULT_WRAPPER
from llmguard.errors import ConfigError

#: Folders that nobody means: environments, caches, vendored trees.
DEFAULT_EXCLUDE = (
    *(".git/", ".hg/", ".svn/", ".tox/", ".nox/", ".venv/", "venv/", ".eggs/", "*.egg-info/"),
    *("__pycache__/", ".mypy_cache/", ".pytest_cache/", ".ruff_cache/", ".ipynb_checkpoints/"),
    *("node_modules/", "site-packages/", "_vendor/", "__pypackages__/"),
)
YAML_NAMES = ("llmguard.yaml", "llmguard.yml", ".llmguard.yaml")
CONFIDENCES = ("proved", "likely", "possible")
CALLBACKS = ("auto", "installed", "absent")


class Settings(NamedTuple):
    """What a run goes by. The names in a configuration file have dashes for underscores.

    Attributes:
        exclude: path globs, relative to `root`; they win over names on the command line.
        skip_modules: dotted module names (globs) whose calls are left alone.
        skip_names: functions or classes (globs; `Class.method` too) whose calls are left alone.
        select: codes, prefixes or slugs to report; empty means all.
        ignore: codes, prefixes or slugs not to report.
        min_confidence: least confidence to report: proved, likely or possible.
        wrapper: what findings tell people to call: a dotted name.
        litellm_callback: whether the project installs the LiteLLM callback: auto (look for it), installed, absent.
        root: absolute folder that paths in a configuration are relative to, and that imports are followed in.
        source: the configuration file that was read, "" for none.
    """

    exclude: tuple[str, ...] = ()
    skip_modules: tuple[str, ...] = ()
    skip_names: tuple[str, ...] = ()
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    min_confidence: str = "likely"
    wrapper: str = DEFAULT_WRAPPER
    litellm_callback: str = "auto"
    root: str = ""
    source: str = ""


KEYS = tuple(name.replace("_", "-") for name in Settings._fields if name not in ("root", "source"))
_CHOICES = {"min-confidence": CONFIDENCES, "litellm-callback": CALLBACKS}


def find_settings(start: str, *, explicit: str = "", isolated: bool = False) -> Settings:
    """The settings for a run that starts in the folder `start`.

    Args:
        start: folder where the search begins; it goes up to the repository's top or the file system's.
        explicit: a configuration file to read instead of searching.
        isolated: read none at all.

    Raises:
        ConfigError: the file cannot be read or says something that cannot be used.
    """
    start = os.path.abspath(start)
    if explicit:
        if not os.path.isfile(explicit):
            raise ConfigError(explicit, "", "no such configuration file")
        table = _read(os.path.abspath(explicit))
        if table is None:
            raise ConfigError(explicit, "", "has no [tool.llmguard] table")
        return _settings(table, explicit, os.path.dirname(os.path.abspath(explicit)))
    folder, top = start, ""
    while True:
        if not isolated:
            for name in (*YAML_NAMES, "pyproject.toml"):
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    table = _read(path)
                    if table is not None:
                        return _settings(table, path, folder)
        if not top and os.path.exists(os.path.join(folder, ".git")):
            top = folder
        parent = os.path.dirname(folder)
        if top or parent == folder:
            return Settings(root=top or start)
        folder = parent


def _read(path: str) -> dict[str, Any] | None:
    """The table of a configuration file; None when a pyproject.toml has none."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise ConfigError(path, "", f"cannot be read: {error.strerror}") from None
    if path.endswith((".yaml", ".yml")):
        return _read_yaml(path, data)
    if b"llmguard" not in data:
        return None
    return _read_toml(path, data)


def _read_toml(path: str, data: bytes) -> dict[str, Any] | None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        document: dict[str, Any] = tomllib.loads(data.decode("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path, "", f"is no valid TOML: {error}") from None
    tool = document.get("tool", {})
    if os.path.basename(path) != "pyproject.toml" and "tool" not in document:
        return document
    table = tool.get("llmguard") if isinstance(tool, dict) else None
    if table is None:
        return None
    if isinstance(table, dict):
        return dict(table)
    raise ConfigError(path, "tool.llmguard", "must be a table")


def _read_yaml(path: str, data: bytes) -> dict[str, Any]:
    import yaml

    try:
        document = yaml.safe_load(data)
    except yaml.YAMLError as error:
        raise ConfigError(path, "", f"is no valid YAML: {' '.join(str(error).split())}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(path, "", "must be a mapping of keys to values")
    return document


def _settings(table: dict[str, Any], source: str, root: str) -> Settings:
    values: dict[str, Any] = {}
    for key, value in table.items():
        if key not in KEYS:
            import difflib

            near = difflib.get_close_matches(str(key), KEYS, n=1)
            known = f"did you mean {near[0]}?" if near else f"known keys are {', '.join(KEYS)}"
            raise ConfigError(source, str(key), f"unknown key; {known}")
        values[key.replace("-", "_")] = _checked(source, key, value)
    return Settings(root=root, source=source, **values)


def _checked(source: str, key: str, value: Any) -> Any:
    if key in ("wrapper", *_CHOICES):
        if not isinstance(value, str):
            raise ConfigError(source, key, f"must be a string, not {type(value).__name__}")
        if key == "wrapper" and not all(part.isidentifier() for part in value.removesuffix("()").split(".")):
            raise ConfigError(source, key, f"must be a dotted name, not {value!r}")
        if key in _CHOICES and value not in _CHOICES[key]:
            raise ConfigError(source, key, f"must be one of {', '.join(_CHOICES[key])}, not {value!r}")
        return value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ConfigError(source, key, "must be a list of strings")
    return tuple(value)
