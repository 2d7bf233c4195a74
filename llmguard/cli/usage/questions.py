"""`llmguard usage logs|tail`."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llmguard.cli.usage import asked
from llmguard.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Columns that a list of calls shows to people.
_SHOWN = (
    "created_at",
    "service_name",
    "user_id",
    "model",
    "status",
    "tokens_used",
    "total_cost",
    "duration_ms",
    "site",
)
#: Rows that `tail` looks at again: those of calls that ran long come in behind younger ones.
_LOOK_BACK = 500


def logs(
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=100_000, help="How many, the newest.")] = 50,
    since: asked.Since = "",
    until: asked.Until = "",
    time_zone: asked.Zone = "UTC",
    user: asked.User = "",
    service: asked.Service = "",
    feature: asked.Feature = "",
    provider: asked.Provider = "",
    model: asked.Model = "",
    status: Annotated[
        str, typer.Option("--status", help="Only calls that ended so: ok, error, cancelled, timeout, partial, unknown.")
    ] = "",
    output_format: Annotated[asked.Form, typer.Option("--output-format", help="How to print.")] = asked.Form.TABLE,
    database_url: asked.Database = "",
) -> None:
    """List calls, the newest at the bottom.

    Exit code: 0, 2 wrong usage, or a ledger that cannot be used.
    """
    from llmguard.usage.store.query import newest

    zone = asked.zone_of(time_zone)
    chosen = asked.filters(user=user, service=service, feature=feature, provider=provider, model=model, status=status)
    with asked.ledger(database_url) as engine:
        rows = newest(engine, asked.period(since, until, zone), chosen, limit)
    if output_format is asked.Form.JSON:
        print(asked.as_json({"version": 1, "logs": rows}))
    elif output_format is asked.Form.CSV:
        asked.write_csv(sys.stdout, columns(), rows)
    else:
        for line in _lines(rows, zone):
            print(line)


def tail(
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, max=100_000, help="How many of the last calls to begin with.")
    ] = 10,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    time_zone: asked.Zone = "UTC",
    service: asked.Service = "",
    user: asked.User = "",
    database_url: asked.Database = "",
) -> None:
    """Show the last calls, and with --follow those that come. A call is there within a second of its end.

    Exit code: 0, 2 wrong usage, or a ledger that cannot be used, 130 after Ctrl-C.
    """
    from llmguard.usage.store.query import Period, newest

    zone = asked.zone_of(time_zone)
    chosen = asked.filters(user=user, service=service)
    with asked.ledger(database_url) as engine:
        rows = newest(engine, Period(), chosen, max(lines, _LOOK_BACK))
        for line in _lines(rows[-lines:] if lines else [], zone):
            print(line)
        seen = {row["id"] for row in rows}
        while follow:
            sys.stdout.flush()
            time.sleep(0.5)
            # Rows come in the order of their ends, so the last ones are looked at again.
            again = newest(engine, Period(), chosen, _LOOK_BACK)
            if len(again) == _LOOK_BACK and not any(row["id"] in seen for row in again):
                again = newest(engine, Period(), chosen, 20 * _LOOK_BACK)  # a burst: more came than are looked at
            for line in _lines([row for row in again if row["id"] not in seen], zone, head=False):
                print(line)
            seen = {row["id"] for row in again}


def columns() -> tuple[str, ...]:
    """The columns of a call."""
    from llmguard.usage.store.tables import usage_logs

    return tuple(column.name for column in usage_logs.columns)


def _lines(rows: list[dict[str, Any]], zone: Any, *, head: bool = True) -> Iterator[str]:
    if head and not rows:
        yield "No calls."
        return
    widths = (19, 16, 12, 28, 9, 8, 12, 8, 0)
    if head:
        titles = ("time", "service", "user", "model", "status", "tokens", "cost", "ms", "site")
        yield "  ".join(title.ljust(width) for title, width in zip(titles, widths, strict=True)).rstrip()
    for row in rows:
        where = f"{row['code_file']}:{row['code_line']}" if row.get("code_file") else ""
        values = {
            **row,
            "created_at": row["created_at"].astimezone(zone).strftime("%Y-%m-%d %H:%M:%S"),
            "total_cost": asked.money(row["total_cost"]) if row["total_cost"] is not None else "-",
            "site": where,
        }
        texts = ("-" if values.get(name) is None else str(values[name]) for name in _SHOWN)
        shown = map(printable, texts)
        yield "  ".join(text.ljust(width) for text, width in zip(shown, widths, strict=True)).rstrip()
