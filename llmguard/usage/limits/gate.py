"""The gate that calls go through: nothing, where no limit, budget or stop holds for a call; else a reservation.

The way of a call through it is written once, as a generator of what has to be waited for; a synchronous call waits in
its thread, an asynchronous one lets its loop go on.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Generator, Iterable, Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from llmguard.errors import LLMGuardError, RateLimitExceeded, UsageError
from llmguard.usage import forks
from llmguard.usage.limits import look, warnings
from llmguard.usage.limits.charged import Held, charged
from llmguard.usage.limits.counting import Charge, Counters, Outcome, has_room
from llmguard.usage.limits.limit import amount
from llmguard.usage.limits.reserve import Ask
from llmguard.usage.limits.runs import active
from llmguard.usage.limits.workers import Job, Workers

if TYPE_CHECKING:
    from llmguard.usage.settings import UsageSettings

LOG = logging.getLogger("llmguard.usage")
_THREADS = 3  # each has a connection of its own in PostgreSQL
_FIRST = 5.0  # deadlines that the first call of a process waits: a library is loaded, a database opened, or made
_FULL_FOR = 1.0  # seconds in which a full counter of calls is not asked again: it does not get emptier
_AGAIN = 1.0  # seconds after an outage in which nobody waits for the database
_SAID_EVERY = 60.0
_TIMEOUTS = (TimeoutError, FutureTimeoutError, asyncio.TimeoutError)  # one class only from Python 3.11 on
_NO_LIMIT = 2**61
_REMEMBERED = 10_000  # counters
_KEPT = 40 * 86_400  # seconds that counters are kept behind their window


#: What the way of a call waits for: a job and seconds, or something of the user's (no end).
Wait = tuple[Job, "float | None"]
Steps = Generator[Wait, Any, list[list[Any]]]


class Gate:
    """Admits calls.

    Args:
        settings: of the ledger.
        counters: where counters are; those of the ledger by default.
    """

    def __init__(self, settings: UsageSettings, counters: Counters | None = None) -> None:
        self._settings = settings
        self.looker = look.Looker(settings)
        self._counters = counters
        self._in_memory = counters is not None
        if self._in_memory:
            self.looker.known.set()
        self._workers = Workers(_THREADS, "llmguard-limits")
        self._lock = threading.Lock()
        self._outage_until = 0.0
        self._said_at = 0.0
        self._next_cleaning = time.time() + 60
        self._full: dict[Charge, float] = {}  # counters that had no room, until when that is not asked again
        self._warned: set[tuple[str, int]] = set()  # counters of which it was said that they are nearly full
        self._begun: set[tuple[str, int]] = set()  # counters that are known to be there

    @property
    def is_open(self) -> bool:
        """Whether every call may pass as it is: no limit is enforced, and nobody has opened a budget."""
        if not self.looker.known.is_set():
            if not self._in_memory:
                self.looker.start()
            return False
        return not self.looker.rules and not active() and not (self.looker.blind and look.refuses_blind())

    def admit(self, fields: Mapping[str, Any], request: Any, prompt: int) -> list[list[Any]]:
        """Let a call pass; it waits in this thread.

        Args:
            fields: columns of its row.
            request: its body.
            prompt: the estimate of its tokens.

        Returns:
            What its lines in the spool say, for whoever settles it.

        Raises:
            RateLimitExceeded: a limit, a budget or a stop refuses it; nothing was taken from any.
            LLMGuardError: a setting makes no sense.
        """
        steps = self._way(fields, request, prompt)
        try:
            job, deadline = next(steps)
            while True:
                try:
                    result = job.future.result(deadline)
                except BaseException as error:  # noqa: BLE001, PERF203  (the way decides what it means)
                    job.leave()
                    job, deadline = steps.throw(error)
                else:
                    job, deadline = steps.send(result)
        except StopIteration as end:
            claims: list[list[Any]] = end.value
            return claims

    async def admit_async(self, fields: Mapping[str, Any], request: Any, prompt: int) -> list[list[Any]]:
        """`admit` for a loop that goes on meanwhile."""
        steps = self._way(fields, request, prompt)
        try:
            job, deadline = next(steps)
            while True:
                try:
                    result = await asyncio.wait_for(asyncio.wrap_future(job.future), deadline)
                    if asyncio.iscoroutine(result):  # of a callback of the user's
                        result = await result
                except BaseException as error:  # noqa: BLE001, PERF203  (the way decides what it means)
                    job.leave()
                    job, deadline = steps.throw(error)
                else:
                    job, deadline = steps.send(result)
        except StopIteration as end:
            claims: list[list[Any]] = end.value
            return claims

    def unasked(self, fields: Mapping[str, Any]) -> list[list[Any]]:
        """What the lines of a call say that goes out without being asked, or has gone: it is counted at its end."""
        found = self._held(fields, Ask(fields, {}, 0), strict=False)
        return [each.charge.unreserved for each in found]

    def release(self, claims: Iterable[list[Any]]) -> None:
        """Give back what was reserved for a call that was never made."""
        charges = [Charge(key, start, 0, kind, taken, 0) for key, start, kind, taken in claims if taken is not None]
        if charges:
            self._workers.submit(Job(lambda: self._release(charges)))

    def used(self, places: Iterable[tuple[str, int]]) -> dict[tuple[str, int], tuple[int, int]]:
        """What counters say; it waits for the database.

        Raises:
            SQLAlchemyError: the database does not answer.
        """
        with forks.connected(self._settings.database_url):
            found: dict[tuple[str, int], tuple[int, int]] = self._opened().read(places)
            return found

    def grant(self, key: str, more: int) -> None:
        """Let a budget have so much more; it waits for the database.

        Raises:
            SQLAlchemyError: the database does not answer.
        """
        with forks.connected(self._settings.database_url):
            self._opened().grant(key, more)

    def close(self) -> None:
        """Close its connections."""
        with self._lock:
            counters = self._counters
            if not self._in_memory:
                self._counters = None
        if counters is not None and not self._in_memory:
            counters.close()  # type: ignore[attr-defined]

    # -- the way of a call -------------------------------------------------------------------------------------------

    def _way(self, fields: Mapping[str, Any], request: Any, prompt: int) -> Steps:
        if not self.looker.known.is_set():
            self.looker.start()
            yield from self._first_look()
        if self.looker.blind and look.refuses_blind():
            raise LLMGuardError(f"nobody knows the limits of calls: {self.looker.blind}")
        self.looker.rules.refuse_stopped(fields)
        if not active() and not self.looker.rules:
            return []
        held = self._held(fields, Ask(fields, request, prompt))
        if not held:
            return []
        for each in held:
            if each.budget is None and not has_room(each.charge, 0, 0):
                raise self._refusal(each, 0, 0)
            if time.monotonic() < self._full.get(each.charge, 0.0):
                raise self._refusal(each, each.charge.most, 0)
        lifted: frozenset[str] = frozenset()
        outcome = yield from self._reserved(held)
        while outcome is not None and not outcome.admitted:
            outcome, lifted = yield from self._over(held, outcome, lifted)
        if outcome is None:
            return [each.charge.unreserved for each in held]
        self._warn(held, outcome)
        return [each.charge.claim for each in held]

    def _first_look(self) -> Generator[Wait, Any, None]:
        try:
            yield Workers.apart(self.looker.known.wait), _FIRST * self._settings.limits_deadline
        except _TIMEOUTS:
            self.looker.give_up()

    def _reserved(self, held: list[Held], lifted: frozenset[str] = frozenset()) -> Generator[Wait, Any, Outcome | None]:
        """What the counters say, None when nobody knows and the call goes out all the same. `lifted` are the keys of
        budgets that the call may go beyond."""
        charges = [each.charge._replace(most=_NO_LIMIT) if each.charge.key in lifted else each.charge for each in held]
        if time.monotonic() < self._outage_until:
            self._decide(held, "the database does not answer")
            return None
        job = Job(lambda: self._reserve(held, charges), lambda outcome: self._undo(charges, outcome))
        deadline = self._settings.limits_deadline * (_FIRST if self._counters is None else 1)
        try:
            outcome: Outcome = yield self._workers.submit(job), deadline
        except _TIMEOUTS:
            self._decide(held, f"the database has not answered in {deadline:g} s")
            return None
        except Exception as error:  # noqa: BLE001  (a driver, a database)
            self._decide(held, " ".join(str(getattr(error, "orig", None) or error).split())[:200])
            return None
        return outcome

    def _over(
        self, held: list[Held], outcome: Outcome, lifted: frozenset[str]
    ) -> Generator[Wait, Any, tuple[Outcome | None, frozenset[str]]]:
        """Some counter has no room: whoever owns it decides. What the counters say then.

        Raises:
            RateLimitExceeded: the call is refused.
        """
        over = [
            (each, used, extra)
            for each, used, extra in zip(held, outcome.used, outcome.extra, strict=True)
            if each.charge.key not in lifted and not has_room(each.charge, used, extra)
        ]
        for each, used, extra in over:
            if each.budget is None and each.charge.kind == "requests":
                if len(self._full) > _REMEMBERED:
                    self._full.clear()
                self._full[each.charge] = time.monotonic() + _FULL_FOR
            if each.budget is None or each.budget.on_exceed == "raise":
                raise self._refusal(each, used, extra)
        each, used, extra = over[0]
        budget = each.budget
        assert budget is not None
        exceeded = self._refusal(each, used, extra)
        beyond = lifted | {each.charge.key}
        if budget.on_exceed == "warn":
            budget.warn(exceeded)
            return (yield from self._reserved(held, beyond)), beyond
        # One call after the other: what a person grants to the first may be enough for the next.
        yield Workers.apart(budget.asking.acquire, lambda _: budget.asking.release()), None
        try:
            again = yield from self._reserved(held, lifted)
            if again is None or again.admitted:
                return again, lifted
            answer = yield Workers.apart(lambda: budget.ask(exceeded)), None
        finally:
            budget.asking.release()
        if asyncio.iscoroutine(answer):
            answer.close()
            raise UsageError(f"the callback of {budget.says('')} is asynchronous, and the call is not")
        if not answer:
            raise exceeded
        return (yield from self._reserved(held, beyond)), beyond

    def _held(self, fields: Mapping[str, Any], ask: Ask, *, strict: bool = True) -> list[Held]:
        """What a call is charged, in the order of keys."""
        return charged(self.looker.rules, fields, ask, active(), strict=strict)

    def _refusal(self, held: Held, used: int, extra: int) -> RateLimitExceeded:
        charge = held.charge
        left = max(0, charge.most + extra - used)
        now = datetime.now(timezone.utc)
        reset = None if held.limit is None else held.limit.span(now)[1]
        wait = None if reset is None else max(0.0, (reset - now).total_seconds())
        return warnings.refusal(
            held.says,
            charge.kind,
            amount(charge.kind, charge.most + extra),
            amount(charge.kind, left),
            amount(charge.kind, charge.amount),
            held.limit.window if held.limit is not None else "run",
            reset,
            wait,
            held.budget,
        )

    def _warn(self, held: list[Held], outcome: Outcome) -> None:
        for each, used, extra in zip(held, outcome.used, outcome.extra, strict=True):
            share = (each.budget or each.limit).warn_at  # type: ignore[union-attr]
            most = each.charge.most + extra
            if share is not None and most and used + each.charge.amount >= share * most:
                place = (each.charge.key, each.charge.start)
                with self._lock:
                    said = place in self._warned
                    if len(self._warned) > _REMEMBERED:
                        self._warned.clear()
                    self._warned.add(place)
                if not said:
                    warnings.warn(each.says, each.charge.kind, used + each.charge.amount, most)

    def _decide(self, held: list[Held], reason: str) -> None:
        """The database is gone: what the limits say about that.

        Raises:
            RateLimitExceeded: one of them says that no call goes out.
        """
        now = time.monotonic()
        self._outage_until = max(self._outage_until, now + _AGAIN)
        closed = next((each for each in held if each.is_closed), None)
        if now >= self._said_at + _SAID_EVERY or not self._said_at:
            self._said_at = now
            how = "calls under limits that are closed then are refused" if closed else "calls go out unlimited"
            LOG.warning("limits cannot be enforced, %s: %s", how, reason)
        if closed is not None:
            why = f"it cannot be enforced now, and is closed then: {reason}"
            raise RateLimitExceeded(closed.says, why, kind=closed.charge.kind, retry_after=_AGAIN)

    # -- in a worker -------------------------------------------------------------------------------------------------

    def _reserve(self, held: list[Held], charges: list[Charge]) -> Outcome:
        with forks.connected(self._settings.database_url):
            counters = self._opened()
            self._begin(counters, held)
            outcome: Outcome = counters.reserve(charges)
            return outcome

    def _begin(self, counters: Any, held: list[Held]) -> None:
        """Counters of windows that had begun before their limit was set begin with what the calls before it took."""
        if self._in_memory:
            return
        for each in held:
            place = (each.charge.key, each.charge.start)
            limit = each.limit
            if limit is None or limit.since is None or limit.since.timestamp() <= each.charge.start:
                continue
            if place in self._begun:
                continue
            if place not in counters.read([place]):
                from llmguard.usage.store.limits import used_before

                since, until = limit.span(datetime.now(timezone.utc))
                counters.begin(each.charge, used_before(counters.engine, limit, each.scope, since, until))
            if len(self._begun) > _REMEMBERED:
                self._begun.clear()
            self._begun.add(place)

    def _undo(self, charges: list[Charge], outcome: Outcome) -> None:
        if outcome.admitted:
            self._release(charges)

    def _release(self, charges: list[Charge]) -> None:
        with forks.connected(self._settings.database_url):
            self._opened().release(charges)

    def _opened(self) -> Any:
        with self._lock:
            if self._counters is None:
                from llmguard.usage.store.counters import StoredCounters
                from llmguard.usage.store.ledger import Ledger

                engine = Ledger.open(self._settings).engine
                self._counters = StoredCounters(engine, self._settings.schema, self._settings.limits_deadline)
            found = self._counters
            clean = not self._in_memory and time.time() > self._next_cleaning
            if clean:
                self._next_cleaning = time.time() + 86_400
        if clean:
            found.forget(int(time.time()) - _KEPT)  # type: ignore[attr-defined]
        return found
