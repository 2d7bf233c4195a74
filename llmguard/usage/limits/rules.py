"""Which limits hold for a call: of those that are about the same things, the one that names most of them."""

from __future__ import annotations

import itertools
import logging
import os
import time
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any, NamedTuple

from llmguard.errors import CallsStopped, ConfigError, LLMGuardError, UsageError
from llmguard.printable import printable
from llmguard.usage.limits.limit import DIMENSIONS, EACH, SPOKEN, Limit, checked, from_row, scope_of, time_of
from llmguard.usage.limits.windows import WINDOWS

LOG = logging.getLogger("llmguard.usage")
Scope = tuple[tuple[str, str], ...]
#: What a user may ask in a window by default. It is shown, and enforced when somebody has changed it.
SHIPPED = {"minute": 30, "day": 14_400}


class Stop(NamedTuple):
    """Calls that nobody may make until somebody resumes them.

    Attributes:
        scope: which: (dimension, value) pairs, nothing for all.
        reason: that was given.
        identity: of its row.
    """

    scope: Scope
    reason: str = ""
    identity: str = ""

    def says(self) -> str:
        """It in words."""
        whom = ", ".join(f"{SPOKEN.get(name, name)} {value}" for name, value in self.scope)
        return f"calls of {whom}" if whom else "all calls"


class Rules:
    """The limits and stops of a database, and of the environment.

    Args:
        limits: that are enforced.
        stops: likewise.

    Attributes:
        limits: those that hold; of two for the same thing the newest.
        problems: rows that make no sense, in words.
    """

    def __init__(self, limits: Iterable[Limit] = (), stops: Iterable[Stop] = (), problems: Iterable[str] = ()) -> None:
        self.stops = list(stops)
        self.problems = list(problems)
        self._spans: dict[tuple[str, str], tuple[int, int]] = {}
        self._groups: dict[tuple[str, str, tuple[str, ...]], dict[tuple[str, ...], Limit]] = {}
        for limit in limits:
            names = tuple(name for name, _ in limit.scope)
            group = self._groups.setdefault((limit.kind, limit.window, names), {})
            group[tuple(value for _, value in limit.scope)] = limit  # the last one is the newest

    def __bool__(self) -> bool:
        return bool(self._groups or self.stops)

    @property
    def limits(self) -> list[Limit]:
        return [limit for group in self._groups.values() for limit in group.values()]

    def span(self, limit: Limit) -> tuple[int, int]:
        """The window at hand of a limit, in seconds since 1970."""
        now = time.time()
        name = (limit.window, limit.time_zone)
        found = self._spans.get(name)
        if found is None or not found[0] <= now < found[1]:
            since, until = limit.span(datetime.fromtimestamp(now, timezone.utc))
            found = self._spans[name] = (int(since.timestamp()), int(until.timestamp()))
        return found

    def refuse_stopped(self, fields: Mapping[str, Any]) -> None:
        """Refuse a call that somebody has stopped.

        Raises:
            CallsStopped: it is.
        """
        for stop in self.stops:
            if all(_text(fields.get(name)) == value for name, value in stop.scope):
                reason = f" ({stop.reason})" if stop.reason else ""
                raise CallsStopped(stop.says(), f"stopped{reason}; `llmguard limits resume` ends that")

    def of(self, fields: Mapping[str, Any]) -> list[tuple[Limit, Scope]]:
        """The limits that hold for a call, each with what the call is in its scope.

        Args:
            fields: columns of the call's row.
        """
        found = []
        for (_, _, names), group in self._groups.items():
            values = [_text(fields.get(name)) for name in names]
            if not all(values):
                continue
            limit = _most_exact(group, values)
            if limit is not None:
                found.append((limit, tuple(zip(names, values, strict=True))))
        return found


def _most_exact(group: dict[tuple[str, ...], Limit], values: list[str]) -> Limit | None:
    if not values:
        return group.get(())
    exact = group.get(tuple(values))
    if exact is not None:
        return exact
    choices = itertools.product(*((value, EACH) for value in values))
    for each in sorted(choices, key=lambda chosen: chosen.count(EACH)):
        if each in group:
            return group[each]
    return None


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def rules_from(
    limits: Iterable[Mapping[str, Any]], defaults: Iterable[Mapping[str, Any]], stops: Iterable[Mapping[str, Any]]
) -> Rules:
    """The rules of a database's rows, oldest first, and of the environment. A row that makes no sense is passed over,
    and named in `problems`."""
    found: list[Limit] = []
    problems: list[str] = []
    try:
        found += from_environment()
    except LLMGuardError as error:
        problems.append(str(error))
    for row in defaults:
        try:
            limit = default_of(row)
        except (LLMGuardError, ValueError) as error:
            problems.append(f"the default {printable(str(row['limit_type']))}: {error}")
            continue
        if limit is not None:
            found.append(limit)
    for row in limits:
        try:
            found.append(from_row(row))
        except UsageError as error:  # noqa: PERF203  (whoever writes rows by hand shall not end calls)
            problems.append(f"the limit {printable(str(row['id']))}: {error}")
    held = [Stop(scope_of({**row, "provider": row["provider_name"]}), row["reason"] or "", row["id"]) for row in stops]
    return Rules(found, held, problems)


def default_of(row: Mapping[str, Any]) -> Limit | None:
    """The limit of each user that a row of `llm_rate_limit_configs` means; None for one that is as it was shipped:
    that is only shown."""
    limit = Limit(
        (("user_id", EACH),),
        "requests",
        str(row["limit_type"]),
        row["limit_value"],
        origin="default",
        identity=str(row["id"]),
        since=time_of(row["updated_at"]),
    )
    limit = checked(limit)
    shipped = SHIPPED.get(limit.window)
    return None if limit.value == shipped and not row["enforced"] else limit


def from_environment() -> list[Limit]:
    """The limits of each user that `LLM_RATE_LIMIT_<WINDOW>` says.

    Raises:
        ConfigError: one of them is no number of calls.
    """
    found = []
    for name in WINDOWS:
        variable = f"LLM_RATE_LIMIT_{name.upper()}"
        text = os.environ.get(variable, "").strip()
        if not text:
            continue
        if not (text.isascii() and text.isdigit() and len(text) < 10):
            raise ConfigError(variable, "", f"must be a number of calls, not {text!r}")
        found.append(Limit((("user_id", EACH),), "requests", name, Decimal(text), origin="environment"))
    return found


def unknown_scope(name: str) -> UsageError:
    """What is said of a scope that is not there."""
    spoken = [SPOKEN.get(each, each) for each in DIMENSIONS]
    return UsageError(f"no scope is called {name!r}: one of {', '.join(spoken)}")
