"""Look-ups over the rows: which client class a dotted path names, and what a path on it generates."""

from __future__ import annotations

from functools import lru_cache

from llmguard.providers import PROVIDERS, Client, Family, Provider, vocabulary


def under(path: str, root: str) -> bool:
    """Whether a dotted path is `root` or lies below it."""
    return path == root or path.startswith(root + ".")


@lru_cache(maxsize=4096)
def owners(path: str) -> tuple[tuple[str, Provider], ...]:
    """The (root, provider) pairs whose SDK a dotted path belongs to; the longest root decides."""
    matches = [(root, provider) for root, provider in vocabulary.current.roots if under(path, root)]
    return tuple(pair for pair in matches if len(pair[0]) == len(matches[0][0]))


@lru_cache(maxsize=4096)
def client_class(path: str) -> tuple[Provider, Client] | None:
    """The row of the client class that a dotted path names, or None.

    >>> client_class("openai.lib.azure.AzureOpenAI")[0].name
    'azure_openai'
    """
    for root, provider in owners(path):
        rest = path[len(root) + 1 :]
        name = rest.rpartition(".")[2]
        for client in provider.clients:
            if name in client.names and client.within in rest and (name or rest == ""):
                return provider, client
    return None


def plain(provider: Provider, path: tuple[str, ...]) -> str:
    """The dotted attribute path without the provider's transparent segments."""
    return ".".join(segment for segment in path if segment not in provider.transparent)


@lru_cache(maxsize=8192)
def generates(cls: str, path: tuple[str, ...]) -> tuple[Provider, Family] | None:
    """What calling `path` on an instance of `cls` generates, or None.

    >>> generates("groq.Groq", ("chat", "completions", "with_raw_response", "create"))[1]
    <Family.CHAT: 'chat'>
    """
    known = client_class(cls)
    if known is None:
        return None
    provider, client = known
    family = client.calls.get(plain(provider, path) or "__call__")
    return (provider, family) if family else None


@lru_cache(maxsize=8192)
def function(path: str) -> tuple[Provider, Family] | None:
    """What calling the foreign callable at a dotted path (`litellm.completion`) generates, or None."""
    for root, provider in owners(path):
        if path in provider.functions:
            return provider, provider.functions[path]
        rest = tuple(path[len(root) + 1 :].split("."))
        for client in provider.clients:
            if "" in client.names and plain(provider, rest) in client.calls:
                return provider, client.calls[plain(provider, rest)]
            # A method taken from the class itself: `openai.resources.chat.Completions.create`.
            for cut in range(1, len(rest)):
                if rest[cut - 1] in client.names and client.within in ".".join(rest[:cut]):
                    family = client.calls.get(plain(provider, rest[cut:]))
                    if family:
                        return provider, family
    return None


def is_telling(path: str) -> bool:
    """Whether a dotted path is a generating function whose name alone says so: not `ollama.chat`."""
    hit = function(path)
    return hit is not None and any(s.path == path.rpartition(".")[2] and not s.evidence for s in hit[0].shapes)


@lru_cache(maxsize=1024)
def by_host(url: str) -> Provider | None:
    """The provider whose API a URL points to, or None."""
    for provider in vocabulary.current.rows:
        if any(host in url for host in provider.hosts):
            return provider
    return None


def made_by(path: str, arguments: dict[int | str, str]) -> str | None:
    """The client class that a foreign factory makes when called with these constant arguments, as a dotted path."""
    root, _, method = path.partition(".")[0], None, path.rpartition(".")[2]
    for provider in vocabulary.current.rows:
        for factory in provider.factories:
            if root in factory.modules and method in factory.methods:
                position, keyword = factory.argument
                if factory.value in (arguments.get(position), arguments.get(keyword)):
                    return f"{root}.{factory.makes}"
    return None


def forget() -> None:
    """Forget remembered answers: the rows have changed."""
    for remembered in (owners, client_class, generates, function, by_host):
        remembered.cache_clear()


#: Models of a maker that others serve under the same name.
_OPEN = ("gpt-oss",)


@lru_cache(maxsize=1024)
def maker_of(model: str) -> Provider | None:
    """The provider whose own model a name is beyond doubt, None for any other name.

    >>> maker_of("gpt-4").name
    'openai'
    >>> maker_of("openai/gpt-oss-20b")
    """
    makers = [each for each in PROVIDERS if model.startswith(each.models or "\0")]
    return makers[0] if len(makers) == 1 and not model.startswith(_OPEN) else None
