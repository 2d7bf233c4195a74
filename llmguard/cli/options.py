"""Options that several commands share, and the settings that they make."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from llmguard.config import Configuration

CONFIDENCES = ("proved", "likely", "possible")

Paths = Annotated[
    list[str] | None,
    typer.Argument(help="Files and folders; the working directory when none is given.", show_default=False),
]
Config = Annotated[
    str,
    typer.Option("--config", metavar="FILE", help="Read this pyproject.toml or llmguard.yaml instead of searching."),
]
Isolated = Annotated[bool, typer.Option("--isolated", help="Read no configuration file.")]
Select = Annotated[
    str,
    typer.Option("--select", metavar="CODES", help="Report only these codes, prefixes or names, comma-separated."),
]
Ignore = Annotated[str, typer.Option("--ignore", metavar="CODES", help="Do not report these.")]
MinConfidence = Annotated[
    str,
    typer.Option(
        "--min-confidence", metavar="|".join(CONFIDENCES), help="Least confidence to report [default: likely]."
    ),
]
BaselineFile = Annotated[
    str,
    typer.Option(
        "--baseline", metavar="FILE", help="Use this baseline instead of the configured one (llmguard-baseline.txt)."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print findings only: no summary, no progress.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would be written, write nothing.")]


def configuration(
    config: str = "",
    isolated: bool = False,
    select: str = "",
    ignore: str = "",
    min_confidence: str = "",
    baseline: str = "",
) -> Configuration:
    """The configuration of a run, with what the command line changes.

    Raises:
        UsageError: options that exclude each other, or name what there is not.
        ConfigError: the file named cannot be used.
    """
    from llmguard.config import Configuration
    from llmguard.errors import UsageError

    if config and isolated:
        raise UsageError("--config and --isolated exclude each other")
    changes: dict[str, Any] = {}
    for text, key in ((select, "select"), (ignore, "ignore")):
        if text:
            changes[key] = codes(text)
    if min_confidence:
        if min_confidence not in CONFIDENCES:
            raise UsageError(f"--min-confidence must be one of {', '.join(CONFIDENCES)}, not {min_confidence!r}")
        changes["min_confidence"] = min_confidence
    if baseline:
        changes["baseline"] = os.path.abspath(baseline)
    return Configuration(os.getcwd(), explicit=config, isolated=isolated, changes=changes)


def codes(text: str) -> tuple[str, ...]:
    """The codes, prefixes and names in a comma-separated text.

    Raises:
        UsageError: one of them is no rule's.
    """
    from llmguard.check.rules import unknown_code
    from llmguard.errors import UsageError

    names = tuple(part.strip() for part in text.split(",") if part.strip())
    unknown = unknown_code(names)
    if unknown:
        raise UsageError(f"no rule is called {unknown!r} or begins with it; see llmguard rules")
    return names
