"""Answers in Redis: shared by all processes, and a Redis that is away costs nobody an answer."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest

from llmguard import LLMWrapper
from llmguard.calls.redis_cache import RedisCache
from llmguard.calls.service_settings import CacheLimits
from llmguard.errors import ConfigError
from llmguard.testing import Answer, FakeProvider
from tests.calls.conftest import MESSAGES
from tests.optional import optional
from tests.relay import Relay

redis = optional("redis")
optional("openai")


@pytest.fixture
def relay(redis_url: str) -> Iterator[Relay]:
    """Between the tests and Redis."""
    parts = urlsplit(redis_url)
    with Relay(parts.hostname or "127.0.0.1", parts.port or 6379) as found:
        yield found


@pytest.fixture
def cache(redis_url: str, relay: Relay) -> Iterator[RedisCache]:
    """Through the relay; empty before and after."""
    parts = urlsplit(redis_url)
    login, at, _ = parts.netloc.rpartition("@")
    made = RedisCache(urlunsplit(parts._replace(netloc=f"{login}{at}127.0.0.1:{relay.port}")))
    made.clear()
    yield made
    relay.stop()
    relay.start()
    made.clear()


def cached(provider: FakeProvider, cache: RedisCache) -> LLMWrapper:
    options = {"api_key": "k", "base_url": provider.base_url, "max_retries": 0}
    return LLMWrapper(provider="openai", default_model="gpt-4o", client_options=options, cache=cache)


def ask(wrapper: LLMWrapper, asynchronous: bool, **arguments: Any) -> str:
    """Where the answer is from."""
    if asynchronous:
        result = asyncio.run(wrapper.chat_completion(MESSAGES, **arguments))
    else:
        result = wrapper.chat_completion_sync(MESSAGES, **arguments)
    source: str = result["usage"]["usage_source"]
    return source


def test_processes_share_answers(provider: FakeProvider, cache: RedisCache, redis_url: str, rows: Any) -> None:
    program = (
        "import sys; from llmguard import LLMWrapper; from llmguard.calls.redis_cache import RedisCache\n"
        "options = {'api_key': 'k', 'base_url': sys.argv[1], 'max_retries': 0}\n"
        "wrapper = LLMWrapper(provider='openai', default_model='gpt-4o', client_options=options,"
        " cache=RedisCache(sys.argv[2]))\n"
        f"print(wrapper.chat_completion_sync({MESSAGES!r})['usage']['usage_source'])"
    )
    environment = {**os.environ, "LLMGUARD_DISABLED": "1"}
    command = [sys.executable, "-c", program, provider.base_url, redis_url]
    done = [
        subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout for _ in range(2)
    ]
    assert [each.split()[-1] for each in done] == ["provider", "cache"]
    assert ask(cached(provider, cache), True) == "cache"
    assert len(provider.requests) == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_keys_say_nothing_and_end(asynchronous: bool, provider: FakeProvider, redis_url: str, rows: Any) -> None:
    cache = RedisCache(redis_url, CacheLimits(ttl=30))
    cache.clear()
    ask(cached(provider, cache), asynchronous)
    with redis.Redis.from_url(redis_url) as client:
        (key,) = list(client.scan_iter("llmguard:answer:*"))
        assert 0 < client.pttl(key) <= 30_000
        assert key.startswith(b"llmguard:answer:1:")
        assert len(key) == len("llmguard:answer:1:") + 64
        client.set("somebody-elses", "1")
        assert cache.clear() == 1
        assert client.get("somebody-elses") == b"1"
        client.delete("somebody-elses")
    assert cache.statistics()["entries"] == 0


@pytest.mark.parametrize("asynchronous", [False, True])
def test_while_redis_is_away_answers_come_from_memory_and_afterwards_from_redis(
    asynchronous: bool,
    provider: FakeProvider,
    cache: RedisCache,
    relay: Relay,
    rows: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    wrapper = cached(provider, cache)
    assert [ask(wrapper, asynchronous) for _ in range(2)] == ["provider", "cache"]
    relay.stop()
    assert [ask(wrapper, asynchronous) for _ in range(3)] == ["provider", "cache", "cache"]
    assert cache.statistics()["redis"]["state"] in ("open", "half_open")
    assert cache.statistics()["errors"] >= 1
    relay.start()
    deadline = time.monotonic() + 40
    while cache.statistics()["redis"]["state"] != "closed" and time.monotonic() < deadline:
        time.sleep(0.1)
        assert ask(wrapper, asynchronous) == "cache"
    assert cache.statistics()["redis"]["state"] == "closed"
    assert ask(wrapper, asynchronous, temperature=0.5) == "provider"
    assert ask(cached(provider, RedisCache(cache._url)), asynchronous, temperature=0.5) == "cache"
    assert len(provider.requests) == 3
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert sum("does not answer" in each for each in said) == 1, said
    assert sum("answers again" in each for each in said) == 1, said


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_redis_that_hangs_costs_half_a_second_once(
    asynchronous: bool, provider: FakeProvider, cache: RedisCache, relay: Relay, rows: Any
) -> None:
    wrapper = cached(provider, cache)
    ask(wrapper, asynchronous)
    relay.hang()
    began = time.monotonic()
    assert ask(wrapper, asynchronous) == "provider"
    once = time.monotonic() - began
    assert once < 5, "a wait is half a second; the rest is a slow machine's"
    before = cache.statistics()["errors"]
    assert [ask(wrapper, asynchronous) for _ in range(3)] == ["cache"] * 3
    assert cache.statistics()["errors"] <= before + 2, "who is left alone is not asked"
    relay.go_on()


def test_a_connection_that_has_died_is_replaced(
    provider: FakeProvider, cache: RedisCache, relay: Relay, rows: Any
) -> None:
    wrapper = cached(provider, cache)

    async def work() -> list[str]:
        first = (await wrapper.chat_completion(MESSAGES))["usage"]["usage_source"]
        relay.stop()
        relay.start()
        return [first, (await wrapper.chat_completion(MESSAGES))["usage"]["usage_source"]]

    assert asyncio.run(work()) == ["provider", "cache"]
    ask(wrapper, False)
    relay.stop()
    relay.start()
    assert ask(wrapper, False) == "cache"
    assert cache.statistics()["errors"] == 0


def test_what_somebody_else_has_put_there_is_no_answer(
    provider: FakeProvider, cache: RedisCache, redis_url: str, rows: Any
) -> None:
    wrapper = cached(provider, cache)
    ask(wrapper, False)
    with redis.Redis.from_url(redis_url) as client:
        (key,) = list(client.scan_iter("llmguard:answer:*"))
        for value in (b"\x80\x04}", b"{}", b""):
            client.set(key, value)
            assert ask(wrapper, False) == "provider"
        client.delete(key)
        client.lpush(key, "a list")
        assert ask(wrapper, False) == "provider"


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("reply", [b"$abc\r\n", b":abc\r\n", b"+OK\r\n", b"-ERR no\r\n", b"HTTP/1.1 400\r\n", b"\xff"])
def test_whatever_answers_in_place_of_redis_costs_no_answer(
    reply: bytes, asynchronous: bool, provider: FakeProvider, rows: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answering, args=(server, reply, 0.0), daemon=True).start()
        wrapper = cached(provider, RedisCache(f"redis://127.0.0.1:{server.getsockname()[1]}/0"))
        found = [ask(wrapper, asynchronous) for _ in range(3)]
        assert found[0] == "provider"
        if reply != b"+OK\r\n":  # which says that it has kept what it has not
            assert found == ["provider", "cache", "cache"]


def _answering(server: socket.socket, reply: bytes, delay: float) -> None:
    def one(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            while connection.recv(65536):
                time.sleep(delay)
                connection.sendall(reply)

    with suppress(OSError):
        while True:
            threading.Thread(target=one, args=(server.accept()[0],), daemon=True).start()


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_slow_redis_is_left_alone(asynchronous: bool, provider: FakeProvider, rows: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_answering, args=(server, b"$-1\r\n", 0.45), daemon=True).start()
        cache = RedisCache(f"redis://127.0.0.1:{server.getsockname()[1]}/0")
        wrapper = cached(provider, cache)
        assert ask(wrapper, asynchronous) == "provider"
        assert cache.statistics()["redis"]["state"] in ("open", "half_open")


def test_a_redis_that_refuses_to_keep_is_read_all_the_same(
    provider: FakeProvider, rows: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with a_server(tmp_path) as url:
        cache = RedisCache(url)
        wrapper = cached(provider, cache)
        ask(wrapper, False)
        with redis.Redis.from_url(url) as client:
            client.config_set("maxmemory", 1)
            for number in range(20):
                assert ask(wrapper, number % 2 == 0, temperature=number / 10) == "provider"
                assert ask(wrapper, number % 2 == 0, temperature=number / 10) == "cache", "from memory"
                assert ask(wrapper, False) == "cache"
                assert cache.statistics()["redis"]["state"] == "closed"
            said = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
            assert len(said) == 1
            assert "keeps nothing (OutOfMemoryError)" in said[0]
            client.config_set("maxmemory", 0)
            deadline = time.monotonic() + 40
            number = 100
            while cache.statistics()["redis_writing"]["state"] != "closed" and time.monotonic() < deadline:
                number += 1
                ask(wrapper, False, seed=number)
                time.sleep(0.1)
            assert ask(cached(provider, RedisCache(url)), False, seed=number) == "cache"


def test_a_url_may_say_how_texts_are_read(provider: FakeProvider, redis_url: str, rows: Any) -> None:
    cache = RedisCache(redis_url + "?decode_responses=true")
    cache.clear()
    wrapper = cached(provider, cache)
    assert [ask(wrapper, asynchronous) for asynchronous in (False, False, True)] == ["provider", "cache", "cache"]
    cache.clear()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("redis://h/?foo=1", "foo"),
        ("redis://:geheim@127.0.0.1:port/0", "cannot be kept at"),
        ("redis://h/?db=x", "cannot"),
    ],
)
def test_a_url_that_is_none_is_said_without_its_password(url: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as error:
        RedisCache(url)
    assert "geheim" not in str(error.value)


@contextmanager
def a_server(folder: Path, port: int = 0) -> Iterator[str]:
    """A Redis of one's own, that may be changed and stopped; its URL."""
    server = shutil.which("redis-server")
    if server is None:
        if os.environ.get("CI"):
            pytest.fail("no redis-server")
        pytest.skip("no redis-server: another one must not be changed")
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    command = [server, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        for _ in range(400):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.kill()
        process.wait()


@pytest.mark.full
def test_redis_is_stopped_and_started_underneath(provider: FakeProvider, tmp_path: Path, rows: Any) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    provider.answer = Answer(delay=0.01)
    cache = RedisCache(f"redis://127.0.0.1:{port}/0")
    wrapper = cached(provider, cache)
    asked = 0

    async def phase(name: str) -> list[str]:
        """200 calls, 32 at once, of 20 questions that nobody has asked before."""
        nonlocal asked
        gate = asyncio.Semaphore(32)

        async def one(number: int) -> str:
            async with gate:
                messages = [{"role": "user", "content": f"{name} {number % 20}"}]
                result = await wrapper.chat_completion(messages)
                source: str = result["usage"]["usage_source"]
                return source

        found = await asyncio.gather(*(one(number) for number in range(200)))
        asked += 200
        return list(found)

    async def drill() -> None:
        with ExitStack() as up:
            for round_ in range(2):
                for name in ("there", "away", "back"):
                    if name == "away":
                        up.close()
                    else:
                        up.close()
                        up.enter_context(a_server(tmp_path, port))
                        while cache.statistics()["redis"]["state"] != "closed":
                            await asyncio.sleep(0.2)
                            await wrapper.chat_completion(MESSAGES)
                    before = len(provider.requests)
                    sources = await phase(f"{name} {round_}")
                    assert len(provider.requests) - before == sources.count("provider") == 20, (name, round_)

    asyncio.run(drill())
    paid = [row for row in rows() if row["tokens_used"]]
    assert len(paid) == len(provider.requests)
    assert {row["status"] for row in rows()} == {"ok"}
