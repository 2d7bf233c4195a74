"""Databases and spools for the tests of the ledger: SQLite always, PostgreSQL where there is one (in CI it must be)."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from llmguard.config import source
from llmguard.testing import FakeProvider
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.script import script
from tests.optional import optional

POSTGRES = os.environ.get("LLMGUARD_TEST_POSTGRES", "postgresql+psycopg://root@127.0.0.1:5432/test")


REDIS = os.environ.get("LLMGUARD_TEST_REDIS", "redis://127.0.0.1:6379/0")


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The user's state directory is one of the tests' own; what they start sees it too."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # else it asks the network, in threads that write to stderr


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """This llmguard was installed from a repository."""
    monkeypatch.setattr(source, "_recorded", lambda: source.Source("https://git.example.com/llmguard", "v9"))


@pytest.fixture(scope="session")
def postgres() -> str:
    """The URL of a PostgreSQL server."""
    engine = create_engine(POSTGRES, connect_args={"connect_timeout": 3})
    try:
        with engine.connect():
            return POSTGRES
    except OperationalError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no PostgreSQL at LLMGUARD_TEST_POSTGRES ({POSTGRES}): {' '.join(str(error).split())[:100]}")
    finally:
        engine.dispose()


@pytest.fixture(scope="session")
def redis_url() -> str:
    """The URL of a Redis server."""
    redis = optional("redis")
    try:
        with redis.Redis.from_url(REDIS, socket_connect_timeout=3) as client:
            client.ping()
    except redis.RedisError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"no Redis at LLMGUARD_TEST_REDIS ({REDIS}): {' '.join(str(error).split())[:100]}")
    return REDIS


@lru_cache(maxsize=1)
def _script() -> str:
    """What makes a ledger's tables in PostgreSQL; a test holds it against an upgrade."""
    return script(_SCHEMA)


_SCHEMA = "the_schema_of_a_test"


@pytest.fixture(params=["sqlite", "postgresql"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[UsageSettings]:
    """Settings of a ledger of its own; an SQLite file is made when it is opened."""
    spool = str(tmp_path / "spool")
    if request.param == "sqlite":
        yield UsageSettings(f"sqlite:///{tmp_path / 'usage.db'}", spool_dir=spool)
        return
    url = request.getfixturevalue("postgres")
    schema = f"llmguard_{uuid.uuid4().hex[:12]}"
    admin = create_engine(url)
    with admin.connect() as connection:  # the script has a transaction of its own
        made = connection.execution_options(isolation_level="AUTOCOMMIT", no_parameters=True)
        made.exec_driver_sql(_script().replace(_SCHEMA, schema))
    yield UsageSettings(url, schema, spool)
    with admin.begin() as connection:
        connection.execute(text(f'DROP SCHEMA "{schema}" CASCADE'))
    admin.dispose()


@pytest.fixture
def ledger(settings: UsageSettings) -> Iterator[Ledger]:
    """The ledger of `settings`, open."""
    opened = Ledger.open(settings)
    yield opened
    opened.close()


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    """A provider on the loopback."""
    with FakeProvider() as running:
        yield running
