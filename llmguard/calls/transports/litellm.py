"""LiteLLM, for providers whose format no SDK here speaks. It is imported at the first call, its price fetch off."""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable, Mapping
from functools import lru_cache
from importlib import import_module
from typing import Any

from llmguard.calls.transports import Reached, place_of
from llmguard.config.source import how_to_install
from llmguard.errors import ConfigError, UsageError
from llmguard.providers import Provider
from llmguard.usage.call import Call
from llmguard.usage.clients.tracked import subclass_of
from llmguard.usage.context import enter, leave
from llmguard.usage.inner_call import InnerCall
from llmguard.usage.streams import Tracking

#: A provider's row -> what LiteLLM puts before its models.
_PREFIXES = {"google": "gemini", "cohere": "cohere_chat", "ollama": "ollama_chat", "litellm": ""}
#: Options of an SDK's client -> LiteLLM's arguments.
_OPTIONS = {"base_url": "api_base", "default_headers": "extra_headers"}
_TAKEN = frozenset({"api_key", "timeout", "max_retries", "api_version", "organization", "api_base"})
#: The class of its whole answers: module to import from, and name.
ANSWER = ("litellm", "ModelResponse")


class LiteLLMTransport:
    """Calls through LiteLLM.

    Args:
        row: of the provider; that of LiteLLM itself leaves models as they are.
    """

    def __init__(self, row: Provider) -> None:
        self._row = row
        self._prefix = _PREFIXES.get(row.name, row.name)

    def reach(
        self,
        path: tuple[str, ...],
        model: Any,
        client_options: Mapping[str, Any] | None,
        *,
        asynchronous: bool,
        slot: int = 0,
    ) -> Reached:
        litellm = _litellm(self._row.name)
        method = litellm.acompletion if asynchronous else litellm.completion
        options = _arguments(client_options or {})

        def call(record: Call | InnerCall, arguments: dict[str, Any]) -> Any:
            sent = {**options, **arguments, "model": self._model(arguments["model"])}
            if options.get("extra_headers") and arguments.get("extra_headers"):
                sent["extra_headers"] = {**options["extra_headers"], **arguments["extra_headers"]}
            return _inside_async(record, method, sent) if asynchronous else _inside(record, method, sent)

        return Reached(_behind(litellm, model) if not self._prefix else self._row.name, call, _ended)

    def place(self, client_options: Mapping[str, Any] | None) -> Hashable | None:
        place = place_of(client_options, _named_for_it())
        return None if place is None else (self._row.name, place, _set_in_it())

    def _model(self, model: str) -> str:
        head = model.partition("/")[0]
        return model if not self._prefix or head == self._prefix else f"{self._prefix}/{model}"


#: How variables begin and end that LiteLLM takes keys and places from: it has hundreds of them.
_BEGIN = ("AWS_", "AZURE_", "DATABRICKS_", "GOOGLE_", "IBM_", "LITELLM_", "VERTEX", "WATSONX_")
_END = ("_API_BASE", "_API_KEY", "_API_VERSION", "_BASE_URL", "_ENDPOINT", "_ORGANIZATION", "_PROJECT", "_TOKEN")


def _named_for_it() -> list[str]:
    return sorted(name for name in os.environ if name.startswith(_BEGIN) or name.endswith(_END))


def _set_in_it() -> Hashable:
    """What a program has set in the module itself: `litellm.api_key = ...`."""
    module = sys.modules.get("litellm")
    ends = ("key", "api_base", "api_version", "organization", "project", "location", "headers")
    told = vars(module) if module is not None else {}
    return tuple((name, str(told[name])) for name in sorted(told) if name.endswith(ends) and _is_told(told[name]))


def _is_told(value: Any) -> bool:
    return isinstance(value, (str, dict)) and bool(value)


def _arguments(client_options: Mapping[str, Any]) -> dict[str, Any]:
    """Client options as arguments of LiteLLM.

    Raises:
        UsageError: LiteLLM has no such option; it would send it to the provider.
    """
    for name in client_options:
        if name not in _TAKEN and name not in _OPTIONS:
            taken = ", ".join(sorted({*_TAKEN, *_OPTIONS}))
            raise UsageError(f'client option "{name}" cannot be given to LiteLLM, which takes {taken}')
    return {_OPTIONS.get(name, name): value for name, value in client_options.items()}


def _behind(litellm: Any, model: Any) -> str:
    """Who answers for a model, as LiteLLM reads its name. (Its own function for that prints what it does not know.)"""
    name = str.__str__(model) if isinstance(model, str) else str(model)
    head, slash, _ = name.partition("/")
    if slash and head in {str(getattr(provider, "value", provider)) for provider in litellm.provider_list}:
        return head
    return str((litellm.model_cost.get(name) or {}).get("litellm_provider") or "litellm")


def _litellm(provider: str) -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        return import_module("litellm")
    except ModuleNotFoundError:
        raise ConfigError(
            f'provider "{provider}"', "", f"is reached through LiteLLM: {how_to_install('litellm')}"
        ) from None


def _inside(record: Call | InnerCall, method: Any, sent: dict[str, Any]) -> Any:
    """A call whose inner ones (those that LiteLLM's callback sees) belong to the one that is on the books."""
    around = enter(record.call_id)
    try:
        return method(**sent)
    finally:
        leave(around)


async def _inside_async(record: Call | InnerCall, method: Any, sent: dict[str, Any]) -> Any:
    around = enter(record.call_id)
    try:
        return await method(**sent)
    finally:
        leave(around)


def _ended(response: Any, record: Call | InnerCall) -> Any:
    kind: Any = type(response)
    if not hasattr(kind, "__next__") and not hasattr(kind, "__anext__"):
        record.succeed(response)
        return response
    response.__dict__["_llmguard_stream"] = Tracking(record)
    response.__class__ = _counting(kind)
    return response


@lru_cache(maxsize=16)
def _counting(cls: Any) -> Any:
    """A subclass of LiteLLM's stream that counts what goes by and says when it ends."""

    def following(self: Any) -> Any:
        return self._llmguard_stream.follow(cls.__next__, self)

    async def following_async(self: Any) -> Any:
        return await self._llmguard_stream.afollow(cls.__anext__, self)

    def left(self: Any) -> None:
        self._llmguard_stream.leave()

    def close(self: Any) -> None:
        try:
            _close(cls, self, "close")
        finally:
            left(self)

    async def aclose(self: Any) -> None:
        try:
            closing = _close(cls, self, "aclose")
            if closing is not None:
                await closing
        finally:
            left(self)

    methods = {"__next__": following, "__anext__": following_async, "close": close, "aclose": aclose, "__del__": left}
    return subclass_of(cls, methods)


def _close(cls: Any, stream: Any, name: str) -> Any:
    """Close a stream as its class does, else let go of the connection under it; what is to be awaited for it, if
    anything is."""
    if hasattr(cls, name):
        return getattr(cls, name)(stream)
    close = getattr(stream.completion_stream, name, None)
    return close() if close is not None else None
