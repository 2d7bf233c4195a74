"""Counters: what is used of limits. Reserved before a call, settled when its row is written.

`Charge` and `Claim` are the two halves: what a call asks of a counter, and what its line in the spool says of that, so
that whoever writes the row settles it, whichever process that is.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol

from llmguard.usage.limits.limit import KINDS, units

#: (key of a limit, beginning of a window in seconds since 1970).
Place = tuple[str, int]
_LARGEST = 2**62


class Charge(NamedTuple):
    """What a call asks of a counter.

    Attributes:
        key: of the limit for what the call is.
        start, end: of the window, in seconds since 1970; 0 for a window that has no end.
        kind: of the limit.
        amount: that is asked.
        most: that the window holds.
    """

    key: str
    start: int
    end: int
    kind: str
    amount: int
    most: int

    @property
    def claim(self) -> list[Any]:
        """What the line of an admitted call says of it."""
        return [self.key, self.start, self.kind, self.amount]

    @property
    def unreserved(self) -> list[Any]:
        """What the line of a call says that goes out unasked, and is counted when it ends."""
        return [self.key, self.start, self.kind, None, self.end]


class Outcome(NamedTuple):
    """What counters said.

    Attributes:
        admitted: whether all had room; if not, nothing was taken from any.
        used: of each counter, before.
        extra: that was granted beyond the limit, of each.
    """

    admitted: bool
    used: list[int]
    extra: list[int]


class Change(NamedTuple):
    """What the end of calls changes of a counter; `end` is None for one that is surely there."""

    used: int = 0
    over: int = 0
    calls: int = 0
    unpriced: int = 0
    end: int | None = None


class Counters(Protocol):
    """Where counters are."""

    def reserve(self, charges: list[Charge]) -> Outcome:
        """Take from all counters or from none. Charges are in the order of keys."""

    def release(self, charges: list[Charge]) -> None:
        """Give back what was reserved for a call that was never made."""

    def grant(self, key: str, more: int) -> None:
        """Let a counter without windows have so much more than its limit."""

    def read(self, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        """What is used, and was granted, of those that are there."""


class MemoryCounters:
    """Counters of one process, for `llmguard.testing`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[Place, int] = {}
        self._extra: dict[Place, int] = {}

    def reserve(self, charges: list[Charge]) -> Outcome:
        with self._lock:
            places = [(charge.key, charge.start) for charge in charges]
            used = [self._used.get(place, 0) for place in places]
            extra = [self._extra.get(place, 0) for place in places]
            admitted = all(map(has_room, charges, used, extra))
            if admitted:
                for charge, place in zip(charges, places, strict=True):
                    self._used[place] = self._used.get(place, 0) + charge.amount
            return Outcome(admitted, used, extra)

    def release(self, charges: list[Charge]) -> None:
        with self._lock:
            for charge in charges:
                self._used[charge.key, charge.start] -= charge.amount

    def grant(self, key: str, more: int) -> None:
        with self._lock:
            self._extra[key, 0] = self._extra.get((key, 0), 0) + more

    def read(self, places: Iterable[Place]) -> dict[Place, tuple[int, int]]:
        with self._lock:
            return {place: (self._used.get(place, 0), self._extra.get(place, 0)) for place in places}

    def settle(self, claims: Any, row: Mapping[str, Any]) -> None:
        """Settle the claims of a row that is written."""
        with self._lock:
            for place, change in settled(claims, row, None).items():
                self._used[place] = self._used.get(place, 0) + change.used


def has_room(charge: Charge, used: int, extra: int) -> bool:
    """Whether a counter has room for a charge; who takes nothing always has."""
    return charge.amount == 0 or used + charge.amount <= charge.most + extra


def settled(claims: Any, row: Mapping[str, Any], old: Mapping[str, Any] | None) -> dict[Place, Change]:
    """What the end of a call changes of its counters: from what was reserved to what it took.

    Args:
        claims: of its line: `[key, start, kind, reserved]`; reserved is None (and the window's end stands behind it)
            where nothing was. What is none is passed over.
        row: that is written.
        old: that it takes the place of: one that was unknown.
    """
    found: dict[Place, Change] = {}
    for claim in claims if isinstance(claims, list) else ():
        if not _is_claim(claim):
            continue
        key, start, kind, held = claim[:4]
        took = taken(kind, row)
        unpriced = int(kind == "cost" and row.get("total_cost") is None and old is None)
        if held is None:
            before = 0 if old is None else taken(kind, old) or 0
            found[key, start] = Change((took or 0) - before, 0, int(old is None), unpriced, claim[4])
        elif row["status"] != "unknown":
            change = 0 if took is None else took - held
            found[key, start] = Change(change, max(0, change), 0, unpriced)
    return found


def taken(kind: str, row: Mapping[str, Any]) -> int | None:
    """What a call took, in the units of counters; None when nobody knows, and what was reserved stays.

    A call that a provider has refused, or that never reached one, took no tokens.
    """
    if kind == "requests":
        return 1
    known = row.get("tokens_used") if kind == "tokens" else row.get("total_cost")
    if known is not None:
        return min(_LARGEST, known if kind == "tokens" else units(kind, known))
    return 0 if row.get("status") == "error" and row.get("tokens_used") is None else None


def _is_claim(claim: Any) -> bool:
    """Whether it is one that was written by us, not by somebody else into the spool."""
    if not isinstance(claim, list) or len(claim) not in (4, 5):
        return False
    key, start, kind, held = claim[:4]
    numbers = [start, *([] if held is None else [held]), *claim[4:]]
    return (
        (held is None) == (len(claim) == 5)
        and isinstance(key, str)
        and key.isascii()
        and len(key) <= 400
        and kind in KINDS
        and all(type(number) is int and 0 <= number < _LARGEST for number in numbers)
    )
