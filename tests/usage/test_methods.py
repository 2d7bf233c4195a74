"""Every generating method of the SDKs against a loopback server, in every way that it can be called: one row each, with
its tokens or without them for a reason, its status and what its price is known by."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import textwrap
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from fnmatch import fnmatch
from operator import attrgetter
from typing import Any

import pytest

from llmguard import setup_litellm_tracking, track
from llmguard.testing import Answer, FakeProvider, MemoryLedger, memory_ledger
from llmguard.usage.operations import decided
from tests.command import ROOT
from tests.optional import optional
from tests.usage.method_rows import ANTHROPIC, GROQ, OPENAI, Method
from tests.usage.method_rows_more import COHERE, GOOGLE, GOOGLE_CLOUD, LITELLM, MISTRAL
from tests.usage.recorded import ended
from tests.usage.test_operations import SDKS, paths_in, text_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")


@pytest.fixture(scope="module")
def server() -> Iterator[FakeProvider]:
    with FakeProvider() as running:
        yield running


def cells(ledger: MemoryLedger) -> list[tuple[Any, ...]]:
    names = ("operation", "status", "prompt_tokens", "completion_tokens", "usage_source", "price_status")
    return [tuple(row.get(name) for name in names) for row in ledger.rows]


def answers_of(method: Method, *, stream: bool) -> list[Answer]:
    """What the provider answers to one call of a method."""
    if stream and method.events is not None:
        return [] if method.events == "usual" else [Answer(body=method.events, content_type="text/event-stream")]
    return [_answer(reply) for reply in (method.reply, *method.later) if reply is not None]


def _answer(reply: Any) -> Answer:
    if isinstance(reply, bytes):
        kind = "text/event-stream" if reply.startswith((b"event:", b"data:", b"{")) else "audio/wav"
        return Answer(body=reply, content_type=kind)
    return Answer(body=json.dumps(reply).encode())


# -- the ways of SDKs that are made by Stainless: OpenAI, Anthropic, Groq ----------------------------------------------


def plain(resource: Any, name: str, asked: dict[str, Any]) -> None:
    getattr(resource, name)(**asked)


def streamed(resource: Any, name: str, asked: dict[str, Any]) -> None:
    with getattr(resource, name)(stream=True, **asked) as stream:
        for _ in stream:
            pass


def raw(resource: Any, name: str, asked: dict[str, Any]) -> None:
    getattr(resource.with_raw_response, name)(**asked).parse()


def raw_streamed(resource: Any, name: str, asked: dict[str, Any]) -> None:
    for _ in getattr(resource.with_raw_response, name)(stream=True, **asked).parse():
        pass


def streaming(resource: Any, name: str, asked: dict[str, Any]) -> None:
    with getattr(resource.with_streaming_response, name)(**asked) as response:
        response.read()


def streaming_streamed(resource: Any, name: str, asked: dict[str, Any]) -> None:
    with getattr(resource.with_streaming_response, name)(stream=True, **asked) as response:
        for _ in response.iter_lines():
            pass


def manager(resource: Any, name: str, asked: dict[str, Any]) -> None:
    with getattr(resource, name)(**asked) as stream:
        for _ in stream:
            pass


async def aplain(resource: Any, name: str, asked: dict[str, Any]) -> None:
    await getattr(resource, name)(**asked)


async def astreamed(resource: Any, name: str, asked: dict[str, Any]) -> None:
    async with await getattr(resource, name)(stream=True, **asked) as stream:
        async for _ in stream:
            pass


async def araw(resource: Any, name: str, asked: dict[str, Any]) -> None:
    found = (await getattr(resource.with_raw_response, name)(**asked)).parse()
    if inspect.isawaitable(found):  # Anthropic's
        await found


async def araw_streamed(resource: Any, name: str, asked: dict[str, Any]) -> None:
    found = (await getattr(resource.with_raw_response, name)(stream=True, **asked)).parse()
    async for _ in await found if inspect.isawaitable(found) else found:
        pass


async def astreaming(resource: Any, name: str, asked: dict[str, Any]) -> None:
    async with getattr(resource.with_streaming_response, name)(**asked) as response:
        await response.read()


async def astreaming_streamed(resource: Any, name: str, asked: dict[str, Any]) -> None:
    async with getattr(resource.with_streaming_response, name)(stream=True, **asked) as response:
        async for _ in response.iter_lines():
            pass


async def amanager(resource: Any, name: str, asked: dict[str, Any]) -> None:
    async with getattr(resource, name)(**asked) as stream:
        async for _ in stream:
            pass


def ways_of(method: Method, resource: Any) -> list[tuple[Any, Any, bool]]:
    """(synchronous, asynchronous, whether it is a stream) for each way to call a method of a resource."""
    if method.kind == "manager":
        return [(manager, amanager, True)]
    if method.kind == "helper":
        return [(plain, aplain, False)]
    ways = [(plain, aplain, False)]
    name = method.name.rpartition(".")[2]
    for found, way in ((resource.with_raw_response, raw), (resource.with_streaming_response, streaming)):
        if hasattr(found, name):  # `parse` has none
            ways.append((way, {raw: araw, streaming: astreaming}[way], False))
    if method.events is not None:
        ways += [(streamed, astreamed, True), (raw_streamed, araw_streamed, True)]
        ways += [(streaming_streamed, astreaming_streamed, True)]
    return ways


CLIENTS = {
    "openai": ("openai", "OpenAI", "AsyncOpenAI", "/v1", OPENAI),
    "anthropic": ("anthropic", "Anthropic", "AsyncAnthropic", "", ANTHROPIC),
    "groq": ("groq", "Groq", "AsyncGroq", "", GROQ),
}
#: How many requests a call of such a method sends, beside those of `later`.
TABLE = [
    pytest.param(sdk, method, id=f"{sdk}-{method.name}-{n}")
    for sdk in CLIENTS
    for n, method in enumerate(CLIENTS[sdk][4])
]


def resource_of(client: Any, method: Method) -> tuple[Any, str]:
    holder, _, name = method.name.rpartition(".")
    try:
        found = attrgetter(holder)(client) if holder else client
        getattr(found, name)
    except AttributeError:
        pytest.skip(f"this version of the SDK has no {method.name}")
    return found, name


@pytest.mark.parametrize(("sdk", "method"), TABLE)
def test_a_method(sdk: str, method: Method, server: FakeProvider) -> None:
    module, sync_class, async_class, prefix, _ = CLIENTS[sdk]
    package = optional(module)
    options: dict[str, Any] = {"base_url": server.url + prefix, "api_key": "x", "max_retries": 0}
    client = track(getattr(package, sync_class)(**options))
    resource, name = resource_of(client, method)
    ways = ways_of(method, resource)
    expected = [
        (method.operation, *(method.streamed or method.cell if stream else method.cell)) for _, _, stream in ways
    ]
    sent = 1 + len(method.later)

    def asked_of(stream: bool) -> dict[str, Any]:
        server.answers.extend(answers_of(method, stream=stream))
        return {**method.asked, **(method.to_stream if stream else {})}

    async def work() -> None:
        async with getattr(package, async_class)(**options) as aclient:
            aresource, _ = resource_of(track(aclient), method)
            for _, away, stream in ways:
                await away(aresource, name, asked_of(stream))

    for run in (lambda: [way(resource, name, asked_of(s)) for way, _, s in ways], lambda: asyncio.run(work())):
        server.requests.clear()
        server.answers.clear()
        with memory_ledger() as ledger:
            run()
            assert dict(zip([way.__name__ for way, _, _ in ways], cells(ledger), strict=True)) == dict(
                zip([way.__name__ for way, _, _ in ways], expected, strict=True)
            )
        assert len(server.requests) == sent * len(ways)
        assert {decided(r.path.removeprefix("/v1") if sdk == "openai" else r.path, sdk) for r in server.requests} <= {
            method.operation,
            "",
            None,
        }
    client.close()


# -- the others: each method has a twin for asyncio --------------------------------------------------------------------


def check(method: Method, server: FakeProvider, call: Callable[[], Any], acall: Callable[[], Awaitable[Any]]) -> None:
    for run in (call, lambda: asyncio.run(acall())):  # type: ignore[arg-type]
        server.requests.clear()
        server.answers.clear()
        server.answers.extend(answers_of(method, stream=False))
        with memory_ledger() as ledger:
            run()
            assert cells(ledger) == [(method.operation, *method.cell)]
        assert [fnmatch(request.path.partition("?")[0], method.path) for request in server.requests] == [True]


def consume(found: Any) -> None:
    if hasattr(found, "__enter__"):
        with found as stream:
            deque(stream, 0)
    else:
        deque(found, 0)


async def aconsume(found: Any) -> None:
    found = await found if inspect.isawaitable(found) else found
    if hasattr(found, "__aenter__"):
        async with found as stream:
            async for _ in stream:
                pass
    else:
        async for _ in found:
            pass


def named(methods: tuple[Method, ...]) -> list[Any]:
    return [pytest.param(method, id=f"{method.name}-{number}") for number, method in enumerate(methods)]


@pytest.mark.filterwarnings("ignore")  # of the SDK, of what is experimental and what is deprecated
@pytest.mark.parametrize(
    ("cloud", "method"),
    [
        pytest.param(cloud, *each.values, id=str(each.id) + ("-cloud" if cloud else ""))
        for cloud, methods in ((False, GOOGLE), (True, GOOGLE_CLOUD))
        for each in named(methods)
    ],
)
def test_a_method_of_google(cloud: bool, method: Method, server: FakeProvider) -> None:
    optional("google.genai")
    from google import genai

    options = {"base_url": server.url}
    client = track(genai.Client(api_key="x", http_options=options, **({"vertexai": True} if cloud else {})))
    resource, name = resource_of(client, method)
    streams = method.kind == "iterator"

    async def acall() -> None:
        aresource, _ = resource_of(client.aio, method)
        found = getattr(aresource, name)(**method.asked)
        await (aconsume(found) if streams else found)

    check(
        method,
        server,
        lambda: (consume if streams else id)(getattr(resource, name)(**method.asked)),
        acall,
    )


@pytest.mark.parametrize("method", named(MISTRAL))
def test_a_method_of_mistral(method: Method, server: FakeProvider) -> None:
    module = optional("mistralai")
    cls = (module if hasattr(module, "Mistral") else optional("mistralai.client")).Mistral  # it moved in 2
    client = track(cls(api_key="x", server_url=server.url))
    resource, name = resource_of(client, method)
    try:
        inspect.signature(getattr(resource, name)).bind(**method.asked)
    except TypeError as error:
        pytest.skip(f"in this version of the SDK {name} takes other arguments: {error}")
    streams = method.kind == "iterator"

    async def acall() -> None:
        found = getattr(resource, f"{name}_async")(**method.asked)
        await (aconsume(found) if streams else found)

    check(method, server, lambda: (consume if streams else id)(getattr(resource, name)(**method.asked)), acall)


@pytest.mark.parametrize("method", named(COHERE))
def test_a_method_of_cohere(method: Method, server: FakeProvider) -> None:
    cohere = optional("cohere")
    client = track(cohere.Client(api_key="x", base_url=server.url))
    resource, name = resource_of(client, method)
    streams = method.kind == "iterator"

    async def acall(raw: bool = False) -> None:
        aresource, _ = resource_of(track(cohere.AsyncClient(api_key="x", base_url=server.url)), method)
        holder = aresource.with_raw_response if raw else aresource
        found = getattr(holder, name)(**method.asked)
        if raw and streams:
            async with found as response:
                async for _ in response.data:
                    pass
        else:
            await (aconsume(found) if streams else found)

    def call(raw: bool = False) -> None:
        found = getattr(resource.with_raw_response if raw else resource, name)(**method.asked)
        if raw and streams:
            with found as response:
                deque(response.data, 0)
        elif streams:
            consume(found)

    check(method, server, call, acall)
    if hasattr(getattr(resource, "with_raw_response", None), name):
        check(method, server, lambda: call(raw=True), lambda: acall(raw=True))


@pytest.mark.parametrize("method", named(LITELLM))
def test_a_method_of_litellm(method: Method, server: FakeProvider) -> None:
    litellm = optional("litellm")
    setup_litellm_tracking()
    if not hasattr(litellm, method.name):
        pytest.skip(f"this version of LiteLLM has no {method.name}")
    base = server.url if method.name == "rerank" else server.base_url
    asked = {"api_base": base, "api_key": "x", **method.asked}
    streams = method.kind == "iterator"

    async def gathered() -> None:
        found = await asyncio.gather(getattr(litellm, f"a{method.name}")(**asked))
        if streams:
            async for _ in found[0]:
                pass

    def call() -> None:
        (consume if streams else id)(getattr(litellm, method.name)(**asked))

    line = call.__code__.co_firstlineno + 1
    for run, at in ((call, line), (lambda: asyncio.run(gathered()), gathered.__code__.co_firstlineno + 1)):
        server.requests.clear()
        server.answers.clear()
        server.answers.extend(answers_of(method, stream=False))
        with memory_ledger(project_root=str(ROOT)) as ledger:
            run()
            ended(ledger)
            assert cells(ledger) == [(method.operation, *method.cell)]
            if method.name != "create_batch":  # LiteLLM tells of it from a thread, or when it is over
                assert [(row["code_file"], row["code_line"]) for row in ledger.rows] == [
                    ("tests/usage/test_methods.py", at)
                ]
        assert [fnmatch(request.path, method.path) for request in server.requests] == [True]


# -- nothing is missing ------------------------------------------------------------------------------------------------

ROWS = {
    **{sdk: entry[4] for sdk, entry in CLIENTS.items()},
    "google": (*GOOGLE, *GOOGLE_CLOUD),
    "mistral": MISTRAL,
    "cohere": COHERE,
}
#: Requests of Mistral's models on the clouds of others: the same methods of clients that want an account there.
ELSEWHERE = ("/rawPredict", "/streamRawPredict", "/providers/mistral/azure/", "/models/chat/completions")


@pytest.mark.full
@pytest.mark.parametrize("provider", SDKS)
def test_every_request_that_generates_is_in_the_table(provider: str) -> None:
    paths = {re.split(r"[?#]", path)[0] for path in paths_in(provider) if decided(path.partition("?")[0], provider)}
    known = [method.path for method in ROWS[provider]]
    missing = sorted(
        path
        for path in paths
        if not path.startswith(ELSEWHERE) and not any(fnmatch(path.replace("*", "v1x"), row) for row in known)
    )
    assert missing == [], "say in the table what a call of these leaves"


@pytest.mark.full
@pytest.mark.parametrize("sdk", CLIENTS)
def test_every_method_that_generates_is_in_the_table(sdk: str) -> None:
    module, sync_class, _, _, methods = CLIENTS[sdk]
    client = getattr(optional(module), sync_class)(api_key="x")
    there = generating(client, module, sdk)
    assert {method.name for method in methods if method.kind == "create"} & there, "the SDK is written otherwise"
    missing = there - {method.name for method in methods} - SAME
    assert missing == set(), "say in the table what a call of these leaves"


#: Methods of one class that hangs in two places, or that only read what the other half of a call sends.
SAME = {f"beta.chat.completions.{name}" for name in ("create", "parse", "stream")}


def generating(client: Any, module: str, provider: str) -> set[str]:
    """The methods of a client of Stainless's whose source sends a request that generates, or uses one that does."""
    found: set[str] = set()
    stack: list[tuple[str, Any]] = [("", client)]
    while stack:
        prefix, holder = stack.pop()
        functions: dict[str, ast.AST] = {}
        made = vars(holder).items() if not prefix else ()  # older ones make their resources at once
        stack += [
            (f"{name}.", below) for name, below in made if type(below).__module__.startswith(f"{module}.resources")
        ]
        for name in dir(type(holder)):
            member = inspect.getattr_static(type(holder), name)
            if name.startswith(("_", "with_")):
                continue
            if type(member).__name__ == "cached_property":
                below = getattr(holder, name)
                if type(below).__module__.startswith(module):
                    stack.append((f"{prefix}{name}.", below))
            elif inspect.isfunction(member) and prefix:
                source = textwrap.dedent(inspect.getsource(inspect.unwrap(member)))
                functions[name] = ast.parse(source)
        here = {name for name, tree in functions.items() if sends(tree, provider)}
        while True:
            more = {name for name, tree in functions.items() if uses(tree, here)} | here
            if more == here:
                break
            here = more
        found |= {prefix + name for name in here}
    return found


def sends(tree: ast.AST, provider: str) -> bool:
    nodes = list(ast.walk(tree))
    if not any(isinstance(node, ast.Attribute) and node.attr in ("_post", "post") for node in nodes):
        return False
    texts = (text_of(node) for node in nodes if isinstance(node, (ast.Constant, ast.JoinedStr)))
    return any(text and text.startswith("/") and decided(text.partition("?")[0], provider) for text in texts)


def uses(tree: ast.AST, names: set[str]) -> bool:
    return any(
        isinstance(node, ast.Attribute) and node.attr in names and ast.unparse(node.value) == "self"
        for node in ast.walk(tree)
    )
