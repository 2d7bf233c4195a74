"""Reading what a provider answers, whatever object it is: of an SDK, a dictionary, or a plain HTTP response."""

from __future__ import annotations

from typing import Any


def field(holder: Any, name: str) -> Any:
    """A field of an object or a dictionary. A mock's attribute is a mock: it counts as missing."""
    if holder is None:
        return None
    if isinstance(holder, dict):
        return holder.get(name)
    known = getattr(holder, "__dict__", None)
    if known is not None and name in known:
        value = known[name]
    elif hasattr(type(holder), "__pydantic_fields__"):
        # Asking a pydantic object for what it has not takes longer than all else here together.
        return (getattr(holder, "__pydantic_extra__", None) or {}).get(name)
    else:
        value = getattr(holder, name, None)
    return None if type(value).__module__ == "unittest.mock" else value


def is_plain_http(response: Any) -> bool:
    """Whether an object looks like the response of an HTTP library."""
    kind = type(response)
    return hasattr(kind, "headers") or "headers" in getattr(response, "__dict__", ())


class _Attributes:
    """An object whose attributes are read one by one, as a mapping."""

    def __init__(self, holder: Any) -> None:
        self._holder = holder

    def get(self, name: str) -> Any:
        return field(self._holder, name)


def mapping(holder: Any) -> Any:
    """What has a `get`: a dictionary as it is, a pydantic object's fields at once, anything else by its attributes."""
    if holder is None:
        return {}
    if isinstance(holder, dict):
        return holder
    if hasattr(type(holder), "__pydantic_fields__"):
        extra = getattr(holder, "__pydantic_extra__", None)
        return {**holder.__dict__, **extra} if extra else holder.__dict__
    return _Attributes(holder)


def json_body(response: Any) -> Any:
    """The JSON object that a plain HTTP response holds, None for anything else."""
    read = getattr(response, "json", None)
    if not callable(read) or "json" not in str(response.headers.get("content-type", "")):
        return None
    try:
        return read()
    except Exception:  # noqa: BLE001  (not read yet, or no JSON: each library says so with errors of its own)
        return None
