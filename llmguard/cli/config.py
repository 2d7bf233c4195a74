"""`llmguard config show|check|schema`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmguard.cli import options
from llmguard.printable import json_text, printable

if TYPE_CHECKING:
    from llmguard.config import Configuration, Settings

app = typer.Typer(
    help="Show and check the configuration.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def show(
    path: Annotated[str, typer.Argument(help="A file or folder: what holds there.")] = ".",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    config: options.Config = "",
    isolated: options.Isolated = False,
) -> None:
    """Print the settings that hold for a file or folder, and the file that each comes from.

    Exit code: 0, 2 the configuration cannot be used.
    """
    configuration = options.configuration(config, isolated)
    settings = configuration.for_folder(path) if os.path.isdir(path) else configuration.for_file(path)
    given = _origins(settings)
    rows = {name: _plain(getattr(settings, name.replace("-", "_"))) for name in _names(settings)}
    for name in ("per-file-ignores", "severity"):
        rows[name] = rows[name] or {}
    if as_json:
        document = {
            "version": 1,
            "root": settings.root,
            "source": settings.source,
            "settings": rows,
            "origins": given,
        }
        print(json_text(json.loads(json.dumps(document, default=str))))
        return
    print(f"# root: {printable(settings.root)}")
    print(f"# configuration: {printable(settings.source) or 'none; these are the defaults'}")
    for name, value in rows.items():
        where = f"  # {printable(given[name])}" if name in given else ""
        print(f"{name} = {json_text(json.loads(json.dumps(value, default=str)), None)}{where}")


@app.command()
def check(config: options.Config = "") -> None:
    """Check every configuration of the project: keys, values, codes, what they extend, their baselines.

    Exit code: 0 all can be used (or there is none), 2 one cannot.
    """
    from llmguard.check.baseline import Baseline, baseline_path
    from llmguard.check.discover import shown_path
    from llmguard.check.report.summary import count
    from llmguard.check.run import check_codes
    from llmguard.config.files import settings_of
    from llmguard.errors import ConfigError

    configuration = options.configuration()
    found = [os.path.abspath(config)] if config else _found(configuration)
    problems = 0
    for path in found or [""]:
        try:
            settings = settings_of(path) if path else configuration.for_folder(os.getcwd())
            check_codes(settings)
            baseline = baseline_path(settings)
            entries = len(Baseline.load(baseline).entries) if os.path.isfile(baseline) else None
        except ConfigError as error:
            problems += 1
            print(error)
            continue
        known = "no baseline" if entries is None else f"baseline of {count(entries, 'entry')}"
        if path:
            print(f"{shown_path(path)}: {count(_own_keys(path), 'key')}, {known}, can be used.")
        else:
            print(f"There is no configuration ({known}); the defaults hold. llmguard init writes one.")
    raise typer.Exit(2 if problems else 0)


@app.command()
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from llmguard.config.json_schema import schema as of_configuration

    print(json.dumps(of_configuration(), indent=2))


def _found(configuration: Configuration) -> list[str]:
    """The configuration files of the project: that of this folder, and those below it."""
    from llmguard.check.discover import below
    from llmguard.config.folders import YAML_NAMES, file_in
    from llmguard.errors import ConfigError

    found: dict[str, None] = {}
    nearest = _usable(configuration)
    if nearest:
        found[nearest] = None
    for path in below("."):
        services = path.startswith((f".github{os.sep}", f".gitlab{os.sep}"))  # a workflow may have our name
        if os.path.basename(path) in (*YAML_NAMES, "pyproject.toml") and not services:
            folder = os.path.dirname(os.path.abspath(path))
            try:
                name = file_in(folder)
            except ConfigError:
                name = os.path.abspath(path)
            if name:
                found[name] = None
    return sorted(found, key=lambda path: (path.count(os.sep), path))


def _usable(configuration: Configuration) -> str:
    from llmguard.errors import ConfigError

    try:
        return configuration.for_folder(os.getcwd()).source
    except ConfigError as error:
        return os.path.abspath(error.source)


def _names(settings: Settings) -> list[str]:
    return [name.replace("_", "-") for name in settings._fields if name not in ("root", "source")]


def _origins(settings: Settings) -> dict[str, str]:
    """Key -> the file that said it last."""
    from llmguard.check.discover import shown_path
    from llmguard.config.files import layers

    if not settings.source:
        return {}
    return {str(key): shown_path(layer.source) for layer in layers(settings.source) for key in layer.table}


def _own_keys(path: str) -> int:
    from llmguard.config.files import read_table

    return len(read_table(path) or {})


def _plain(value: Any) -> Any:
    """A field as JSON: globs as they were written, rows as objects, pairs as a table."""
    from llmguard.config import Glob

    if isinstance(value, Glob):
        return value.pattern
    if hasattr(value, "_asdict"):
        shown = {key: _plain(inner) for key, inner in value._asdict().items() if inner}
        return {key: inner for key, inner in shown.items() if inner != []}
    if (
        isinstance(value, tuple)
        and value
        and all(isinstance(i, tuple) and len(i) == 2 and not hasattr(i, "_asdict") for i in value)
    ):
        return {_plain(key): _plain(inner) for key, inner in value}
    if isinstance(value, (tuple, frozenset)):
        return [_plain(item) for item in value]
    if hasattr(value, "items"):
        return {str(key): _plain(inner) for key, inner in value.items()}
    return value
