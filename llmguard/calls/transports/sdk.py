"""The SDKs of OpenAI, Azure OpenAI, Groq and Anthropic: their own clients, methods, responses and exceptions."""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple

from llmguard.calls.clients import Kept, key_of, pool
from llmguard.calls.transports import Reached, place_of
from llmguard.calls.transports.guarded import http_client
from llmguard.errors import ConfigError
from llmguard.providers import Provider
from llmguard.providers.index import by_host
from llmguard.usage.call import Call
from llmguard.usage.clients.stainless import ended, provider_of
from llmguard.usage.inner_call import InnerCall


class SDK(NamedTuple):
    """What an SDK calls its things.

    Attributes:
        module: to import.
        synchronous, asynchronous: its client classes.
        environment: variables that a client reads when it is made, beside the key.
        answers: classes of whole answers, each by the module that it is imported from.
    """

    module: str
    synchronous: str
    asynchronous: str
    environment: tuple[str, ...]
    answers: tuple[tuple[str, str], ...]


_SDKS = {
    "groq": SDK(
        "groq",
        "Groq",
        "AsyncGroq",
        ("GROQ_BASE_URL", "GROQ_CUSTOM_HEADERS"),
        (("groq.types.chat", "ChatCompletion"),),
    ),
    "anthropic": SDK(
        "anthropic",
        "Anthropic",
        "AsyncAnthropic",
        (
            *("ANTHROPIC_BASE_URL", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_CUSTOM_HEADERS", "ANTHROPIC_PROFILE"),
            *("ANTHROPIC_CONFIG_DIR", "ANTHROPIC_IDENTITY_TOKEN", "ANTHROPIC_IDENTITY_TOKEN_FILE"),
        ),
        (("anthropic.types", "Message"),),
    ),
    "azure_openai": SDK(
        "openai",
        "AzureOpenAI",
        "AsyncAzureOpenAI",
        (
            *("AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION", "AZURE_OPENAI_AD_TOKEN", "OPENAI_ORG_ID"),
            *("OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS"),
        ),
        (("openai.types.chat", "ChatCompletion"),),
    ),
}
_OPENAI = SDK(
    "openai",
    "OpenAI",
    "AsyncOpenAI",
    ("OPENAI_BASE_URL", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS"),
    (("openai.types.chat", "ChatCompletion"),),
)


def client_classes() -> set[tuple[str, str]]:
    """The clients of all these SDKs: package and name."""
    return {(sdk.module, name) for sdk in (_OPENAI, *_SDKS.values()) for name in (sdk.synchronous, sdk.asynchronous)}


def answer_classes() -> set[tuple[str, str]]:
    """The classes of whole answers of all these SDKs: module to import from, and name."""
    return {each for sdk in (_OPENAI, *_SDKS.values()) for each in sdk.answers}


class SDKTransport:
    """Calls through a provider's SDK.

    Args:
        row: of the provider.
    """

    def __init__(self, row: Provider) -> None:
        self.row = row
        sdk = _SDKS.get(row.name, _OPENAI)
        self._foreign = sdk is _OPENAI and row.name != "openai"
        if row.name == "groq" and not _is_there("groq") and _is_there("openai"):
            sdk, self._foreign = _OPENAI, True  # who has no Groq SDK has no code that knows its classes
        self._sdk = sdk
        own = f"{row.name.upper()}_BASE_URL"
        self._base_url_variable = own if self._foreign else ""
        self._environment = (*row.key_env, *([own] if self._foreign else sdk.environment))

    def reach(
        self,
        path: tuple[str, ...],
        model: Any,
        client_options: Mapping[str, Any] | None,
        *,
        asynchronous: bool,
        slot: int = 0,
    ) -> Reached:
        environ = os.environ
        key = (self.row.name, slot, *map(environ.get, self._environment), key_of(client_options))
        kept = pool.get(key, lambda: self._made(client_options or {}, asynchronous), asynchronous=asynchronous)
        method: Any = kept.client
        for name in path:
            method = getattr(method, name)

        def call(_: Call | InnerCall, arguments: dict[str, Any]) -> Any:
            return method(**arguments)

        return Reached(kept.provider, call, _ended)

    def place(self, client_options: Mapping[str, Any] | None) -> Hashable | None:
        place = place_of(client_options, self._environment)
        return None if place is None else (self.row.name, self._sdk.module, place)

    def _made(self, options: Mapping[str, Any], asynchronous: bool) -> Kept:
        try:
            module = import_module(self._sdk.module)
        except ModuleNotFoundError as error:
            name = error.name or self._sdk.module
            raise ConfigError(
                f'provider "{self.row.name}"', "", f"needs the package {name}: pip install {name}"
            ) from None
        self._check_place(options)
        given = {**options, **self._own_place(options)} if self._foreign else dict(options)
        borrowed = given.get("http_client") is not None
        if not borrowed:
            guarded = http_client(module, asynchronous=asynchronous)
            if guarded is not None:
                given["http_client"] = guarded
        client = getattr(module, self._sdk.asynchronous if asynchronous else self._sdk.synchronous)(**given)
        if self._foreign:
            _forget_openai(client, options)
        named = provider_of(client)
        return Kept(client, self.row.name if named in ("openai", self._sdk.module) else named, borrowed)

    def _check_place(self, options: Mapping[str, Any]) -> None:
        """Refuse to send a key of the environment to another provider's host.

        Raises:
            ConfigError: the base URL is another provider's, and no key came with it.
        """
        hosted = by_host(str(options.get("base_url") or ""))
        if hosted is not None and hosted.name != self.row.name and options.get("api_key") is None:
            raise ConfigError(
                f'provider "{self.row.name}"',
                "base_url",
                f'is that of {hosted.title}: pass provider="{hosted.name}", or the api_key that is meant',
            )

    def _own_place(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """Where a provider without an SDK of its own is, and its key: OpenAI's must not go there.

        Raises:
            ConfigError: one of them is not known.
        """
        key: Any = options.get("api_key")
        if key is None:
            key = next((os.environ[name] for name in self.row.key_env if os.environ.get(name)), None)
        if key is None:
            name = self.row.key_env[0] if self.row.key_env else f"{self.row.name.upper()}_API_KEY"
            raise ConfigError(name, "", f"is not set: the API key of {self.row.title}; {_SET_IT}")
        base_url = options.get("base_url") or os.environ.get(self._base_url_variable) or self.row.base_url
        if not base_url:
            raise ConfigError(self._base_url_variable, "", f"is not set: the URL of {self.row.title}")
        return {"api_key": key, "base_url": base_url}


def _is_there(module: str) -> bool:
    return module in sys.modules or find_spec(module) is not None


_SET_IT = "set it, or pass client_options={'api_key': ...}"


def _forget_openai(client: Any, options: Mapping[str, Any]) -> None:
    """What OpenAI's SDK takes from the environment is not for others to see."""
    for name in ("organization", "project"):
        if options.get(name) is None and hasattr(client, name):
            setattr(client, name, None)
    if hasattr(client, "_custom_headers"):
        client._custom_headers = dict(options.get("default_headers") or {})


def _ended(response: Any, call: Call | InnerCall) -> Any:
    return ended(call, response)
