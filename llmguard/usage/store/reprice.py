"""Pricing calls anew: those without a price, or all of a time; what they cost before is kept."""

from __future__ import annotations

import uuid
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, insert, or_, select, update

from llmguard.usage.prices import COSTS, RECKONED, priced_again
from llmguard.usage.store.query import Period, within
from llmguard.usage.store.rollup import Sums, add_row, roll_up
from llmguard.usage.store.tables import usage_logs, usage_repricings

_PIECE = 1000


class Repriced(NamedTuple):
    """What came of it.

    Attributes:
        calls: that were looked at.
        changed: whose cost is another one now.
        unknown: whose price is not known.
        left: that are made of several requests, each of which had a price of its own: they stay as they are.
        before: dollars that the changed ones cost, as far as that was known.
        after: dollars that they cost now.
    """

    calls: int = 0
    changed: int = 0
    unknown: int = 0
    left: int = 0
    before: Decimal = Decimal(0)
    after: Decimal = Decimal(0)


def reprice(engine: Engine, period: Period, *, every: bool = False, dry_run: bool = False) -> Repriced:
    """Price calls by what is known of prices now, each at its own time, in pieces.

    Args:
        engine: of the ledger.
        period: which calls.
        every: those that have a price of the list, or of one's own, too; costs that were given stay in any case.
        dry_run: nothing is written.

    Raises:
        SQLAlchemyError: the database does not answer; pieces that were written stay.
    """
    logs = usage_logs.c
    wanted: Any = or_(logs.price_status.is_(None), logs.price_status == "unknown")
    if every:
        wanted = or_(wanted, logs.price_status.in_(RECKONED))
    total, after = Repriced(), ""
    while True:
        statement = select(usage_logs).where(wanted, logs.id > after, *within(logs.created_at, period))
        statement = statement.order_by(logs.id).limit(_PIECE).with_for_update()
        with engine.connect().execution_options(llmguard_write=not dry_run) as connection, connection.begin():
            rows = [dict(row) for row in connection.execute(statement).mappings()]
            if not rows:
                return total
            after = rows[-1]["id"]
            done = _piece(connection, rows, dry_run=dry_run)
        total = _added(total, done)


def _added(total: Repriced, more: Repriced) -> Repriced:
    counts = (total.calls + more.calls, total.changed + more.changed, total.unknown + more.unknown)
    return Repriced(*counts, total.left + more.left, total.before + more.before, total.after + more.after)


def _piece(connection: Connection, rows: list[dict[str, Any]], *, dry_run: bool) -> Repriced:
    sums: Sums = ({}, {})
    changed = unknown = left = 0
    before, after = Decimal(0), Decimal(0)
    now = datetime.now(timezone.utc)
    for row in rows:
        new = _anew(row)
        if new is None:
            left += 1
            continue
        unknown += new["price_status"] == "unknown"
        changes = {name: new[name] for name in COSTS if new[name] != row[name]}
        if row["total_cost"] != new["total_cost"]:
            changed += 1
            before += row["total_cost"] or 0
            after += new["total_cost"] or 0
        if not changes or dry_run:
            continue
        connection.execute(update(usage_logs).where(usage_logs.c.id == row["id"]).values(changes))
        if row["total_cost"] is not None and row["total_cost"] != new["total_cost"]:
            old = {name: row[name] for name in COSTS}
            connection.execute(
                insert(usage_repricings).values(id=uuid.uuid4().hex, usage_id=row["id"], repriced_at=now, **old)
            )
        add_row(sums, row, -1)
        add_row(sums, {**row, **changes}, 1)
    roll_up(connection, sums)
    return Repriced(len(rows), changed, unknown, left, before, after)


def _anew(row: dict[str, Any]) -> dict[str, Any] | None:
    new = priced_again(row)
    if new is None:
        return None
    if row["price_status"] is None and row["total_cost"] is not None:  # by who inserted it
        return {**row, "price_status": "given"}
    if new["total_cost"] is None and row["total_cost"] is not None:
        return row  # what it cost then is known, what it costs now is not
    return new
