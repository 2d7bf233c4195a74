"""Byte tokens and names derived of the rows: what a file must contain before it can hold a call."""

from __future__ import annotations

from collections.abc import Iterable

from llmguard.providers.provider import Provider


def method_names(providers: Iterable[Provider]) -> frozenset[str]:
    """Last names of everything that generates, on any of these providers."""
    names: set[str] = set()
    for provider in providers:
        for client in provider.clients:
            names.update(path.rpartition(".")[2] for path in (*client.calls, *client.returns))
        names.update(path.rpartition(".")[2] for path in provider.functions)
        names.update(shape.path.rpartition(".")[2] for shape in provider.shapes)
    return frozenset(names - {"__call__"})


def previous_names(providers: Iterable[Provider]) -> dict[str, frozenset[str]]:
    """Everyday method name -> names one of which must stand before it."""
    before: dict[str, set[str]] = {}
    for provider in providers:
        for client in provider.clients:
            for path in (*client.calls, *client.returns):
                *rest, last = path.split(".")
                before.setdefault(last, set()).add(rest[-1] if rest else "")
        for path in (*provider.functions, *(shape.path for shape in provider.shapes)):
            before.setdefault(path.rpartition(".")[2], set()).add("")
    return {last: frozenset(names) for last, names in before.items() if "" not in names and last in _EVERYDAY}


# Method names that code is full of: asked about only behind the resource that they belong to.
_EVERYDAY = frozenset(
    {"append", "start", "restart", "process", "run", "edit", "extend", "send", "question", "remix", "compact"}
)
# Import roots that are English words or shared names: only an import of them says anything.
_WORDS = frozenset(
    {"together", "replicate", "perplexity", "instructor", "fireworks", "writerai", "botocore", "boto3", "zai", "oci"}
)
# ... and roots that are only the beginning of an SDK's path: the rest of the path tells.
_SHARED = frozenset({"google", "langsmith", "langfuse", "posthog"})


def _root_tokens(provider: Provider) -> set[tuple[bytes, ...]]:
    found: set[tuple[bytes, ...]] = set()
    for module in provider.modules:
        first, _, rest = module.partition(".")
        word = (rest.split(".")[-1] if first in _SHARED else "azure.ai" if first == "azure" else first).encode()
        if provider.factories:
            found.add((provider.name.encode(),))
        elif first == "huggingface_hub":
            found.add((word, b"Inference"))  # the hub is imported for much else
        elif first in _WORDS:
            found.update((before + word,) for before in (b"import ", b"from ", b", ", b'"', b"'"))
        else:
            found.add((word,))
    return found


def _shape_tokens(provider: Provider) -> set[tuple[bytes, ...]]:
    found: set[tuple[bytes, ...]] = set()
    for shape in provider.shapes:
        segments = shape.path.split(".")
        if not shape.evidence:
            words = [*segments[:-1], "." + segments[-1]] if len(segments) > 1 else [*segments, *shape.needs]
            found.add(tuple(word.encode() for word in sorted(words, key=len, reverse=True)))
            if len(segments) == 1 and shape.path != "create":
                found.add((b"." + shape.path.encode(),))  # on an object of another module, keywords or not
    return found


def tokens(providers: Iterable[Provider], doors: Iterable[str]) -> tuple[tuple[bytes, ...], ...]:
    """A file can hold a call only when it contains every token of one of these. `doors` are names in their code."""
    sets: set[tuple[bytes, ...]] = {(door.encode(),) for door in doors}
    for provider in providers:
        sets |= _root_tokens(provider) | _shape_tokens(provider)
        sets |= {(endpoint.encode(),) for endpoint in provider.endpoints}
    return tuple(sorted(sets, key=lambda group: (len(group), group)))


# Text that many tokens share: one look for it rules all of them out.
_STEMS = (
    b"omplet",
    b"messages",
    b"generat",
    b"responses",
    b"mbed",
    b"ai_",
    b"bedrock",
    b"huggingface",
    b"images",
    b"threads",
)


def by_stem(found: tuple[tuple[bytes, ...], ...]) -> tuple[tuple[bytes, tuple[tuple[bytes, ...], ...]], ...]:
    """Tokens, grouped by a text that every set of a group contains."""
    groups: dict[bytes, list[tuple[bytes, ...]]] = {}
    for group in found:
        stem = next((stem for stem in _STEMS if any(stem in token for token in group)), None)
        word = group[0].strip(b"\"', ").removeprefix(b"from ").removeprefix(b"import ")
        groups.setdefault(stem or word, []).append(group)
    return tuple((stem, tuple(group)) for stem, group in groups.items())
