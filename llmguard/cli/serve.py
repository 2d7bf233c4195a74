"""`llmguard serve`: the page and the usage API on this machine."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from llmguard.cli.usage import asked

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def serve(
    host: Annotated[str, typer.Option("--host", help="Address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, help="Port; 0 for a free one.")] = 8710,
    require_key: Annotated[bool, typer.Option("--require-key", help="Ask for an API key on the loopback too.")] = False,
    database_url: asked.Database = "",
) -> None:
    """Serve what is in the ledger over HTTP: the page `/finops/llm-costs`, and what it asks, `/api/llm/usage`,
    `/api/v1/admin/llm-usage`, `/api/v1/finops/llm-costs` and `/openapi.json`.

    On the loopback whoever asks may see the calls of all. Anywhere else, and with --require-key, every request needs a
    key of `llmguard keys create`, and shows the calls of its user.

    Exit code: 0, 2 it cannot be served.
    """
    from llmguard.errors import LLMGuardError

    try:
        import uvicorn

        from llmguard.web.app import create_app
    except ModuleNotFoundError as error:
        from llmguard.config.source import how_to_install

        raise LLMGuardError(f"serving needs {error.name}: {how_to_install('server')}") from None
    with asked.ledger(database_url):  # says now what is wrong with it
        pass
    if database_url:
        os.environ["LLMGUARD_DATABASE_URL"] = database_url
    local = host in _LOOPBACK and not require_key
    try:
        uvicorn.run(create_app(local=local), host=host, port=port, log_level="info", server_header=False)
    except OSError as error:
        raise LLMGuardError(f"{host}:{port} cannot be listened at: {error.strerror}") from None
