"""What the ledger goes by: environment variables, or `configure()` before the first call."""

from __future__ import annotations

import hashlib
import os
import tempfile
from typing import NamedTuple

from llmguard.errors import ConfigError
from llmguard.usage.revision import revision_of, without_password

_SQLITE = "sqlite:///"


class UsageSettings(NamedTuple):
    """Settings of the ledger; each has an environment variable.

    Attributes:
        database_url: SQLAlchemy URL (LLMGUARD_DATABASE_URL); an SQLite file in the user's data directory by default.
        schema: PostgreSQL schema of the tables (LLMGUARD_DATABASE_SCHEMA); "" for the search path's first.
        spool_dir: folder of the spool (LLMGUARD_SPOOL_DIR); one below it belongs to each database.
        spool: False writes rows directly, within a deadline, for disks that cannot be written (LLMGUARD_SPOOL=off).
        disabled: nothing is recorded (LLMGUARD_DISABLED=1).
        strict: a call whose intent cannot be written is refused (LLMGUARD_STRICT=1).
        spool_cap: bytes of the spool above which new records are dropped and counted (LLMGUARD_SPOOL_CAP).
        max_age: seconds after which a call without an end becomes a row `unknown` (LLMGUARD_MAX_AGE).
        store_content: characters of request and response kept on a row, 0 for none (LLMGUARD_STORE_CONTENT).
        project_root: folder that `code_file` is relative to (LLMGUARD_PROJECT_ROOT); by default the nearest folder from
            the working directory upward that has a `pyproject.toml`, `llmguard.yaml` or `.git`, else the former.
        environment: what this process is (LLMGUARD_ENVIRONMENT): "production", say.
        repository: URL of the code's repository (LLMGUARD_REPOSITORY), else what `.git` says.
        commit: hash of the code's commit (LLMGUARD_COMMIT), else what `.git` says.
        limits_deadline: seconds that a call waits for the database that counts its limits (LLMGUARD_LIMITS_DEADLINE);
            then each limit's own policy decides.
    """

    database_url: str
    schema: str = ""
    spool_dir: str = ""
    spool: bool = True
    disabled: bool = False
    strict: bool = False
    spool_cap: int = 256 * 1024 * 1024
    max_age: float = 3600.0
    store_content: int = 0
    project_root: str = ""
    environment: str = ""
    repository: str = ""
    commit: str = ""
    limits_deadline: float = 1.0

    @property
    def process_fields(self) -> dict[str, str]:
        """The columns that are the same for all calls of a process."""
        given = {"environment": self.environment, "repository": self.repository, "commit": self.commit}
        return {name: value for name, value in given.items() if value}

    @property
    def sqlite_file(self) -> str:
        """The path of the database's file, "" when it is no SQLite file."""
        head, path = self.database_url[: len(_SQLITE)], self.database_url[len(_SQLITE) :]
        return path if head == _SQLITE and path and not path.startswith((":memory:", "file:")) else ""

    @property
    def spool_folder(self) -> str:
        """The folder of this database's segments: lines never reach another database."""
        key = hashlib.sha256(f"{self.database_url}\0{self.schema}".encode()).hexdigest()[:12]
        return os.path.join(self.spool_dir, key)


def from_environment() -> UsageSettings:
    """The settings that the environment says.

    Raises:
        ConfigError: a variable holds what it cannot.
    """
    home = data_directory()
    environ = os.environ
    default = f"sqlite:///{os.path.join(home, 'usage.db')}"
    root = os.path.abspath(environ.get("LLMGUARD_PROJECT_ROOT") or _project_root())
    found = revision_of(root)
    return UsageSettings(
        database_url=absolute(environ.get("LLMGUARD_DATABASE_URL") or default),
        schema=environ.get("LLMGUARD_DATABASE_SCHEMA", ""),
        spool_dir=os.path.abspath(environ.get("LLMGUARD_SPOOL_DIR") or os.path.join(home, "spool")),
        spool=environ.get("LLMGUARD_SPOOL", "").lower() not in ("off", "0", "false", "no"),
        disabled=_flag("LLMGUARD_DISABLED"),
        strict=_flag("LLMGUARD_STRICT"),
        spool_cap=int(_number("LLMGUARD_SPOOL_CAP", 256 * 1024 * 1024)),
        max_age=_number("LLMGUARD_MAX_AGE", 3600.0),
        store_content=int(_number("LLMGUARD_STORE_CONTENT", 0)),
        project_root=root,
        environment=environ.get("LLMGUARD_ENVIRONMENT", ""),
        repository=without_password(environ.get("LLMGUARD_REPOSITORY", "") or found.repository),
        commit=environ.get("LLMGUARD_COMMIT", "") or found.commit,
        limits_deadline=_number("LLMGUARD_LIMITS_DEADLINE", 1.0),
    )


def absolute(database_url: str) -> str:
    """A database URL whose SQLite file does not depend on the working directory, which may change."""
    head, path = database_url[: len(_SQLITE)], database_url[len(_SQLITE) :]
    if head != _SQLITE or not path or path.startswith(("/", ":memory:", "file:")):
        return database_url
    return _SQLITE + os.path.abspath(path)


def data_directory() -> str:
    """The user's data directory for llmguard; a temporary one where there is no home."""
    try:
        import platformdirs

        return platformdirs.user_data_dir("llmguard", appauthor=False)
    except ImportError:
        base = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    except (OSError, RuntimeError):
        base = os.path.join(tempfile.gettempdir(), f"llmguard-{getattr(os, 'getuid', int)()}")
    return os.path.join(base, "llmguard")


def _project_root() -> str:
    try:
        folder = here = os.getcwd()
    except OSError:  # it was removed
        return os.sep
    while True:
        if any(os.path.exists(os.path.join(folder, name)) for name in ("pyproject.toml", "llmguard.yaml", ".git")):
            return folder
        above = os.path.dirname(folder)
        if above == folder:
            return here
        folder = above


def _flag(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "on")


def _number(name: str, default: float) -> float:
    text = os.environ.get(name, "")
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e15:
        raise ConfigError(name, "", f"must be a number that is not negative, not {text!r}")
    return value
