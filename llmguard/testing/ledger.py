"""A ledger in memory, for tests of code that asks models: no file, no thread, no database."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from llmguard.usage import recorder
from llmguard.usage.limits.counting import MemoryCounters
from llmguard.usage.limits.gate import Gate
from llmguard.usage.recorder import Recorder
from llmguard.usage.rows import amended, amendment_of, chosen, entry, row_of, settled, unknown_row_of
from llmguard.usage.settings import UsageSettings, from_environment

Row = dict[str, Any]
Key = tuple[str, int]


class MemoryLedger(Recorder):
    """What was recorded while it was in use.

    Attributes:
        started: the intents, in order.
    """

    def __init__(self, settings: UsageSettings) -> None:
        super().__init__(settings)
        self.started: list[Row] = []
        self._ended: dict[Key, Row] = {}
        self._counters = MemoryCounters()
        self._guard = threading.RLock()  # a finaliser may record in the middle of another call

    @property
    def rows(self) -> list[Row]:
        """A row for each call, in the order of their starts, with the columns of `llm_usage_logs` that are known. A
        call that has not ended is `unknown`."""
        with self._guard:
            begun = {_key(data): entry(data, unknown_row_of) for data in self.started}
            for row in begun.values():
                row.pop("limits", None)  # no column
            return list({**begun, **self._ended}.values())

    def assert_tracked(self, calls: int | None = None, **columns: Any) -> list[Row]:
        """The rows whose columns have these values.

        Raises:
            AssertionError: there are not so many; not one, when no number is given.
        """
        found = [row for row in self.rows if all(row.get(name) == value for name, value in columns.items())]
        if (calls is None and not found) or (calls is not None and len(found) != calls):
            wanted = "at least one call" if calls is None else f"{calls} calls"
            given = ", ".join(f"{name}={value!r}" for name, value in columns.items())
            shown = [{name: row.get(name) for name in ("model", "status", *columns)} for row in self.rows]
            raise AssertionError(
                f"expected {wanted} on the books with {given or 'anything'}, found {len(found)}: {shown}"
            )
        return found

    def assert_nothing_open(self) -> None:
        """Every call that was started has ended.

        Raises:
            AssertionError: some have not; it names where they were made.
        """
        open_ = [row for row in self.rows if row["status"] == "unknown"]
        if open_:
            places = [f"{row.get('code_file')}:{row.get('code_line')}" for row in open_]
            raise AssertionError(f"{len(open_)} calls have not ended: {', '.join(places)}")

    # -- what the call path uses -------------------------------------------------------------------------------------

    def intent(self, data: Row) -> None:
        with self._guard:
            if "status" not in data:  # else an answer is noted, for the case that the process dies
                self.started.append(dict(data))

    def finish(self, data: Row) -> None:
        with self._guard:
            if _key(data) not in self._ended:
                row = self._ended[_key(data)] = entry(data, row_of)
                self._counters.settle(row.pop("limits", None), row)

    def make_gate(self) -> Gate:
        return Gate(self.settings, self._counters)

    def amend(self, data: Row) -> None:
        with self._guard:
            amendment = amendment_of(data)
            if "settles" in amendment:
                same = [row for row in self._ended.values() if row.get("provider_response_id") == amendment["settles"]]
                row = chosen(same)
                new = None if row is None else settled(row, amendment)
            else:
                row = self._ended.get(_key(data))
                new = None if row is None else amended(row, amendment)
            if new is not None:
                self._ended[_key(new)] = new

    def flush(self, deadline: float | None = None) -> bool:
        return True

    def wake(self) -> None:
        """There is no flusher."""

    def close(self, deadline: float = 0.0) -> None:
        """There is nothing to close."""


def _key(data: Row) -> Key:
    return data["call_id"], data.get("attempt_no") or 0


@contextmanager
def memory_ledger(**changes: Any) -> Iterator[MemoryLedger]:
    """Record into memory while the block runs, then as before.

    Args:
        changes: fields of `llmguard.usage.settings.UsageSettings` that differ from the environment's, such as
            `store_content=1000`.
    """
    memory = MemoryLedger(from_environment()._replace(**{"disabled": False, **changes}))
    before = recorder.replace(memory)
    try:
        yield memory
    finally:
        recorder.replace(before)
