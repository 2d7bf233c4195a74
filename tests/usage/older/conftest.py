"""Databases of their own in which an older tracker has kept its calls."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Engine, create_engine, make_url, text

from llmguard.migrate.rename.sql import migration, tables
from llmguard.usage.store.engine import connect
from tests.usage.older import trackers


def script(engine: Engine, sql: str) -> None:
    """Run a script as it is, in one transaction."""
    with engine.begin() as connection:
        connection.exec_driver_sql(sql, execution_options={"no_parameters": True})


def fill(engine: Engine, which: str, rows: int) -> None:
    """Make the tables of a tracker: groq, llm (as its own scripts name them), option-1 and renamed (by hand, and by
    llmguard), migration."""
    if which == "migration":
        script(engine, trackers.SECOND)
        script(engine, trackers.SECOND_ROWS.format(rows=rows))
        return
    prefix = "llm" if which == "llm" else "groq"
    script(engine, trackers.FIRST.format(x=prefix, users="users"))
    script(engine, trackers.FIRST_ROWS.format(x=prefix, users="users", rows=rows))
    if which == "option-1":
        script(engine, trackers.OPTION_1)
    if which == "renamed":  # by our own `llmguard migrate --rename`
        texts = {"005_usage.sql": trackers.FIRST.format(x="groq", users="users")}
        for made in migration(texts, tables(texts)).values():
            script(engine, made)


@pytest.fixture
def database(postgres: str) -> Iterator[Callable[..., Engine]]:
    """Makes databases: empty ones, or copies of another one (`like`), which nobody may use meanwhile."""
    admin = create_engine(postgres, isolation_level="AUTOCOMMIT")
    made: list[tuple[str, Engine]] = []

    def make(like: Engine | None = None) -> Engine:
        name = f"llmguard_{uuid.uuid4().hex[:12]}"
        template = ""
        if like is not None:
            like.dispose()
            template = f' TEMPLATE "{like.url.database}"'
        with admin.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{name}"{template}'))
        url = make_url(postgres).set(database=name).render_as_string(hide_password=False)
        made.append((name, connect(url)))
        return made[-1][1]

    yield make
    for name, engine in made:
        engine.dispose()
        with admin.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    admin.dispose()
