"""A project that is clean under `mypy --strict` stays so: every target gives what the call gave."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmguard.migrate import migrate_source
from tests.optional import optional
from tests.typed import check_types

PROGRAM = """\
import asyncio
from collections.abc import AsyncIterator, Iterator
from functools import lru_cache
from typing import Any

from anthropic import Anthropic, AsyncAnthropic
from anthropic.types import Message
from groq import Groq
from groq.types.chat import ChatCompletion as GroqCompletion
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from pydantic import BaseModel

own = OpenAI(timeout=20)
shared = Groq()
print(shared.models.list())


class Answer(BaseModel):
    number: int


@lru_cache
def get_client() -> AsyncOpenAI:
    return AsyncOpenAI()


class Service:
    def __init__(self, client: OpenAI, claude: AsyncAnthropic, model: str) -> None:
        self.client = client
        self.claude = claude
        self.model = model

    def ask(self, messages: list[ChatCompletionMessageParam], user_id: str) -> ChatCompletion:
        return self.client.chat.completions.create(model=self.model, messages=messages)

    def pieces(self, messages: list[ChatCompletionMessageParam]) -> Iterator[str]:
        for chunk in self.client.chat.completions.create(model=self.model, messages=messages, stream=True):
            yield chunk.choices[0].delta.content or ""

    def parsed(self, messages: list[ChatCompletionMessageParam], user_id: str) -> Answer | None:
        done = self.client.chat.completions.parse(model=self.model, messages=messages, response_format=Answer)
        return done.choices[0].message.parsed

    async def claude_says(self, text: str, user_id: str) -> Message:
        return await self._claude(text)

    async def _claude(self, text: str) -> Message:
        return await self.claude.messages.create(
            model="claude", max_tokens=5, messages=[{"role": "user", "content": text}]
        )


async def several(texts: list[str], user_id: int) -> list[ChatCompletion]:
    client = get_client()
    return await asyncio.gather(
        *[client.chat.completions.create(model="m", messages=[{"role": "user", "content": text}]) for text in texts]
    )


async def stream(text: str) -> AsyncIterator[str]:
    answer = await get_client().chat.completions.create(
        model="m", messages=[{"role": "user", "content": text}], stream=True
    )
    async for chunk in answer:
        yield chunk.choices[0].delta.content or ""


def groq(text: str, user_id: str) -> GroqCompletion:
    response = shared.chat.completions.create(
        model="m",
        messages=[{"role": "user", "content": text}],
        temperature=0.2,
    )
    return response


def mine(text: str, user_id: str, **more: Any) -> str:
    response = own.chat.completions.create(model="m", messages=[{"role": "user", "content": text}], max_tokens=5)
    return response.choices[0].message.content or ""


def raw(text: str) -> str:
    answer = own.chat.completions.with_raw_response.create(model="m", messages=[{"role": "user", "content": text}])
    return answer.headers["x"]


def claude(client: Anthropic, text: str) -> str:
    with client.messages.stream(model="c", max_tokens=5, messages=[{"role": "user", "content": text}]) as answer:
        return answer.get_final_text()
"""


@pytest.mark.full
def test_a_migrated_program_is_as_clean_as_it_was(tmp_path: Path) -> None:
    optional("mypy")
    for name in ("openai", "groq", "anthropic"):
        optional(name)
    after = migrate_source(PROGRAM, "program.py")
    for said in (
        "client=self.client",
        "client=shared",
        "llm_wrapper.using(client, user_id=user_id",
        "client=self.claude",
    ):
        assert said in after
    assert after.count("llm_wrapper.") >= 10
    for name, text in (("before", PROGRAM), ("after", after)):
        (tmp_path / name).mkdir()
        check_types(tmp_path / name, text)
