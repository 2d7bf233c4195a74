"""`llmguard usage reprice`: what changes rows that are there."""

from __future__ import annotations

from datetime import timezone
from typing import Annotated

import typer

from llmguard.cli.usage import asked


def reprice(
    since: asked.Since = "",
    until: asked.Until = "",
    every: Annotated[
        bool, typer.Option("--all", help="Those that have a price already, too; costs that were given stay.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would change, and write nothing.")] = False,
    database_url: asked.Database = "",
) -> None:
    """Price calls by what is known of prices now, each by the prices of its own time: those without a price, or all.

    What a call cost before is kept in llm_usage_repricings. Blocks of several requests stay as they are: each of these
    had a price of its own.

    Exit code: 0, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.usage.prices.known import refresh
    from llmguard.usage.store.reprice import reprice as price_anew

    period = asked.period(since, until, timezone.utc)
    with asked.ledger(database_url) as engine:
        refresh(asked.settings(database_url), engine)
        done = price_anew(engine, period, every=every, dry_run=dry_run)
    would = "would cost" if dry_run else "cost"
    typer.echo(
        f"{done.calls:,} calls looked at; {done.changed:,} {would} {asked.money(done.after)} "
        f"instead of {asked.money(done.before)}."
    )
    if done.unknown:
        typer.echo(f"The price of {done.unknown:,} is not known: llmguard usage doctor names their models.")
    if done.left:
        typer.echo(f"{done.left:,} blocks of several requests stay as they are.")
