"""`llmguard db`: the schema of the ledger's database."""

from __future__ import annotations

from typing import Annotated

import typer

from llmguard.cli.usage import asked
from llmguard.printable import printable

app = typer.Typer(
    help="The schema of the ledger's database.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def upgrade(
    revision: Annotated[str, typer.Argument(help="To which revision.")] = "head",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the SQL, and run nothing.")] = False,
    database_url: asked.Database = "",
) -> None:
    """Bring the database to a revision. Of several at once, one does it and the others wait.

    Tables that an older tracker has left (groq_usage_logs, its successor llm_usage_logs, or those of a schema
    migration) are set aside and taken over, and views stand in their places; whatever breaks off goes on at the next
    upgrade.

    Exit code: 0, 2 it cannot be done; the database keeps its revision, and may be upgraded again.
    """
    from llmguard.usage.store.engine import connect, shown
    from llmguard.usage.store.schema import current, planned
    from llmguard.usage.store.schema import upgrade as bring_to

    given = asked.settings(database_url)
    with asked.answering(given):
        engine = connect(given.database_url, given.schema)
        try:
            if dry_run:
                for statement in planned(engine, given.schema):
                    typer.echo(statement if statement.startswith("--") else f"{statement};")
                return
            adopted = bring_to(engine, given.schema, revision)
            for place, lies_in, rows in adopted.tables:
                typer.echo(printable(f"{place}: {rows:,} calls taken over; the table itself is {lies_in} now."))
            for note in adopted.notes:
                typer.echo(printable(f"Note: {note}."))
            with engine.connect() as connection:
                typer.echo(f"{shown(given.database_url)} is at revision {current(connection)}.")
        finally:
            engine.dispose()


@app.command()
def downgrade(
    revision: Annotated[str, typer.Argument(help='To which revision; "base" is before the first.')],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    without_new_calls: Annotated[
        bool, typer.Option("--without-new-calls", help="Give up calls that fit no older table.")
    ] = False,
    database_url: asked.Database = "",
) -> None:
    """Take the database back to a revision. What the later ones have added is gone then.

    At base there is no ledger any more. Where it took over an older tracker's tables, these are put back as they were,
    with the calls that came since.

    Exit code: 0, 1 you said no, 2 it cannot be done; the database is as it was then.
    """
    from llmguard.usage.store.engine import connect, shown
    from llmguard.usage.store.schema import downgrade as take_back

    given = asked.settings(database_url)
    where = shown(given.database_url)
    if not yes and not typer.confirm(f"Take {where} back to {revision}?"):
        raise typer.Exit(1)
    with asked.answering(given):
        engine = connect(given.database_url, given.schema)
        try:
            put = take_back(engine, given.schema, revision, without_new=without_new_calls)
        finally:
            engine.dispose()
    if put:
        typer.echo(f"{put:,} calls that came since went into the older tables.")
    typer.echo(f"{where} is back at {revision}.")


@app.command()
def current(database_url: asked.Database = "") -> None:
    """Print the revision of the database.

    Exit code: 0 it is the newest, 1 it is not, 2 the database cannot be used.
    """
    from llmguard.usage.store.engine import connect
    from llmguard.usage.store.schema import HEAD
    from llmguard.usage.store.schema import current as revision_of

    given = asked.settings(database_url)
    with asked.answering(given):
        engine = connect(given.database_url, given.schema)
        try:
            with engine.connect() as connection:
                found = revision_of(connection)
        finally:
            engine.dispose()
    newest = "the newest" if found == HEAD else f"the newest is {HEAD}: llmguard db upgrade"
    typer.echo(f"{printable(str(found or 'no tables'))} ({newest})")
    if found != HEAD:
        raise typer.Exit(1)


@app.command()
def history() -> None:
    """List all revisions, the newest first."""
    from llmguard.usage.store.schema import descriptions

    for revision, text in reversed(descriptions()):
        typer.echo(f"{revision}  {text}")


@app.command()
def sql(
    revision: Annotated[str, typer.Argument(help="To which revision.")] = "head",
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Where to; - for stdout.")] = "-",
) -> None:
    """Print a script that makes the tables in PostgreSQL, for those who run it by hand.

    It may be run again, and upgrades what an earlier one has made. No database is opened.

    Exit code: 0, 2 wrong usage, or a file that cannot be written.
    """
    from llmguard.cli.usage.files import written_whole

    given = asked.settings()
    with asked.answering(given):
        from llmguard.usage.store.script import script

        text = script(given.schema, revision)
    with written_whole(output) as out:
        out.write(text)
