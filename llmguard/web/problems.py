"""What goes wrong, as a problem document (RFC 9457): what, and what to do; nothing of the inside."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from llmguard.errors import ConfigError, LLMGuardError, RateLimitExceeded
from llmguard.usage.store.engine import DatabaseError

LOG = logging.getLogger("llmguard.web")
MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not found",
    422: "Wrong arguments",
    429: "Too many requests",
    500: "Internal error",
    503: "The usage ledger does not answer",
}


class Problem(BaseModel):
    """A problem document."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] | None = None


def problem(
    status: int, detail: str, headers: Mapping[str, str] | None = None, errors: list[dict[str, str]] | None = None
) -> Response:
    """The response that says what went wrong.

    Args:
        status: of HTTP.
        detail: a sentence for whoever asked.
        headers: further ones.
        errors: `{"where", "what"}` of each argument that is wrong.
    """
    document: dict[str, Any] = {"type": "about:blank", "title": _TITLES.get(status, "Error"), "status": status}
    document["detail"] = detail
    if errors:
        document["errors"] = errors
    return JSONResponse(document, status, headers=dict(headers or {}), media_type=MEDIA_TYPE)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer beside its body, for the OpenAPI document."""
    content = {MEDIA_TYPE: {"schema": Problem.model_json_schema()}}
    return {status: {"description": _TITLES[status], "content": content} for status in statuses}


class ProblemRoute(APIRoute):
    """A route whose errors are problem documents, whichever application it is mounted in."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def handle(request: Request) -> Response:
            try:
                return await answer(request)
            except (RequestValidationError, HTTPException, LLMGuardError, DatabaseError) as error:
                return of(error)  # what else there is may be the application's, which knows what to do with it

        return handle


def of(error: Exception) -> Response:
    """The response for an exception. What is not the asker's is in the log, and not in the response."""
    if isinstance(error, RequestValidationError):
        found = [
            {"where": ".".join(map(str, each.get("loc", ()))), "what": str(each.get("msg", ""))}
            for each in error.errors()
        ]
        return problem(422, "an argument is wrong", errors=found)
    if isinstance(error, HTTPException):
        return problem(error.status_code, str(error.detail), error.headers)
    if isinstance(error, RateLimitExceeded):
        return problem(429, str(error), {"Retry-After": str(int(error.retry_after or 1))})
    if isinstance(error, (ConfigError, DatabaseError)) or type(error).__name__ == "SchemaError":
        LOG.error("the usage ledger cannot be read: %s", " ".join(str(error).split())[:300])
        return problem(503, "no figures can be given now; what is asked later may be answered", {"Retry-After": "5"})
    if isinstance(error, LLMGuardError):
        return problem(422, str(error))
    LOG.exception("a request failed", exc_info=error)
    return problem(500, "something went wrong here; the log says what")
