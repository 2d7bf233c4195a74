"""The SDKs of OpenAI, Azure OpenAI, Groq and Anthropic: their own clients, methods, responses and exceptions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from llmguard.calls.clients import Kept, key_of, pool
from llmguard.calls.transports import Reached
from llmguard.calls.transports.aiohttp import http_client
from llmguard.errors import ConfigError
from llmguard.providers import Provider
from llmguard.usage.call import Call, InnerCall
from llmguard.usage.clients.stainless import ended, provider_of


class SDK(NamedTuple):
    """What an SDK calls its things.

    Attributes:
        module: to import.
        synchronous, asynchronous: its client classes.
        environment: variables that a client reads when it is made, beside the key.
    """

    module: str
    synchronous: str
    asynchronous: str
    environment: tuple[str, ...]


_SDKS = {
    "groq": SDK("groq", "Groq", "AsyncGroq", ("GROQ_BASE_URL",)),
    "anthropic": SDK(
        "anthropic",
        "Anthropic",
        "AsyncAnthropic",
        ("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS"),
    ),
    "azure_openai": SDK(
        "openai",
        "AzureOpenAI",
        "AsyncAzureOpenAI",
        ("AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION", "AZURE_OPENAI_AD_TOKEN", "OPENAI_ORG_ID"),
    ),
}
_OPENAI = SDK("openai", "OpenAI", "AsyncOpenAI", ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"))
#: Options that say who is asking in another way than by a key.
_CREDENTIALS = frozenset(
    {
        *("api_key", "auth_token", "admin_api_key", "azure_ad_token", "azure_ad_token_provider", "credentials"),
        *("http_client", "default_headers", "workload_identity"),
    }
)


class SDKTransport:
    """Calls through a provider's SDK.

    Args:
        row: of the provider.
    """

    def __init__(self, row: Provider) -> None:
        self.row = row
        sdk = _SDKS.get(row.name, _OPENAI)
        self._foreign = sdk is _OPENAI and row.name != "openai"
        if row.name == "groq" and find_spec("groq") is None and find_spec("openai") is not None:
            sdk, self._foreign = _OPENAI, True  # who has no Groq SDK has no code that knows its classes
        self._sdk = sdk
        own = f"{row.name.upper()}_BASE_URL"
        self._base_url_variable = own if self._foreign else ""
        self._environment = (*row.key_env, *([own] if self._foreign else sdk.environment))

    def reach(
        self, path: tuple[str, ...], model: Any, client_options: Mapping[str, Any] | None, *, asynchronous: bool
    ) -> Reached:
        environ = os.environ
        key = (self.row.name, *map(environ.get, self._environment), key_of(client_options))
        kept = pool.get(key, lambda: self._made(client_options or {}, asynchronous), asynchronous=asynchronous)
        method: Any = kept.client
        for name in path:
            method = getattr(method, name)

        def call(_: Call | InnerCall, arguments: dict[str, Any]) -> Any:
            return method(**arguments)

        return Reached(kept.provider, call, _ended)

    def _made(self, options: Mapping[str, Any], asynchronous: bool) -> Kept:
        try:
            module = import_module(self._sdk.module)
        except ModuleNotFoundError as error:
            name = error.name or self._sdk.module
            raise ConfigError(
                f'provider "{self.row.name}"', "", f"needs the package {name}: pip install {name}"
            ) from None
        given = {**self._defaults(options), **options}
        self._check_key(given)
        if asynchronous and "http_client" not in given:
            over_aiohttp = http_client(module)
            if over_aiohttp is not None:
                given["http_client"] = over_aiohttp
        client = getattr(module, self._sdk.asynchronous if asynchronous else self._sdk.synchronous)(**given)
        named = provider_of(client)
        return Kept(client, self.row.name if named in ("openai", self._sdk.module) else named)

    def _defaults(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Where a provider without an SDK of its own is, and its key."""
        if not self._foreign:
            return {}
        found: dict[str, Any] = {}
        base_url = os.environ.get(self._base_url_variable) or self.row.base_url
        if base_url and "base_url" not in options:
            found["base_url"] = base_url
        key = next((os.environ[name] for name in self.row.key_env if os.environ.get(name)), None)
        if key and "api_key" not in options:
            found["api_key"] = key
        return found

    def _check_key(self, options: Mapping[str, Any]) -> None:
        variables = (*self.row.key_env, *(name for name in self._sdk.environment if name.endswith("_TOKEN")))
        if _CREDENTIALS & options.keys() or any(os.environ.get(name) for name in variables) or not self.row.key_env:
            return
        problem = f"is not set: the API key of {self.row.title}; set it, or pass client_options={{'api_key': ...}}"
        raise ConfigError(self.row.key_env[0], "", problem)


def _ended(response: Any, call: Call | InnerCall) -> Any:
    return ended(call, response)
