"""One question, asked of one provider after the other until somebody answers.

Each is asked at most once in a round, those whose breaker is closed first, in their order; those that are left alone
only when nobody else is left. `Round` says whom to ask next, and hears how it ended; `drive` and `drive_sync` do so.
"""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from llmguard.calls.breaker import Breaker, Rules
from llmguard.calls.failures import is_unable, may_pass, retry_after
from llmguard.errors import AllProvidersFailed

R = TypeVar("R")
#: Whether the same one may be asked again, without what it has refused.
Recover = Callable[["Ask", BaseException], bool]
_MOST_BREAKERS = 1000  # of which those that were not used for longest go
_BACKOFF = (0.5, 8.0)  # seconds before the second round, and at most


class Target(NamedTuple):
    """Whom to ask.

    Attributes:
        provider: name of a row.
        model: as the provider names it.
        options: arguments of the SDK's client.
        defaults: arguments that are sent where the question does not say.
        account: tells apart who is reached otherwise than the environment says: other keys, other places.
    """

    provider: str
    model: str
    options: Mapping[str, Any]
    defaults: Mapping[str, Any]
    account: str = ""


class Ask(NamedTuple):
    """The next thing to do: send it to this one.

    Attributes:
        target: whom.
        number: of the attempt, from 0.
        era: of its breaker.
    """

    target: Target
    number: int
    era: int


class Wait(NamedTuple):
    """The next thing to do: wait so many seconds."""

    seconds: float


class Failover:
    """The providers of a service: their breakers, and what they have been asked. Safe in threads.

    Args:
        rules: of the breakers.
        rounds: how often all may be asked, with a pause between that grows.
        patience: seconds to wait at most for a provider that has asked to be left alone, when there is nobody else.
        clock: as of `Breaker`.

    Attributes:
        requests, errors: attempts, and failed ones, by provider.
        fallbacks: questions that another one than the first has answered.
        answered_at: when a provider has answered last (`time.time`).
    """

    def __init__(
        self,
        rules: Rules = Rules(),  # noqa: B008
        rounds: int = 1,
        patience: float = 10.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.rules, self.rounds, self.patience = rules, rounds, patience
        self._clock = clock
        self._lock = threading.Lock()
        self._breakers: OrderedDict[tuple[str, str, str], Breaker] = OrderedDict()
        self.requests: dict[str, int] = {}
        self.errors: dict[str, int] = {}
        self.fallbacks = 0
        self.answered_at: dict[str, float] = {}

    def breaker(self, provider: str, model: str, account: str = "") -> Breaker:
        """The breaker of a provider's model, for those who reach it as this account."""
        key = (provider, model, account)
        with self._lock:
            found = self._breakers.get(key)
            if found is None:
                found = Breaker(self.rules) if self._clock is None else Breaker(self.rules, self._clock)
                self._breakers[key] = found
                if len(self._breakers) > _MOST_BREAKERS:
                    self._breakers.popitem(last=False)
            else:
                self._breakers.move_to_end(key)
            return found

    def round(self, targets: Sequence[Target]) -> Round:
        """One question on its way through these."""
        return Round(self, targets)

    def statistics(self) -> dict[str, Any]:
        """`{"requests_by_provider", "errors_by_provider", "fallback_count", "breakers": {"provider/model": {...}}}`
        (an account of one's own stands behind the model).

        A request is one attempt; a fallback is a question that another one than the first has answered.
        """
        with self._lock:
            breakers = dict(self._breakers)
            counts = {
                "requests_by_provider": dict(self.requests),
                "errors_by_provider": dict(self.errors),
                "fallback_count": self.fallbacks,
            }
        named = {"/".join(filter(None, key)): each for key, each in sorted(breakers.items())}
        return {**counts, "breakers": {name: each.statistics() for name, each in named.items()}}

    def heard(self, provider: str) -> None:
        """A provider has answered just now."""
        with self._lock:
            self.answered_at[provider] = time.time()

    def counted(self, provider: str, *, failed: bool = False, answered_instead: bool = False) -> None:
        """Count an attempt that begins, one that failed, or an answer by another than the first."""
        with self._lock:
            if answered_instead:
                self.fallbacks += 1
                return
            counts = self.errors if failed else self.requests
            counts[provider] = counts.get(provider, 0) + 1


class Round:
    """One question on its way.

    Args:
        failover: of the service.
        targets: whom to ask, in order.
    """

    def __init__(self, failover: Failover, targets: Sequence[Target]) -> None:
        self._of = failover
        self._targets = list(targets)
        self._left = list(targets)
        self._rounds = 1
        self._waited = False
        self.attempts: list[tuple[str, str, BaseException]] = []
        self._number = 0

    def next(self) -> Ask | Wait:
        """What to do next.

        Raises:
            AllProvidersFailed: nobody is left; the last error is its cause.
        """
        for target in self._left:
            era = self._breaker(target).let_through()
            if era is not None:
                return self._asking(target, era)
        if self._left:
            return self._last_resort()
        if self._targets and self._rounds < self._of.rounds:
            first, most = _BACKOFF
            pause = min(first * 2 ** (self._rounds - 1), most) * random.uniform(0.5, 1)
            self._rounds += 1
            self._left = list(self._targets)
            return Wait(pause)
        cause = self.attempts[-1][2] if self.attempts else None
        waits = [wait for target in self._targets if (wait := self._breaker(target).wait)]
        raise AllProvidersFailed(self.attempts, min(waits) if waits else None) from cause

    def _last_resort(self) -> Ask | Wait:
        """All that are left are left alone: who is next to be asked again is asked now, or waited for, where it has
        said how long."""
        target = min(self._left, key=lambda each: self._breaker(each).wait)
        breaker = self._breaker(target)
        if breaker.is_asked_for and not self._waited and not self.attempts and breaker.wait <= self._of.patience:
            self._waited = True
            return Wait(breaker.wait)
        return self._asking(target, breaker.force())

    def _asking(self, target: Target, era: int) -> Ask:
        self._left.remove(target)
        self._of.counted(target.provider)
        self._number += 1
        return Ask(target, self._number - 1, era)

    def again(self, ask: Ask) -> Ask:
        """Ask the same one once more, with another question."""
        self._of.counted(ask.target.provider, failed=True)
        self._of.counted(ask.target.provider)
        self._number += 1
        return ask._replace(number=self._number - 1)

    def answered(self, ask: Ask) -> None:
        """It was answered."""
        self._of.heard(ask.target.provider)
        self._breaker(ask.target).succeeded(ask.era)
        if ask.target != self._targets[0]:
            self._of.counted(ask.target.provider, answered_instead=True)

    def broke_off(self, ask: Ask, error: BaseException) -> None:
        """It had begun to answer, and failed then: nobody else is asked."""
        self._of.counted(ask.target.provider, failed=True)
        breaker = self._breaker(ask.target)
        if may_pass(error):
            breaker.failed(ask.era, type(error).__name__, retry_after(error))
        else:
            breaker.given_up(ask.era)

    def failed(self, ask: Ask, error: BaseException) -> None:
        """It was not; the next one is asked, unless it is the question's own fault.

        Raises:
            BaseException: the error, where nobody else may answer either.
        """
        breaker = self._breaker(ask.target)
        if not may_pass(error):
            status = getattr(error, "status_code", None)
            (breaker.succeeded if isinstance(status, int) else breaker.given_up)(
                ask.era
            )  # it is there, and has read it
            if isinstance(error, Exception):
                self._of.counted(ask.target.provider, failed=True)
            raise error
        self._of.counted(ask.target.provider, failed=True)
        self.attempts.append((ask.target.provider, ask.target.model, error))
        if is_unable(error):
            breaker.given_up(ask.era)
        else:
            breaker.failed(ask.era, type(error).__name__, retry_after(error))

    def _breaker(self, target: Target) -> Breaker:
        return self._of.breaker(target.provider, target.model, target.account)


async def drive(round_: Round, attempt: Callable[[Ask], Awaitable[R]], recover: Recover) -> tuple[Ask, R]:
    """Ask until somebody answers; who it was, and what. That it has answered is for the caller to say.

    Args:
        round_: of the question.
        attempt: sends it.
        recover: see `Recover`.

    Raises:
        AllProvidersFailed: nobody has answered.
        BaseException: of an attempt, where nobody else may answer either.
    """
    step = round_.next()
    while True:
        if isinstance(step, Wait):
            await asyncio.sleep(step.seconds)
            step = round_.next()
            continue
        try:
            return step, await attempt(step)
        except BaseException as error:  # noqa: BLE001  (what is not its business is raised again)
            step = _after(round_, step, error, recover)


def drive_sync(round_: Round, attempt: Callable[[Ask], R], recover: Recover) -> tuple[Ask, R]:
    """`drive` for code that is not asynchronous."""
    step = round_.next()
    while True:
        if isinstance(step, Wait):
            time.sleep(step.seconds)
            step = round_.next()
            continue
        try:
            return step, attempt(step)
        except BaseException as error:  # noqa: BLE001  (as above)
            step = _after(round_, step, error, recover)


def _after(round_: Round, ask: Ask, error: BaseException, recover: Recover) -> Ask | Wait:
    if recover(ask, error):
        return round_.again(ask)
    round_.failed(ask, error)
    return round_.next()
