"""The cache of this process."""

from __future__ import annotations

import threading

from llmguard.calls.cache import Cache, MemoryCache
from llmguard.calls.redis_cache import RedisCache
from llmguard.calls.service_settings import cache_from_environment

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
