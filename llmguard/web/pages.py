"""The page at `/finops/llm-costs`: files of this package, and nothing from elsewhere. It holds no figures: it asks the
usage API for them, as whoever looks at it."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Path
from fastapi.responses import RedirectResponse, Response

from llmguard.web.problems import ProblemRoute, problem, responses

router = APIRouter(route_class=ProblemRoute, include_in_schema=False, responses=responses(404))
_KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "uPlot": "text/plain; charset=utf-8",
}
#: What is given out: nothing else of the folder, whatever a path says.
_FILES = frozenset(
    (
        *("page.css", "page.js", "charts.js", "format.js", "tables.js"),
        *("vendor/uPlot.iife.min.js", "vendor/uPlot.min.css", "vendor/LICENSE.uPlot"),
    )
)


def _file(name: str, folder: str = "page") -> Response:
    content = files("llmguard.web").joinpath(folder, *name.split("/")).read_bytes()
    return Response(content, media_type=_KINDS[name.rpartition(".")[2]], headers={"Cache-Control": "no-cache"})


@router.get("/")
def home() -> Any:
    """To the page."""
    return RedirectResponse("finops/llm-costs")


@router.get("/finops/llm-costs")
def page() -> Response:
    """The page."""
    return _file("index.html")


@router.get("/finops/assets/{name:path}")
def asset(name: Annotated[str, Path(max_length=100)]) -> Response:
    """A file of the page."""
    return _file(name) if name in _FILES else problem(404, "there is no such file")


@router.get("/finops/card/llm-usage-card.js")
def card() -> Response:
    """The card, as a module."""
    return _file("llm-usage-card.js", "card")
