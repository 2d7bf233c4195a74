"""Keys of the usage API. Each belongs to a user; what is kept is a digest, which is of no use to who reads it."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timezone
from typing import Any, NamedTuple

from sqlalchemy import Engine, insert, select, update

from llmguard.usage.store.tables import api_keys

_BEGIN = "llmguard"
_LONGEST = 200  # characters of what is given as a key


class Owner(NamedTuple):
    """Whose a key is."""

    user_id: str
    is_admin: bool


def create_key(
    engine: Engine, user_id: str, *, name: str = "", is_admin: bool = False, expires_at: datetime | None = None
) -> str:
    """A new key, which is not kept: only who has it now has it.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    identity, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    with engine.execution_options(llmguard_write=True).begin() as connection:
        connection.execute(
            insert(api_keys).values(
                id=identity,
                key_hash=_digest(secret),
                user_id=user_id,
                name=name or None,
                is_admin=is_admin,
                created_at=datetime.now(timezone.utc),
                expires_at=expires_at,
            )
        )
    return f"{_BEGIN}_{identity}_{secret}"


def owner_of(engine: Engine, key: str) -> Owner | None:
    """Whose a key is, None for one that there is not, or that has ended.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    begin, _, rest = key[:_LONGEST].partition("_")
    identity, _, secret = rest.partition("_")
    if begin != _BEGIN or not identity.isalnum() or not identity.isascii():
        return None
    with engine.connect() as connection:
        row = connection.execute(select(api_keys).where(api_keys.c.id == identity)).mappings().first()
    # Compared even where there is none: how long it takes says nothing.
    is_right = hmac.compare_digest(row["key_hash"] if row is not None else _digest(""), _digest(secret))
    if row is None or not is_right or row["revoked_at"] is not None:
        return None
    if row["expires_at"] is not None and row["expires_at"] <= datetime.now(timezone.utc):
        return None
    return Owner(row["user_id"], row["is_admin"])


def keys(engine: Engine) -> list[dict[str, Any]]:
    """All keys, oldest first, without what tells them.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    shown = [column for column in api_keys.c if column.name != "key_hash"]
    with engine.connect() as connection:
        found = connection.execute(select(*shown).order_by(api_keys.c.created_at, api_keys.c.id)).mappings()
        return [dict(row) for row in found]


def revoke_key(engine: Engine, identity: str) -> bool:
    """Let a key end now; whether there was one that had not.

    Raises:
        SQLAlchemyError: the database does not answer.
    """
    ending = update(api_keys).where(api_keys.c.id == identity, api_keys.c.revoked_at.is_(None))
    with engine.execution_options(llmguard_write=True).begin() as connection:
        return bool(connection.execute(ending.values(revoked_at=datetime.now(timezone.utc))).rowcount)


def _digest(secret: str) -> str:
    """Of 256 random bits: a slow digest would protect nothing more."""
    return hashlib.sha256(secret.encode()).hexdigest()
