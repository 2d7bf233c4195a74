"""The ledger as the routes ask it: opened when it is first asked for, and again after an outage."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llmguard.usage import forks
from llmguard.usage.recorder import recorder
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger

if TYPE_CHECKING:
    Engine = Any  # of SQLAlchemy, which only the store imports


class LedgerReader:
    """Gives the ledger's engine. Safe in threads.

    Args:
        settings: which ledger; by default the one that this process records in.
    """

    def __init__(self, settings: Callable[[], UsageSettings] = lambda: recorder().settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._opened: tuple[UsageSettings, int, Ledger] | None = None
        forks.before_fork(self.close)

    @contextmanager
    def reading(self) -> Iterator[Engine]:
        """The engine, for one question.

        Raises:
            ConfigError, SchemaError: the ledger cannot be used as it is.
            SQLAlchemyError: it does not answer.
        """
        settings = self._settings()
        with forks.connected(settings.database_url):
            yield self._ledger(settings).engine

    def _ledger(self, settings: UsageSettings) -> Ledger:
        with self._lock:
            if self._opened is not None and self._opened[:2] == (settings, os.getpid()):
                return self._opened[2]
            if self._opened is not None and self._opened[1] == os.getpid():
                self._opened[2].close()
            self._opened = None
            ledger = Ledger.open(settings)
            self._opened = (settings, os.getpid(), ledger)
            return ledger

    def close(self) -> None:
        """Close its connections; the next question opens new ones."""
        with self._lock:
            if self._opened is not None and self._opened[1] == os.getpid():
                self._opened[2].close()
            self._opened = None


ledger = LedgerReader()
