"""Who carries a call: the SDK of the provider's wire format, else LiteLLM. An SDK is imported when it is first used.

One row for each SDK; a provider without one of its own that speaks OpenAI's format is reached through OpenAI's SDK with
the provider's base URL and key.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from llmguard.calls.clients import is_value, key_of
from llmguard.errors import UsageError
from llmguard.providers import Provider, vocabulary
from llmguard.usage.call import Call
from llmguard.usage.inner_call import InnerCall

#: Names that people use for a provider's row.
_SAME = {
    "azure": "azure_openai",
    "gemini": "google",
    "vertex_ai": "google",
    "claude": "anthropic",
    "together_ai": "together",
}


class Reached(NamedTuple):
    """A provider, ready to be asked.

    Attributes:
        provider: who answers, by the base URL.
        call: sends the arguments, for a `Call` or an `InnerCall`.
        ended: puts the end of a response on the books, and gives what the caller gets.
        records: whether it has a row; a test's mock has none.
        defaults: columns that hold when neither the call nor the request says otherwise: those of a tracked client.
        fields: columns that hold when the call does not say otherwise: those of a view on a client.
        made: the call, not started; None for one that is started before anything is sent.
    """

    provider: str
    call: Callable[[Any, dict[str, Any]], Any]
    ended: Callable[[Any, Call | InnerCall], Any]
    records: bool = True
    defaults: Mapping[str, Any] | None = None
    made: Callable[[dict[str, Any], dict[str, Any]], Call | InnerCall] | None = None
    fields: Mapping[str, Any] | None = None


class Told(NamedTuple):
    """What rows say without the call: as of `Reached`."""

    defaults: Mapping[str, Any] | None = None
    fields: Mapping[str, Any] | None = None


class Transport(Protocol):
    """What carries calls to a provider."""

    def reach(
        self,
        path: tuple[str, ...],
        model: Any,
        client_options: Mapping[str, Any] | None,
        *,
        asynchronous: bool,
        slot: int = 0,
    ) -> Reached:
        """The provider, ready to be asked.

        Args:
            path: attributes from a client to the method.
            model: that is asked.
            client_options: arguments of the client.
            asynchronous: whether the method is to be awaited.
            slot: which of several clients of the same kind.

        Raises:
            ConfigError: the SDK is not installed, or the key of a provider without one of its own is missing.
        """

    def place(self, client_options: Mapping[str, Any] | None) -> Hashable | None:
        """What says where a question goes, and for whom it is asked there: two places may answer it differently, and
        two keys are two customers. None where options do not say it by what they are: a function that gives a key, an
        HTTP client. Nothing is made or imported for it."""


#: Options of a client that say nothing of who answers.
_OF_THE_WAY = frozenset({"timeout", "max_retries"})


def place_of(options: Mapping[str, Any] | None, variables: Iterable[str]) -> Hashable | None:
    """The place that client options and variables of the environment say."""
    told = {name: value for name, value in (options or {}).items() if name not in _OF_THE_WAY}
    if not all(is_value(value) for value in told.values()):
        return None
    return (tuple(map(os.environ.get, variables)), key_of(told))


@lru_cache(maxsize=256)
def transport_for(provider: str, shape: str) -> Transport:
    """The transport of a provider for a format.

    Args:
        provider: name of a row, as in `PROVIDERS` ("groq", "openai", "deepseek", ...), or "litellm".
        shape: "chat" or "messages".

    Raises:
        UsageError: nobody has this name, or it does not speak the format.
    """
    row = row_of(provider)
    if shape == "messages":
        if row.dialect != "anthropic":
            raise UsageError(f'messages_create speaks Anthropic\'s format, and provider "{provider}" does not')
        return _sdk(row)
    if is_reached_by_sdk(row.name):
        return _sdk(row)
    from llmguard.calls.transports.litellm import LiteLLMTransport

    return LiteLLMTransport(row)


def is_reached_by_sdk(provider: str) -> bool:
    """Whether questions in OpenAI's format reach a provider through an SDK, not through LiteLLM."""
    return row_of(provider).dialect in ("openai", "azure_openai")


def row_of(provider: str) -> Provider:
    """The row of a provider, by its name.

    Raises:
        UsageError: nobody has this name.
    """
    name = provider.strip().lower()
    name = _SAME.get(name, name)
    rows = [row for row in vocabulary.current.rows if row.name == name]
    # Of several with one name (an SDK, and a service behind OpenAI's) the one that says where it is.
    for row in sorted(rows, key=lambda row: (not row.dialect, not row.base_url)):
        return row
    known = sorted({row.name for row in vocabulary.current.rows if row.dialect})
    raise UsageError(f'unknown provider "{provider}": one of {", ".join(known)}')


def _sdk(row: Provider) -> Transport:
    from llmguard.calls.transports.sdk import SDKTransport

    return SDKTransport(row)
