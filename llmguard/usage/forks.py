"""Forks and SQLite: a process must not be forked while it has an SQLite database open.

SQLite keeps locks and shared memory for the whole process; a child would go on with those of its parent, and crash or
corrupt the database (https://www.sqlite.org/howtocorrupt.html, 2.6). So whoever uses one does it inside `connected`, a
fork waits for the end of that, and the flusher closes its connection before.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_MOST_WAIT = 10.0  # seconds; a statement waits 5 for the database at most
_gate = threading.Condition()
_using = 0
_closers: list[Callable[[], None]] = []


@contextmanager
def connected(database_url: str) -> Iterator[None]:
    """While the block runs, this process is not forked, if the database is an SQLite file."""
    global _using
    if not database_url.startswith("sqlite"):
        yield
        return
    gate = _gate
    with gate:
        _using += 1
    try:
        yield
    finally:
        with gate:
            _using -= 1
            gate.notify_all()


def before_fork(closer: Callable[[], None]) -> None:
    """Have this called before each fork, when nobody is using a database, to close what is open."""
    _closers.append(closer)


def _before() -> None:
    _gate.acquire()
    if _gate.wait_for(lambda: not _using, _MOST_WAIT):
        for close in _closers:
            close()


def _after_in_parent() -> None:
    _gate.release()


def _after_in_child() -> None:
    global _gate, _using
    _gate = threading.Condition()
    _using = 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before, after_in_parent=_after_in_parent, after_in_child=_after_in_child)
