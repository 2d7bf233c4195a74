"""A question on its way: out of a cache, where one is asked for and has the answer; else to one provider, or to several
one after the other.

The way is written once, in steps; `answered` and `answered_sync` walk it.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator, Sequence
from typing import Any, NamedTuple

from llmguard.calls.cache import Cache
from llmguard.calls.cached_answer import CachedAnswer, read
from llmguard.calls.failover import Ask, Failover, Recover, Target, drive, drive_sync
from llmguard.calls.request import Request, Since, asked, asked_sync
from llmguard.calls.single_flight import Flight, Outcome
from llmguard.errors import MalformedAnswer


def _no_other_way(ask: Ask, error: BaseException) -> bool:
    return False


class Question(NamedTuple):
    """What is asked, of whom, and what is made of the answer.

    Attributes:
        targets: whom to ask, in order; the first one alone where there is no `failover`.
        attempt: the request of an attempt.
        check: what is made of who answered, the model and the result; raises `MalformedAnswer`.
        again: the request of an answer that is given again, and was asked for at that time.
        failover: of the providers; None: one is asked, and what he raises comes through.
        recover: as of `drive`.
        within: seconds that an attempt may take; None for as long as the SDK says.
        patience: seconds to wait for somebody who asks the same; None for as long as that takes.
        cache: None for none.
        key: of the question in it, None for one that is not looked up.
    """

    targets: Sequence[Target]
    attempt: Callable[[Ask], Request]
    check: Callable[[str, str, Any], Any]
    again: Callable[[CachedAnswer, Since], Request]
    failover: Failover | None = None
    recover: Recover = _no_other_way
    within: Callable[[Target], float | None] | None = None
    patience: float | None = None
    cache: Cache | None = None
    key: str | None = None


class Answered(NamedTuple):
    """An answer.

    Attributes:
        provider: who has answered.
        model: that was asked.
        result: of the call, as the wrapper gives it.
        value: what `check` has made of it; None of what only one could give.
    """

    provider: str
    model: str
    result: Any
    value: Any


async def answered(question: Question) -> Answered:
    """Ask, and wait for the answer.

    Raises:
        AllProvidersFailed: nobody has answered, of several.
        BaseException: of the only one, or of a question that nobody else would answer either.
    """
    if question.cache is None or question.key is None:
        return await _ask(question)
    steps = _steps(question, question.cache, question.key)
    step = next(steps, None)
    try:
        while step is not None:
            try:
                found = await step.later()
            except BaseException as error:  # noqa: BLE001, PERF203  (the way says what becomes of it)
                step = steps.throw(error)
            else:
                step = steps.send(found)
    except StopIteration as end:
        return _answer(end)
    raise AssertionError("the way has no end")


def answered_sync(question: Question) -> Answered:
    """`answered` for code that is not asynchronous."""
    if question.cache is None or question.key is None:
        return _ask_sync(question)
    steps = _steps(question, question.cache, question.key)
    step = next(steps, None)
    try:
        while step is not None:
            try:
                found = step.now()
            except BaseException as error:  # noqa: BLE001, PERF203  (as above)
                step = steps.throw(error)
            else:
                step = steps.send(found)
    except StopIteration as end:
        return _answer(end)
    raise AssertionError("the way has no end")


def _answer(end: StopIteration) -> Answered:
    answer: Answered = end.value
    return answer


# -- through a cache ---------------------------------------------------------------------------------------------------


class Step(NamedTuple):
    """Something to wait for: now, or asynchronously."""

    now: Callable[[], Any]
    later: Callable[[], Awaitable[Any]]


Steps = Generator[Step, Any, Answered]


def _steps(question: Question, cache: Cache, key: str) -> Steps:
    since = (time.time(), time.perf_counter())
    patience = question.patience
    while True:
        flight, is_own = cache.flights.join(key)
        if is_own:
            return (yield from _looked_up(question, cache, key, flight, since))
        outcome = yield Step(lambda: flight.wait(patience), lambda: flight.wait_async(patience))  # noqa: B023
        if outcome is Outcome.GIVEN_UP:
            continue
        kept = _usable(question, outcome) if isinstance(outcome, bytes) else None
        if kept is not None:
            cache.counted("shared")
            return _given_again(question, kept, since)
        cache.counted("misses")
        answer = yield Step(lambda: _ask_sync(question), lambda: _ask(question))
        text = _bytes_of(question, answer)
        if text is not None:
            yield _keeping(cache, key, text)
        return answer  # type: ignore[no-any-return]


def _looked_up(question: Question, cache: Cache, key: str, flight: Flight, since: Since) -> Steps:
    """The answer that is kept, else a new one; whoever asks the same meanwhile gets it too."""
    outcome: bytes | Outcome = Outcome.GIVEN_UP
    try:
        found = yield Step(lambda: cache.get(key), lambda: cache.get_async(key))
        kept = _usable(question, found) if found is not None else None
        if kept is not None:
            cache.counted("hits")
            outcome = found
            return _given_again(question, kept, since)
        cache.counted("misses")
        answer = yield Step(lambda: _ask_sync(question), lambda: _ask(question))
        text = _bytes_of(question, answer)
        outcome = text or Outcome.NONE
        if text is not None:
            yield _keeping(cache, key, text)
        return answer  # type: ignore[no-any-return]
    except Exception:
        outcome = Outcome.NONE
        raise
    finally:
        cache.flights.land(key, flight, outcome)


def _usable(question: Question, text: bytes) -> CachedAnswer | None:
    """What was kept, None when it is no answer to this question: others may write where it is kept."""
    kept = read(text)
    if kept is None:
        return None
    try:
        question.check(kept.provider, kept.model, {"response": kept.response, "usage": {}})
    except Exception:  # noqa: BLE001  (whatever is wrong with it)
        return None
    return kept


def _keeping(cache: Cache, key: str, text: bytes) -> Step:
    return Step(lambda: cache.set(key, text), lambda: cache.set_async(key, text))


def _given_again(question: Question, kept: CachedAnswer, since: Since) -> Answered:
    result = asked_sync(question.again(kept, since))  # nothing is sent, nobody waits
    return Answered(kept.provider, kept.model, result, question.check(kept.provider, kept.model, result))


def _bytes_of(question: Question, answer: Answered) -> bytes | None:
    """An answer as it is kept, None for what is not kept: what is no answer, or of a kind that is not known."""
    try:
        question.check(answer.provider, answer.model, answer.result)
    except MalformedAnswer:
        return None
    usage = answer.result["usage"]
    response = answer.result["response"]
    request_id = getattr(response, "_request_id", None)
    return CachedAnswer(answer.provider, answer.model, response, usage["call_id"], request_id).as_bytes()


# -- to providers ------------------------------------------------------------------------------------------------------


async def _ask(question: Question) -> Answered:
    if question.failover is None:
        request = question.attempt(Ask(question.targets[0], 0, 0))
        return _of_one(question, request, await asked(request))

    async def attempt(ask: Ask) -> Answered:
        request = question.attempt(ask)
        result = await asked(request, question.within(ask.target) if question.within is not None else None)
        return _of_many(question, ask.target, request, result)

    round_ = question.failover.round(question.targets)
    ask, answer = await drive(round_, attempt, question.recover)
    round_.answered(ask)
    return answer


def _ask_sync(question: Question) -> Answered:
    if question.failover is None:
        request = question.attempt(Ask(question.targets[0], 0, 0))
        return _of_one(question, request, asked_sync(request))

    def attempt(ask: Ask) -> Answered:
        request = question.attempt(ask)
        result = asked_sync(request, question.within(ask.target) if question.within is not None else None)
        return _of_many(question, ask.target, request, result)

    round_ = question.failover.round(question.targets)
    ask, answer = drive_sync(round_, attempt, question.recover)
    round_.answered(ask)
    return answer


def _of_one(question: Question, request: Request, result: Any) -> Answered:
    """What the only one gives is the caller's, whatever it is."""
    target = question.targets[0]
    return Answered(request.reached.provider or target.provider, target.model, result, None)


def _of_many(question: Question, target: Target, request: Request, result: Any) -> Answered:
    provider = request.reached.provider or target.provider
    return Answered(provider, target.model, result, question.check(target.provider, target.model, result))
