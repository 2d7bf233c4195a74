"""Tracked clients: `track(client)` puts every call through a client of an SDK on the books, and changes nothing else.

The object stays the one that it is; its class becomes a subclass of its own, made once for each class, that records
what passes through the one method that all requests of the SDK go through. One module for each kind of SDK.
"""

from __future__ import annotations

import logging
from typing import Any, TypeVar

from llmguard.usage.clients import cohere, google, mistral, stainless
from llmguard.usage.clients.tracked import defaults_of, is_mock

LOG = logging.getLogger("llmguard.usage")
C = TypeVar("C")
_said: set[type] = set()  # classes that are not known, which is said once
_KINDS = (stainless, google, mistral, cohere)


def track(
    client: C,
    service_name: str | None = None,
    user_id: Any = None,
    *,
    feature_context: str | None = None,
    metadata: dict[str, Any] | None = None,
) -> C:
    """Put every call through a client on the books.

    Args:
        client: of the OpenAI, Azure OpenAI, Groq, Anthropic, Mistral, Google genai or Cohere SDK, or of one generated
            like theirs, synchronous or asynchronous. Anything else (a test's fake, say) comes back as it is.
        service_name: what the rows say, where neither the request context nor the call says otherwise.
        user_id: the same.
        feature_context: the same.
        metadata: the same.

    Returns:
        The same object. Copies that it makes of itself (`with_options`), raw responses, streams and methods that were
        taken from it before are on the books too. Tracking a client again changes what its rows say.
    """
    given = {
        "service_name": service_name,
        "user_id": user_id,
        "feature_context": feature_context,
        "metadata": dict(metadata) if metadata else None,
    }
    fields = {name: value for name, value in given.items() if value is not None}
    known = defaults_of(client)
    if known is not None:
        known.update(fields)
        return client
    for kind in _KINDS:
        if kind.matches(type(client)):
            try:
                kind.install(client, fields)
            except (TypeError, AttributeError) as error:
                LOG.warning("%s cannot be tracked: %s", type(client).__qualname__, error)
            return client
    _say_unknown(client)
    return client


def _say_unknown(client: Any) -> None:
    """Say of a class, once, that its calls are not recorded; a test's mock is no client."""
    cls = type(client)
    if not is_mock(client) and cls not in _said:
        _said.add(cls)
        name = f"{cls.__module__}.{cls.__qualname__}"
        LOG.warning("%s is no client that llmguard knows: it is left as it is, and its calls are not recorded", name)


def view(client: C, fields: dict[str, Any]) -> C:
    """A client like this one, over the same connections, whose every call is on the books with these fields.

    Args:
        client: of the OpenAI, Azure OpenAI, Groq or Anthropic SDK, or of one generated like theirs, tracked or not.
            Anything else (a test's fake, say) comes back as it is.
        fields: columns of the rows.

    Raises:
        TypeError: it is of another SDK that is known, of whose clients there are no views.
    """
    cls = type(client)
    if stainless.matches(cls):
        made: C = stainless.view(client, fields)
        return made
    if any(kind.matches(cls) for kind in _KINDS):
        name = f"{cls.__module__}.{cls.__qualname__}"
        raise TypeError(f"{name} is no client of the SDKs of OpenAI, Groq or Anthropic: track(client) knows it")
    _say_unknown(client)
    return client
