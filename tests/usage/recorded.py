"""What a recorder has brought into its ledger."""

from __future__ import annotations

import time
from typing import Any

from sqlalchemy import select

from llmguard.testing import MemoryLedger
from llmguard.usage.recorder import Recorder
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.tables import usage_logs


def ended(ledger: MemoryLedger, calls: int = 1) -> list[dict[str, Any]]:
    """The rows, once so many calls have ended: LiteLLM reports the end of a synchronous one from a thread."""
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        rows = ledger.rows
        if len(rows) >= calls and all(row["status"] != "unknown" for row in rows):
            break
        time.sleep(0.02)
    return ledger.rows


def rows_of(recording: Recorder) -> list[dict[str, Any]]:
    """The rows, in the order of their starts, once all that was recorded is there."""
    assert recording.flush(20)
    opened = Ledger.open(recording.settings)
    with opened.engine.connect() as connection:
        found = [dict(row) for row in connection.execute(select(usage_logs).order_by(usage_logs.c.id)).mappings()]
    opened.close()
    return found
