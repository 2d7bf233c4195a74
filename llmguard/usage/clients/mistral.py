"""Mistral's SDK. Its resources (`client.chat`) are made when they are first used: each is tracked as it is made."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from llmguard.usage.clients.speakeasy import track_tree
from llmguard.usage.clients.tracked import DEFAULTS, become, subclass_of

_CLIENTS = ("Mistral", "MistralAzure", "MistralGCP", "MistralGoogleCloud")


def matches(cls: type) -> bool:
    """Whether a class is a client of this SDK."""
    return any(base.__module__.startswith("mistralai.") and base.__name__ in _CLIENTS for base in cls.__mro__)


def install(client: Any, fields: dict[str, Any]) -> None:
    """Put the calls through a client on the books."""
    cls: Any = type(client)
    become(client, _subclass(cls), fields)
    track_tree(client, "mistral", client.__dict__[DEFAULTS])


@lru_cache(maxsize=32)
def _subclass(cls: Any) -> type:
    def made_on_first_use(self: Any, name: str) -> Any:
        made = cls.__getattr__(self, name)
        if hasattr(type(made), "do_request"):
            track_tree(made, "mistral", self.__dict__[DEFAULTS])
        return made

    return subclass_of(cls, {"__getattr__": made_on_first_use} if hasattr(cls, "__getattr__") else {})
