"""`llmguard usage reprice|prune|erase`: what changes rows that are there."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

import typer

from llmguard.cli.usage import asked
from llmguard.printable import printable

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


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
    from llmguard.usage.store.reprice import reprice as price_anew

    period = asked.period(since, until, timezone.utc)
    with asked.ledger(database_url) as engine:
        asked.know_prices(engine, database_url, strict=every)
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


def prune(
    before: Annotated[
        str, typer.Option("--before", metavar="TIME", help="Delete calls of before: 90d, 2026-01, 2026-01-01.")
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say how many, and delete nothing.")] = False,
    yes: Yes = False,
    database_url: asked.Database = "",
) -> None:
    """Delete old calls, in pieces; their sums stay: summaries by day, user, model or call site go back as far as ever.

    Exit code: 0, 1 you said no, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.errors import UsageError
    from llmguard.usage.store.upkeep import prune as delete_before

    moment = asked.period(before, "", timezone.utc).since
    if moment is None:
        raise UsageError("--before: say which calls are old, such as 90d")
    with asked.ledger(database_url) as engine:
        number = delete_before(engine, moment, dry_run=True)
        whole = (
            min(moment, datetime.now(timezone.utc)).astimezone(timezone.utc).replace(minute=0, second=0, microsecond=0)
        )
        when = whole.isoformat(" ", "minutes")
        if dry_run or not number:
            typer.echo(f"{number:,} calls are from before {when}.")
            return
        if not yes and not typer.confirm(f"Delete {number:,} calls from before {when}?"):
            raise typer.Exit(1)
        typer.echo(f"{delete_before(engine, moment):,} calls deleted; their sums stay.")


def erase(
    user: Annotated[str, typer.Argument(help="The user's id, as the ledger has it.")],
    anonymise: Annotated[
        bool, typer.Option("--anonymise", help="Keep what was spent, under a name that says nothing.")
    ] = False,
    yes: Yes = False,
    database_url: asked.Database = "",
) -> None:
    """Delete all that the ledger holds of a user: calls, sums, limits. Run `llmguard usage flush` before.

    With --anonymise, calls and sums stay under another name, without name, address, metadata, texts of errors and
    contents.

    Exit code: 0, 1 there is nothing, or you said no, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.errors import UsageError
    from llmguard.usage.store import upkeep

    if not asked.filters(user=user):
        raise UsageError("whose? the user's id is empty")
    with asked.ledger(database_url) as engine:
        found = upkeep.found_of(engine, user)
        what = f"{found.calls:,} calls, {found.sums:,} sums, {found.limits:,} limits of {user}"
        if not any(found):
            typer.echo(printable(f"The ledger holds nothing of {user}."), err=True)
            raise typer.Exit(1)
        how = "Anonymise" if anonymise else "Delete"
        if not yes and not typer.confirm(printable(f"{how} {what}?")):
            raise typer.Exit(1)
        if anonymise:
            name, done = upkeep.anonymise(engine, user)
            typer.echo(f"{done.calls:,} calls and {done.sums:,} sums are those of {name} now.")
        else:
            done = upkeep.erase(engine, user)
            typer.echo(f"{done.calls:,} calls, {done.sums:,} sums, {done.limits:,} limits deleted.")
        if done.set_aside:
            typer.echo(f"{done.set_aside:,} rows of theirs in tables that were set aside are deleted, too.")
