"""A circuit breaker opens by what fails, and closes by what works again."""

from __future__ import annotations

import threading

from llmguard.calls.breaker import Breaker, Rules, State


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def breaker(**rules: float) -> tuple[Breaker, Clock]:
    clock = Clock()
    return Breaker(Rules()._replace(**rules), clock), clock


def fail(of: Breaker, number: int = 1) -> None:
    for _ in range(number):
        era = of.let_through()
        assert era is not None
        of.failed(era, "ServerError")


def test_failures_in_a_row_open_it_and_one_call_is_let_through_after_a_while() -> None:
    of, clock = breaker(in_a_row=3, pause=10)
    fail(of, 2)
    era = of.let_through()
    assert era is not None
    of.succeeded(era)
    fail(of, 2)
    assert of.state is State.CLOSED
    fail(of)
    assert (of.state, of.let_through(), of.wait) == (State.OPEN, None, 10.0)
    clock.now += 9.99
    assert of.let_through() is None
    clock.now += 0.01
    assert of.state is State.HALF_OPEN
    probe = of.let_through()
    assert probe is not None
    assert of.let_through() is None  # one, and no other
    of.succeeded(probe)
    assert of.state is State.CLOSED
    assert of.statistics()["failures_in_a_row"] == 0


def test_a_share_of_the_window_opens_it_and_what_is_old_is_forgotten() -> None:
    of, clock = breaker(in_a_row=99, share=0.5, least=10, window=60)
    for number in range(9):
        era = of.let_through()
        assert era is not None
        (of.failed if number % 2 else of.succeeded)(era)
    assert of.state is State.CLOSED
    clock.now += 61
    fail(of, 9)
    assert of.state is State.CLOSED
    fail(of)
    assert of.state is State.OPEN


def test_pauses_double_while_probes_fail_and_start_again_after_success() -> None:
    of, clock = breaker(in_a_row=1, pause=10, longest=35)
    fail(of)
    waits = []
    for _ in range(4):
        waits.append(of.wait)
        clock.now += of.wait
        fail(of)
    assert waits == [10, 20, 35, 35]
    clock.now += of.wait
    era = of.let_through()
    assert era is not None
    of.succeeded(era)
    fail(of)
    assert of.wait == 10
    assert of.statistics()["opened"] == 6


def test_a_provider_that_asks_for_peace_gets_it_up_to_a_limit() -> None:
    of, _ = breaker(longest=100)
    era = of.let_through()
    assert era is not None
    of.failed(era, "RateLimitError", retry_after=7)
    assert (of.state, of.wait) == (State.OPEN, 7)
    other, _ = breaker(longest=100)
    era = other.let_through()
    assert era is not None
    other.failed(era, retry_after=86_400)
    assert other.wait == 100


def test_what_began_before_says_nothing_of_what_is_now() -> None:
    of, clock = breaker(in_a_row=2, pause=10)
    late = [of.let_through() for _ in range(5)]
    fail(of, 2)
    for era in late:
        assert era is not None
        of.failed(era)
    assert of.wait == 10  # not doubled
    clock.now += 10
    probe = of.let_through()
    assert probe is not None
    assert late[0] is not None
    of.succeeded(late[0])
    assert of.state is State.HALF_OPEN
    of.succeeded(probe)
    of.failed(probe)
    assert of.state is State.CLOSED
    assert of.statistics()["failures_in_window"] == 0


def test_a_probe_that_is_given_up_gives_its_place_back() -> None:
    of, clock = breaker(in_a_row=1, pause=10)
    fail(of)
    clock.now += 10
    probe = of.let_through()
    assert probe is not None
    of.given_up(probe)
    assert of.let_through() is not None


def test_of_many_threads_one_is_let_through() -> None:
    of, clock = breaker(in_a_row=1, pause=10)
    fail(of)
    clock.now += 10
    barrier, passes = threading.Barrier(20), []

    def ask() -> None:
        barrier.wait()
        passes.append(of.let_through())

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len([each for each in passes if each is not None]) == 1
