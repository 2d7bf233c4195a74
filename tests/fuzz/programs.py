"""Programs made by chance, the same ones for the same seed: put together from pieces, and real ones changed at random.

They need not make sense: they parse, most of them, and hold calls of models in all kinds of places.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from functools import lru_cache

from tests.command import ROOT

IMPORTS = (
    "from groq import Groq",
    "from groq import AsyncGroq, Groq as G",
    "from openai import OpenAI, AsyncOpenAI",
    "import openai",
    "import openai as o",
    "from anthropic import Anthropic, AsyncAnthropic",
    "import litellm",
    "from litellm import completion, acompletion as ask",
    "import httpx, requests",
    "import asyncio, functools",
    "from google import genai",
    "from llmguard import llm_tracker, llm_wrapper, track",
    "from app.clients import client, get_client",
)
MAKERS = (
    "Groq()",
    "G(api_key=KEY)",
    "OpenAI()",
    "OpenAI(timeout=3)",
    "OpenAI(base_url=URL, api_key=KEY)",
    "AsyncOpenAI()",
    "openai.OpenAI()",
    "o.AsyncOpenAI(max_retries=1)",
    "Anthropic()",
    "AsyncAnthropic(api_key='k')",
    "genai.Client()",
    "get_client()",
    "track(OpenAI())",
    "None",
)
CALLS = (
    "{c}.chat.completions.create(model='m', messages=M)",
    "{c}.chat.completions.create(model='m', messages=[{{'role': 'user', 'content': q}}], stream=True)",
    "{c}.chat.completions.create(**kw)",
    "{c}.chat.completions.parse(model='m', messages=M, response_format=R)",
    "{c}.with_options(timeout=1).chat.completions.create(model='m', messages=M)",
    "{c}.chat.completions.with_raw_response.create(model='m', messages=M)",
    "{c}.messages.create(model='m', max_tokens=5, messages=M)",
    "{c}.embeddings.create(model='m', input=q)",
    "{c}.responses.create(model='m', input=q)",
    "{c}.models.generate_content(model='m', contents=q)",
    "litellm.completion(model='m', messages=M)",
    "completion('m', M)",
    "ask(model='m', messages=M)",
    "openai.chat.completions.create(model='m', messages=M)",
    "httpx.post('https://api.openai.com/v1/chat/completions', json=kw)",
    "requests.post(URL + '/v1/chat/completions', json=kw)",
)
PLACES = (
    "{x}",
    "y = {x}",
    "y: object = {x}",
    "print({x})",
    "print({x}.choices[0].message.content, {x2})",
    "y = [{x} for q in qs]",
    "y = {x} if q else {x2}",
    "y = q and {x}",
    "if (y := {x}): pass",
    "with {x} as y: pass",
    "for y in {x}: pass",
    "assert {x}, {x2}",
    "f = lambda q: {x}",
    "y = f'{{{x}}}'",
    "y = ({x}, {x2})",
    "del y; {x}; y = 1",
    "{x}  # llmguard: ignore[LLG102] known",
    "# llmguard: ignore\n{x}",
    "y = (\n    {x}  # what\n)",
    "try:\n    y = {x}\nexcept Exception:\n    y = {x2}\nfinally:\n    pass",
    "while {x}: break",
    "y = functools.partial({n}, model='m')",
    "y = {n}",
    "run({n}, q)",
    "global y\ny = {x}",
    "@decorated({x})\ndef inner(): pass",
    "match {x}:\n    case None: pass",
    "raise ValueError({x}) from None",
)
ASYNC_PLACES = (
    "y = await {x}",
    "return await {x}",
    "y = await asyncio.gather({x}, {x2})",
    "y = await asyncio.to_thread({n}, model='m', messages=M)",
    "async for y in await {x}: yield y",
    "async with {x} as y: pass",
    "y = [await {x} for q in qs]",
    "t = asyncio.create_task({x})",
    "with llm_tracker.track_llm_call('openai', 'm'):\n    y = await {x}",
)
NAMES = ("client", "self.client", "_llm", "clients['a']", "module.client", "OpenAI()", "Groq()")


def made(seed: int) -> str:
    """A program of pieces."""
    chance = random.Random(seed)
    lines = [chance.choice(('"""A module."""', "", "#!/usr/bin/env python", "from __future__ import annotations"))]
    lines += chance.sample(IMPORTS, chance.randint(2, 7))
    name = chance.choice(NAMES)
    for _ in range(chance.randint(0, 3)):
        target = chance.choice(("client", "_llm", "KEY", "clients"))
        lines.append(f"{target} = {chance.choice(MAKERS)}")
    for number in range(chance.randint(1, 4)):
        lines += _block(chance, number, name)
    return "\n".join(lines) + chance.choice(("\n", "", "\n\n# end"))


def _block(chance: random.Random, number: int, name: str) -> Iterator[str]:
    kind = chance.choice(("module", "def", "async", "class", "main"))
    body = [line for _ in range(chance.randint(1, 4)) for line in _statement(chance, kind, name).split("\n")]
    made = f"self.client = {chance.choice(MAKERS)}"
    match kind:
        case "module":
            yield from (line for line in body if not line.startswith("return"))
        case "def":
            yield f"def f{number}(q, client=None, **kw):"
            yield from (f"    {line}" for line in body)
        case "async":
            yield f"async def f{number}(q, user_id, **kw):"
            yield from (f"    {line}" for line in body)
        case "class":
            yield from (f"class C{number}(Base):", "    def __init__(self):", f"        {made}")
            yield from (
                "    async def ask(self, q, **kw):" if chance.random() < 0.4 else "    def ask(self, q, **kw):",
            )
            yield from (f"        {line}" for line in body)
        case _:
            yield "if __name__ == '__main__':"
            yield from (f"    {line}" for line in body)


def _statement(chance: random.Random, kind: str, name: str) -> str:
    place = chance.choice((*PLACES, *ASYNC_PLACES) if kind == "async" else PLACES)
    first, second = (chance.choice(CALLS).format(c=name) for _ in range(2))
    return place.format(x=first, x2=second, n=first.partition("(")[0])


@lru_cache
def _real() -> tuple[str, ...]:
    files = sorted((ROOT / "fixtures").rglob("*.py"))
    return tuple(text for file in files if len(text := file.read_bytes().decode("utf-8", "replace")) < 20_000)


def changed(seed: int) -> str:
    """A fixture in which lines or characters were moved, doubled, lost or put in."""
    chance = random.Random(seed)
    text = chance.choice(_real())
    for _ in range(chance.randint(1, 4)):
        lines = text.split("\n")
        at, other = chance.randrange(len(lines)), chance.randrange(len(lines))
        match chance.randrange(7):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[other])
            case 2:
                lines[at], lines[other] = lines[other], lines[at]
            case 3:
                lines[at] += chance.choice(("  # llmguard: ignore", "; x = 1", " \\", "\t", "\x0c", "'''"))
            case 4:
                lines.insert(
                    at, chance.choice(("# llmguard: ignore", "import openai", "async def f():", "    await x"))
                )
            case 5:
                place = chance.randrange(len(text) + 1)
                lines = (text[:place] + chance.choice("()[]{}'\"#:\\,=*\n é\u202e\x00") + text[place:]).split("\n")
            case _:
                lines = (text[: chance.randrange(len(text) + 1)]).split("\n")
        text = "\n".join(lines)
    return text


def parses(text: str) -> bool:
    """Whether this interpreter takes a program."""
    try:
        compile(text, "made", "exec", ast.PyCF_ONLY_AST, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True
