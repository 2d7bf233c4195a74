"""Answers that are kept in Redis, so that all processes share them.

A Redis that does not answer, or takes half a second, is left alone for a while; until it is back, answers are kept in
memory.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from llmguard.calls.breaker import Breaker, Rules, State
from llmguard.calls.cache import Cache, MemoryCache
from llmguard.calls.clients import Kept, pool
from llmguard.calls.service_settings import CacheLimits
from llmguard.config.source import how_to_install
from llmguard.errors import ConfigError
from llmguard.printable import printable

LOG = logging.getLogger("llmguard.calls")
_PREFIX = "llmguard:answer:1:"
_WAIT = 0.5  # seconds for one answer
_AWAY = Rules(in_a_row=1, share=1.0, least=1_000_000, pause=1.0, longest=30.0)
_AT_ONCE = 500  # keys that are deleted at once


class RedisCache(Cache):
    """Keeps answers in Redis, so that all processes share them; while it is away, in memory.

    Args:
        url: "redis://..." or "rediss://...".
        limits: of what is kept; numbers and bytes are those of the memory: how much Redis keeps is its own matter.

    Raises:
        ConfigError: the package redis is not installed, or the URL is none.
    """

    backend = "redis"

    def __init__(self, url: str, limits: CacheLimits = CacheLimits()) -> None:  # noqa: B008
        super().__init__(limits)
        try:
            import redis
            from redis.retry import Retry
        except ModuleNotFoundError:
            raise ConfigError("cache", "", f"needs the package redis: {how_to_install('redis')}") from None
        self._memory = MemoryCache(limits)
        self._url = url
        self._breaker, self._writing = Breaker(_AWAY), Breaker(_AWAY)
        self._refusal: type[Exception] = redis.ResponseError
        self._where = printable(urlsplit(url).netloc.rpartition("@")[2])  # no password
        try:
            redis.ConnectionPool.from_url(url, **_options(Retry)).make_connection()  # which is not opened yet
        except (TypeError, ValueError) as error:
            raise ConfigError("cache", "", f"cannot be kept at {self._where}: {error}") from None

    def get(self, key: str) -> bytes | None:
        found = None
        with self._asking(self._breaker) as is_there:
            if is_there:
                found = self._client().get(_PREFIX + key)
        return self._read(key, found)

    def set(self, key: str, value: bytes) -> None:
        is_kept = False
        with self._asking(self._breaker, self._writing) as is_there:
            if is_there:
                is_kept = bool(self._client().set(_PREFIX + key, value, px=self._milliseconds))
        if not is_kept:
            self._memory.set(key, value)

    async def get_async(self, key: str) -> bytes | None:
        found = None
        with self._asking(self._breaker) as is_there:
            if is_there:
                found = await asyncio.wait_for(self._client_async().get(_PREFIX + key), _WAIT)
        return self._read(key, found)

    async def set_async(self, key: str, value: bytes) -> None:
        is_kept = False
        with self._asking(self._breaker, self._writing) as is_there:
            if is_there:
                sent = self._client_async().set(_PREFIX + key, value, px=self._milliseconds)
                is_kept = bool(await asyncio.wait_for(sent, _WAIT))
        if not is_kept:
            self._memory.set(key, value)

    def _read(self, key: str, found: Any) -> bytes | None:
        if isinstance(found, str):  # the URL may say decode_responses
            return found.encode()
        return found if isinstance(found, bytes) else self._memory.get(key)

    @property
    def where(self) -> str:
        return f"redis at {self._where}"

    def ping(self) -> None:
        self._client().ping()

    def clear(self) -> int:
        """As of `Cache`.

        Raises:
            redis.RedisError: it does not answer, and may keep them still.
        """
        number, client, found = self._memory.clear(), self._client(), []
        for key in client.scan_iter(_PREFIX + "*", count=_AT_ONCE):
            found.append(key)
            if len(found) == _AT_ONCE:
                number += int(client.unlink(*found))
                found = []
        return number + (int(client.unlink(*found)) if found else 0)

    def statistics(self) -> dict[str, Any]:
        """As of `Cache`, and `"redis"` and `"redis_writing"`: the states of the breakers before it."""
        held = self._memory.statistics()
        states = {"redis": _state(self._breaker), "redis_writing": _state(self._writing)}
        return {**super().statistics(), "entries": held["entries"], "bytes": held["bytes"], **states}

    @property
    def _milliseconds(self) -> int:
        return max(1, round(self.limits.ttl * 1000))

    @contextmanager
    def _asking(self, *breakers: Breaker) -> Iterator[bool]:
        """Around a question to Redis: whether it is to be asked. Its errors end here: whatever they are, an answer is
        worth more.

        Args:
            breakers: of Redis, and of writing there, which it may refuse while it can be read (it is full, or a copy).
        """
        eras: list[int] = []
        for breaker in breakers:
            era = breaker.let_through()
            if era is None:
                for other, passed in zip(breakers, eras, strict=False):
                    other.given_up(passed)
                yield False
                return
            eras.append(era)
        began = time.monotonic()
        try:
            yield True
        except Exception as error:  # noqa: BLE001  (counted, and said once)
            self.counted("errors")
            self._failed(breakers, eras, error)
        except BaseException:
            for breaker, era in zip(breakers, eras, strict=True):
                breaker.given_up(era)
            raise
        else:
            late = time.monotonic() - began > _WAIT
            for breaker, era in zip(breakers, eras, strict=True):
                if late and breaker is self._breaker:
                    self._away(breaker, era, "slow")
                else:
                    self._there(breaker, era)

    def _failed(self, breakers: tuple[Breaker, ...], eras: list[int], error: Exception) -> None:
        if not isinstance(error, self._refusal):
            for breaker, era in zip(breakers[1:], eras[1:], strict=True):
                breaker.given_up(era)
            self._away(breakers[0], eras[0], type(error).__name__)
            return
        if len(breakers) > 1:  # it answers, and does not keep it
            self._there(breakers[0], eras[0])
            self._away(breakers[1], eras[1], type(error).__name__)
        elif str(error).startswith("WRONGTYPE"):  # somebody else has put something there
            self._there(breakers[0], eras[0])
        else:
            self._away(breakers[0], eras[0], type(error).__name__)

    def _away(self, breaker: Breaker, era: int, why: str) -> None:
        if breaker.state is State.CLOSED:
            what = "does not answer" if breaker is self._breaker else "keeps nothing"
            LOG.warning("the cache at %s %s (%s): memory is used", self._where, what, why)
        breaker.failed(era, why)

    def _there(self, breaker: Breaker, era: int) -> None:
        if breaker.state is not State.CLOSED:
            LOG.warning(
                "the cache at %s %s again", self._where, "answers" if breaker is self._breaker else "keeps answers"
            )
        breaker.succeeded(era)

    def _client(self) -> Any:
        from redis import Redis
        from redis.retry import Retry

        def make() -> Kept:
            return Kept(Redis.from_url(self._url, **_options(Retry)), "redis")

        return pool.get(("redis", self._url), make, asynchronous=False).client

    def _client_async(self) -> Any:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry

        def make() -> Kept:
            return Kept(_Closing(Redis.from_url(self._url, **_options(Retry))), "redis")

        return pool.get(("redis", self._url), make, asynchronous=True).client.redis


def _state(breaker: Breaker) -> dict[str, Any]:
    said = breaker.statistics()
    return {name: said[name] for name in ("state", "last_error", "retry_in_s")}


class _Closing:
    """An asynchronous client that is closed as a pool closes clients."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis

    async def close(self) -> None:
        await self.redis.aclose()


def _options(retry: Any) -> dict[str, Any]:
    """Of a client: a connection that has died is replaced once, and nothing waits for long."""
    from redis.backoff import NoBackoff
    from redis.exceptions import ConnectionError

    again = retry(NoBackoff(), 1, supported_errors=(ConnectionError,))
    waits = {"socket_timeout": _WAIT, "socket_connect_timeout": _WAIT}
    return {**waits, "retry": again, "retry_on_error": [ConnectionError]}  # below redis 6 both are needed
