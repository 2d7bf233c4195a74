"""The schema of the ledger: Alembic's migrations, run under a lock so that two workers at once are safe."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from llmguard.errors import ConfigError, LLMGuardError
from llmguard.printable import printable
from llmguard.usage import private
from llmguard.usage.store.engine import checkpoint
from llmguard.usage.store.older import adopt
from llmguard.usage.store.older.adopt import Adopted
from llmguard.usage.store.older.found import Found
from llmguard.usage.store.older.restore import restore

#: Every revision, oldest first; a test holds the migrations against it.
REVISIONS = ("0001", "0002", "0003", "0004", "0005")
HEAD = REVISIONS[-1]
VERSION_TABLE = "llmguard_alembic_version"
_ADVISORY_KEY = 0x6C6C6D67  # "llmg"
_LOCK = threading.Lock()
_WAIT = "2s"  # how long a try waits for a table that somebody uses
_TRIES = 150


class SchemaError(LLMGuardError):
    """The database's schema is not one that this version can use."""


def folder() -> Path:
    """The folder of the migrations: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parents[2]
    for place in (package / "migrations", package.parent / "migrations"):
        if (place / "env.py").is_file():
            return place
    raise SchemaError("the migrations are missing from this installation of llmguard; install it again")


def configuration(connection: Connection | None = None, schema: str = "") -> Any:
    """Alembic's configuration (`alembic.config.Config`) for the ledger."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(folder()).replace("%", "%%"))
    config.attributes["connection"] = connection
    config.attributes["schema"] = schema
    return config


def current(connection: Connection) -> str:
    """The revision of a database, "" for one without the tables. (A plain query: Alembic is loaded to migrate only.)"""
    if not connection.dialect.has_table(connection, VERSION_TABLE):
        return ""
    return connection.execute(text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar() or ""


def ensure(engine: Engine, schema: str = "") -> None:
    """Make sure that the tables are those of this version. An SQLite database is upgraded; others are not touched.

    Raises:
        SchemaError: the tables are not there, or older or newer than the code; it says what to do.
    """
    with engine.connect() as connection:
        found = current(connection)
        old = None if found else adopt.to_adopt(connection, found)
    if found == HEAD:
        return
    if old is not None:
        places = ", ".join(table.place for table in old.tables)
        raise SchemaError(
            f"the usage database holds tables of an older tracker ({places}): llmguard db upgrade takes them over"
        )
    if found and found not in REVISIONS:
        raise SchemaError(
            f"the usage database is at revision {found}, which this llmguard does not know: it is newer than the code"
        )
    if engine.dialect.name == "sqlite":
        upgrade(engine, schema)
        return
    state = f"is at revision {found}, this version needs {HEAD}" if found else "has no tables of llmguard"
    raise SchemaError(f"the usage database {state}: run llmguard db upgrade")


def upgrade(engine: Engine, schema: str = "", revision: str = "head") -> Adopted:
    """Bring a database to a revision, and take over what an older tracker has left in it; whoever comes second waits
    and finds it done.

    Returns:
        What was taken over.

    Raises:
        SchemaError: the database is newer than this version.
        LLMGuardError: it holds tables that nobody knows, and that are in the way.
        SQLAlchemyError: the database refused.
    """
    with _alone(engine):
        with _writing(engine) as connection:
            if schema and engine.dialect.name == "postgresql":
                connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
                connection.commit()
            found = current(connection)
            old = adopt.to_adopt(connection, found, schema)
            connection.rollback()
            if old is not None and revision not in ("head", HEAD):
                raise SchemaError(
                    "the usage database holds tables of an older tracker, which only an upgrade to the newest revision "
                    "takes over: llmguard db upgrade"
                )
            if found and found not in REVISIONS:
                raise SchemaError(
                    f"the usage database is at revision {found}, which is newer than this llmguard; update it"
                )
            if old is None:
                _run("upgrade", connection, schema, revision)
            else:
                adopt.check(connection, old)
                connection.rollback()
                _with_patience(connection, lambda: _make_room(connection, schema, old))
        adopted = adopt.finish(engine, old.notes if old is not None else ())
    checkpoint(engine)
    return adopted


def _make_room(connection: Connection, schema: str, old: Found) -> None:
    """Older tables are set aside, the ledger's are made, and the old places are filled: all in one transaction."""
    with connection.begin():
        if connection.dialect.name == "postgresql":
            connection.execute(text(f"SET LOCAL lock_timeout = '{_WAIT}'"))
        lines, aside = adopt.before(connection, old)
        adopt.run(connection, lines)
        _run("upgrade", connection, schema, "head", within=True)
        adopt.run(connection, adopt.after(connection, old, aside))
        # What the database would not take is known before anything has moved.
        checked = [f"EXPLAIN {line}" for line in adopt.pieces(old, aside, marked=False)]
        adopt.run(connection, checked)


def _with_patience(connection: Connection, work: Callable[[], object]) -> None:
    """Whoever waits for a table holds up all that come behind: each try waits briefly."""
    for left in range(_TRIES, -1, -1):
        try:
            work()
        except OperationalError as error:  # noqa: PERF203  (it is waited, not computed)
            if getattr(error.orig, "sqlstate", "") != "55P03" or not left:
                raise
            connection.rollback()
            time.sleep(0.2)
        else:
            return


def planned(engine: Engine, schema: str = "") -> list[str]:
    """The statements that an upgrade would run, nothing of which is run.

    Raises:
        LLMGuardError, SQLAlchemyError: as of `upgrade`.
    """
    with engine.connect() as connection:
        found = current(connection)
        old = adopt.to_adopt(connection, found, schema)
        dialect = engine.dialect.name
        own = [] if found == HEAD else [offline(dialect, f"{found}:head" if found else "head").rstrip("\n;")]
        if old is None and not own:
            return []
        if old is not None:
            adopt.check(connection, old)
        before, aside = adopt.before(connection, old) if old is not None else ([], {})
        after = adopt.after(connection, old, aside) if old is not None else []
    head = ["BEGIN"]
    if schema and dialect == "postgresql":
        head += [f'CREATE SCHEMA IF NOT EXISTS "{schema}"', f'SET LOCAL search_path TO "{schema}"']
    if old is None:
        return [*head, *own, "COMMIT"]
    alone, again = ["SET LOCAL llmguard.takes_over = 'on'"], []
    if dialect == "sqlite":  # its trigger would fill in and add up what comes as it is
        made = offline(dialect, "0003:0004")
        alone = ["DROP TRIGGER llmguard_fill_in"]
        again = [made[made.index("CREATE TRIGGER llmguard_fill_in") :].rpartition("END")[0] + "END"]
    copying = [
        "-- the calls, which an upgrade takes over in pieces of 10,000:",
        *alone,
        *adopt.pieces(old, aside),
        *again,
    ]
    notes = [f"-- {printable(note)}" for note in old.notes]  # names may hold line breaks
    return [*head, *before, *own, *after, *copying, *adopt.refreshing(old), "COMMIT", *notes]


def _writing(engine: Engine) -> Connection:
    """A connection whose transactions begin as a writer's: in SQLite one that reads first cannot always write later."""
    return engine.connect().execution_options(llmguard_write=True)


def downgrade(engine: Engine, schema: str, revision: str, *, without_new: bool = False) -> int:
    """Take a database back to a revision ("base" for none, which puts back what was taken over).

    Args:
        engine: of the database.
        schema: of its tables.
        revision: to go to.
        without_new: calls that were recorded since, and fit no older table, are given up.

    Returns:
        How many calls went into an older tracker's tables.

    Raises:
        LLMGuardError: calls would be lost.
        SQLAlchemyError: the database refused; it is as it was.
    """
    with _alone(engine), _writing(engine) as connection:
        is_adopted = bool(adopt.marks(connection))
        connection.rollback()
        if not is_adopted:
            _run("downgrade", connection, schema, revision)
            return 0
        if revision != "base":
            raise ConfigError("revision", "", "a ledger that took over older tables goes back to base only")
        with connection.begin():
            back = lambda: _run("downgrade", connection, schema, "base", within=True)  # noqa: E731
            put = restore(connection, back, without_new=without_new)
            connection.execute(text(f"DROP TABLE {VERSION_TABLE}"))
        return put


def _run(action: str, connection: Connection, schema: str, revision: str, *, within: bool = False) -> None:
    from alembic import command
    from alembic.util.exc import CommandError

    given = configuration(connection, schema)
    given.attributes["within"] = within
    try:
        with _silently():
            getattr(command, action)(given, revision)
    except CommandError as error:
        raise ConfigError("revision", "", " ".join(str(error).split())) from None


@contextmanager
def _silently() -> Iterator[None]:
    """Keep Alembic's remarks out of the application's log: it did not ask for a migration. Those of other threads,
    which may migrate the application's own tables, go through."""
    here = threading.get_ident()
    logger = logging.getLogger("alembic.runtime.migration")

    def is_of_others(record: logging.LogRecord) -> bool:
        return record.thread != here or record.levelno >= logging.WARNING

    logger.addFilter(is_of_others)
    try:
        yield
    finally:
        logger.removeFilter(is_of_others)


def descriptions() -> list[tuple[str, str]]:
    """(revision, what it does) of every revision, oldest first."""
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory.from_config(configuration())
    return [(script.revision, script.doc) for script in reversed(list(scripts.walk_revisions()))]


def offline(dialect: str, revisions: str) -> str:
    """The SQL of an upgrade ("0001:0002", "head" from nothing), without transactions.

    Raises:
        ConfigError: there is no such revision.
    """
    import io

    from alembic import command
    from alembic.util.exc import CommandError

    config = configuration()
    config.set_main_option("sqlalchemy.url", f"{dialect}://")
    config.output_buffer = io.StringIO()
    try:
        command.upgrade(config, revisions, sql=True)
    except CommandError as error:
        raise ConfigError("revision", "", " ".join(str(error).split())) from None
    lines = config.output_buffer.getvalue().splitlines()
    return "\n".join(line.rstrip() for line in lines if line not in ("BEGIN;", "COMMIT;")).strip() + "\n"


@contextmanager
def _alone(engine: Engine) -> Iterator[None]:
    """While nobody else migrates this database: an advisory lock in PostgreSQL, a locked file beside SQLite's."""
    with _LOCK:
        if engine.dialect.name == "postgresql":
            # For as long as a transaction: a session's lock would stay with a connection of a pool behind us.
            with engine.connect() as connection, connection.begin():
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_KEY})
                yield
            return
        path = engine.url.database
        if not path or path == ":memory:":
            yield
            return
        descriptor = private.open_or_create(f"{path}.lock")
        try:
            _wait_for(descriptor)
            yield
        finally:
            os.close(descriptor)


def _wait_for(descriptor: int) -> None:
    from llmguard.usage.locks import Lock, try_lock

    ends = time.monotonic() + 60
    while try_lock(descriptor) is Lock.THEIRS:  # without locks, SQLite's own transaction has to do
        if time.monotonic() > ends:
            raise SchemaError("another process has been upgrading the usage database for a minute; try again")
        time.sleep(0.02)
