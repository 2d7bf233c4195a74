"""What a plain HTTP response (httpx, requests, aiohttp, urllib3) says of the request that it answers.

A program that asks a provider by hand says at run time whom and for what: in the URL and in the body.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from llmguard.providers.index import by_host
from llmguard.usage.outcome import error_text
from llmguard.usage.response import field, json_body

_MOST_BODY = 4 * 1024 * 1024  # bytes of a request that are parsed


def request_of(response: Any) -> dict[str, Any] | None:
    """The JSON object that was asked, None when it is not known any more."""
    try:
        request = getattr(response, "request", None)
        body = getattr(request, "content", None) or getattr(request, "body", None)
        if isinstance(body, str):
            body = body.encode()
        found = json.loads(body) if isinstance(body, bytes) and len(body) <= _MOST_BODY else None
    except Exception:  # noqa: BLE001  (a body that was streamed, or is no JSON: each library has errors of its own)
        return None
    return found if isinstance(found, dict) else None


def asked(response: Any) -> dict[str, Any]:
    """Columns of a row that the request says: provider, model and endpoint."""
    found: dict[str, Any] = {}
    url = _url(response)
    known = by_host(url) if url else None
    if known is not None:
        found["provider"] = known.name
    path = urlsplit(url).path if url else ""
    if path:
        found["endpoint"] = path
    model = (request_of(response) or {}).get("model")
    if isinstance(model, str) and model:
        found["model"] = model
    return found


def _url(response: Any) -> str:
    try:
        return str(getattr(response, "url", "") or "")
    except RuntimeError:  # httpx: it was made without a request
        return ""


def status_of(response: Any) -> int | None:
    """The status of a plain HTTP response."""
    for name in ("status_code", "status"):
        value = getattr(response, name, None)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    return None


def refusal(response: Any) -> dict[str, Any] | None:
    """Columns of a row whose provider has answered with an error, None for any other answer."""
    status = status_of(response)
    if status is None or status < 400:
        return None
    told = field(json_body(response), "error")
    message = field(told, "message") or (told if isinstance(told, str) else None)
    text = error_text(str(message), request_of(response)) if message else None
    return {"status": "error", "status_code": status, "error_type": "HTTPStatusError", "error_message": text}
