"""`llmguard usage export`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from llmguard.cli.usage import asked

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from llmguard.usage.store.query import Period


class ExportForm(str, Enum):
    """Formats of an export."""

    CSV = "csv"
    JSON_LINES = "json-lines"
    DAILY = "daily"
    FOCUS = "focus"


def export(
    file: Annotated[str, typer.Argument(metavar="FILE", help="Where to; - for stdout.")] = "-",
    since: asked.Since = "",
    until: asked.Until = "",
    time_zone: asked.Zone = "UTC",
    user: asked.User = "",
    service: asked.Service = "",
    tenant: asked.Tenant = "",
    output_format: Annotated[
        ExportForm,
        typer.Option(
            "--output-format",
            help="csv, json-lines: one line is one call, with all columns. daily: CSV, the sums of a day by all that "
            "they are kept by. focus: CSV by FOCUS 1.2, a line for each kind of token.",
        ),
    ] = ExportForm.CSV,
    billing_account: Annotated[
        str, typer.Option("--billing-account", help="With focus: what the billing account is called.")
    ] = "default",
    database_url: asked.Database = "",
) -> None:
    """Write the calls, or their sums, oldest first, to a file: whole, or not at all.

    FOCUS has no word for a cost that is not known: such calls are left out of it, and counted on stderr. Its days are
    those of UTC.

    Exit code: 0, 2 wrong usage, a ledger that cannot be used, or a file that cannot be written.
    """
    from llmguard.cli.usage.files import written_whole
    from llmguard.usage.store.focus import without_cost
    from llmguard.usage.store.totals import has_whole_hours

    zone = asked.zone_of(time_zone)
    period = asked.period(since, until, zone)
    chosen = asked.filters(user=user, service=service, tenant=tenant)
    with asked.ledger(database_url) as engine, written_whole(file) as out:
        if output_format is ExportForm.FOCUS:
            number = _focus(engine, period, chosen, billing_account, database_url, out)
            missing = without_cost(engine, period, chosen)
        else:
            missing = 0
            if output_format is ExportForm.DAILY:
                number = _daily(engine, period, chosen, zone, out)
            else:
                number = _calls(engine, period, chosen, output_format, out)
        asked.warn_of_deleted(engine, [period] if output_format is not ExportForm.DAILY else [])
        if output_format is ExportForm.DAILY and not has_whole_hours(zone):
            typer.echo(
                f"Days of {time_zone} are made of whole hours of UTC: half hours belong to the day before.", err=True
            )
    if missing:
        typer.echo(f"{missing:,} calls whose cost is not known are left out", err=True)
    if file != "-":
        what = "lines" if output_format in (ExportForm.DAILY, ExportForm.FOCUS) else "calls"
        typer.echo(f"{number:,} {what} written to {file}", err=True)


def _calls(engine: Engine, period: Period, chosen: dict[str, str], form: ExportForm, out: TextIO) -> int:
    from llmguard.cli.usage.questions import columns
    from llmguard.usage.store.query import every

    rows = every(engine, period, chosen)
    if form is ExportForm.CSV:
        return _csv(out, columns(), rows)
    number = 0
    for row in rows:
        number += 1
        out.write(json.dumps(row, default=asked.plain) + "\n")
    return number


def _daily(engine: Engine, period: Period, chosen: dict[str, str], zone: Any, out: TextIO) -> int:
    from llmguard.usage.store.totals import DAILY, daily

    return _csv(out, DAILY, daily(engine, period, chosen, zone))


def _focus(engine: Engine, period: Period, chosen: dict[str, str], account: str, database_url: str, out: TextIO) -> int:
    from llmguard.usage.store.focus import COLUMNS, charges

    asked.know_prices(engine, database_url)
    return _csv(out, COLUMNS, charges(engine, period, chosen, account))


def _csv(out: TextIO, columns: tuple[str, ...], rows: Iterator[dict[str, Any]]) -> int:
    return asked.write_csv(out, columns, rows, lineterminator="\r\n")
