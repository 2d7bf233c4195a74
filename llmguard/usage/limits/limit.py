"""What a limit is: how much of what, for whom, in which window; and what it says of a call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime, timezone
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

from llmguard.errors import UsageError
from llmguard.usage.limits.windows import WINDOWS, window
from llmguard.usage.periods import zone_of

#: What calls are told apart by: columns of their rows.
DIMENSIONS = ("user_id", "tenant", "service_name", "model", "provider")
#: The same as people say it.
SPOKEN = {"user_id": "user", "service_name": "service"}
KINDS = ("requests", "tokens", "cost")
POLICIES = {"on_outage": ("open", "closed"), "unpriced": ("refuse", "count", "allow")}
#: A scope of a limit that holds for each value by itself.
EACH = "*"
_NANO = 1_000_000_000
_LARGEST = Decimal(10**9)
_LONGEST_KEY = 300


class Limit(NamedTuple):
    """So much of something, in each window.

    Attributes:
        scope: (dimension, value) pairs in the order of `DIMENSIONS`; `EACH` holds for each value by itself. Nothing for
            all calls together.
        kind: of `KINDS`.
        window: of `WINDOWS`.
        value: calls, tokens or US dollars.
        time_zone: whose calendar the window is of.
        on_outage: whether calls go out ("open") or not ("closed") when the database does not answer in time.
        unpriced: what becomes of a model without a known price under a limit of cost: it is refused, it counts with a
            stated price ("count"), or it goes out uncounted ("allow").
        warn_at: the share of it from which on is warned, None for never.
        origin: "limit" (a row of `llm_rate_limits`), "default" (of `llm_rate_limit_configs`), "environment".
        identity: of its row.
        since: when it was set: calls of a window that had begun before are counted from the ledger.
    """

    scope: tuple[tuple[str, str], ...]
    kind: str
    window: str
    value: Decimal
    time_zone: str = "UTC"
    on_outage: str = "open"
    unpriced: str = "count"
    warn_at: float | None = 0.8
    origin: str = "limit"
    identity: str = ""
    since: datetime | None = None

    @property
    def most(self) -> int:
        """How much a window holds, in the units of counters."""
        return units(self.kind, self.value)

    def says(self, scope: tuple[tuple[str, str], ...] | None = None) -> str:
        """The limit in words, for what a call is."""
        whom = ", ".join(
            f"{SPOKEN.get(name, name)} {value}" for name, value in (self.scope if scope is None else scope)
        )
        zone = "" if self.time_zone == "UTC" else f" ({self.time_zone})"
        return f"{shown(self.kind, self.value)} per {self.window}{zone}{f' of {whom}' if whom else ''}"

    def key(self, scope: tuple[tuple[str, str], ...]) -> str:
        """The name of its counters for what a call is: that of a limit whose value is changed stays."""
        return key_of([self.kind, self.window, self.time_zone, *map(list, scope)])

    def span(self, now: datetime) -> tuple[datetime, datetime]:
        """The window at hand."""
        return window(self.window, now, zone_of(self.time_zone, "time_zone"))


def key_of(parts: list[Any]) -> str:
    """A name that is plain ASCII, told from all others, and short enough for any index."""
    text = json.dumps(parts, separators=(",", ":"))
    return text if len(text) <= _LONGEST_KEY else text[:200] + "#" + hashlib.sha256(text.encode()).hexdigest()


def units(kind: str, value: Decimal) -> int:
    """Calls and tokens as they are, dollars in billionths."""
    return int(value * _NANO) if kind == "cost" else int(value)


def amount(kind: str, number: int) -> Decimal:
    """The other way round."""
    return Decimal(number) / _NANO if kind == "cost" else Decimal(number)


def shown(kind: str, value: Decimal) -> str:
    """An amount in words."""
    if kind == "cost":
        cents = value.quantize(Decimal("0.01"))
        return f"{cents if cents == value else value.normalize():f} USD"
    number = int(value)
    return f"{number:,} {kind.removesuffix('s') if number == 1 else kind}"


def value_of(given: Any, kind: str = "requests") -> Decimal:
    """A value that a limit may have.

    Raises:
        UsageError: it is no number, negative, too large, or a part of a call.
    """
    try:
        value = Decimal(str(given).strip())
    except InvalidOperation:
        raise UsageError(f"a limit must be a number, not {given!r}") from None
    if not value.is_finite() or not 0 <= value < _LARGEST:
        raise UsageError(f"a limit must be a number from 0 to {_LARGEST - 1:,}, not {given!r}")
    if kind != "cost" and value != value.to_integral_value():
        raise UsageError(f"a limit of {kind} must be a whole number, not {given!r}")
    return value


def checked(limit: Limit) -> Limit:
    """The limit, when it makes sense.

    Raises:
        UsageError: it names a kind, window, zone, dimension or policy that is not there, or its value is none.
    """
    for name, known in (("kind", KINDS), ("window", WINDOWS), *POLICIES.items()):
        given = getattr(limit, name)
        if given not in known:
            raise UsageError(f"{name.replace('_', '-')} must be one of {', '.join(known)}, not {given!r}")
    for name, value in limit.scope:
        if name not in DIMENSIONS:
            raise UsageError(f"no scope is called {name!r}: one of {', '.join(DIMENSIONS)}")
        if not isinstance(value, str) or not value or "\0" in value:
            raise UsageError(f"the {SPOKEN.get(name, name)} of a limit must be a name, or {EACH} for each")
    zone_of(limit.time_zone, "time_zone")
    if limit.warn_at is not None and not 0 < limit.warn_at <= 1:
        raise UsageError(f"warn-at must be a share from 0 to 1, not {limit.warn_at!r}")
    return limit._replace(value=value_of(limit.value, limit.kind))


def scope_of(values: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """The scope that columns say."""
    return tuple((name, str(values[name])) for name in DIMENSIONS if values.get(name) not in (None, ""))


def from_row(row: Mapping[str, Any]) -> Limit:
    """The limit of a row of `llm_rate_limits`.

    Raises:
        UsageError: somebody has written a row that makes no sense.
    """
    provider = row.get("provider") or row.get("provider_name")
    warn_at = row.get("warn_at")
    try:
        share = None if warn_at is None else float(warn_at)
        moment = time_of(row["updated_at"])
    except (TypeError, ValueError) as error:
        raise UsageError(f"it cannot be read: {error}") from None
    return checked(
        Limit(
            scope_of({**row, "provider": provider}),
            str(row["kind"]),
            str(row["limit_type"]),
            row["limit_value"],
            str(row["time_zone"]),
            str(row["on_outage"]),
            str(row["unpriced"]),
            share,
            "limit",
            str(row["id"]),
            moment,
        )
    )


def time_of(value: Any) -> datetime:
    """An aware time, of a database's text or time.

    Raises:
        ValueError: it is none.
    """
    found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value)[:26])
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
