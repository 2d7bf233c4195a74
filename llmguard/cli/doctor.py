"""`llmguard doctor`: whether all that calls need is there, and works."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from llmguard.cli.usage import asked
from llmguard.printable import printable

if TYPE_CHECKING:
    from llmguard.calls.doctor import Report
    from llmguard.usage.diagnosis import Finding


def doctor(
    generate: Annotated[
        bool, typer.Option("--generate", help="Ask each provider for an answer of one token, which is paid.")
    ] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody.")] = False,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds for each provider.")] = 10.0,
    output_format: Annotated[asked.Form, typer.Option("--output-format", help="How to print.")] = asked.Form.TABLE,
    database_url: asked.Database = "",
) -> None:
    """Say which providers are asked, with which model and key, whether they answer and how fast; where answers are
    kept; what is not installed; and where the ledger is, and what may be wrong with it.

    Providers are asked for their list of models, which costs nothing. No key is printed.

    Exit code: 0 all is well, 1 something needs a look (lines that begin with "!"), 2 wrong settings.
    """
    from llmguard.errors import LLMGuardError
    from llmguard.usage.diagnosis import examine as examine_ledger

    try:
        from llmguard.calls.doctor import examine, examine_cache, missing_packages
    except ModuleNotFoundError as error:
        from llmguard.config.source import how_to_install

        raise LLMGuardError(f"this needs {error.name}: {how_to_install('runtime')}") from None
    providers = examine(generate=generate, network=not offline, timeout=timeout)
    cache = examine_cache(network=not offline)
    ledger = list(examine_ledger(asked.settings(database_url)))
    missing = missing_packages()
    if output_format is asked.Form.JSON:
        document = {
            "version": 1,
            "providers": [each._asdict() for each in providers],
            "cache": cache._asdict(),
            "not_installed": missing,
            "ledger": [each._asdict() for each in ledger],
        }
        typer.echo(asked.as_json(document))
    elif output_format is asked.Form.CSV:
        import sys

        asked.write_csv(sys.stdout, type(providers[0])._fields, [each._asdict() for each in providers])
    else:
        _table(providers)
        milliseconds = "" if cache.milliseconds is None else f", answers in {cache.milliseconds:,} ms"
        where = f"{cache.where}: " if cache.where else ""
        typer.echo(printable(f"{'!' if cache.is_problem else ' '} cache  {where}{cache.answer}{milliseconds}"))
        for name, what in missing.items():
            typer.echo(f"  not installed: {name} ({what})")
        typer.echo("")
        lines(ledger)
    if cache.is_problem or any(each.is_problem for each in providers) or any(each.is_problem for each in ledger):
        raise typer.Exit(1)


def _table(reports: list[Report]) -> None:
    head = ("", "provider", "role", "model", "key", "ms", "breaker", "clients", "answer")
    rows = [
        (
            "!" if each.is_problem else " ",
            *(printable(text) for text in (each.provider, each.role, each.model or "-", each.key)),
            "-" if each.milliseconds is None else f"{each.milliseconds:,}",
            *(each.breaker, str(each.pool), printable(each.answer)),
        )
        for each in reports
    ]
    widths = [max(len(row[place]) for row in (head, *rows)) for place in range(len(head))]
    for row in (head, *rows):
        typer.echo("  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def lines(findings: list[Finding]) -> None:
    """Print what is found of the ledger, a line each."""
    width = max(len(finding.topic) for finding in findings)
    for finding in findings:
        typer.echo(f"{'!' if finding.is_problem else ' '} {finding.topic.ljust(width)}  {finding.text}")
