"""Who asks, and what he may see: his own calls, or, as an administrator, all.

An application that has users of its own says who asks:

    app.dependency_overrides[current_user] = get_current_active_user
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Annotated, Any, NamedTuple
from uuid import UUID

from fastapi import Depends, HTTPException, Request

from llmguard.usage.store.api_keys import owner_of
from llmguard.web.ledger import ledger

_NAMES = ("id", "user_id", "sub", "username", "email")


class Viewer(NamedTuple):
    """Who asks.

    Attributes:
        user_id: as the rows of his calls have it; "" for nobody's.
        is_admin: whether he may see the calls of all.
    """

    user_id: str
    is_admin: bool = False


def current_user(request: Request) -> Any:
    """Who asks: by default the owner of the API key that comes with the request, in `Authorization: Bearer ...` or
    `X-API-Key`.

    Returns:
        A `Viewer`; what an application puts in its place may give an object, or a mapping, with an `id`, `user_id` or
        `sub`, or the identifier itself: its calls are what is shown.

    Raises:
        HTTPException: 401, without a key that is known.
    """
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    key = given.strip() if scheme.lower() == "bearer" else request.headers.get("x-api-key", "").strip()
    if key:
        with ledger.reading() as engine:
            owner = owner_of(engine, key)
        if owner is not None:
            return Viewer(*owner)
        raise HTTPException(401, "this API key is not known, or has ended", {"WWW-Authenticate": "Bearer"})
    granted = getattr(request.app.state, "llmguard_viewer", None)
    if isinstance(granted, Viewer):  # of `llmguard serve` on the loopback
        return granted
    raise HTTPException(401, "an API key is needed: llmguard keys create", {"WWW-Authenticate": "Bearer"})


def viewer(user: Annotated[Any, Depends(current_user)]) -> Viewer:
    """Who asks, whatever the application's own users are.

    Raises:
        HTTPException: 401, nobody; 403, somebody without an identifier.
    """
    if user is None:
        raise HTTPException(401, "nobody is logged in", {"WWW-Authenticate": "Bearer"})
    if isinstance(user, Viewer):
        found = user
    else:
        found = Viewer(_identifier(user))
    if (not found.user_id and found.is_admin is not True) or not is_text(found.user_id):
        raise HTTPException(403, "this user has no identifier, and so no calls")
    return found


def administrator(asks: Annotated[Viewer, Depends(viewer)]) -> Viewer:
    """Who asks, where only administrators may. An application that has its own gives `Viewer(..., is_admin=True)`, or
    puts a dependency of its own in the place of this one.

    Raises:
        HTTPException: 403.
    """
    if asks.is_admin is not True:
        raise HTTPException(403, "only administrators may see this")
    return asks


def is_text(value: object) -> bool:
    """Whether a column can hold it."""
    return isinstance(value, str) and "\0" not in value and not any("\ud800" <= sign <= "\udfff" for sign in value)


def _identifier(user: Any) -> str:
    if _is_one(user):
        return str(user)
    given = user.get if isinstance(user, Mapping) else partial(_attribute, user)
    return next((str(found) for name in _NAMES if _is_one(found := given(name))), "")


def _attribute(user: Any, name: str) -> Any:
    return getattr(user, name, None)


def _is_one(value: Any) -> bool:
    """Whether something is an identifier: a text, a number or a UUID."""
    return isinstance(value, (str, int, UUID)) and not isinstance(value, bool)
