"""Where answers are kept to be given again: in memory, or in Redis. Nothing is kept unless somebody asks for it.

What is kept is bytes under a key that nobody can guess; what they say is the matter of `cached_answer`. A Redis that
does not answer costs a call half a second at most, once: until it is back, answers are kept in memory.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from llmguard.calls.breaker import Breaker, Rules, State
from llmguard.calls.clients import Kept, pool
from llmguard.calls.service_settings import CACHE_SCOPES, CacheLimits, cache_from_environment
from llmguard.calls.single_flight import SingleFlight
from llmguard.config.source import how_to_install
from llmguard.errors import ConfigError
from llmguard.printable import printable

LOG = logging.getLogger("llmguard.calls")
_ENTRY = 400  # bytes that an entry takes beside its value, about
_PREFIX = "llmguard:answer:1:"
_WAIT = 0.5  # seconds for one answer of Redis
_AWAY = Rules(in_a_row=1, share=1.0, least=1_000_000, pause=1.0, longest=30.0)
_AT_ONCE = 500  # keys that are deleted at once


class Cache:
    """Keeps answers. Safe in threads, and in several event loops.

    Attributes:
        limits: of what is kept.
        flights: the questions that are being asked.
    """

    backend = ""

    def __init__(self, limits: CacheLimits = CacheLimits()) -> None:  # noqa: B008
        if limits.scope not in CACHE_SCOPES or not limits.ttl > 0 or min(limits.max_entries, limits.max_bytes) < 1:
            raise ConfigError("cache", "", f"cannot keep answers within {limits}: all above 0, scope tenant or user")
        self.limits = limits
        self.flights = SingleFlight()
        self._counts = dict.fromkeys(("hits", "misses", "shared", "evictions", "errors"), 0)
        self._counting = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """What is kept under a key."""
        raise NotImplementedError

    def set(self, key: str, value: bytes) -> None:
        """Keep something."""
        raise NotImplementedError

    @property
    def where(self) -> str:
        """Where they are kept, in words; no password."""
        return self.backend

    def ping(self) -> None:
        """Ask whoever keeps them for a sign of life.

        Raises:
            Exception: there is none.
        """

    def clear(self) -> int:
        """Forget everything that this cache has kept; how much that was."""
        raise NotImplementedError

    async def get_async(self, key: str) -> bytes | None:
        """What is kept under a key."""
        return self.get(key)

    async def set_async(self, key: str, value: bytes) -> None:
        """Keep something."""
        self.set(key, value)

    def counted(self, what: str) -> None:
        """Count a hit, a miss, an answer that was shared while it was waited for, an eviction or an error."""
        with self._counting:
            self._counts[what] += 1

    def statistics(self) -> dict[str, Any]:
        """`{"backend", "hits", "misses", "shared", "hit_rate", "evictions", "errors", "entries", "bytes"}`, of this
        process; the last two are of its memory."""
        with self._counting:
            counts = dict(self._counts)
        served = counts["hits"] + counts["shared"]
        asked = served + counts["misses"]
        return {"backend": self.backend, **counts, "hit_rate": round(served / asked, 4) if asked else None}


class MemoryCache(Cache):
    """Keeps answers in the memory of this process.

    Raises:
        ConfigError: a limit is none, or the package cachetools is not installed.
    """

    backend = "memory"

    def __init__(self, limits: CacheLimits = CacheLimits()) -> None:  # noqa: B008
        super().__init__(limits)
        try:
            from cachetools import TTLCache
        except ModuleNotFoundError:
            raise ConfigError("cache", "", f"needs the package cachetools: {how_to_install('runtime')}") from None
        counted = self.counted

        class Bounded(TTLCache[str, bytes]):
            def popitem(self) -> tuple[str, bytes]:
                counted("evictions")
                return super().popitem()

        self._lock = threading.Lock()
        self._kept = Bounded(limits.max_bytes, limits.ttl, getsizeof=_size)

    def get(self, key: str) -> bytes | None:
        with self._lock:
            return self._kept.get(key)

    def set(self, key: str, value: bytes) -> None:
        if _size(value) > self.limits.max_bytes:
            return
        with self._lock:
            self._kept[key] = value
            while len(self._kept) > self.limits.max_entries:
                self._kept.popitem()

    def clear(self) -> int:
        with self._lock:
            number = len(self._kept)
            self._kept.clear()
        return number

    def statistics(self) -> dict[str, Any]:
        with self._lock:
            self._kept.expire()
            held = {"entries": len(self._kept), "bytes": int(self._kept.currsize)}
        return {**super().statistics(), **held}


def _size(value: Any) -> int:
    return len(value) + _ENTRY


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
        except ModuleNotFoundError:
            raise ConfigError("cache", "", f"needs the package redis: {how_to_install('redis')}") from None
        self._memory = MemoryCache(limits)
        self._url = url
        self._breaker = Breaker(_AWAY)
        self._errors = (redis.RedisError, OSError)
        self._where = printable(urlsplit(url).netloc.rpartition("@")[2])  # no password
        try:
            redis.ConnectionPool.from_url(url)
        except ValueError as error:
            raise ConfigError("cache", "", f"cannot be kept at {self._where}: {error}") from None

    def get(self, key: str) -> bytes | None:
        found = None
        with self._asking() as is_there:
            if is_there:
                found = self._client().get(_PREFIX + key)
        return found if isinstance(found, bytes) else self._memory.get(key)

    def set(self, key: str, value: bytes) -> None:
        is_kept = False
        with self._asking() as is_there:
            if is_there:
                is_kept = bool(self._client().set(_PREFIX + key, value, px=self._milliseconds))
        if not is_kept:
            self._memory.set(key, value)

    async def get_async(self, key: str) -> bytes | None:
        found = None
        with self._asking() as is_there:
            if is_there:
                found = await self._client_async().get(_PREFIX + key)
        return found if isinstance(found, bytes) else self._memory.get(key)

    async def set_async(self, key: str, value: bytes) -> None:
        is_kept = False
        with self._asking() as is_there:
            if is_there:
                is_kept = bool(await self._client_async().set(_PREFIX + key, value, px=self._milliseconds))
        if not is_kept:
            self._memory.set(key, value)

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
        """As of `Cache`, and `"redis"`: the state of the breaker before it."""
        held = self._memory.statistics()
        return {**super().statistics(), "entries": held["entries"], "bytes": held["bytes"], "redis": self._state()}

    def _state(self) -> dict[str, Any]:
        said = self._breaker.statistics()
        return {"state": said["state"], "last_error": said["last_error"], "retry_in_s": said["retry_in_s"]}

    @property
    def _milliseconds(self) -> int:
        return max(1, round(self.limits.ttl * 1000))

    @contextmanager
    def _asking(self) -> Iterator[bool]:
        """Around a question to Redis: whether it is to be asked. Its errors end here."""
        era = self._breaker.let_through()
        if era is None:
            yield False
            return
        was_there = self._breaker.state is State.CLOSED
        try:
            yield True
        except self._errors as error:
            if was_there:
                LOG.warning("the cache at %s does not answer (%s): memory is used", self._where, type(error).__name__)
            self._breaker.failed(era, type(error).__name__)
            self.counted("errors")
        except BaseException:
            self._breaker.given_up(era)
            raise
        else:
            if not was_there:
                LOG.warning("the cache at %s answers again", self._where)
            self._breaker.succeeded(era)

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


_cache: Cache | None = None
_lock = threading.Lock()


def get_llm_cache() -> Cache:
    """The cache of this process, made by the environment when it is first asked for: Redis where LLM_CACHE_URL says so,
    else memory.

    Raises:
        ConfigError: the environment says what cannot be.
    """
    global _cache
    with _lock:
        if _cache is None:
            _cache = new_cache()
        return _cache


def new_cache() -> Cache:
    """A cache as the environment says.

    Raises:
        ConfigError: as of `get_llm_cache`.
    """
    url, limits = cache_from_environment()
    return RedisCache(url, limits) if url else MemoryCache(limits)


def set_llm_cache(cache: Cache | None) -> None:
    """Put another cache in its place; None for one that is made anew when it is asked for."""
    global _cache
    with _lock:
        _cache = cache
