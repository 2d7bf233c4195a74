"""Limits as their users meet them: statements by hand, refusals, outages, warnings, prices that nobody knows."""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
import subprocess
import sys
import time
from datetime import datetime, timezone
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

from llmguard import llm_tracker, llm_usage_tracker, llm_wrapper, track
from llmguard.errors import CallsStopped, LLMGuardError, RateLimitExceeded, UsageError
from llmguard.testing import Answer, FakeProvider, memory_ledger
from llmguard.usage import recorder
from llmguard.usage.limits import gate as gating
from llmguard.usage.limits import warnings
from llmguard.usage.limits.control import remove_limit, resume, rules_in_force, set_limit, stop
from llmguard.usage.limits.reserve import cap_of
from llmguard.usage.limits.windows import window
from llmguard.usage.recorder import Recorder
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from tests.command import ROOT
from tests.optional import optional
from tests.usage.recorded import rows_of

MESSAGES = [{"role": "user", "content": "12345678"}]


def block(**fields: Any) -> None:
    """A call of somebody's."""
    with llm_tracker.track_llm_call("openai", fields.pop("model", "gpt-4o-mini"), **fields) as log:
        log.input_tokens, log.output_tokens = 2, 8


def admitted(times: int, **fields: Any) -> int:
    """How many of so many calls pass."""
    passed = 0
    for _ in range(times):
        try:
            block(**fields)
        except RateLimitExceeded:
            continue
        passed += 1
    return passed


def execute(recording: Recorder, *statements: str) -> None:
    """Statements by hand, which are seen at once."""
    opened = Ledger.open(recording.settings)
    with opened.engine.execution_options(llmguard_write=True).begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    opened.close()
    assert recording.gate is not None
    recording.gate.looker.look()


@pytest.fixture
def a_minute() -> None:
    """Enough of the minute at hand is left."""
    while time.time() % 60 > 45:
        time.sleep(0.2)


# -- what people have written against the tables ----------------------------------------------------------------------


@pytest.mark.parametrize("settings", ["postgresql"], indirect=True)
@pytest.mark.usefixtures("a_minute")
def test_the_documented_statements_work_as_written(recording: Recorder) -> None:
    block(user_id="user-id")  # somebody who has been seen already, and whose call counts
    assert recording.flush(10)
    execute(recording, "UPDATE llm_rate_limit_configs \nSET limit_value = 3 \nWHERE limit_type = 'minute'")
    assert admitted(5, user_id="other") == 3
    insert = (
        "INSERT INTO llm_rate_limits (user_id, limit_type, limit_value, reset_at)\n"
        "VALUES ('user-id', 'minute', 5, NOW() + INTERVAL '1 minute')"
    )
    execute(recording, insert)
    assert admitted(8, user_id="user-id") == 4
    execute(recording, insert.replace("5,", "7,"))  # twice is no error: the newest holds
    assert admitted(8, user_id="user-id") == 2
    execute(
        recording,
        "ALTER TABLE llm_rate_limits ADD COLUMN provider VARCHAR(50)",
        "INSERT INTO llm_rate_limits (user_id, limit_type, limit_value, provider, reset_at)\nVALUES \n"
        "  ('ann', 'minute', 3, 'groq', NOW() + INTERVAL '1 minute'),\n"
        "  ('ann', 'minute', 6, 'openai', NOW() + INTERVAL '1 minute')",
        "UPDATE llm_rate_limit_configs SET limit_value = 1000 WHERE limit_type = 'minute'",
    )
    assert admitted(9, user_id="ann") == 6
    asked = 0
    for _ in range(3):
        with llm_tracker.track_llm_call("groq", "m", user_id="ann"):
            asked += 1
    another = llm_tracker.track_llm_call("groq", "m", user_id="ann")
    with pytest.raises(RateLimitExceeded, match="provider groq"), another:
        asked += 1
    assert asked == 3
    assert set_limit(4, "day", user_id="ann", provider="groq").identity
    assert remove_limit("minute", user_id="ann", provider="groq") == 1


@pytest.mark.usefixtures("a_minute")
def test_a_default_changes_existing_users_and_goes_back(recording: Recorder) -> None:
    assert admitted(35, user_id="ann") == 35  # what is shipped is shown only
    said = llm_usage_tracker.check_rate_limit_sync("ann", "minute")
    assert (said["source"], said["limit_value"], said["can_call"], said["current_count"]) == ("shipped", 30, False, 35)
    execute(recording, "UPDATE llm_rate_limit_configs SET limit_value = 37 WHERE limit_type = 'minute'")
    assert recording.flush(10)
    assert admitted(5, user_id="ann") in (2, 5)  # the window had begun before: what it held counts, once it is written
    assert admitted(40, user_id="bob") == 37
    execute(recording, "UPDATE llm_rate_limit_configs SET limit_value = 30 WHERE limit_type = 'minute'")
    assert admitted(40, user_id="cid") == 40
    execute(recording, "UPDATE llm_rate_limit_configs SET enforced = true WHERE limit_type = 'minute'")
    assert admitted(40, user_id="dan") == 30
    said = llm_usage_tracker.check_rate_limit_sync("dan", "minute")
    assert (said["source"], said["remaining"], said["can_call"]) == ("default", 0, False)
    assert 0 < said["retry_after"] <= 60


def test_rows_that_make_no_sense_are_refused_or_passed_over(recording: Recorder, caplog: Any) -> None:
    for values in ("'fortnight', 5", "'minute', -1"):
        with pytest.raises(Exception, match=r"ck_llm_rate_limits|CHECK"):
            execute(recording, f"INSERT INTO llm_rate_limits (limit_type, limit_value) VALUES ({values})")
    execute(recording, "INSERT INTO llm_rate_limits (limit_type, limit_value, time_zone) VALUES ('day', 1, 'Mars')")
    assert admitted(3, user_id="ann") == 3
    assert "there is no time zone 'Mars'" in caplog.text


# -- refusals ---------------------------------------------------------------------------------------------------------


def test_a_refusal_says_all_and_takes_nothing(recording: Recorder, provider: FakeProvider) -> None:
    openai = optional("openai")
    set_limit(2, "day", user_id="ann")
    set_limit(50, "month", service_name="search")
    client = track(openai.OpenAI(base_url=provider.base_url, api_key="k"), user_id="ann", service_name="search")
    for _ in range(2):
        client.chat.completions.create(model="m", messages=MESSAGES)
    with pytest.raises(RateLimitExceeded) as refused:
        client.chat.completions.create(model="m", messages=MESSAGES)
    error = refused.value
    assert str(error).startswith("2 requests per day of user ann: nothing left; it resets at ")
    assert (error.kind, error.window, error.limit_value, error.remaining) == ("requests", "day", 2, 0)
    assert error.reset_at == window("day", datetime.now(timezone.utc))[1]
    assert error.retry_after is not None
    assert 0 < error.retry_after <= 86_400
    assert pickle.loads(pickle.dumps(error)).limit_value == 2
    assert len(provider.requests) == 2
    assert len(rows_of(recording)) == 2
    opened = Ledger.open(recording.settings)
    with opened.engine.connect() as connection:
        counters = dict(connection.execute(text("SELECT limit_key, used FROM llm_rate_limit_counters")).all())
    opened.close()
    assert sorted(counters.values()) == [2, 2]


def test_an_exact_limit_goes_before_that_of_each(recording: Recorder) -> None:
    set_limit(2, "day", user_id="*", service_name="search")
    set_limit(4, "day", user_id="ann", service_name="search")
    assert [admitted(6, user_id=user, service_name="search") for user in ("ann", "bob", "cid")] == [4, 2, 2]
    assert admitted(6, user_id="ann", service_name="other") == 6
    assert admitted(6, service_name="search") == 6  # nobody's


@pytest.mark.parametrize("asynchronous", [False, True])
def test_tokens_are_reserved_and_settled(recording: Recorder, provider: FakeProvider, asynchronous: bool) -> None:
    optional("openai")
    set_limit(100, "day", "tokens", user_id="ann")
    provider.answer = Answer(prompt_tokens=2, completion_tokens=3)
    options = {"base_url": provider.base_url, "api_key": "k"}
    asked: dict[str, Any] = {"user_id": "ann", "provider": "openai", "model": "m", "client_options": options}

    def call(cap: int) -> None:
        if asynchronous:
            asyncio.run(llm_wrapper.chat_completion(MESSAGES, max_tokens=cap, **asked))
        else:
            llm_wrapper.chat_completion_sync(MESSAGES, max_tokens=cap, **asked)

    call(78)
    assert recording.flush(10)
    call(78)  # 80 reserved, 5 taken: there is room
    with pytest.raises(RateLimitExceeded, match=r"(98|93|15) tokens left"):
        call(90)
    with pytest.raises(RateLimitExceeded, match="the call may take more than all of it: 1,002 tokens"):
        call(1000)
    with pytest.raises(RateLimitExceeded, match="1,026 tokens"):  # without a cap, 1,024 are reserved
        llm_wrapper.chat_completion_sync(MESSAGES, **asked)
    assert recording.flush(10)
    provider.answer = Answer(prompt_tokens=2, completion_tokens=95)  # more than it had reserved
    call(10)
    assert recording.flush(10)
    with pytest.raises(RateLimitExceeded, match="nothing left"):
        call(1)
    opened = Ledger.open(recording.settings)
    with opened.engine.connect() as connection:
        row = connection.execute(text("SELECT used, over, calls FROM llm_rate_limit_counters")).one()
    opened.close()
    assert tuple(row) == (107, 85, 3)


def test_a_stream_is_settled_at_its_end(recording: Recorder, provider: FakeProvider) -> None:
    openai = optional("openai")
    set_limit(30, "day", "tokens", user_id="ann")
    provider.answer = Answer(prompt_tokens=2, completion_tokens=3, chunks=3)
    client = track(openai.OpenAI(base_url=provider.base_url, api_key="k"), user_id="ann")
    given: dict[str, Any] = {"model": "m", "messages": MESSAGES, "max_tokens": 20, "stream": True}
    given["stream_options"] = {"include_usage": True}
    stream = client.chat.completions.create(**given)
    assert recording.flush(10)
    with pytest.raises(RateLimitExceeded, match="8 tokens left"):
        client.chat.completions.create(**given)
    list(stream)
    assert recording.flush(10)
    list(client.chat.completions.create(**given))


def test_a_call_that_fails_frees_its_tokens_and_counts_as_one(recording: Recorder, provider: FakeProvider) -> None:
    openai = optional("openai")
    set_limit(30, "day", "tokens", user_id="ann")
    set_limit(3, "day", user_id="ann")
    provider.answer = Answer(status=400)
    client = track(openai.OpenAI(base_url=provider.base_url, api_key="k", max_retries=0), user_id="ann")
    for _ in range(3):
        with pytest.raises(openai.BadRequestError):
            client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=20)
        assert recording.flush(10)
    with pytest.raises(RateLimitExceeded, match="3 requests per day"):
        client.chat.completions.create(model="m", messages=MESSAGES, max_tokens=20)


def test_caps() -> None:
    assert cap_of({"max_tokens": 7, "n": 3}) == 21
    assert cap_of({"max_completion_tokens": 5, "max_tokens": 7}) == 5
    assert cap_of({"generationConfig": {"maxOutputTokens": 9, "candidateCount": 2}}) == 18
    assert cap_of({"messages": []}) == cap_of(None) == 1024
    assert cap_of({"max_tokens": True, "n": -1}) == 1024


# -- money ------------------------------------------------------------------------------------------------------------


def test_models_without_a_price(recording: Recorder, caplog: Any) -> None:
    acme = "acme" + recording.settings.schema  # what is said once of a model is said once
    for number, (policy, passes) in enumerate({"refuse": 0, "count": 3, "allow": 9}.items()):
        user = f"u{number}"
        # 1,024 tokens at 30 USD a million are 0.03072 USD.
        set_limit("0.1", "day", "cost", user_id=user, unpriced=policy)
        assert admitted(9, user_id=user, model=f"{acme}-{policy}") == passes
    counted, free = "under 0.10 USD per day of user u1 its tokens", "under 0.10 USD per day of user u2 its tokens"
    assert f"no price is known of {acme}-count: {counted} count as 30 USD a million" in caplog.text
    assert f"no price is known of {acme}-allow: {free} do not count" in caplog.text
    with pytest.raises(RateLimitExceeded, match=f"no price is known of {acme}-refuse"):
        block(user_id="u0", model=f"{acme}-refuse")


# -- outages ----------------------------------------------------------------------------------------------------------


def test_the_limits_own_policy_decides_within_its_deadline(
    recording: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    set_limit(5, "day", user_id="ann")
    set_limit(5, "day", user_id="bob", on_outage="closed")
    block(user_id="ann")
    assert recording.gate is not None
    counters = recording.gate._opened()
    monkeypatch.setattr(counters, "reserve", lambda charges: time.sleep(3))
    recording.gate._settings = recording.settings._replace(limits_deadline=0.2)
    for user, passes in (("ann", 3), ("bob", 0)):
        recording.gate._outage_until = 0.0
        began = time.monotonic()
        assert admitted(3, user_id=user) == passes
        assert time.monotonic() - began < 0.8  # the deadline once, not for each call
    assert "limits cannot be enforced, calls go out unlimited: the database has not answered in 0.2 s" in caplog.text
    with pytest.raises(RateLimitExceeded, match="it cannot be enforced now, and is closed then"):
        block(user_id="bob")


def test_what_went_out_in_an_outage_is_counted_later(recording: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    set_limit(5, "day", user_id="ann")
    block(user_id="ann")
    assert recording.gate is not None
    recording.gate._outage_until = time.monotonic() + 60
    assert admitted(4, user_id="ann") == 4
    recording.gate._outage_until = 0.0
    assert recording.flush(10)
    assert admitted(3, user_id="ann") == 0


def test_a_reservation_that_nobody_waits_for_is_given_back(recording: Recorder) -> None:
    set_limit(2, "day", user_id="ann")
    block(user_id="ann")
    assert recording.gate is not None
    counters = recording.gate._opened()
    reserve = counters.reserve

    def slow(charges: Any) -> Any:
        time.sleep(0.3)
        return reserve(charges)

    async def cancelled() -> None:
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(_async_block(), 0.05)

    counters.reserve = slow
    asyncio.run(cancelled())
    time.sleep(0.8)
    counters.reserve = reserve
    assert admitted(2, user_id="ann") == 1


async def _async_block() -> None:
    async with llm_tracker.track_llm_call("openai", "m", user_id="ann"):
        raise AssertionError("nobody waits for it")


def test_a_process_that_cannot_know_the_limits(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Recorder(UsageSettings("postgresql://nobody@127.0.0.1:1/x", spool_dir=str(tmp_path), limits_deadline=0.5))
    before = recorder.replace(broken)
    try:
        block(user_id="ann")
        monkeypatch.setenv("LLMGUARD_LIMITS_ON_OUTAGE", "closed")
        with pytest.raises(LLMGuardError, match="nobody knows the limits of calls"):
            block(user_id="ann")
    finally:
        recorder.replace(before)


# -- nothing where nothing is limited ---------------------------------------------------------------------------------


def test_unlimited_calls_send_no_statement(recording: Recorder) -> None:
    block(user_id="ann")  # the first one waits until the limits are known
    assert recording.flush(10)  # and makes the tables of an SQLite file
    here = []

    def seen(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        import threading

        if (
            "rate_limit" in statement
            or "llm_stops" in statement
            or threading.current_thread() is threading.main_thread()
        ):
            here.append((threading.current_thread().name, statement))

    event.listen(Engine, "before_cursor_execute", seen)
    try:
        for number in range(200):
            block(user_id=f"u{number}")
        assert recording.flush(10)
    finally:
        event.remove(Engine, "before_cursor_execute", seen)
    assert {name for name, _ in here} <= {"llmguard-limits-look"}
    assert len(here) <= 20  # a look twice a second, however many calls there are
    assert recording.gate is not None
    assert recording.gate._counters is None


def test_a_limit_of_somebody_else_sends_none_either(recording: Recorder) -> None:
    set_limit(1, "day", user_id="bob")
    assert admitted(50, user_id="ann") == 50
    assert recording.gate is not None
    assert recording.gate._counters is None


# -- switches and warnings --------------------------------------------------------------------------------------------


def test_stopped_calls(recording: Recorder) -> None:
    stop("runaway agent", service_name="search")
    with pytest.raises(CallsStopped, match=r"calls of service search: stopped \(runaway agent\)"):
        block(service_name="search")
    block(service_name="other")
    assert resume(user_id="ann") == 0
    assert resume(service_name="search") == 1
    block(service_name="search")
    stop()
    with pytest.raises(CallsStopped, match="all calls: stopped"):
        block(service_name="other")
    assert llm_tracker.check_rate_limit_sync("ann")["source"] == "stopped"
    assert [each.says() for each in rules_in_force().stops] == ["all calls"]


def test_a_warning_comes_once_a_window(recording: Recorder, caplog: Any) -> None:
    told: list[Any] = []

    @warnings.on_warning
    def listen(warning: Any) -> None:
        told.append(warning)
        raise ValueError("which ends no call")

    try:
        set_limit(4, "day", user_id="ann", warn_at=0.5)
        with caplog.at_level(logging.WARNING, "llmguard.usage"):
            assert admitted(6, user_id="ann") == 4
    finally:
        warnings._listeners.remove(listen)
    assert [(each.used, each.limit_value) for each in told] == [(2, 4)]
    assert "4 requests per day of user ann: 2 requests are used" in caplog.text


# -- windows ----------------------------------------------------------------------------------------------------------


def test_windows_are_those_of_a_calendar() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spring = datetime(2026, 3, 29, 10, 30, 20, tzinfo=timezone.utc)
    since, until = window("day", spring, berlin)
    assert (until - since).total_seconds() == 23 * 3600
    assert since.isoformat() == "2026-03-28T23:00:00+00:00"
    since, until = window("month", spring, berlin)
    assert (since.isoformat(), until.isoformat()) == ("2026-02-28T23:00:00+00:00", "2026-03-31T22:00:00+00:00")
    since, until = window("hour", spring, ZoneInfo("Asia/Kolkata"))
    assert (since.isoformat(), (until - since).total_seconds()) == ("2026-03-29T10:30:00+00:00", 3600)
    with pytest.raises(UsageError, match='no limit is called "fortnight"'):
        window("fortnight", spring)


@pytest.mark.parametrize(
    ("value", "terms", "said"),
    [
        ("nan", {}, "a limit must be a number from 0 to 999,999,999, not 'nan'"),
        (float("inf"), {}, "a limit must be a number from 0"),
        (-1, {}, "a limit must be a number from 0"),
        ("ten", {}, "a limit must be a number, not 'ten'"),
        (1.5, {}, "a limit of requests must be a whole number, not 1.5"),
        (5, {"window": "week"}, "window must be one of minute, hour, day, month, not 'week'"),
        (5, {"kind": "words"}, "kind must be one of requests, tokens, cost, not 'words'"),
        (5, {"city": "x"}, "no scope is called 'city': one of user, tenant, service, model, provider"),
        (5, {"on_outage": "maybe"}, "on-outage must be one of open, closed"),
        (5, {"unpriced": "maybe"}, "unpriced must be one of refuse, count, allow"),
        (5, {"warn_at": 2}, "warn-at must be a share from 0 to 1"),
        (5, {"time_zone": "Mars"}, "there is no time zone 'Mars'"),
    ],
)
def test_bad_input_is_one_clear_line(value: Any, terms: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        set_limit(value, **terms)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_a_memory_ledger_has_no_limits_of_a_database() -> None:
    with memory_ledger() as ledger:
        block(user_id="ann")
    assert len(ledger.rows) == 1
    assert isinstance(ledger.gate, gating.Gate)


_FORKS = """
import gc, os, sys
from llmguard import llm_tracker
from llmguard.usage import recorder
from llmguard.usage.settings import UsageSettings
recorder.configure(UsageSettings(*sys.argv[1:4], limits_deadline=20.0))
def call():
    with llm_tracker.track_llm_call("p", "m", user_id="ann"):
        pass
for number in range(4):
    call()
    child = os.fork()
    if child == 0:
        gc.collect()
        call()
        sys.exit(0) if number % 2 else os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    call()
print(llm_tracker.check_rate_limit_sync("ann", "day")["current_count"])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_child_has_connections_of_its_own(recording: Recorder, settings: UsageSettings) -> None:
    set_limit(100, "day", user_id="ann")
    where = (settings.database_url, settings.schema, settings.spool_dir)
    command = [sys.executable, "-W", "error::ResourceWarning", "-c", _FORKS, *where]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("12\n", "")
