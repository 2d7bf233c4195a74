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
    database_url: asked.Database = "",
) -> None:
    """Bring the database to a revision. Of several at once, one does it and the others wait.

    Exit code: 0, 2 it cannot be done; the database keeps its revision, and may be upgraded again.
    """
    from llmguard.usage.store.engine import connect, shown
    from llmguard.usage.store.schema import current
    from llmguard.usage.store.schema import upgrade as bring_to

    given = asked.settings(database_url)
    with asked.answering(given):
        engine = connect(given.database_url, given.schema)
        try:
            bring_to(engine, given.schema, revision)
            with engine.connect() as connection:
                typer.echo(f"{shown(given.database_url)} is at revision {current(connection)}.")
        finally:
            engine.dispose()


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
    database_url: asked.Database = "",
) -> None:
    """Print the SQL of an upgrade from nothing, for those who run it by hand. The database is not opened.

    Exit code: 0, 2 wrong usage.
    """
    from llmguard.usage.store.schema import statements

    given = asked.settings(database_url)
    with asked.answering(given):
        typer.echo(statements(given.database_url, given.schema, revision), nl=False)
