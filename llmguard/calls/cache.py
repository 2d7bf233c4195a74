"""Where answers are kept to be given again: here in memory. Nothing is kept unless somebody asks for it.

What is kept is bytes under a key that nobody can guess; what they say is the matter of `cached_answer`.
"""

from __future__ import annotations

import os
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from llmguard.calls.service_settings import CACHE_SCOPES, CacheLimits
from llmguard.calls.single_flight import SingleFlight
from llmguard.config.source import how_to_install
from llmguard.errors import ConfigError

_ENTRY = 400  # bytes that an entry takes beside its value, about
_CACHES: weakref.WeakSet[Cache] = weakref.WeakSet()


class Cache(ABC):
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
        self._counting = threading.RLock()
        _CACHES.add(self)

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """What is kept under a key."""

    @abstractmethod
    def set(self, key: str, value: bytes) -> None:
        """Keep something."""

    @property
    def where(self) -> str:
        """Where they are kept, in words; no password."""
        return self.backend

    @abstractmethod
    def ping(self) -> None:
        """Ask whoever keeps them for a sign of life.

        Raises:
            Exception: there is none.
        """

    @abstractmethod
    def clear(self) -> int:
        """Forget everything that this cache has kept; how much that was."""

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

    def after_fork(self) -> None:
        """In a child: locks that somebody in the parent may have held are made anew."""
        self._counting = threading.RLock()
        self.flights.after_fork()

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

        self._make: Callable[[], Any] = lambda: Bounded(limits.max_bytes, limits.ttl, getsizeof=_size)
        self._lock = threading.Lock()
        self._kept = self._make()

    def get(self, key: str) -> bytes | None:
        with self._held() as kept:
            return None if kept is None else kept.get(key)

    def set(self, key: str, value: bytes) -> None:
        if _size(value) > self.limits.max_bytes:
            return
        with self._held() as kept:
            if kept is not None:
                kept[key] = value
                while len(kept) > self.limits.max_entries:
                    kept.popitem()

    def ping(self) -> None:
        """There is nobody to ask."""

    def clear(self) -> int:
        with self._held() as kept:
            number = len(kept) if kept is not None else 0
            if kept is not None:
                kept.clear()
        return number

    def statistics(self) -> dict[str, Any]:
        with self._held() as kept:
            if kept is None:
                return {**super().statistics(), "entries": 0, "bytes": 0}
            kept.expire()
            held = {"entries": len(kept), "bytes": int(kept.currsize)}
        return {**super().statistics(), **held}

    def after_fork(self) -> None:
        super().after_fork()
        self._lock, self._kept = threading.Lock(), self._make()  # another thread may have been in the middle of it

    @contextmanager
    def _held(self) -> Iterator[Any]:
        """What is kept, for this thread alone; None when that takes a second: a signal's handler may ask while the code
        that it has interrupted is in here."""
        is_held = self._lock.acquire(timeout=1.0)
        try:
            yield self._kept if is_held else None
        finally:
            if is_held:
                self._lock.release()


def _size(value: Any) -> int:
    return len(value) + _ENTRY


def _after_fork() -> None:
    for cache in list(_CACHES):
        cache.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
