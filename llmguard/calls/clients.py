"""One client for each way to reach a provider: SDK, key, base URL, options and, for asynchronous ones, event loop.

Making a client costs 20 ms and a connection; a program makes each once. An asynchronous client belongs to the loop it
was used in: after `asyncio.run` has ended, the next one gets its own. A forked child starts without any.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
import weakref
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Hashable, Mapping
from typing import Any, NamedTuple

#: Clients of one kind that are kept; of more (a key per user, say) the one that was not used for longest goes.
MOST = 128
#: Classes of httpx (and httpx2) that are values, though they do not hash as such: their text says all of them.
_VALUES = frozenset({"Timeout", "Limits"})


class Kept(NamedTuple):
    """A client, what the provider is by its base URL, and whether its HTTP client is the user's own."""

    client: Any
    provider: str
    borrowed: bool = False


Clients = OrderedDict[Hashable, Kept]


class ClientPool:
    """The clients of this process. Safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a call may be made by a signal's handler while a client is being made
        self._synchronous: Clients = OrderedDict()
        self._by_loop: weakref.WeakKeyDictionary[Any, tuple[Clients, AsyncGenerator[None]]] = (
            weakref.WeakKeyDictionary()
        )
        self._before_fork: list[Any] = []

    def get(self, key: Hashable, make: Callable[[], Kept], *, asynchronous: bool) -> Kept:
        """The client of a key, made when there is none.

        Args:
            key: all that the client depends on.
            make: makes it.
            asynchronous: whether it belongs to the running loop.
        """
        if not asynchronous:
            clients = self._synchronous
        else:
            loop = asyncio.get_running_loop()
            found = self._by_loop.get(loop)
            clients = found[0] if found is not None else self._of_loop(loop)
        kept = clients.get(key)
        if kept is not None:
            if len(clients) > 1:
                with self._lock, contextlib.suppress(KeyError):
                    clients.move_to_end(key)
            return kept
        with self._lock:
            kept = clients.get(key)
            if kept is None:
                kept = clients[key] = make()
                if len(clients) > MOST:
                    clients.popitem(last=False)
        return kept

    def _of_loop(self, loop: Any) -> Clients:
        """The clients of a loop that has none yet: they are closed when it shuts its asynchronous generators down, as
        `asyncio.run` does at its end."""
        for other in [other for other in list(self._by_loop) if other.is_closed()]:
            self._by_loop.pop(other, None)  # whose generators nobody shut down
        clients: Clients = OrderedDict()
        ending = self._closing(loop, clients)
        with contextlib.suppress(StopIteration):
            ending.__anext__().send(None)  # to its `yield`, in this loop
        self._by_loop[loop] = (clients, ending)
        return clients

    async def _closing(self, loop: Any, clients: Clients) -> AsyncGenerator[None]:
        """Waits for the end of a loop, and closes its clients then."""
        try:
            yield
        finally:
            self._by_loop.pop(loop, None)
            for kept in clients.values():
                if not kept.borrowed:
                    with contextlib.suppress(Exception):  # whatever fails there, the loop is ending
                        await kept.client.close()
            clients.clear()

    def close(self) -> None:
        """Let go of the synchronous clients: each closes when its last call has ended. A later call makes new ones."""
        with self._lock:
            self._synchronous = OrderedDict()

    async def aclose(self) -> None:
        """Close the asynchronous clients of the running loop; a later call makes new ones."""
        found = self._by_loop.pop(asyncio.get_running_loop(), None)
        if found is not None:
            await found[1].aclose()

    def after_fork(self) -> None:
        """In a child: the connections are the parent's. They are kept, unused: closing would say good-bye on them."""
        self._lock = threading.RLock()
        self._before_fork.append((self._synchronous, [*self._by_loop.items()]))
        self._synchronous, self._by_loop = OrderedDict(), weakref.WeakKeyDictionary()


pool = ClientPool()
atexit.register(pool.close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.after_fork)


def key_of(options: Mapping[str, Any] | None) -> Hashable:
    """A key for client options: values by what they are, other objects (an HTTP client, a function) by identity."""
    return None if not options else tuple(sorted((name, _hashable(value)) for name, value in options.items()))


def is_value(value: Any) -> bool:
    """Whether an option is known by what it is, and not only by which object it is."""
    if isinstance(value, Mapping):
        return all(map(is_value, value.values()))
    if isinstance(value, (list, tuple)):
        return all(map(is_value, value))
    return _hashable(value)[:1] != ("object",)


def _hashable(value: Any) -> tuple[Hashable, ...]:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, str):
        return (kind, str.__str__(value))  # not its repr, which may hide what it is
    if value is None or isinstance(value, (bytes, int, float)):
        return (kind, str(value) if isinstance(value, bytes) else repr(value))
    if isinstance(value, Mapping):
        return ("mapping", tuple(sorted((str(name), _hashable(inner)) for name, inner in value.items())))
    if isinstance(value, (list, tuple)):
        return ("list", tuple(_hashable(inner) for inner in value))
    if type(value).__name__ in _VALUES and "__repr__" in vars(type(value)):
        return (kind, repr(value))
    if type(value).__name__ == "URL":
        return (kind, str(value))  # its repr leaves the password out
    return ("object", str(id(value)))  # the client holds it, so that its identity is not given to another one
