"""`llmguard keys`: who may ask the usage API."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from llmguard.cli.usage import asked
from llmguard.printable import printable

app = typer.Typer(
    help="Keys of the usage API, each of a user.",
    no_args_is_help=True,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def create(
    user: Annotated[str, typer.Argument(help="Whose calls it shows: the user_id of their rows.")],
    admin: Annotated[bool, typer.Option("--admin", help="It shows the calls of all.")] = False,
    name: Annotated[str, typer.Option("--name", help="What it is for.")] = "",
    days: Annotated[int, typer.Option("--days", min=0, help="After how many days it ends; 0 for never.")] = 0,
    database_url: asked.Database = "",
) -> None:
    """Make a key, and print it: only a digest is kept, so that this is the only time that it is seen.

    Exit code: 0, 2 it cannot be made.
    """
    from datetime import datetime, timedelta, timezone

    from llmguard.errors import UsageError
    from llmguard.usage.store.api_keys import create_key

    asked.filters(user=user, name=name)
    if not user.strip():
        raise UsageError("USER is empty: name the user_id whose calls the key shows")
    expires = None
    if days:
        try:
            expires = datetime.now(timezone.utc) + timedelta(days=days)
        except OverflowError:
            raise UsageError(f"--days: there is no day in {days} days") from None
    with asked.ledger(database_url) as engine:
        key = create_key(engine, user, name=name, is_admin=admin, expires_at=expires)
    typer.echo(key)
    whose = "of all" if admin else f"of {printable(user)}"
    typer.echo(f"It shows the calls {whose}. Keep it now: it cannot be shown again.", err=True)


@app.command("list")
def list_(
    output_format: Annotated[asked.Form, typer.Option("--output-format", help="How to print.")] = asked.Form.TABLE,
    database_url: asked.Database = "",
) -> None:
    """Show the keys: whose, since when, until when; not what they are.

    Exit code: 0, 2 a ledger that cannot be used.
    """
    from llmguard.usage.store.api_keys import keys

    with asked.ledger(database_url) as engine:
        rows = keys(engine)
    columns = ("id", "user_id", "name", "is_admin", "created_at", "expires_at", "revoked_at")
    if output_format is asked.Form.JSON:
        typer.echo(asked.as_json({"version": 1, "keys": rows}))
    elif output_format is asked.Form.CSV:
        asked.write_csv(sys.stdout, columns, rows)
    else:
        cells = [[_text(row[name]) for name in columns] for row in rows]
        widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
        for line in (columns, *cells):
            typer.echo("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def _text(value: object) -> str:
    if value is None or value is False:
        return "-"
    return printable(value.strftime("%Y-%m-%d %H:%M") if hasattr(value, "strftime") else str(value))


@app.command()
def revoke(
    identity: Annotated[str, typer.Argument(metavar="ID", help="Of the key, as `llmguard keys list` shows it.")],
    database_url: asked.Database = "",
) -> None:
    """Let a key end now.

    Exit code: 0, 1 there is no such key, or it has ended, 2 a ledger that cannot be used.
    """
    from llmguard.usage.store.api_keys import revoke_key

    asked.filters(id=identity)
    with asked.ledger(database_url) as engine:
        done = revoke_key(engine, identity)
    if not done:
        typer.echo(f"There is no key {printable(identity)} that has not ended.", err=True)
        raise typer.Exit(1)
    typer.echo(f"The key {printable(identity)} has ended.")
