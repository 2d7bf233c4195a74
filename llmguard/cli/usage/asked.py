"""What the usage commands share: the ledger, periods, filters, forms of output."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from decimal import Decimal
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from llmguard.usage.periods import period, zone_of
from llmguard.usage.written import as_json, cells, plain, write_csv

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from llmguard.usage.settings import UsageSettings
    from llmguard.usage.store.query import Period

__all__ = ["as_json", "cells", "period", "plain", "write_csv", "zone_of"]
Database = Annotated[
    str,
    typer.Option(
        "--database-url", metavar="URL", help="Of the ledger, instead of LLMGUARD_DATABASE_URL.", show_default=False
    ),
]
Since = Annotated[
    str,
    typer.Option(
        "--since",
        metavar="TIME",
        help="First day or time: 2026-11-01, 2026-11-01T12:00, 2026-11, today, yesterday, 7d, 24h, or all.",
    ),
]
Until = Annotated[str, typer.Option("--until", metavar="TIME", help="The time before which calls count.")]
Zone = Annotated[str, typer.Option("--time-zone", metavar="ZONE", help="Whose days and hours, such as Europe/Berlin.")]
User = Annotated[str, typer.Option("--user", help="Only calls of this user.")]
Service = Annotated[str, typer.Option("--service", help="Only calls of this service.")]
Feature = Annotated[str, typer.Option("--feature", help="Only calls of this feature.")]
Provider = Annotated[str, typer.Option("--provider", help="Only calls to this provider.")]
Model = Annotated[str, typer.Option("--model", help="Only calls of this model.")]
Tenant = Annotated[str, typer.Option("--tenant", help="Only calls of this tenant.")]
Environment = Annotated[str, typer.Option("--environment", help="Only calls of this environment.")]


class Form(str, Enum):
    """Output formats."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def settings(database_url: str = "") -> UsageSettings:
    """The settings of the environment, with another database where one is given.

    Raises:
        ConfigError: a variable holds what it cannot.
    """
    from llmguard.usage.settings import absolute, from_environment

    found = from_environment()
    return found._replace(database_url=absolute(database_url)) if database_url else found


@contextmanager
def ledger(database_url: str = "") -> Iterator[Engine]:
    """The ledger's database. What it refuses is one line.

    Raises:
        LLMGuardError: it cannot be used, or does not answer.
    """
    from llmguard.usage.store.ledger import Ledger

    given = settings(database_url)
    with answering(given):
        opened = Ledger.open(given)
        try:
            yield opened.engine
        finally:
            opened.close()


def price_problems(engine: Engine, database_url: str, *, strict: bool = False) -> list[str]:
    """Learn what is known of prices; what is wrong with it.

    Args:
        engine: of the ledger.
        database_url: as it was given.
        strict: a list that LLMGUARD_PRICE_LIST names must be there; else it may not have been adopted yet.
    """
    import os

    from llmguard.usage.prices.known import list_file, refresh

    problems = refresh(settings(database_url), engine, say=False)
    if strict or os.path.exists(list_file()):
        return problems
    return [each for each in problems if not each.startswith("LLMGUARD_PRICE_LIST:")]


def know_prices(engine: Engine, database_url: str, *, strict: bool = False) -> None:
    """Learn what is known of prices, for figures that go by them; arguments are those of `price_problems`.

    Raises:
        LLMGuardError: a price list, or the prices of the configuration, cannot be used: figures would be wrong.
    """
    from llmguard.errors import LLMGuardError

    problems = price_problems(engine, database_url, strict=strict)
    if problems:
        raise LLMGuardError(f"figures would be wrong, mend this first: {'; '.join(problems)}")


def warn_of_deleted(engine: Engine, periods: Sequence[Period]) -> None:
    """Figures that come from the calls themselves know nothing of deleted ones: say so where that matters."""
    from llmguard.usage.store.rollup import rows_since

    if not periods:
        return
    with engine.connect() as connection:
        since = rows_since(connection)
    if since.year > 1 and any(each.since is None or each.since < since for each in periods):
        when = since.strftime("%Y-%m-%d %H:%M")
        text = f"Calls from before {when} (UTC) have been deleted, and are not in what is made of single calls."
        typer.echo(text, err=True)


@contextmanager
def answering(given: UsageSettings) -> Iterator[None]:
    """Errors of the database as one line.

    Raises:
        LLMGuardError: it does not answer, or cannot be written.
    """
    from llmguard.errors import LLMGuardError

    try:
        from llmguard.usage.store.engine import DatabaseError, one_line, shown
    except ModuleNotFoundError:
        from llmguard.config.source import how_to_install

        raise LLMGuardError(f"the ledger needs SQLAlchemy: {how_to_install('runtime')}") from None
    try:
        yield
    except BrokenPipeError:  # whoever reads has seen enough
        raise
    except (DatabaseError, OSError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO) and error.filename is None:
            raise LLMGuardError(f"the output cannot be written: {error.strerror}") from None
        where = shown(given.database_url)
        raise LLMGuardError(f"the usage database {where} cannot be used: {one_line(error)}") from None
    except (ValueError, TypeError, ArithmeticError) as error:  # of a value that is no time, number or JSON
        where = shown(given.database_url)
        problem = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise LLMGuardError(f"the usage database {where} holds what llmguard does not write ({problem})") from None


def filters(**given: str) -> dict[str, str]:
    """The filters that were given.

    Raises:
        UsageError: one is no text.
    """
    from llmguard.errors import UsageError

    for name, value in given.items():
        if any("\ud800" <= sign <= "\udfff" for sign in value):
            raise UsageError(f"--{name}: {value!r} is no UTF-8")
    return {name: value for name, value in given.items() if value}


def money(amount: Decimal) -> str:
    """Dollars for people: cents, and as many more places as a small amount needs."""
    if amount == 0 or amount >= Decimal("0.01"):
        return f"${amount:,.2f}" if amount >= 1 or amount == 0 else f"${amount:.4f}"
    return f"${amount:.9f}".rstrip("0")
