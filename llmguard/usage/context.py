"""Who is calling, and whether a call is on the books already: context variables, so that requests never mix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

#: Fields of a request that rows take over when the call itself does not say.
FIELDS = (
    *("client_account_id", "engagement_id", "user_id", "username", "flow_id", "page_context", "feature_context"),
    *("endpoint", "request_id", "ip_address", "user_agent", "service_name"),
)
_REQUEST: ContextVar[dict[str, Any]] = ContextVar("llmguard_request", default={})  # noqa: B039  (never changed in place)
_INSIDE: ContextVar[str] = ContextVar("llmguard_inside", default="")


def request_context() -> dict[str, Any]:
    """What is known of the request at hand. Not to be changed in place."""
    return _REQUEST.get()


def set_request_fields(fields: dict[str, Any]) -> None:
    """Know this of the request from here on, in this task or thread and what it starts."""
    _REQUEST.set({name: value for name, value in fields.items() if value is not None})


def tracked_by() -> str:
    """The identifier of the call that is being tracked around this code, "" for none."""
    return _INSIDE.get()


@contextmanager
def inside(call_id: str) -> Iterator[None]:
    """While the block runs, calls belong to the one that is tracked: they get no row of their own."""
    token = _INSIDE.set(call_id)
    try:
        yield
    finally:
        _INSIDE.reset(token)
