"""Who is calling, and whether a call is on the books already: context variables, so that requests never mix."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llmguard.usage.tokens import Tokens

#: Fields of a request that rows take over when the call itself does not say.
FIELDS = (
    *("client_account_id", "engagement_id", "user_id", "username", "flow_id", "page_context", "feature_context"),
    *("endpoint", "request_id", "ip_address", "user_agent", "service_name"),
)


class Enclosing:
    """A call on the books, around calls that belong to it.

    Attributes:
        call_id: its identifier.
        inner: what the calls inside have used, as far as it is known.
    """

    __slots__ = ("call_id", "inner")

    def __init__(self, call_id: str) -> None:
        self.call_id = call_id
        self.inner: list[Tokens] = []


_REQUEST: ContextVar[dict[str, Any]] = ContextVar("llmguard_request", default={})  # noqa: B039  (never changed in place)
_INSIDE: ContextVar[Enclosing | None] = ContextVar("llmguard_inside", default=None)


def request_context() -> dict[str, Any]:
    """What is known of the request at hand. Not to be changed in place."""
    return _REQUEST.get()


def set_request_fields(fields: dict[str, Any]) -> None:
    """Know this of the request from here on, in this task or thread and what it starts."""
    _REQUEST.set({name: value for name, value in fields.items() if value is not None})


def enclosing() -> Enclosing | None:
    """The call that is on the books around this code, None when there is none."""
    return _INSIDE.get()


@contextmanager
def inside(call_id: str) -> Iterator[Enclosing]:
    """While the block runs, calls belong to the one that is tracked: they get no row of their own."""
    around = Enclosing(call_id)
    token = _INSIDE.set(around)
    try:
        yield around
    finally:
        _INSIDE.reset(token)
