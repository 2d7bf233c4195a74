"""What `llmguard usage doctor` says of a ledger: where it is, whether it works, what may go wrong with it."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from importlib.util import find_spec
from typing import TYPE_CHECKING, NamedTuple

from llmguard.config.source import how_to_install
from llmguard.errors import LLMGuardError
from llmguard.printable import printable
from llmguard.usage import losses, private, segments
from llmguard.usage.settings import UsageSettings

if TYPE_CHECKING:
    from llmguard.usage.store.ledger import Ledger

_LEAST_FREE = 100 * 1024 * 1024
_STALE = 60.0  # seconds
#: File systems on which locks and appends cannot be relied on.
_REMOTE = ("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "9p", "afs", "ceph", "fuse.sshfs", "glusterfs", "lustre")


class Finding(NamedTuple):
    """A line of the report."""

    topic: str
    text: str
    is_problem: bool = False


def examine(settings: UsageSettings) -> Iterator[Finding]:
    """Look at everything; never raises for what it finds."""
    if settings.disabled:
        yield Finding("recording", "off: LLMGUARD_DISABLED is set", True)
    elif not settings.spool:
        yield Finding("recording", "on, without a spool (LLMGUARD_SPOOL=off): a kill loses calls, and each waits", True)
    else:
        yield Finding("recording", "on, strict" if settings.strict else "on")
    yield from _database(settings)
    yield from _spool(settings)
    yield from _lost(settings)
    yield from _prices(settings)


def _database(settings: UsageSettings) -> Iterator[Finding]:
    try:
        from llmguard.usage.store.engine import DatabaseError, one_line, shown
        from llmguard.usage.store.ledger import Ledger
    except ModuleNotFoundError as error:
        yield Finding("database", f"needs {error.name}: {how_to_install('runtime')}", True)
        return
    yield Finding("database", shown(settings.database_url) + (f", schema {settings.schema}" if settings.schema else ""))
    try:
        opened = Ledger.open(settings)
    except (LLMGuardError, DatabaseError, OSError) as error:
        yield Finding("", f"cannot be used: {one_line(error)}", True)
        return
    try:
        yield from _contents(opened)
        yield from _limits(opened)
    except DatabaseError as error:
        yield Finding("", f"does not answer: {one_line(error)}", True)
    finally:
        opened.close()
    path = settings.database_url.removeprefix("sqlite:///")
    if path != settings.database_url:
        yield from _sqlite(path)


def _contents(opened: Ledger) -> Iterator[Finding]:
    from llmguard.usage.store.older.adopt import waiting
    from llmguard.usage.store.query import contents, without_a_look
    from llmguard.usage.store.query import unpriced as unpriced_models
    from llmguard.usage.store.schema import HEAD
    from llmguard.usage.store.upkeep import advice

    calls, last, unpriced = contents(opened.engine)
    when = last.isoformat(" ", "seconds") if last else "never"
    yield Finding("", f"revision {HEAD}, {calls:,} calls, the last {when}")
    with opened.engine.connect() as connection:
        older = waiting(connection)
    if older:
        text = f"calls of an older tracker are not all here yet ({', '.join(older)}): llmguard db upgrade"
        yield Finding("", printable(text), True)
    for each in advice(opened.engine):
        yield Finding("", each)
    unasked = without_a_look(opened.engine)
    if unasked:
        yield Finding("", f"{unasked:,} calls came without a price: llmguard usage reprice", True)
    if unpriced:
        named = ", ".join(
            f"{printable(provider or '?')} {printable(model or '?')} ({number:,})"
            for provider, model, number in unpriced_models(opened.engine)
        )
        text = f"{unpriced:,} calls of models without a known price, their cost is NULL: {named}"
        yield Finding("", text, unpriced * 10 > calls)


def _limits(opened: Ledger) -> Iterator[Finding]:
    from llmguard.usage.store.limits import load

    rules = load(opened.engine)
    number = len(rules.limits)
    text = (
        f"{number:,} enforced: llmguard limits show" if number else "none is enforced; the shipped ones are shown only"
    )
    yield Finding("limits", text)
    if rules and find_spec("litellm") is not None:
        text = "LiteLLM's own synchronous calls outside of blocks are counted; LiteLLM lets nobody refuse them"
        yield Finding("", text)
    for stop in rules.stops:
        yield Finding("", printable(f"{stop.says()}: stopped" + (f" ({stop.reason})" if stop.reason else "")), True)
    for problem in rules.problems:
        yield Finding("", printable(f"not enforced: {problem}"), True)


def _sqlite(path: str) -> Iterator[Finding]:
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        text = "an SQLite file in a container goes with the container, unless it lies on a volume"
        yield Finding("", f"{text}; PostgreSQL: LLMGUARD_DATABASE_URL", True)
    kind = _file_system(path)
    if kind in _REMOTE:
        yield Finding("", f"the file is on a network file system ({kind}), where SQLite is not safe", True)


def _spool(settings: UsageSettings) -> Iterator[Finding]:
    folder = settings.spool_folder
    found = segments.segments(folder)
    size = sum(os.path.getsize(segment.path) for segment in found if os.path.exists(segment.path))
    owners = {segment.owner for segment in found}
    yield Finding("spool", folder)
    yield Finding("", f"{len(found):,} files of {len(owners):,} processes, {size:,} of {settings.spool_cap:,} bytes")
    if size > settings.spool_cap * 0.8:
        yield Finding("", "nearly full: records are dropped when it is; is the database written?", True)
    waiting = segments.waiting(folder)
    oldest = min((os.path.getmtime(path) for path in waiting if os.path.exists(path)), default=None)
    if oldest is not None and time.time() - oldest > _STALE:
        age = time.time() - oldest
        text = f"{sum(waiting.values()):,} bytes have been waiting for {age:,.0f} s: llmguard usage recover"
        yield Finding("", text, True)
    reason = private.why_unusable(folder)
    if reason:
        yield Finding("", f"cannot be written, it {reason}: set LLMGUARD_SPOOL_DIR, or LLMGUARD_SPOOL=off", True)
    odd, aside = segments.strange(folder), segments.kept_aside(folder)
    if odd:
        yield Finding("", f"{len(odd):,} of its files are no plain files of this user, and are not read", True)
    if aside:
        text = "held something that could not be read, and are kept for you to look at"
        yield Finding("", f"{len(aside):,} files (*{segments.ASIDE}) {text}", True)
    kind = _file_system(folder)
    if kind in _REMOTE:
        yield Finding("", f"it is on a network file system ({kind}): set LLMGUARD_SPOOL_DIR to a local folder", True)
    free = shutil.disk_usage(_nearest(folder)).free
    if free < _LEAST_FREE:
        yield Finding("", f"{free:,} bytes are free on its disk", True)


def _lost(settings: UsageSettings) -> Iterator[Finding]:
    lost = losses.total(settings.spool_folder)
    if not lost.last:
        yield Finding("lost", "nothing")
        return
    when = datetime.fromtimestamp(lost.last, timezone.utc).isoformat(" ", "seconds")
    yield Finding("lost", f"{lost.dropped:,} records dropped, {lost.corrupt:,} corrupt lines, the last {when}", True)


def _prices(settings: UsageSettings) -> Iterator[Finding]:
    from llmguard.usage.prices import in_force, own
    from llmguard.usage.prices.known import refresh

    problems = refresh(settings, None)
    mine = len(own.current().prices)
    yield Finding(
        "prices", f"list of {in_force().version}" + (f"; {mine:,} of your own in the configuration" if mine else "")
    )
    for problem in problems:
        yield Finding("", printable(problem), True)


def _nearest(path: str) -> str:
    """The nearest folder that is there."""
    while path and not os.path.isdir(path):
        path = os.path.dirname(path)
    return path or os.sep


def _file_system(path: str) -> str:
    """The kind of file system of a path, as Linux names it; "" where that cannot be told."""
    if not sys.platform.startswith("linux"):
        return ""
    real, found, longest = os.path.realpath(path), "", ""
    try:
        with open("/proc/self/mounts", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                _, point, kind, *_ = line.split()
                if (real == point or real.startswith(point.rstrip("/") + "/")) and len(point) >= len(longest):
                    found, longest = kind, point
    except (OSError, ValueError):
        return ""
    return found
