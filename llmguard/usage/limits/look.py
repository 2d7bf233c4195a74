"""Knowing which limits there are: a thread looks twice a second, so that no call has to ask.

An SQLite file is read with the standard library: the first call of a program waits for the first look, and need not
wait for more than that.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

from llmguard.usage import forks
from llmguard.usage.limits.rules import Rules, rules_from

if TYPE_CHECKING:
    from llmguard.usage.settings import UsageSettings

LOG = logging.getLogger("llmguard.usage")
#: Seconds between looks; a change is to be seen within two.
INTERVAL = 0.5
_WHOLE = 30.0  # seconds after which all is read again, changed or not


class Looker:
    """The limits of a database, as they are now.

    Args:
        settings: of the ledger.

    Attributes:
        rules: the limits and stops.
        known: is set when somebody has looked, whatever came of it.
        blind: why nobody knows the limits, "" when they are known.
    """

    def __init__(self, settings: UsageSettings) -> None:
        self.rules = Rules()
        self.known = threading.Event()
        self.blind = ""
        self._settings = settings
        self._seen: Any = None
        self._next_whole = 0.0
        self._said: set[str] = set()
        self._engine: Any = None
        self._lock = threading.Lock()
        self._started = False

    def start(self) -> None:
        """Look from now on."""
        if not self._started:
            self._started = True
            threading.Thread(target=self._work, name="llmguard-limits-look", daemon=True).start()

    def look(self) -> None:
        """Look now. What was known before stays when the database does not answer."""
        with self._lock:
            try:
                rules = self._changed()
                self.blind = ""
            except Exception as error:  # noqa: BLE001  (a driver, a database: whatever fails is tried again)
                rules = None
                self._blinded(error)
            if rules is not None:
                self.rules = rules
                for problem in rules.problems:
                    self._say("a limit is not enforced: %s", problem)
        self.known.set()

    def give_up(self) -> None:
        """Wait no longer for the first look."""
        if not self.known.is_set():
            self.blind = self.blind or "the database does not answer"
            LOG.warning("nobody knows the limits of calls yet: %s", self.blind)
            self.known.set()

    def _work(self) -> None:
        while True:
            self.look()
            time.sleep(INTERVAL)

    def _blinded(self, error: Exception) -> None:
        reason = " ".join(str(getattr(error, "orig", None) or error).split())[:200] or type(error).__name__
        if self._seen is None:
            self.blind = reason
            self.rules = rules_from([], [], [])
            LOG.info("nobody knows the limits of calls: %s", reason)  # that the database is gone, the flusher says
        self._drop_engine()

    def _say(self, text: str, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            LOG.warning(text, what)

    def _changed(self) -> Rules | None:
        """The limits, None when they are what they were."""
        path = self._settings.sqlite_file
        whole = time.monotonic() >= self._next_whole
        rules, seen = self._of_file(path, whole=whole) if path else self._of_server(whole=whole)
        if rules is not None:
            self._next_whole = time.monotonic() + _WHOLE
        self._seen = seen
        return rules

    def _of_file(self, path: str, *, whole: bool) -> tuple[Rules | None, Any]:
        import sqlite3

        state = tuple(_state_of(path + end) for end in ("", "-wal"))
        if state[0] is None:
            return (rules_from([], [], []) if self._seen != state else None), state
        if state == self._seen and not whole:
            return None, state
        with forks.connected("sqlite"), closing(sqlite3.connect(_uri(path), uri=True, timeout=1.0)) as connection:
            connection.row_factory = sqlite3.Row
            names = {row["name"] for row in connection.execute("SELECT name FROM sqlite_master")}
            if "llm_stops" not in names:
                return rules_from([], [], []), state  # of an older version, which has no limits
            limits, defaults, stops = (
                [dict(row) for row in connection.execute(f"SELECT * FROM {table} ORDER BY created_at, id")]
                for table in ("llm_rate_limits", "llm_rate_limit_configs", "llm_stops")
            )
        return rules_from(limits, defaults, stops), state

    def _of_server(self, *, whole: bool) -> tuple[Rules | None, Any]:
        from llmguard.usage.store.limits import fingerprint, load

        engine = self._opened()
        seen = fingerprint(engine)
        return (None if seen == self._seen and not whole else load(engine)), seen

    def _opened(self) -> Any:
        if self._engine is None:
            from llmguard.usage.store.engine import connect

            self._engine = connect(self._settings.database_url, self._settings.schema)
        return self._engine

    def _drop_engine(self) -> None:
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose()


def refuses_blind() -> bool:
    """Whether no call goes out when nobody knows the limits (LLMGUARD_LIMITS_ON_OUTAGE=closed)."""
    return os.environ.get("LLMGUARD_LIMITS_ON_OUTAGE", "").strip().lower() == "closed"


def _uri(path: str) -> str:
    from urllib.parse import quote

    return f"file:{quote(path)}?mode=rw"


def _state_of(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size
