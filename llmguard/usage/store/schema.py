"""The schema of the ledger: Alembic's migrations, run under a lock so that two workers at once are safe."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, text

from llmguard.errors import ConfigError, LLMGuardError
from llmguard.usage import private
from llmguard.usage.store.engine import checkpoint

#: Every revision, oldest first; a test holds the migrations against it.
REVISIONS = ("0001", "0002", "0003")
HEAD = REVISIONS[-1]
VERSION_TABLE = "llmguard_alembic_version"
_ADVISORY_KEY = 0x6C6C6D67  # "llmg"
_LOCK = threading.Lock()


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
    if found == HEAD:
        return
    if found and found not in REVISIONS:
        raise SchemaError(
            f"the usage database is at revision {found}, which this llmguard does not know: it is newer than the code"
        )
    if engine.dialect.name == "sqlite":
        upgrade(engine, schema)
        return
    state = f"is at revision {found}, this version needs {HEAD}" if found else "has no tables of llmguard"
    raise SchemaError(f"the usage database {state}: run llmguard db upgrade")


def upgrade(engine: Engine, schema: str = "", revision: str = "head") -> None:
    """Bring a database to a revision; whoever comes second waits and finds it done.

    Raises:
        SchemaError: the database is newer than this version.
        SQLAlchemyError: the database refused.
    """
    with _alone(engine), _writing(engine) as connection:
        if schema and engine.dialect.name == "postgresql":
            connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))
            connection.commit()
        found = current(connection)
        connection.rollback()
        if found and found not in REVISIONS:
            raise SchemaError(
                f"the usage database is at revision {found}, which is newer than this llmguard; update it"
            )
        _run("upgrade", connection, schema, revision)
    checkpoint(engine)


def _writing(engine: Engine) -> Connection:
    """A connection whose transactions begin as a writer's: in SQLite one that reads first cannot always write later."""
    return engine.connect().execution_options(llmguard_write=True)


def downgrade(engine: Engine, schema: str, revision: str) -> None:
    """Take a database back to a revision ("base" for none)."""
    with _alone(engine), _writing(engine) as connection:
        _run("downgrade", connection, schema, revision)


def _run(action: str, connection: Connection, schema: str, revision: str) -> None:
    from alembic import command
    from alembic.util.exc import CommandError

    try:
        with _silently():
            getattr(command, action)(configuration(connection, schema), revision)
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


def statements(database_url: str, schema: str, revision: str) -> str:
    """The SQL of an upgrade from nothing to a revision, in the dialect of a database URL."""
    import io

    from alembic import command
    from alembic.util.exc import CommandError

    from llmguard.usage.store.engine import connect

    engine = connect(database_url, schema)
    config = configuration(None, schema)
    config.set_main_option("sqlalchemy.url", f"{engine.dialect.name}://")
    config.output_buffer = io.StringIO()
    try:
        command.upgrade(config, revision, sql=True)
    except CommandError as error:
        raise ConfigError("revision", "", " ".join(str(error).split())) from None
    finally:
        engine.dispose()
    head = f'CREATE SCHEMA IF NOT EXISTS "{schema}";\nSET search_path TO "{schema}";\n\n' if schema else ""
    return f"{head}{config.output_buffer.getvalue()}"


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
    import time

    from llmguard.usage.locks import Lock, try_lock

    ends = time.monotonic() + 60
    while try_lock(descriptor) is Lock.THEIRS:  # without locks, SQLite's own transaction has to do
        if time.monotonic() > ends:
            raise SchemaError("another process has been upgrading the usage database for a minute; try again")
        time.sleep(0.02)
