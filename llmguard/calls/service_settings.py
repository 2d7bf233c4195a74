"""What the environment says of the failover service: who is asked, in which order, with which model and key."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from llmguard.calls.breaker import Rules
from llmguard.calls.failover import Target
from llmguard.calls.transports import row_of
from llmguard.errors import ConfigError, UsageError
from llmguard.providers import Provider

#: Whose answers are shared: columns of the row that are part of a cache's key.
CACHE_SCOPES = {
    "tenant": ("tenant", "client_account_id", "engagement_id"),
    "user": ("tenant", "client_account_id", "engagement_id", "user_id"),
}


class CacheLimits(NamedTuple):
    """Of the answers that are kept to be given again.

    Attributes:
        ttl: seconds after which one is forgotten.
        max_entries: how many are kept in memory; the one that was not asked for longest goes first.
        max_bytes: how large they are together, about.
        scope: "tenant": the same question of the same tenant is the same; "user": of the same user.
    """

    ttl: float = 3600.0
    max_entries: int = 10_000
    max_bytes: int = 64 * 1024 * 1024
    scope: str = "tenant"


_RULES, _LIMITS = Rules(), CacheLimits()
#: Environment variable -> (its default, what it says).
VARIABLES: dict[str, tuple[str, str]] = {
    "LLM_PRIMARY_PROVIDER": ("azure_openai", "who is asked first"),
    "LLM_FALLBACK_PROVIDERS": ("openai,groq", "who is asked then, in order; empty for nobody"),
    "LLM_ENABLE_FALLBACK": ("true", "whether anybody is asked then"),
    "LLM_ATTEMPT_TIMEOUT": ("60", "seconds that one attempt may take"),
    "LLM_MAX_RETRIES": ("0", "how often all are asked once more, after a pause that grows from half a second"),
    "LLM_POOL_SIZE": ("3", "clients of each provider, asked in turn"),
    "LLM_ENABLE_CONNECTION_WARMING": ("true", "whether the connection warmer does anything"),
    "LLM_KEEP_ALIVE_INTERVAL": ("30", "seconds between its pings"),
    "LLM_WARM_ON_STARTUP": ("true", "whether it pings when it starts"),
    "LLM_BREAKER_FAILURES": (str(_RULES.in_a_row), "failures in a row after which a provider is left alone"),
    "LLM_BREAKER_FAILURE_RATE": (
        str(_RULES.share),
        f"share of failures, of at least {_RULES.least} calls in the window, after which it is",
    ),
    "LLM_BREAKER_WINDOW": (f"{_RULES.window:g}", "seconds of that window"),
    "LLM_BREAKER_PAUSE": (
        f"{_RULES.pause:g}",
        f"seconds until one call is let through again; doubles up to {_RULES.longest:g} while it fails",
    ),
    "LLM_CACHE_ENABLED": ("false", "whether the service gives answers again that it has had"),
    "LLM_CACHE_URL": ("", "`redis://...` where they are kept; without it in the memory of the process"),
    "LLM_CACHE_TTL": (f"{_LIMITS.ttl:g}", "seconds after which they are forgotten"),
    "LLM_CACHE_MAX_ENTRIES": (str(_LIMITS.max_entries), "how many are kept in memory"),
    "LLM_CACHE_MAX_BYTES": (str(_LIMITS.max_bytes), "how large they are together, there"),
    "LLM_CACHE_SCOPE": (_LIMITS.scope, "whether a `tenant` shares them, or each `user` has his own"),
}


class ServiceSettings(NamedTuple):
    """Of the failover service.

    Attributes:
        primary: who is asked first.
        fallbacks: who is asked then, in order.
        enable_fallback: whether anybody is.
        pool_size: clients of each provider.
        attempt_timeout: seconds that one attempt may take.
        rounds: how often all are asked.
        rules: of the circuit breakers.
        enable_warming: whether the connection warmer does anything.
        keep_alive_interval: seconds between its pings.
        warm_on_startup: whether it pings when it starts.
        enable_cache: whether answers are given again.
    """

    primary: str
    fallbacks: tuple[str, ...]
    enable_fallback: bool = True
    pool_size: int = 3
    attempt_timeout: float = 60.0
    rounds: int = 1
    rules: Rules = Rules()
    enable_warming: bool = True
    keep_alive_interval: float = 30.0
    warm_on_startup: bool = True
    enable_cache: bool = False

    @property
    def order(self) -> tuple[str, ...]:
        """Who is asked, in order, each once."""
        return tuple(dict.fromkeys((self.primary, *(self.fallbacks if self.enable_fallback else ()))))


def from_environment(environ: Mapping[str, str] | None = None) -> ServiceSettings:
    """The settings of the environment. Blanks around names do not matter, nor does an empty list.

    Raises:
        ConfigError: a name is no provider's, or a number is none; it says which variable.
    """
    given = os.environ if environ is None else environ
    primary = known("LLM_PRIMARY_PROVIDER", _said(given, "LLM_PRIMARY_PROVIDER"))
    names = given.get("LLM_FALLBACK_PROVIDERS", VARIABLES["LLM_FALLBACK_PROVIDERS"][0])  # empty says something here
    fallbacks = tuple(known("LLM_FALLBACK_PROVIDERS", name) for each in names.split(",") if (name := each.strip()))
    return ServiceSettings(
        primary,
        fallbacks,
        _is_on(given, "LLM_ENABLE_FALLBACK"),
        int(_number(given, "LLM_POOL_SIZE", 1, 64)),
        attempt_timeout(given),
        1 + int(_number(given, "LLM_MAX_RETRIES", 0, 10)),
        _RULES._replace(
            in_a_row=int(_number(given, "LLM_BREAKER_FAILURES", 1, 1_000_000)),
            share=_number(given, "LLM_BREAKER_FAILURE_RATE", 0.01, 1),
            window=_number(given, "LLM_BREAKER_WINDOW", 0.1, 86_400),
            pause=_number(given, "LLM_BREAKER_PAUSE", 0.001, 86_400),
        ),
        _is_on(given, "LLM_ENABLE_CONNECTION_WARMING"),
        _number(given, "LLM_KEEP_ALIVE_INTERVAL", 0.01, 86_400),
        _is_on(given, "LLM_WARM_ON_STARTUP"),
        _is_on(given, "LLM_CACHE_ENABLED", "false"),
    )


def cache_from_environment(environ: Mapping[str, str] | None = None) -> tuple[str, CacheLimits]:
    """Where answers are kept ("" for the memory of the process), and how many.

    Raises:
        ConfigError: a number is none, or a word that is not known; it says which variable.
    """
    given = os.environ if environ is None else environ
    scope = _said(given, "LLM_CACHE_SCOPE").lower()
    if scope not in CACHE_SCOPES:
        raise ConfigError("LLM_CACHE_SCOPE", "", f"must be tenant or user, not {scope!r}")
    limits = CacheLimits(
        _number(given, "LLM_CACHE_TTL", 0.001, 31_536_000),
        int(_number(given, "LLM_CACHE_MAX_ENTRIES", 1, 1e9)),
        int(_number(given, "LLM_CACHE_MAX_BYTES", 1, 1e15)),
        scope,
    )
    url = _said(given, "LLM_CACHE_URL")
    if url and not url.startswith(("redis://", "rediss://", "unix://")):
        raise ConfigError("LLM_CACHE_URL", "", "must begin with redis://, rediss:// or unix://")
    return url, limits


def attempt_timeout(environ: Mapping[str, str] | None = None) -> float:
    """Seconds that one attempt may take.

    Raises:
        ConfigError: the variable holds no such number.
    """
    return _number(os.environ if environ is None else environ, "LLM_ATTEMPT_TIMEOUT", 0.001, 86_400)


def known(variable: str, name: str) -> str:
    """The name of a provider's row, for a name that somebody has written.

    Raises:
        ConfigError: there is no such provider.
    """
    try:
        return row_of(name).name
    except UsageError as error:
        raise ConfigError(variable, "", str(error)) from None


def target_of(name: str, environ: Mapping[str, str] | None = None, model: str = "") -> Target | None:
    """Whom to ask of a provider, None when it is switched off, or has no key or no place in the environment.

    Args:
        name: of the provider.
        environ: in place of the environment of the process.
        model: that is asked, "" for the one that the environment names, or the provider's usual one.

    Raises:
        ConfigError: it has a key and no model.
    """
    given = os.environ if environ is None else environ
    row = row_of(name)
    if missing(row, given):
        return None
    variable = model_variable(row)
    model = model or _text(given, variable, row.default_model)
    if not model:
        raise ConfigError(variable, "", f"is not set: the model of {row.title} that the service asks")
    options = {
        option: value for option, (place, default) in row.option_env.items() if (value := _text(given, place, default))
    }
    return Target(row.name, model, options, row.request_defaults)


def model_variable(row: Provider) -> str:
    """The environment variable of the model that is asked of a provider."""
    return row.model_env or f"{row.name.upper()}_MODEL"


def missing(row: Provider, environ: Mapping[str, str] | None = None) -> str:
    """Why a provider is not asked, "" when it is switched on, and has a key and all that its client needs."""
    given = os.environ if environ is None else environ
    if not _is_on(given, f"{row.name.upper()}_ENABLED"):
        return f"switched off: {row.name.upper()}_ENABLED"
    if row.key_env and not key_variable(row, given):
        return f"no key: {row.key_env[0]}"
    places = [place for place, default in row.option_env.values() if not _text(given, place, default)]
    return f"{places[0]} is not set" if places else ""


def key_variable(row: Provider, given: Mapping[str, str]) -> str:
    """The environment variable that holds a provider's key, "" for none."""
    return next((name for name in row.key_env if _text(given, name, "")), "")


def _text(given: Mapping[str, str], name: str, default: str) -> str:
    return given.get(name, "").strip() or default


def _is_on(given: Mapping[str, str], name: str, usual: str = "true") -> bool:
    text = _text(given, name, usual).lower()
    if text not in ("true", "1", "yes", "on", "false", "0", "no", "off"):
        raise ConfigError(name, "", f"must be true or false, not {given[name]!r}")
    return text in ("true", "1", "yes", "on")


def _said(given: Mapping[str, str], name: str) -> str:
    return _text(given, name, VARIABLES[name][0])


def _number(given: Mapping[str, str], name: str, least: float, most: float) -> float:
    text = _said(given, name)
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not least <= number <= most:
        raise ConfigError(name, "", f"must be a number from {least:g} to {most:g}, not {text!r}")
    return number
