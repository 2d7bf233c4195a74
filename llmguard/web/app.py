"""All routes as one application: what `llmguard serve` runs, and what a server runs with several workers:

uvicorn --factory llmguard.web.app:create_app --workers 4
"""

from __future__ import annotations

import re
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from llmguard import __version__
from llmguard.web import admin, costs, llm_usage, pages
from llmguard.web.ledger import ledger
from llmguard.web.problems import of, problem
from llmguard.web.viewer import Viewer

#: Nothing comes from elsewhere, nothing is framed, and what a row holds is never run.
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: What a browser on this machine may call this machine: another name that leads here is somebody's trick.
LOCAL_NAMES = ("127.0.0.1", "localhost", "[::1]")
_PORT = re.compile(r":\d*\Z")


def create_app(*, local: bool = False) -> FastAPI:
    """The application.

    Args:
        local: who asks is on this machine and may see all, without a key; names of hosts that are not this machine's
            are refused. Without it every request needs a key.
    """
    app = FastAPI(
        title="llmguard", version=__version__, docs_url=None, redoc_url=None, lifespan=_closing, redirect_slashes=False
    )
    if local:
        app.state.llmguard_viewer = Viewer("", is_admin=True)
    app.include_router(llm_usage.router, prefix="/api/llm/usage", tags=["LLM Usage"])
    app.include_router(admin.router, prefix="/api/v1/admin/llm-usage", tags=["LLM Usage, administrators"])
    app.include_router(costs.router, prefix="/api/v1/finops", tags=["FinOps"])

    app.include_router(pages.router)

    app.add_middleware(Guard, local=local)

    async def told(_: Request, error: Exception) -> Response:
        return of(error)

    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, told)
    return app


class Guard:
    """Refuses what other websites have a browser ask, and tells browsers to keep what is answered to this one. (Not
    made of `BaseHTTPMiddleware`, which ends an answer that breaks off as if it were whole.)

    Args:
        app: that is guarded.
        local: whether it is for this machine alone.
    """

    def __init__(self, app: ASGIApp, *, local: bool) -> None:
        self._app = app
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, send_guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self._local and _PORT.sub("", host) not in LOCAL_NAMES:
            return problem(403, "this address is for this machine alone")
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return None
        origin = headers.get("origin", "")
        is_foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        if is_foreign or (origin and origin.partition("://")[2] != host):
            return problem(403, "another website may change nothing here")
        return None


@asynccontextmanager
async def _closing(_: FastAPI) -> Any:
    yield
    ledger.close()
