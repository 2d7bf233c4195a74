"""`LLMConnectionWarmer`: keeps the connections of the failover service open.

It pings each provider through that provider's own clients, by what costs nothing, and never touches who is asked. It
belongs to the event loop that starts it, as the connections do.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timezone
from typing import Any, NamedTuple

from llmguard.calls.transports import is_reached_by_sdk
from llmguard.calls.unified import UnifiedLLMService, get_llm_service
from llmguard.usage.scrub import scrubbed

_MOST_ERRORS = 100


class Pinged(NamedTuple):
    """What came of a provider's pings.

    Attributes:
        last: when the last one was answered (`time.time`), None for never.
        pings: how many.
        failures: how many of them failed.
        failed_at: when one failed last, None for never.
    """

    last: float | None = None
    pings: int = 0
    failures: int = 0
    failed_at: float | None = None


class LLMConnectionWarmer:
    """Pings the providers of a service when it starts, and every so often.

    Args:
        service: whose connections; that of this process by default.
        generate: ask for an answer of one token instead of the list of models: paid, and on the books.
    """

    def __init__(self, service: UnifiedLLMService | None = None, *, generate: bool = False) -> None:
        self.service = service or get_llm_service()
        self.generate = generate
        self._task: asyncio.Task[None] | None = None
        self._pinged: dict[str, Pinged] = {}
        self._errors: deque[dict[str, str]] = deque(maxlen=_MOST_ERRORS)
        self._last: float | None = None
        self._total = 0

    @property
    def enabled(self) -> bool:
        """Whether it does anything: LLM_ENABLE_CONNECTION_WARMING."""
        return self.service.settings.enable_warming

    @property
    def running(self) -> bool:
        """Whether it pings every so often now."""
        task = self._task
        return task is not None and not task.done() and not task.get_loop().is_closed()

    async def start(self) -> None:
        """Ping now, where LLM_WARM_ON_STARTUP says so, and every LLM_KEEP_ALIVE_INTERVAL seconds from then on. Nothing
        when it runs already, or is not enabled."""
        if not self.enabled or self.running:
            return
        if self.service.settings.warm_on_startup:
            await self._all("warm")
        self._task = asyncio.get_running_loop().create_task(self._keep_alive(), name="llmguard connection warmer")

    async def stop(self) -> None:
        """End it; a ping that is on its way is given up."""
        task, self._task = self._task, None
        if task is None or task.get_loop() is not asyncio.get_running_loop():
            return  # with its loop it has ended
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def warm_specific_provider(self, name: str) -> bool:
        """Ping one provider; whether it has answered."""
        return await self._ping(name, "warm")

    def get_stats(self) -> dict[str, Any]:
        """`{"enabled", "running", "stats": {"providers_warmed": {name: {"warmed", "last_ping", "ping_count",
        "failures"}}, "last_keep_alive", "total_keep_alive_pings", "errors": [{"provider", "error", "time",
        "operation"}]}, "config": {"keep_alive_interval", "warm_on_startup"}}`; the last hundred errors, times in ISO
        form (UTC)."""
        settings = self.service.settings
        return {
            "enabled": self.enabled,
            "running": self.running,
            "stats": {
                "providers_warmed": {
                    name: {
                        "warmed": each.last is not None,
                        "last_ping": _iso(each.last),
                        "ping_count": each.pings,
                        "failures": each.failures,
                    }
                    for name, each in self._pinged.items()
                },
                "last_keep_alive": _iso(self._last),
                "total_keep_alive_pings": self._total,
                "errors": list(self._errors),
            },
            "config": {
                "keep_alive_interval": settings.keep_alive_interval,
                "warm_on_startup": settings.warm_on_startup,
            },
        }

    def get_provider_health(self) -> dict[str, dict[str, Any]]:
        """Name -> `{"status", "last_ping", "seconds_since_ping", "total_pings", "failures", "failure_rate"}`.

        The status is "failing" when the last ping failed, "healthy" when one, or a question, was answered within two
        intervals, else "stale".
        """
        return {name: self._health(name) for name in self._names()}

    def _health(self, name: str) -> dict[str, Any]:
        each = self._pinged.get(name, Pinged())
        heard = self.service.last_answer(name)
        known = [moment for moment in (each.last, heard) if moment is not None]
        fresh = bool(known) and time.time() - max(known) < 2 * self.service.settings.keep_alive_interval
        is_failing = each.failed_at is not None and each.failed_at > max(known, default=0.0)
        return {
            "status": "failing" if is_failing else "healthy" if fresh else "stale",
            "last_ping": _iso(each.last),
            "seconds_since_ping": None if each.last is None else round(max(0.0, time.time() - each.last), 3),
            "total_pings": each.pings,
            "failures": each.failures,
            "failure_rate": round(each.failures / each.pings, 4) if each.pings else 0.0,
        }

    def _names(self) -> list[str]:
        """The providers that can be pinged, the most used first."""
        asked = self.service.stats["requests_by_provider"]
        names = self.service.get_available_providers()
        return sorted(
            (name for name in names if self.generate or is_reached_by_sdk(name)), key=lambda name: -asked.get(name, 0)
        )

    async def _keep_alive(self) -> None:
        while True:
            interval = self.service.settings.keep_alive_interval
            await asyncio.sleep(interval)
            self._last = time.time()
            # Who has answered a question since needs no ping.
            idle = [name for name in self._names() if time.time() - (self.service.last_answer(name) or 0) >= interval]
            self._total += len(idle)
            for name in idle:
                await self._ping(name, "keep_alive")

    async def _all(self, operation: str) -> None:
        await asyncio.gather(*(self._ping(name, operation) for name in self._names()))

    async def _ping(self, name: str, operation: str) -> bool:
        before = self._pinged.get(name, Pinged())
        try:
            await self.service.ping(name, generate=self.generate)
        except Exception as error:  # noqa: BLE001  (whatever it is, it is told, and the next one is pinged)
            told = {"provider": name, "error": scrubbed(f"{type(error).__name__}: {error}")[:300]}
            self._errors.append({**told, "time": str(_iso(time.time())), "operation": operation})
            self._pinged[name] = Pinged(before.last, before.pings + 1, before.failures + 1, time.time())
            return False
        self._pinged[name] = Pinged(time.time(), before.pings + 1, before.failures, before.failed_at)
        return True


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, timezone.utc).isoformat()


_warmer: LLMConnectionWarmer | None = None
_lock = threading.Lock()


async def get_llm_warmer() -> LLMConnectionWarmer:
    """The warmer of this process, for the service of this process.

    Raises:
        ConfigError: as of `UnifiedLLMService`.
    """
    global _warmer
    with _lock:
        if _warmer is None or _warmer.service is not get_llm_service():
            _warmer = LLMConnectionWarmer()
        return _warmer


@asynccontextmanager
async def llm_lifespan(app: Any = None) -> AsyncIterator[None]:
    """For FastAPI and Starlette: `FastAPI(lifespan=llm_lifespan)` starts the warmer with the application, and stops it
    and closes the connections with it."""
    from llmguard.calls.clients import pool

    warmer = await get_llm_warmer()
    await warmer.start()
    try:
        yield
    finally:
        await warmer.stop()
        await pool.aclose()
