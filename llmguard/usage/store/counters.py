"""The counters of limits in the database: taken from all or from none, in one transaction and one round trip."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, Engine, text

from llmguard.usage.limits.counting import Change, Charge, Outcome, Place, has_room

_RESERVE = (
    "SELECT used, extra, admitted FROM {schema}llm_rate_limit_reserve(CAST(:keys AS text[]), "
    "CAST(:starts AS bigint[]), CAST(:ends AS bigint[]), CAST(:amounts AS bigint[]), CAST(:most AS bigint[]))"
)
_MAKE = (
    "INSERT INTO llm_rate_limit_counters (limit_key, window_start, window_end, used) VALUES (?, ?, ?, 0) "
    "ON CONFLICT DO NOTHING"
)
_READ = "SELECT used, extra FROM llm_rate_limit_counters WHERE limit_key = ? AND window_start = ?"
_TAKE = (
    "UPDATE llm_rate_limit_counters SET used = used + ?, admitted = admitted + ?, calls = calls + ? "
    "WHERE limit_key = ? AND window_start = ?"
)
_CHANGE = text(
    "UPDATE llm_rate_limit_counters SET used = used + :used, over = over + :over, calls = calls + :calls, "
    "unpriced = unpriced + :unpriced WHERE limit_key = :key AND window_start = :start"
)
_ALONE = (
    "UPDATE {schema}llm_rate_limit_counters "
    "SET used = used + :amount, admitted = admitted + :amount, calls = calls + 1 "
    "WHERE limit_key = :key AND window_start = :start AND used + :amount <= :most + extra "
    "RETURNING used - :amount AS used, extra"
)
_BEGIN = text(
    "INSERT INTO llm_rate_limit_counters (limit_key, window_start, window_end, used) "
    "VALUES (:key, :start, :end, :used) ON CONFLICT DO NOTHING"
)
_GRANT = text("UPDATE llm_rate_limit_counters SET extra = extra + :more WHERE limit_key = :key AND window_start = 0")


class StoredCounters:
    """Counters of a ledger's database. Every thread has a connection of its own in PostgreSQL; SQLite's is shared.

    Args:
        engine: of the ledger, whose tables are there.
        schema: of PostgreSQL, "" for the search path's first.
        patience: seconds that a statement waits for SQLite's one writer.
    """

    def __init__(self, engine: Engine, schema: str, patience: float) -> None:
        self.engine = engine
        named = f'"{schema}".' if schema else ""
        self._reserve = text(_RESERVE.format(schema=named))
        self._alone = text(_ALONE.format(schema=named))
        self._patience = patience
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._lock = threading.Lock()
        self._connections: dict[int, Connection] = {}

    def reserve(self, charges: list[Charge]) -> Outcome:
        """See `Counters`.

        Raises:
            SQLAlchemyError, sqlite3.Error: the database refused; nothing was taken.
        """
        if self._is_sqlite:
            with self._lock, _Writing(self._driver(), self._patience) as connection:
                return _reserve_in_sqlite(connection, charges)
        with self._connected() as connection:
            if len(charges) == 1:  # nearly always: one row, written once
                first = charges[0]
                values = {"amount": first.amount, "key": first.key, "start": first.start, "most": first.most}
                alone = connection.execute(self._alone, values).one_or_none()
                if alone is not None:
                    return Outcome(True, [alone.used], [alone.extra])
            given = {"keys": _array(_quoted(charge.key) for charge in charges)}
            for name, place in (("starts", 1), ("ends", 2), ("amounts", 4), ("most", 5)):
                given[name] = _array(str(charge[place]) for charge in charges)
            found = connection.execute(self._reserve, given).one()
        return Outcome(found.admitted, found.used, found.extra)

    def release(self, charges: list[Charge]) -> None:
        """See `Counters`."""
        if self._is_sqlite:
            with self._lock, _Writing(self._driver(), self._patience) as connection:
                for charge in charges:
                    connection.execute(_TAKE, (-charge.amount, -charge.amount, -1, charge.key, charge.start))
            return
        with self.engine.begin() as connection:
            for charge in charges:
                values = {"amount": -charge.amount, "key": charge.key, "start": charge.start}
                connection.execute(
                    text(
                        "UPDATE llm_rate_limit_counters SET used = used + :amount, admitted = admitted + :amount, "
                        "calls = calls - 1 WHERE limit_key = :key AND window_start = :start"
                    ),
                    values,
                )

    def grant(self, key: str, more: int) -> None:
        """See `Counters`."""
        with self._written() as connection:
            connection.execute(_BEGIN, {"key": key, "start": 0, "end": 0, "used": 0})
            connection.execute(_GRANT, {"key": key, "more": more})

    def begin(self, charge: Charge, used: int) -> None:
        """Make a counter that begins with what was used before the limit was there, if it is not there itself."""
        with self._written() as connection:
            connection.execute(_BEGIN, {"key": charge.key, "start": charge.start, "end": charge.end, "used": used})

    def read(self, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        """See `Counters`."""
        with self.engine.connect() as connection:
            return read_counters(connection, places)

    def forget(self, before: int) -> int:
        """Remove the counters of windows that ended before a time (seconds since 1970); how many."""
        with self._written() as connection:
            statement = text("DELETE FROM llm_rate_limit_counters WHERE window_end > 0 AND window_end < :before")
            return int(connection.execute(statement, {"before": before}).rowcount)

    def close(self) -> None:
        """Close all connections."""
        with self._lock:
            for connection in self._connections.values():
                with contextlib.suppress(Exception):  # one that is broken is closed already
                    connection.close()
            self._connections.clear()
        self.engine.dispose()

    def _written(self) -> Any:
        return self.engine.execution_options(llmguard_write=True).begin()

    def _driver(self) -> Any:
        """SQLite's own connection; call it with the lock held."""
        connection = self._connections.get(0)
        if connection is None:
            connection = self._connections[0] = self.engine.connect()
            connection.connection.driver_connection.execute("PRAGMA busy_timeout=0")  # type: ignore[union-attr]
        return connection.connection.driver_connection

    @contextlib.contextmanager
    def _connected(self) -> Any:
        """This thread's connection, each statement of which is a transaction; one that fails is not used again."""
        thread = threading.get_ident()
        connection = self._connections.get(thread)
        if connection is None:
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            self._connections[thread] = connection
        try:
            yield connection
        except Exception:
            del self._connections[thread]
            connection.invalidate()
            connection.close()
            raise


def _array(values: Iterable[str]) -> str:
    """An array as PostgreSQL writes it: made here in a fraction of the time that the driver takes."""
    return "{" + ",".join(values) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Writing:
    """A transaction of SQLite that is the writer from its beginning. It asks again at short intervals whether it may:
    SQLite itself would wait up to a tenth of a second between two looks.

    Args:
        connection: of the driver.
        patience: seconds.
    """

    def __init__(self, connection: Any, patience: float) -> None:
        self._connection = connection
        self._patience = patience

    def __enter__(self) -> Any:
        import sqlite3

        ends = time.monotonic() + self._patience
        while True:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:  # noqa: PERF203  (it is waited, not computed)
                if "locked" not in str(error) or time.monotonic() > ends:
                    raise
                time.sleep(0.0003 + random.random() * 0.0007)
            else:
                return self._connection

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._connection.execute("COMMIT" if kind is None else "ROLLBACK")


def _reserve_in_sqlite(connection: Any, charges: list[Charge]) -> Outcome:
    used, extra = [], []
    admitted = True
    for charge in charges:
        found = connection.execute(_READ, (charge.key, charge.start)).fetchone()
        if found is None:
            connection.execute(_MAKE, (charge.key, charge.start, charge.end))
            found = (0, 0)
        used.append(found[0])
        extra.append(found[1])
        admitted = admitted and has_room(charge, *found)
    if admitted:
        for charge in charges:
            connection.execute(_TAKE, (charge.amount, charge.amount, 1, charge.key, charge.start))
    return Outcome(admitted, used, extra)


def read_counters(connection: Connection, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
    """What is used, and was granted, of counters that are there."""
    statement = text("SELECT used, extra FROM llm_rate_limit_counters WHERE limit_key = :key AND window_start = :start")
    found = {}
    for key, start in places:
        row = connection.execute(statement, {"key": key, "start": start}).one_or_none()
        if row is not None:
            found[key, start] = (row.used, row.extra)
    return found


def fullest(connection: Connection, key: str, start: int) -> int:
    """What is used of the fullest counter of a limit for each (its key has a "*") in a window."""
    pattern = key.replace("!", "!!").replace("%", "!%").replace("_", "!_").replace('"*"', '"%"')
    statement = text(
        "SELECT max(used) FROM llm_rate_limit_counters "
        "WHERE limit_key LIKE :pattern ESCAPE '!' AND window_start = :start"
    )
    return connection.execute(statement, {"pattern": pattern, "start": start}).scalar() or 0


def change_counters(connection: Connection, changes: dict[Place, Change]) -> None:
    """Settle: in the order of keys, in which everybody locks them."""
    for (key, start), change in sorted(changes.items()):
        if not any(change[:4]):
            continue
        if change.end is not None:  # nobody has reserved anything: it may not be there
            connection.execute(_BEGIN, {"key": key, "start": start, "end": change.end, "used": 0})
        values = {name: getattr(change, name) for name in ("used", "over", "calls", "unpriced")}
        connection.execute(_CHANGE, {**values, "key": key, "start": start})
