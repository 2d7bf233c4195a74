"""The ledger as the flusher sees it: a database that takes rows."""

from __future__ import annotations

import logging
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llmguard.config.source import how_to_install
from llmguard.errors import ConfigError
from llmguard.usage import forks

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from llmguard.usage.rows import Row
    from llmguard.usage.settings import UsageSettings


LOG = logging.getLogger("llmguard.usage")
#: Errors that are of the database and not of a row: it is asked again later.
_OF_THE_DATABASE = frozenset({"OperationalError", "InterfaceError", "InternalError", "ProgrammingError"})
_TIGHT = 16 * 1024 * 1024  # bytes that are free on a disk below which a log of many rows may not fit
_PIECE = 20  # rows that are written at once there
#: SQLSTATE of a deadlock and of a serialization failure: PostgreSQL asks for another try.
_AGAIN = ("40P01", "40001")


class Ledger:
    """An open ledger. Use `Ledger.open`; close it when done.

    Args:
        engine: of its database, whose tables are there.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.refused = 0

    @classmethod
    def open(cls, settings: UsageSettings) -> Ledger:
        """Open the ledger; an SQLite file is made, with its tables, when it is not there.

        Raises:
            ConfigError: the database cannot be used as it is; it says what to do.
            SQLAlchemyError: the database does not answer.
        """
        try:
            from llmguard.usage.store.engine import connect
            from llmguard.usage.store.schema import ensure
        except ModuleNotFoundError as error:
            problem = f"needs {error.name}, which is not installed: {how_to_install('runtime')}"
            raise ConfigError("the usage ledger", "", problem) from None
        engine = connect(settings.database_url, settings.schema)
        try:
            ensure(engine, settings.schema)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def write(self, rows: list[Row], amendments: list[Row] | None = None) -> int:
        """Write rows and amendments with their roll-ups, in one transaction; how many rows are new.

        A row that the database refuses for what is in it is left out, and counted in `refused`: it must not keep the
        others out.
        """
        from sqlalchemy.exc import StatementError

        from llmguard.usage.store.engine import one_line

        if len(rows) > _PIECE and self._is_tight():
            return self._piece_by_piece(rows, amendments or [])
        try:
            return self._written(rows, amendments or [])
        except (StatementError, ArithmeticError, ValueError) as error:
            if type(error).__name__ in _OF_THE_DATABASE:
                raise
            if len(rows) + len(amendments or ()) == 1:
                self.refused += 1
                LOG.error("the ledger refuses a record, which is left out: %s", one_line(error))
                return 0
        if amendments and rows:
            return self.write(rows) + self.write([], amendments)
        if amendments:
            half = len(amendments) // 2
            return self.write([], amendments[:half]) + self.write([], amendments[half:])
        half = len(rows) // 2
        return self.write(rows[:half]) + self.write(rows[half:])

    def _is_tight(self) -> bool:
        """Whether SQLite's file is on a disk that has hardly any room left."""
        path = self.engine.url.database or ""
        if self.engine.dialect.name != "sqlite" or not os.path.isabs(path) or not hasattr(os, "statvfs"):
            return False
        disk = os.statvfs(os.path.dirname(path))
        return disk.f_bavail * disk.f_frsize < _TIGHT

    def _piece_by_piece(self, rows: list[Row], amendments: list[Row]) -> int:
        """Write on a disk that is nearly full: SQLite's log is brought in after each piece, so that it stays small."""
        from llmguard.usage.store.engine import checkpoint

        written = 0
        for start in range(0, len(rows), _PIECE):
            written += self.write(rows[start : start + _PIECE])
            checkpoint(self.engine)
        if amendments:
            self.write([], amendments)
        return written

    def _written(self, rows: list[Row], amendments: list[Row]) -> int:
        from sqlalchemy.exc import DBAPIError

        from llmguard.usage.store.write import write_rows

        for pause in (0.02, 0.05, 0.1, 0.2):
            try:
                return write_rows(self.engine, rows, amendments)
            except DBAPIError as error:  # noqa: PERF203  (a batch is tried five times at most)
                if getattr(error.orig, "sqlstate", None) not in _AGAIN:
                    raise
                time.sleep(pause * (0.5 + random.random()))
        return write_rows(self.engine, rows, amendments)

    def close(self) -> None:
        """Close its connections."""
        self.engine.dispose()


@contextmanager
def opened(settings: UsageSettings) -> Iterator[Ledger]:
    """The ledger, while the block runs; this process is not forked meanwhile.

    Raises:
        ConfigError, SQLAlchemyError: see `Ledger.open`.
    """
    with forks.connected(settings.database_url):
        ledger = Ledger.open(settings)
        try:
            yield ledger
        finally:
            ledger.close()
