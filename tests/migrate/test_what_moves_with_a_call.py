"""What a migrated call says of its user, where it blocks, and which logging by hand goes with it."""

from __future__ import annotations

import pytest

from llmguard.migrate import migrate_source
from llmguard.migrate.options import Options

HEAD = "from groq import Groq\n\nclient = Groq()\n\n\n"
CALL = 'client.chat.completions.create(model="m", messages=[])'


@pytest.mark.parametrize(
    ("function", "user"),
    [
        ("def f(user_id):\n    return {call}\n", "user_id"),
        ("def f(text, user_id=None):\n    return {call}\n", "user_id"),
        ("def f(*, user_id: str = 'anon'):\n    return {call}\n", "user_id"),
        ("def f(rows):\n    for user_id, text in rows:\n        {call}\n", "user_id"),
        ("def f(rows):\n    for user_id in rows:\n        pass\n    {call}\n", ""),
        ("def f(request):\n    user_id = request.user\n    return {call}\n", "user_id"),
        ("def f(request):\n    if request:\n        user_id = request.user\n    return {call}\n", ""),
        ("def f(request):\n    r = {call}\n    user_id = request.user\n    return r\n", ""),
        ("def f(user_id):\n    del user_id\n    return {call}\n", ""),
        ("def f(user_id):\n    def g():\n        return {call}\n    return g\n", "user_id"),
        ("def f(current_user):\n    return {call}\n", "current_user.id"),
        (
            "class A:\n    def __init__(self, uid):\n        self.uid = uid\n\n    def f(self):\n        return {call}\n",
            "self.uid",
        ),
        ("class A:\n    def f(self):\n        return {call}\n", ""),
    ],
)
def test_the_user_is_a_name_that_is_surely_bound(function: str, user: str) -> None:
    options = Options(user_names=("user_id", "current_user.id", "self.uid"))
    after = migrate_source(HEAD + function.replace("{call}", CALL), "s.py", options)
    assert "llm_wrapper" in after
    assert (f"user_id={user}," in after) if user else ("user_id=" not in after), after


@pytest.mark.parametrize(
    ("body", "waits"),
    [
        ("    return {call}\n", True),
        ("    with lock:\n        return {call}\n", False),
        ("    global total\n    total = {call}\n", False),
        ("    self.total += {call}.usage.total_tokens\n", False),
        ("    return [{call} for _ in range(2)]\n", False),
        ("    return {call}\n\n\nasync def all_of():\n    await asyncio.gather(ask(1), ask(2))\n", False),
        ("    return {call}\n\n\nasync def soon():\n    await asyncio.wait_for(ask(1), 3)\n", False),
        ("    lock.acquire()\n    try:\n        return {call}\n    finally:\n        lock.release()\n", False),
    ],
)
def test_a_blocking_call_yields_only_where_nobody_can_come_in_between(body: str, waits: bool) -> None:
    text = f"import asyncio\n\n{HEAD}async def ask(self):\n{body}".replace("{call}", CALL)
    after = migrate_source(text, "s.py")
    assert ("await llm_wrapper.chat_completion(" in after) is waits, after
    assert ("llm_wrapper.chat_completion_sync(" in after) is not waits


LOG = "groq_usage_tracker.log_groq_call(user_id=user_id, tokens_used=r.usage.total_tokens)"
FUNCTION = "def ask(user_id, rows=None):\n    r = {call}\n"


@pytest.mark.parametrize(
    ("body", "goes"),
    [
        (f"{FUNCTION}    {{log}}\n    return r\n", True),
        (f"{FUNCTION}    if user_id:\n        {{log}}\n    return r\n", True),
        (f"{FUNCTION}    try:\n        {{log}}\n    except Exception:\n        pass\n    return r\n", True),
        # it shares its line
        (f"{FUNCTION}    {{log}}; total = r.usage.total_tokens\n    return total\n", False),
        # on ways that have no call
        ("def ask(user_id):\n    r = None\n    if user_id:\n        r = {call}\n    {log}\n    return r\n", False),
        (
            "def ask(user_id):\n    try:\n        r = {call}\n    except Exception:\n        r = None\n    {log}\n    return r\n",
            False,
        ),
        (
            "def ask(user_id):\n    try:\n        r = {call}\n    except Exception:\n        return None\n    {log}\n    return r\n",
            True,
        ),
        ("def ask(user_id):\n    for _ in range(3):\n        r = {call}\n    {log}\n    return r\n", False),
        # somebody looks
        (f"{FUNCTION}    {{log}}\n    return groq_usage_tracker.total\n", False),
        (f"{FUNCTION}    {{log}}\n    return r\n\n\ndef log_groq_call(**fields):\n    pass\n", False),
    ],
)
def test_logging_by_hand_goes_only_when_it_is_surely_about_the_call(body: str, goes: bool) -> None:
    text = f"from app.usage import groq_usage_tracker\n{HEAD}{body}".replace("{log}", LOG).replace("{call}", CALL)
    after = migrate_source(text, "s.py")
    assert "llm_wrapper" in after
    assert ("log_groq_call(" not in after.partition("def log_groq_call")[0]) is goes, after


@pytest.mark.parametrize(("extra", "goes"), [("'n': len(texts)", True), ("'n': rows[0]", False), ("'n': r.id", False)])
def test_what_a_log_says_of_a_call_moves_to_it_or_the_log_stays(extra: str, goes: bool) -> None:
    text = (
        f"from app.usage import groq_usage_tracker\n{HEAD}def ask(user_id, texts, rows):\n    r = {CALL}\n    if user_id:\n"
        f"        groq_usage_tracker.log_groq_call(user_id=user_id, metadata={{{extra}}})\n    return r\n"
    )
    after = migrate_source(text, "s.py")
    assert ("log_groq_call" not in after) is goes, after
    assert (f"metadata={{{extra}}}," in after) is goes


def test_a_clock_that_others_read_or_that_is_the_programs_own_stays() -> None:
    text = (
        f"import time\n\nfrom app.usage import groq_usage_tracker\n{HEAD}def ask(user_id, clock):\n    global last\n"
        f"    start = time.time()\n    seen = clock.now()\n    r = {CALL}\n    last = time.time()\n"
        "    groq_usage_tracker.log_groq_call(user_id=user_id, duration_ms=int((time.time() - start) * 1000))\n    return r\n"
    )
    after = migrate_source(text, "s.py")
    assert "log_groq_call" not in after
    assert "start" not in after
    assert "    last = time.time()\n" in after
    assert "    seen = clock.now()\n" in after


def test_logs_of_other_names_are_told() -> None:
    text = f"{HEAD}def ask(user_id):\n    r = {CALL}\n    token_tracker.add(r.usage.total_tokens)\n    return r\n"
    assert "token_tracker" in migrate_source(text, "s.py")
    assert "token_tracker" not in migrate_source(text, "s.py", Options(log_calls=("token_tracker.add",)))
