"""The rows and doors in force, in the forms in which the stages ask for them.

`current` is what every look-up reads: llmguard's own rows, or with those of a configuration inside `extended`.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

from llmguard.doors import DOORS, OwnDoor
from llmguard.providers import PROVIDERS, Client, Family, Provider
from llmguard.providers import tokens as derived

#: Name of the row that stands for calls through a door.
THROUGH_DOOR = "llmguard"


class Vocabulary:
    """Everything that is derived of rows and doors, on first use.

    Args:
        own_providers: rows of a configuration, beside llmguard's.
        own_doors: doors of a configuration, beside llmguard's.
    """

    def __init__(self, own_providers: tuple[Provider, ...] = (), own_doors: tuple[OwnDoor, ...] = ()) -> None:
        self.own_providers = own_providers
        self.own_doors = own_doors
        self.rows: tuple[Provider, ...] = (*PROVIDERS, *own_providers)  # who can be called
        self.wrappers = tuple(door for door in own_doors if door.kind == "wrapper")
        self.client_makers = frozenset(door.name for door in own_doors if door.kind == "client")

    @cached_property
    def providers(self) -> tuple[Provider, ...]:
        """All rows, that of the doors last."""
        return (*self.rows, door_row(self.wrappers))

    @cached_property
    def roots(self) -> tuple[tuple[str, Provider], ...]:
        """(import root, row), longest first, so that "langfuse.openai" wins over a shorter one."""
        pairs = ((root, provider) for provider in self.providers for root in provider.modules)
        return tuple(sorted(pairs, key=lambda pair: -len(pair[0])))

    @cached_property
    def sdk_roots(self) -> frozenset[str]:
        """First segments of every SDK's import path: never looked for inside the checked project."""
        firsts = {root.split(".")[0] for row in PROVIDERS for root in row.modules}
        return frozenset(firsts - {"google", "azure"}) | {THROUGH_DOOR}

    def is_outside(self, dotted: str) -> bool:
        """Whether a dotted module is a provider's, wherever its code lies."""
        if dotted.partition(".")[0] in self.sdk_roots:
            return True
        return any(
            dotted == root or dotted.startswith(root + ".") for row in self.own_providers for root in row.modules
        )

    @cached_property
    def method_names(self) -> frozenset[str]:
        """Last names of everything that generates."""
        return derived.method_names(self.providers)

    @cached_property
    def previous_names(self) -> dict[str, frozenset[str]]:
        """Everyday method name -> names one of which must stand before it."""
        return derived.previous_names(self.rows)

    @cached_property
    def tokens_by_stem(self) -> tuple[tuple[bytes, tuple[tuple[bytes, ...], ...]], ...]:
        """What the screen looks for."""
        doors = {door.name for door in DOORS if door.methods} | {_last(door.name) for door in self.wrappers}
        return derived.by_stem(derived.tokens(self.rows, doors))

    @cached_property
    def order(self) -> dict[str, int]:
        """Name of a row -> its rank where several rows would fit."""
        ranked = reversed(list(enumerate(self.providers)))
        return {provider.name: position for position, provider in ranked} | {"instructor": 999}

    @cached_property
    def door_functions(self) -> dict[str, list[tuple[str, str, Family, str]]]:
        """Last name -> (module, qualified name, family, door) of the functions through which a door is used."""
        found: dict[str, list[tuple[str, str, Family, str]]] = {}
        for door in DOORS:
            for module in door.modules:
                for method in door.methods:
                    row = (module, f"{door.cls}.{method}", _family(method), door.name)
                    found.setdefault(method, []).append(row)
        for own in self.wrappers:
            *above, last = own.name.split(".")
            for method in own.methods or ("",):
                qualname = f"{last}.{method}" if method else last
                row = (".".join(above), qualname, Family(own.family), own.name)
                found.setdefault(method or last, []).append(row)
        return found


def door_row(wrappers: tuple[OwnDoor, ...]) -> Provider:
    """The row that makes calls through doors visible: they are on the books, and they count."""
    functions: dict[str, Family] = {}
    clients: list[Client] = []
    modules: dict[str, None] = {}
    for door in DOORS:
        modules.update(dict.fromkeys(door.modules if door.methods else ()))
        calls = {method: _family(method) for method in door.methods if method != "track_llm_call"}
        clients.append(Client((door.cls, door.name), calls))
        functions |= {f"{m}.{door.name}.{method}": family for m in door.modules for method, family in calls.items()}
    for own in wrappers:
        module, _, last = own.name.rpartition(".")
        modules[module or own.name] = None
        if own.methods:
            clients.append(Client((last,), dict.fromkeys(own.methods, Family(own.family))))
        else:
            functions[own.name] = Family(own.family)
    return Provider(
        name=THROUGH_DOOR, title="door", modules=tuple(modules), clients=tuple(clients), functions=functions
    )


def _family(method: str) -> Family:
    return Family.MESSAGES if method.startswith("messages") else Family.CHAT


def _last(name: str) -> str:
    return name.rpartition(".")[2]


#: What look-ups read.
current = Vocabulary()
_LOCK = threading.RLock()
_RECENT: deque[Vocabulary] = deque(maxlen=8)


@contextmanager
def extended(providers: tuple[Provider, ...], doors: tuple[OwnDoor, ...]) -> Iterator[None]:
    """With the rows and doors of a configuration, while the block runs; other threads that ask for it wait."""
    global current
    with _LOCK:
        before = current
        if (providers, doors) != (before.own_providers, before.own_doors):
            _switch(_vocabulary_of(providers, doors))
        try:
            yield
        finally:
            if current is not before:
                _switch(before)


def _vocabulary_of(providers: tuple[Provider, ...], doors: tuple[OwnDoor, ...]) -> Vocabulary:
    """The vocabulary of a configuration; the last few are kept, for trees where folders take turns."""
    for known in _RECENT:
        if (known.own_providers, known.own_doors) == (providers, doors):
            return known
    _RECENT.appendleft(Vocabulary(providers, doors))
    return _RECENT[0]


def _switch(vocabulary: Vocabulary) -> None:
    global current
    from llmguard.providers import index

    current = vocabulary
    index.forget()
