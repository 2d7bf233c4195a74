"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from llmguard import __version__
from llmguard.cli import baseline, config, db, keys, limits, prices, usage
from llmguard.cli.check import check
from llmguard.cli.coverage import coverage
from llmguard.cli.doctor import doctor
from llmguard.cli.init import init
from llmguard.cli.migrate import migrate
from llmguard.cli.rules import explain, rules
from llmguard.cli.serve import serve
from llmguard.cli.suppress import suppress

app = typer.Typer(
    name="llmguard",
    help="Finds every direct language-model call in Python code, and says what to call instead.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(check)
app.command()(init)
app.command()(doctor)
app.command()(coverage)
app.command()(migrate)
app.add_typer(baseline.app, name="baseline")
app.command()(suppress)
app.add_typer(config.app, name="config")
app.add_typer(usage.app, name="usage")
app.add_typer(limits.app, name="limits")
app.add_typer(prices.app, name="prices")
app.add_typer(db.app, name="db")
app.add_typer(keys.app, name="keys")
app.command()(serve)
app.command()(explain)
app.command()(rules)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"llmguard {__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Finds every direct language-model call in Python code, and says what to call instead."""
