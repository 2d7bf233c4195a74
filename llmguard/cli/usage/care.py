"""`llmguard usage flush|recover|doctor|verify`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from llmguard.cli.usage import asked
from llmguard.printable import printable

if TYPE_CHECKING:
    from llmguard.usage.adoption import Recovered
    from llmguard.usage.settings import UsageSettings


def recover(database_url: asked.Database = "") -> None:
    """Bring in what processes left on the disk that have ended or died. Any process that records does so by itself.

    Exit code: 0, 2 a ledger that cannot be used; nothing is lost then.
    """
    given = asked.settings(database_url)
    with asked.answering(given):
        done = _adopt(given)
    if not done.segments:
        typer.echo("Nothing to recover.")
        return
    calls = f"{done.calls:,} calls from {done.segments:,} files of processes that are gone"
    typer.echo(f"{calls}; {done.unfinished:,} had not ended and are unknown.")
    if done.corrupt:
        typer.echo(f"{done.corrupt:,} corrupt lines were passed over.", err=True)


def flush(
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Seconds to wait for living processes.")] = 30.0,
    database_url: asked.Database = "",
) -> None:
    """Bring in what lies on the disk, and wait until the processes that are alive have written theirs.

    Exit code: 0 nothing is left on the disk, 1 something is, 2 a ledger that cannot be used.
    """
    from llmguard.usage.segments import waiting

    given = asked.settings(database_url)
    ends = time.monotonic() + timeout
    with asked.answering(given):
        while True:
            _adopt(given)
            left = waiting(given.spool_folder)
            if not left or time.monotonic() >= ends:
                break
            time.sleep(0.1)
    if left:
        typer.echo(f"{sum(left.values()):,} bytes of {len(left):,} files are not in the database yet.", err=True)
        raise typer.Exit(1)
    typer.echo("All that was recorded is in the database.")


def verify(
    repair: Annotated[bool, typer.Option("--repair", help="Make the sums anew from the calls.")] = False,
    database_url: asked.Database = "",
) -> None:
    """Prove that the sums by hour are those of the calls.

    Exit code: 0 they are, 1 they are not (and were not repaired), 2 a ledger that cannot be used.
    """
    from llmguard.usage.store.rollup import differences, recompute
    from llmguard.usage.store.tables import GRAIN, SITE_GRAIN

    with asked.ledger(database_url) as engine:
        wrong = differences(engine)
        for row in wrong[:20]:
            grain = SITE_GRAIN if "code_file" in row else GRAIN
            key = ", ".join(f"{name}={row[name]}" for name in grain if row[name] not in ("", 0))
            what = ", ".join(f"{name} {kept} is {true}" for name, (kept, true) in _changes(row, grain))
            typer.echo(printable(f"{key}: {what}"))
        if not wrong:
            typer.echo("The sums agree with the calls.")
            return
        typer.echo(f"{len(wrong):,} sums do not agree with the calls.", err=True)
        if not repair:
            raise typer.Exit(1)
        typer.echo(f"{recompute(engine):,} sums were made anew.")


def _changes(row: dict[str, object], grain: tuple[str, ...]) -> list[tuple[str, tuple[object, object]]]:
    return [(name, value) for name, value in row.items() if name not in grain and isinstance(value, tuple)]


def _adopt(given: UsageSettings) -> Recovered:
    from llmguard.usage.adoption import adopt_all
    from llmguard.usage.prices.known import refresh
    from llmguard.usage.store.ledger import Ledger

    opened = Ledger.open(given)
    try:
        refresh(given, opened.engine)
        return adopt_all(given.spool_folder, set(), opened.write)
    finally:
        opened.close()


def doctor(database_url: asked.Database = "") -> None:
    """Say where the ledger is, whether it works, and what may be wrong with it: the ledger's part of `llmguard doctor`.

    Exit code: 0 all is well, 1 something needs a look (lines that begin with "!"), 2 wrong settings.
    """
    from llmguard.cli.doctor import lines
    from llmguard.usage.diagnosis import examine

    findings = list(examine(asked.settings(database_url)))
    lines(findings)
    if any(finding.is_problem for finding in findings):
        raise typer.Exit(1)
