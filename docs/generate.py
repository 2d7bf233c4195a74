"""Writes the generated parts of docs/ from the code: the reference pages, the outputs in the guides, the pictures.

    python docs/generate.py            # write
    python docs/generate.py --check    # exit with 1 and name the files that are not up to date

Guides are Markdown with ```console blocks: lines that begin with `$ ` (continued by `> `) are run by a shell, one
after the other in a copy of the example project, and what they print stands below them. `[exit N]` follows a command
that ends with N other than 0.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(ROOT))

EXAMPLE = ROOT / "fixtures" / "projects" / "support_bot"
SERVICES = ("azure_openai", "openai", "groq", "anthropic")
GUIDES = ("tutorial.md", "ci.md", "ledger.md")
HEAD = "<!-- Written by docs/generate.py; change the code, not this file. -->\n\n"


def main(arguments: list[str]) -> int:
    """Write the files, or say which differ."""
    stale = []
    for path, text in generated():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        stale.append(path)
        if "--check" not in arguments:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for path in stale:
        print(f"{path.relative_to(ROOT)}: {'not up to date' if '--check' in arguments else 'written'}")
    return 1 if stale and "--check" in arguments else 0


def generated() -> Iterator[tuple[Path, str]]:
    """(path, text) of every file that is generated in whole or in part."""
    from llmguard.config.json_schema import schema

    yield DOCS / "rules.md", rules_page()
    yield DOCS / "providers.md", providers_page()
    yield DOCS / "configuration.md", configuration_page()
    yield DOCS / "cli.md", cli_page()
    yield DOCS / "llmguard.schema.json", json.dumps(schema(), indent=2) + "\n"
    yield DOCS / "services.md", services_page()
    for name in GUIDES:
        yield DOCS / name, guide(DOCS / name)
    yield from pictures()


# -- reference pages ---------------------------------------------------------------------------------------------------


def rules_page() -> str:
    from llmguard.check.rules import RULES, documentation

    ordered = sorted(RULES)
    parts = [
        HEAD,
        "# Rules\n\n",
        "`llmguard explain CODE` prints each of these.\n\n",
        "| code | name | severity | what |\n|---|---|---|---|\n",
    ]
    parts += [f"| [{r.code}](#{r.code.lower()}) | `{r.slug}` | {r.severity} | {r.summary} |\n" for r in ordered]
    for rule in ordered:
        parts.append(f"\n## {rule.code}\n\n`{rule.slug}` ({rule.severity})\n\n")
        for block in re.split(r"\n\n(?=[A-Z][a-z ]+:\n)", documentation(rule)):
            title, _, body = block.partition(":\n")
            if "\n" in title or not body:
                parts.append(f"{block}\n")
                continue
            text = re.sub(r"^    ", "", body, flags=re.MULTILINE)
            is_code = title in ("Example", "Instead") and not text.startswith(("(", "Run ", "Make ", "Remove "))
            parts.append(f"\n**{title}.** {text}\n" if not is_code else f"\n**{title}.**\n\n```text\n{text}\n```\n")
    return "".join(parts)


def providers_page() -> str:
    from llmguard.providers import PROVIDERS

    rows: dict[str, list[Any]] = {}
    for provider in PROVIDERS:
        rows.setdefault(provider.name, []).append(provider)
    parts = [
        HEAD,
        "# Providers\n\n",
        "Who is recognised: by an SDK, by the host of a `base_url`, by the URL of a request.\n",
    ]
    parts.append("One row each in `llmguard/providers/`; `providers` in the configuration adds your own.\n\n")
    parts.append("| name | written | import roots | hosts |\n|---|---|---|---|\n")
    for name, group in sorted(rows.items()):
        modules = dict.fromkeys(m for p in group for m in p.modules)
        hosts = dict.fromkeys(h for p in group for h in p.hosts)
        cells = (" ".join(f"`{item}`" for item in items) for items in (modules, hosts))
        parts.append(f"| `{name}` | {group[0].title} | {' | '.join(cells)} |\n")
    return "".join(parts)


def configuration_page() -> str:
    from llmguard.config import Settings
    from llmguard.config.keys import CHOICES, TABLE
    from llmguard.config.rows import CLIENT_KEYS, DOOR_KEYS, FAMILIES, KNOWN_CALLS, PROVIDER_KEYS
    from llmguard.doors import DOOR_KINDS

    defaults = Settings()._asdict()
    parts = [HEAD, "# Configuration\n\n", CONFIGURATION_INTRODUCTION]
    for name, key in TABLE.items():
        default = defaults.get(name.replace("-", "_"))
        is_table = key.kind in ("ignores", "severity")
        shown = "{}" if is_table else json.dumps(default if not isinstance(default, tuple) else list(default))
        parts.append(f"\n### `{name}`\n\n{key.about}\n\n")
        if key.kind in CHOICES:
            parts.append(f"One of {', '.join(f'`{choice}`' for choice in CHOICES[key.kind])}. ")
        if name != "extend":
            parts.append(f"Default: `{shown}`\n\n")
        parts.append(f"```toml\n[tool.llmguard]\n{key.example}\n```\n")
    parts.append("\n## Doors\n\nKeys of a row of `doors`: " + ", ".join(f"`{k}`" for k in DOOR_KEYS) + ".\n")
    parts.append("Kinds: " + ", ".join(f"`{kind}`" for kind in DOOR_KINDS) + ".\n\n" + DOORS)
    parts.append("\n## Providers\n\nKeys of a row of `providers`: " + ", ".join(f"`{k}`" for k in PROVIDER_KEYS))
    parts.append("; of a row of `clients` in it: " + ", ".join(f"`{k}`" for k in CLIENT_KEYS) + ".\n")
    parts.append("Families: " + ", ".join(f"`{family}`" for family in FAMILIES) + ". Instead of a table of calls: ")
    parts.append(
        " or ".join(f'`"{name}"`' for name in KNOWN_CALLS) + ", the calls of that SDK's client.\n\n" + PROVIDERS_EXAMPLE
    )
    return "".join(parts)


def services_page() -> str:
    """The guide to the services, with the table of their environment variables."""
    from llmguard.calls.service_settings import VARIABLES, model_variable
    from llmguard.calls.transports import row_of

    lines = ["| variable | default | what |", "|---|---|---|"]
    lines += [f"| `{name}` | `{default}` | {text} |" for name, (default, text) in VARIABLES.items()]
    for row in map(row_of, SERVICES):
        prefix = row.name.upper()
        lines.append(f"| `{prefix}_ENABLED` | `true` | whether {row.title} may be asked |")
        lines += [f"| `{name}` | | its key: without one it is not asked |" for name in row.key_env]
        lines += [
            f"| `{name}` | {f'`{default}`' if default else ''} | `{option}` of its client |"
            for option, (name, default) in row.option_env.items()
        ]
        lines.append(f"| `{model_variable(row)}` | `{row.default_model}` | the model |")
    text = (DOCS / "services.md").read_text(encoding="utf-8")
    head, _, rest = text.partition("<!-- environment -->\n")
    return f"{head}<!-- environment -->\n" + "\n".join(lines) + "\n" + rest[rest.index("<!-- end -->") :]


CONFIGURATION_INTRODUCTION = """\
`[tool.llmguard]` in `pyproject.toml`, or the same keys at the top of `llmguard.yaml` (also `llmguard.yml` and
`.llmguard.yaml`). Two of them in one folder are an error.

- **Which one holds.** For each file the nearest one, from the file's folder up to the top of its repository. It holds
  alone: what a folder above says counts only when it is extended. `--config FILE` names one for everything,
  `--isolated` reads none, options on the command line hold everywhere.
- **Paths** are globs as in `.gitignore`, relative to the folder of the file: `tests/` is a folder of that name anywhere
  below (never `contests/`), a pattern with a slash inside is anchored, `**` crosses folders. In a file that is
  extended they start from its own folder where that lies above, else from the folder of the file that extends it.
- **Rules** are named by code (`LLG101`), prefix (`LLG1`) or name (`direct-completion`).
- Editors: `llmguard config schema` prints the JSON Schema, which is also
  [llmguard.schema.json](llmguard.schema.json). `llmguard config show PATH` says what holds for a file and where it
  comes from; `llmguard config check` looks at every configuration of the project.

A company's policy is a file in an installed package: `extend = "acme_policy:llmguard.yaml"`. The package is not
imported. In a pre-commit hook it belongs into `additional_dependencies`.

## Keys
"""
DOORS = """\
- `wrapper`: a function, class or module whose own calls are on the books. Calls of the function, or of the class's
  `methods`, count as tracked call sites. The function named by `wrapper` is one without being listed.
- `tracker`: a context manager or decorator; the calls inside are on the books.
- `client`: a function that gives tracked clients.

```toml
[[tool.llmguard.doors]]
name = "app.llm.Gateway"
methods = ["ask", "summarise"]

[[tool.llmguard.doors]]
name = "app.metrics.on_the_books"
kind = "tracker"
```
"""
PROVIDERS_EXAMPLE = """\
```toml
[[tool.llmguard.providers]]
name = "acme"
title = "Acme"
modules = ["acme_ai"]
hosts = ["llm.acme.example"]
functions = { "acme_ai.generate" = "text" }
endpoints = { "/v1/acme/generate" = "http" }
clients = [
    { names = ["Client", "AsyncClient"], calls = { "chat.ask" = "chat", "embed" = "embedding" } },
    { names = ["OpenAILike"], calls = "openai" },
]
```
"""


def cli_page() -> str:
    import typer

    from llmguard.cli.app import app

    command: Any = typer.main.get_command(app)
    parts = [HEAD, "# Command line\n", "\n| exit code | meaning |\n|---|---|\n"]
    parts += [f"| {code} | {meaning} |\n" for code, meaning in EXIT_CODES]
    parts.append(COMPLETION)
    for name, sub in _commands(command, "llmguard"):
        parts.append(f"\n## `{name}`\n\n{_prose(sub.help)}\n")
        rows = [_row(param) for param in sub.params if param.name != "help"]
        if rows:
            parts += ["\n| argument | what |\n|---|---|\n", *rows]
    parts.append(HOOK)
    return "".join(parts)


EXIT_CODES = (
    (0, "nothing to report, or `--exit-zero`"),
    (
        1,
        "findings; also: files not checked in full under `--fail-on-unchecked`, stale entries under `--fail-on-stale`, "
        "a share below `--fail-under`, calls that `suppress` could not suppress, what `--diff` would change",
    ),
    (2, "wrong usage, a broken configuration or baseline, or an internal error"),
    (3, 'nothing was checked; it never looks like "clean"'),
)
COMPLETION = """
Completion: `llmguard --install-completion` for the shell at hand, or put what `llmguard --show-completion bash` (`zsh`,
`fish`, `powershell`) prints where your shell looks for it.
"""
HOOK = """
## `llmguard-hook`

`llmguard-hook [--strict] [--config FILE] [FILES...]` is the entry of the pre-commit hooks: lean, since every commit
pays for it. It checks the files named, or the working directory, prints one line for each finding, and exits with 0
whatever happens; with `--strict`, with 1 for findings and 2 when the check could not be made. It reads a baseline and
never writes one.
"""


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix} {name}")
        else:
            yield f"{prefix} {name}", command


def _prose(text: str | None) -> str:
    return "\n\n".join(" ".join(block.split()) for block in (text or "").split("\n\n"))


def _row(param: Any) -> str:
    if param.param_type_name == "argument":
        shown = f"`{str(param.name).upper()}`"
    else:
        names = [*param.opts, *param.secondary_opts]
        choices = "|".join(one.value for one in type(param.default)) if isinstance(param.default, Enum) else "VALUE"
        value = "" if param.is_flag else f" {param.metavar or choices}"
        shown = ", ".join(f"`{name}{value}`" for name in names).replace("|", "\\|")
    return f"| {shown} | {' '.join((param.help or '').split())} |\n"


# -- guides ------------------------------------------------------------------------------------------------------------


def guide(path: Path) -> str:
    """A guide with the outputs of its commands, run in a fresh copy of the example project."""
    text = path.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as name:
        shell = Shell(Path(name), examples="examples/" in text)
        return re.sub(
            r"```console\n(.*?)```", lambda match: f"```console\n{shell.block(match[1])}```", text, flags=re.DOTALL
        )


class Shell:
    """Runs the commands of a guide in one folder, with one date and one author for every commit."""

    def __init__(self, folder: Path, *, examples: bool) -> None:
        self.project = folder / "support_bot"
        binaries = folder / "bin"
        binaries.mkdir()
        for name, code in (
            ("llmguard", "from llmguard.cli import main; main()"),
            ("llmguard-hook", "import sys; from llmguard.cli.hook import main; sys.exit(main())"),
        ):
            (binaries / name).write_text(f"#!/bin/sh\nexec '{sys.executable}' -c '{code}' \"$@\"\n")
            (binaries / name).chmod(0o755)
        (binaries / "python").write_text(f"#!/bin/sh\nexec '{sys.executable}' \"$@\"\n")
        (binaries / "python").chmod(0o755)
        shutil.copytree(EXAMPLE, self.project, ignore=shutil.ignore_patterns("__pycache__"))
        if examples:
            shutil.copytree(DOCS / "examples", self.project / "examples")
        self.environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "LLMGUARD"))},
            "PATH": f"{binaries}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "HOME": str(folder),
            "COLUMNS": "100",
            "NO_COLOR": "1",
            **{
                f"GIT_{who}_{what}": value
                for who in ("AUTHOR", "COMMITTER")
                for what, value in (("NAME", "you"), ("EMAIL", "you@example.com"), ("DATE", "2026-01-01T00:00:00Z"))
            },
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "init.defaultBranch",
            "GIT_CONFIG_VALUE_0": "main",
        }

    def block(self, text: str) -> str:
        """A console block with its outputs."""
        commands = re.findall(r"^\$ (.*(?:\n>.*)*)$", text, re.MULTILINE)
        return "".join(
            f"$ {command}\n{self._run(re.sub(r'^> ?', '', command, flags=re.MULTILINE))}" for command in commands
        )

    def _run(self, command: str) -> str:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        output = done.stdout.replace(str(self.project.parent), "~")
        output += "" if not output or output.endswith("\n") else "\n"
        return output + (f"[exit {done.returncode}]\n" if done.returncode else "")


# -- pictures ----------------------------------------------------------------------------------------------------------


def pictures() -> Iterator[tuple[Path, str]]:
    """Terminal pictures, as SVG, of real output."""
    from llmguard.check import check_paths
    from llmguard.check.report import lines_of_report
    from llmguard.check.report.summary import summary
    from llmguard.config import Settings

    before = os.getcwd()
    os.chdir(EXAMPLE)
    try:
        report = check_paths(["app"], Settings(root=str(EXAMPLE)))
        lines = [*lines_of_report("full", report, True), summary(report)]
    finally:
        os.chdir(before)
    yield DOCS / "images" / "check.svg", picture("llmguard check app", lines)


def picture(command: str, lines: list[str]) -> str:
    """A terminal with a command and its output."""
    from rich.console import Console
    from rich.text import Text

    console = Console(record=True, width=100, file=open(os.devnull, "w", encoding="utf-8"), force_terminal=True)  # noqa: SIM115
    console.print(Text.from_ansi(f"$ {command}\n" + "\n".join(lines)))
    svg = console.export_svg(title=command, unique_id="llmguard")
    console.file.close()
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
