"""Configuration files: read, laid over what they extend, and made into settings."""

from __future__ import annotations

import os
import sys
from typing import Any, NamedTuple

from llmguard.config.place import is_inside
from llmguard.config.settings import Settings
from llmguard.errors import ConfigError

LARGEST = 500_000  # bytes of a configuration file
_MOST_DOTS = 2_000  # in lines of many, together as their squares: a quarter of a second
_TOO_DEEP = "is nested too deeply to be a configuration"


class Layer(NamedTuple):
    """One file of those that make up a configuration: its table, its path, the folder that its paths start from, and
    whether it is a part of an installed package."""

    table: dict[str, Any]
    source: str
    folder: str
    packaged: bool = False


def settings_of(path: str, root: str = "") -> Settings:
    """The settings that a configuration file and those that it extends say together.

    Args:
        path: of the file.
        root: folder that it holds for and that its paths start from; the file's own when "".

    Raises:
        ConfigError: one of them cannot be read or says something that cannot be used.
    """
    from llmguard.config.keys import checked, merged

    values: dict[str, Any] = {}
    home = "" if root else os.path.dirname(os.path.abspath(path))
    for layer in layers(path, root):
        for key, value in layer.table.items():
            try:
                field, usable = checked(layer, str(key), value)
            except ConfigError as error:
                raise _opaque(error, layer, home) from None
            if field:
                values[field] = merged(field, values.get(field), usable)
    return Settings(root=root or os.path.dirname(os.path.abspath(path)), source=path, **values)


def layers(path: str, root: str = "") -> list[Layer]:
    """A configuration file after those that it extends, each once: the first is the farthest base.

    The paths in a base start from its own folder where that lies above, else from the folder of what extends it.

    Raises:
        ConfigError: a file is missing, has no table, or extends itself.
    """
    folder = root or os.path.dirname(os.path.abspath(path))
    found: list[Layer] = []
    _collect(Layer({}, path, folder), (), found, "" if root else folder)
    return found


def _collect(layer: Layer, above: tuple[str, ...], found: list[Layer], home: str) -> None:
    """Take a file in, behind those that it extends. `home`: folder of the project that must not show foreign files."""
    _, path, folder, _ = layer
    try:
        table = read_table(path)
        if table is None:
            raise ConfigError(path, "", "has no [tool.llmguard] table")
    except ConfigError as error:
        raise _opaque(error, layer, home) from None
    real = os.path.realpath(path)
    bases = table.get("extend", [])
    for base in [bases] if isinstance(bases, str) else bases if isinstance(bases, list) else [None]:
        if not isinstance(base, str):
            raise ConfigError(path, "extend", "must be a path, package:path, or a list of these")
        target, packaged = _located(path, base)
        if os.path.realpath(target) in (*above, real):
            raise ConfigError(path, "extend", f"{base!r} leads back to this file")
        # Paths in a package's policy mean those of the project that follows it.
        own = os.path.dirname(target)
        above_us = not packaged and f"{folder}{os.sep}".startswith(own.rstrip(os.sep) + os.sep)
        if all(os.path.realpath(target) != os.path.realpath(layer.source) for layer in found):
            base_layer = Layer({}, target, own if above_us else folder, packaged)
            _collect(base_layer, (*above, real), found, home)
    found.append(layer._replace(table=table))


def _opaque(error: ConfigError, layer: Layer, home: str) -> ConfigError:
    """An error in a configuration. Of a file that lies outside of the project nothing is shown: a repository may
    extend any file of the machine, or link to it. What the user named (there is no `home`) is shown."""
    if not home or layer.packaged or is_inside(layer.source, home):
        return error
    return ConfigError(layer.source, "", "lies outside of the project, and is no configuration that can be used")


def _located(source: str, base: str) -> tuple[str, bool]:
    """(path, whether it lies in an installed package) of a file to extend: `../base.yaml`, `acme_policy:llmguard.yaml`.

    A single letter before the colon is a drive, not a package.
    """
    package, colon, inside = base.partition(":")
    if not colon or len(package) == 1 or not all(part.isidentifier() for part in package.split(".")):
        target = os.path.normpath(os.path.join(os.path.dirname(os.path.abspath(source)), base))
        if not os.path.isfile(target):
            raise ConfigError(source, "extend", f"no such file: {base}")
        return target, False
    from importlib.util import find_spec

    top, *deeper = package.split(".")
    try:
        spec = find_spec(top)  # of the top only: a deeper one would be imported
    except (ImportError, ValueError):
        spec = None
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        raise ConfigError(
            source,
            "extend",
            f"no package {package!r} is installed beside llmguard (a hook needs it in additional_dependencies)",
        )
    for place in places:
        target = os.path.join(place, *deeper, *inside.split("/"))
        if os.path.isfile(target):
            return target, True
    raise ConfigError(source, "extend", f"package {package!r} has no file {inside!r}")


def read_table(path: str) -> dict[str, Any] | None:
    """The table of a configuration file; None when a pyproject.toml has none.

    Raises:
        ConfigError: it cannot be read, or is no valid TOML or YAML.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise ConfigError(path, "", f"cannot be read: {error.strerror}") from None
    if len(data) > LARGEST:
        raise ConfigError(path, "", "is too large for a configuration")
    if path.endswith((".yaml", ".yml")):
        return _read_yaml(path, data)
    return _read_toml(path, data)


def _read_toml(path: str, data: bytes) -> dict[str, Any] | None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    # Python's TOML parsers take the square of a dotted key's parts.
    if sum(dots * dots for line in data.splitlines() if (dots := line.count(b".")) > 100) > _MOST_DOTS**2:
        raise ConfigError(path, "", _TOO_DEEP)
    try:
        document: dict[str, Any] = tomllib.loads(data.decode("utf-8-sig"))
    except RecursionError:
        raise ConfigError(path, "", _TOO_DEEP) from None
    except ValueError as error:  # TOMLDecodeError, UnicodeDecodeError; dates and numbers that Python does not have
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
    except RecursionError:
        raise ConfigError(path, "", _TOO_DEEP) from None
    except Exception as error:  # noqa: BLE001  (of odd tags and dates PyYAML raises whatever its code comes across)
        raise ConfigError(path, "", f"is no valid YAML: {' '.join(str(error).split())}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ConfigError(path, "", "must be a mapping of keys to values")
    return document
