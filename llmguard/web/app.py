"""All routes as one application: what `llmguard serve` runs, and what a server runs with several workers:

uvicorn --factory llmguard.web.app:create_app --workers 4
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

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

    @app.middleware("http")
    async def guard(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        if local and (request.headers.get("host", "").rpartition(":")[0] or request.headers.get("host")) not in (
            *LOCAL_NAMES,
            "testserver",
        ):
            response = problem(403, "this address is for this machine alone")
        else:
            response = await call_next(request)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    async def told(_: Request, error: Exception) -> Response:
        return of(error)

    for kind in (HTTPException, RequestValidationError, Exception):
        app.add_exception_handler(kind, told)
    return app


@asynccontextmanager
async def _closing(_: FastAPI) -> Any:
    yield
    ledger.close()
