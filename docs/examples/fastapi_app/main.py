"""An application whose users see what they spend: run it with `uvicorn main:app` in this folder.

Who asks is whoever the header `x-user` names: put your own login in the place of `current_active_user`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from pydantic import BaseModel

from llmguard import llm_tracker, llm_wrapper, setup_litellm_tracking
from llmguard.calls.warmer import llm_lifespan
from llmguard.web import costs, llm_usage, pages
from llmguard.web.viewer import current_user

with suppress(ModuleNotFoundError):  # where LiteLLM is installed, its calls are on the books too
    setup_litellm_tracking()

app = FastAPI(lifespan=llm_lifespan)  # keeps the connections to the providers open


def current_active_user(x_user: Annotated[str, Header()] = "") -> dict[str, str]:
    """Who is logged in."""
    if not x_user:
        raise HTTPException(401, "log in first")
    return {"id": x_user}


app.dependency_overrides[current_user] = current_active_user
app.include_router(llm_usage.router, prefix="/api/llm/usage", tags=["LLM Usage"])
app.include_router(costs.router, prefix="/api/v1/finops", tags=["FinOps"])
app.include_router(pages.router)  # the page, at /finops/llm-costs


@app.middleware("http")
async def say_who_asks(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Every call that is made for this request is on the books as this user's."""
    llm_tracker.set_request_context(user_id=request.headers.get("x-user"), endpoint=request.url.path)
    return await call_next(request)


class Question(BaseModel):
    """What somebody wants to know."""

    text: str


@app.post("/ask")
async def ask(question: Question, _: Annotated[dict[str, str], Depends(current_active_user)]) -> dict[str, str | None]:
    """Ask a model."""
    messages = [{"role": "user", "content": question.text}]
    result = await llm_wrapper.chat_completion(messages, service_name="ask", provider="openai", model="gpt-4o")
    return {"answer": result["response"].choices[0].message.content}
