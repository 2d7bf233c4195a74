"""What `llmguard doctor` says of the providers: who is asked, with what, and whether it answers."""

from __future__ import annotations

import asyncio
import os
import time
from importlib.util import find_spec
from typing import NamedTuple

from llmguard.calls.process_cache import new_cache
from llmguard.calls.service_settings import (
    ServiceSettings,
    cache_from_environment,
    from_environment,
    key_variable,
    missing,
    model_variable,
    target_of,
)
from llmguard.calls.transports import is_reached_by_sdk, row_of
from llmguard.calls.unified import LLMProvider, UnifiedLLMService
from llmguard.errors import LLMGuardError
from llmguard.usage.recorder import recorder
from llmguard.usage.scrub import scrubbed

#: Package -> what it is for.
PACKAGES = {
    "openai": "OpenAI, Azure OpenAI, and services that speak OpenAI's format",
    "groq": "Groq",
    "anthropic": "Anthropic's messages",
    "litellm": "providers whose format no SDK here speaks, Anthropic in OpenAI's among them",
    "sqlalchemy": "the ledger",
    "psycopg": "a ledger in PostgreSQL",
    "redis": "answers that are kept in Redis",
}


class Report(NamedTuple):
    """What is found of a provider.

    Attributes:
        provider: its name.
        role: "primary", "fallback 1", ..., or "not asked".
        model: that is asked of it, "" for none.
        key: which variable holds its key, or what is missing.
        answer: what it answered, or why it was not asked.
        milliseconds: until it answered, None where it did not.
        breaker: state of its circuit breaker in this process.
        pool: clients.
        is_problem: somebody should look at it.
    """

    provider: str
    role: str
    model: str
    key: str
    answer: str
    milliseconds: int | None = None
    breaker: str = "closed"
    pool: int = 0
    is_problem: bool = False


class Kept(NamedTuple):
    """What is found of the cache.

    Attributes:
        enabled: whether the service gives answers again.
        where: where they are kept.
        answer: what is to be said of it.
        milliseconds: until Redis answered; None where nobody was asked.
        is_problem: somebody should look at it.
    """

    enabled: bool
    where: str
    answer: str
    milliseconds: int | None = None
    is_problem: bool = False


def examine_cache(*, network: bool = True) -> Kept:
    """Look at the cache that the environment says.

    Args:
        network: ask Redis, where that is it.

    Raises:
        ConfigError: the environment says what it cannot.
    """
    enabled = from_environment().enable_cache
    url, limits = cache_from_environment()
    if not enabled and not url:
        return Kept(False, "", "off (LLM_CACHE_ENABLED)")
    try:
        cache = new_cache()
    except LLMGuardError as error:
        return Kept(enabled, "redis", str(error), is_problem=True)
    found = Kept(enabled, cache.where, f"{'on' if enabled else 'where it is asked for'}, {limits.ttl:g} s")
    if not url or not network:
        return found
    try:
        cache.ping()  # makes the connection: how long that takes is nothing of Redis's
        began = time.perf_counter()
        cache.ping()
    except Exception as error:  # noqa: BLE001  (whatever it is, it is what the doctor says)
        return found._replace(answer=f"does not answer ({type(error).__name__}): memory is used", is_problem=True)
    return found._replace(milliseconds=round((time.perf_counter() - began) * 1000))


def missing_packages() -> dict[str, str]:
    """Packages that are not installed -> what they are for."""
    return {name: what for name, what in PACKAGES.items() if find_spec(name) is None}


def examine(
    settings: ServiceSettings | None = None, *, generate: bool = False, network: bool = True, timeout: float = 10.0
) -> list[Report]:
    """Look at every provider that is asked, and at those that the service has names for.

    Args:
        settings: of the service; the environment's by default.
        generate: ask each for an answer of one token, which is paid and on the books, not for its list of models.
        network: ask anybody at all.
        timeout: seconds for each.

    Raises:
        ConfigError: the environment says what it cannot.
    """
    settings = (settings or from_environment())._replace(attempt_timeout=timeout)
    service = UnifiedLLMService(settings)
    order = list(settings.order)
    names = [*order, *(each.value for each in LLMProvider if each.value not in order)]
    found = [_configured(name, order, settings) for name in names]
    asked = {each.provider for each in found if not each.answer}
    if len(asked & set(order)) and order[0] not in asked:  # somebody else answers what it should
        found[0] = found[0]._replace(is_problem=True)
    if not network:
        return [each._replace(answer=each.answer or "not asked (--offline)") for each in found]
    done = asyncio.run(_asked(service, found, generate))
    if generate:
        recorder().flush(timeout)  # who looks at the ledger next finds what was paid
    return done


def _configured(name: str, order: list[str], settings: ServiceSettings) -> Report:
    row = row_of(name)
    place = order.index(name) if name in order else -1
    role = "not asked" if place < 0 else "primary" if place == 0 else f"fallback {place}"
    report = Report(name, role, "", key_variable(row, os.environ) or "none", "", pool=settings.pool_size)
    reason = missing(row)
    if reason:
        return report._replace(answer=reason)
    try:
        target = target_of(name)
    except LLMGuardError as error:
        return report._replace(answer=str(error), is_problem=True)
    return report._replace(model=target.model if target is not None else "")


async def _asked(service: UnifiedLLMService, reports: list[Report], generate: bool) -> list[Report]:
    return list(await asyncio.gather(*(_asked_one(service, each, generate) for each in reports)))


async def _asked_one(service: UnifiedLLMService, report: Report, generate: bool) -> Report:
    if report.answer:
        return report
    breakers = service.stats["breakers"]
    state = breakers.get(f"{report.provider}/{report.model}", {}).get("state", "closed")
    if not generate and not is_reached_by_sdk(report.provider):
        return report._replace(answer="reached through LiteLLM: asked with --generate only", breaker=state)
    try:
        service.make_clients(report.provider)  # how long an import takes is nothing of the provider's
        began = time.perf_counter()
        await service.ping(report.provider, generate=generate)
    except Exception as error:  # noqa: BLE001  (whatever it is, it is what the doctor says)
        return report._replace(answer=_failure(error, report), is_problem=True, breaker=state)
    return report._replace(answer="answers", milliseconds=round((time.perf_counter() - began) * 1000), breaker=state)


def _failure(error: Exception, report: Report) -> str:
    status = getattr(error, "status_code", None)
    if status in (401, 403):
        return f"refuses the key in {report.key} ({status})"
    if status == 404:
        return f"knows no such place or model (404): {model_variable(row_of(report.provider))}?"
    if isinstance(error, LLMGuardError):
        return str(error)
    text = " ".join(scrubbed(str(error)).split())[:120]
    return f"{type(error).__name__}{f': {text}' if text else ''}"
