"""Connecting to the ledger's database."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from sqlalchemy import URL, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from llmguard.config.source import how_to_install
from llmguard.errors import ConfigError
from llmguard.usage import private

#: What a database that does not answer, or refuses, raises.
DatabaseError = SQLAlchemyError
#: Connections of one process: the flusher holds one, queries the rest.
_POOL = 5


def connect(database_url: str, schema: str = "") -> Engine:
    """An engine for a database URL; nothing is opened yet.

    Args:
        database_url: SQLAlchemy URL. `postgresql://` means the psycopg driver; asynchronous drivers are refused.
        schema: PostgreSQL schema that the tables are in, "" for the search path's first.

    Raises:
        ConfigError: the URL is none, its driver is not installed, or its database is not supported.
    """
    url = _usable(database_url)
    try:
        if url.get_backend_name() == "sqlite":
            return _sqlite(url)
        return _postgresql(url, schema)
    except ModuleNotFoundError as error:
        install = how_to_install("postgres") if error.name == "psycopg" else f"pip install {error.name}"
        raise ConfigError("LLMGUARD_DATABASE_URL", "", f"needs the driver {error.name}: {install}") from None


def shown(database_url: str) -> str:
    """A URL that may be printed: without its password."""
    try:
        url = make_url(database_url)
        hidden = {name: "***" for name in url.query if name.lower() in ("password", "passfile", "sslpassword")}
        return url.update_query_dict(hidden).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return "(not a database URL)"


def one_line(error: Exception) -> str:
    """What an error says, in a line that may be printed."""
    return " ".join(str(getattr(error, "orig", None) or error).split())[:200] or type(error).__name__


def checkpoint(engine: Engine) -> None:
    """Bring SQLite's log into its file, and give back its room; nothing for other databases.

    Raises:
        SQLAlchemyError: the disk has no room for that.
    """
    if engine.dialect.name == "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").close()


def _usable(text: str) -> URL:
    try:
        url = make_url(text)
        backend = url.get_backend_name()
        if "\0" in str(url.database):
            raise ValueError("a NUL is in no file's name, and in no database's")
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise ConfigError(
            "LLMGUARD_DATABASE_URL", "", "is no database URL: sqlite:///file.db or postgresql://..."
        ) from None
    if backend in ("postgresql", "postgres"):
        driver = url.drivername.partition("+")[2]
        if driver in ("asyncpg", "psycopg_async"):
            raise ConfigError("LLMGUARD_DATABASE_URL", "", f"{driver} is asynchronous; use postgresql+psycopg://")
        return url.set(drivername=f"postgresql+{driver or 'psycopg'}")
    if backend == "sqlite" and "+" not in url.drivername:
        return url
    raise ConfigError("LLMGUARD_DATABASE_URL", "", f"{url.drivername} is not supported: use sqlite or postgresql")


def _sqlite(url: URL) -> Engine:
    path = url.database
    if path and path != ":memory:" and not path.startswith("file:") and not os.path.lexists(path):
        folder = os.path.dirname(os.path.abspath(path))
        if not os.path.lexists(folder):
            private.make_folder(folder)
        with contextlib.suppress(FileExistsError):  # another process is making it too
            os.close(private.create(path))  # SQLite gives its log the rights of the file
    engine = create_engine(url, connect_args={"timeout": 5.0})

    @event.listens_for(engine, "connect")
    def _configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are begun by us: BEGIN IMMEDIATE, so that writers queue
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=NORMAL")
        cursor.execute("PRAGMA busy_timeout=5000")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Any) -> None:
        immediate = connection.get_execution_options().get("llmguard_write", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _postgresql(url: URL, schema: str) -> Engine:
    """An engine that works behind a pool of transactions (PgBouncer) too: no start-up options, and nothing that a
    session would have to keep (prepared statements, a search path)."""
    arguments: dict[str, Any] = {"connect_timeout": 5, "application_name": "llmguard"}
    if url.get_driver_name() == "psycopg":
        arguments["prepare_threshold"] = None
    engine = create_engine(url, pool_size=_POOL, max_overflow=0, pool_pre_ping=True, connect_args=arguments)
    if schema:
        if not schema.replace("_", "").isalnum():
            raise ConfigError("LLMGUARD_DATABASE_SCHEMA", "", f"must be a plain name, not {schema!r}")
        # Of that schema alone: tables of the same names in another one are somebody else's.
        path = f'SET LOCAL search_path TO "{schema}"'

        @event.listens_for(engine, "begin")
        def _begin(connection: Any) -> None:
            if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":  # which has no transaction
                connection.exec_driver_sql(path)

    return engine
