"""A real kill (SIGKILL) at each step of a record's way. The oracle is the provider's own log of requests."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from llmguard.testing import Answer, FakeProvider
from llmguard.usage import segments
from llmguard.usage.settings import UsageSettings
from tests.command import ROOT
from tests.optional import optional
from tests.usage.test_crash import asked_by, bring_in, rows

#: A process that dies before, in or after the n-th time that a step is taken.
_DYING = """
import os, signal, sys
from importlib import import_module
url, schema, folder, base_url, step, when, number = sys.argv[1:8]
from llmguard.usage.settings import UsageSettings
from llmguard.usage import lines, segments, spool
settings = UsageSettings(url, schema, folder, store_content=300)
spool.ROTATE_BYTES = 1500
left = int(number)
def die():
    global left
    left -= 1
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
def dying(function):
    def replaced(*arguments, **keywords):
        if when == "before":
            die()
        result = function(*arguments, **keywords)
        if when == "after":
            die()
        return result
    return replaced
module, _, name = step.partition(":")
owner = import_module("llmguard.usage." + module)
*path, name = name.split(".")
for part in path:
    owner = getattr(owner, part)
setattr(owner, name, dying(getattr(owner, name)))
"""
_CALLING = """
import threading, uuid
import openai
from llmguard import track
from llmguard.usage import flusher, recorder
flusher._INTERVAL = flusher._HOUSEKEEPING = 0.02
recorder.configure(settings)
client = track(openai.OpenAI(base_url=base_url, api_key="x", max_retries=0))
def work():
    for _ in range(150):
        client.chat.completions.create(model="m", user=uuid.uuid4().hex, messages=[{"role": "user", "content": "x"}])
threads = [threading.Thread(target=work) for _ in range(3)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""
_ADOPTING = """
from llmguard.usage.adoption import adopt_all
from llmguard.usage.store.ledger import Ledger
ledger = Ledger.open(settings)
adopt_all(settings.spool_folder, set(), ledger.write)
"""
#: (what is done, before or after it, the how-manieth time)
_OF_A_CALL = [
    ("spool:os.write", "before", 9),
    ("spool:os.write", "after", 9),
    ("spool:os.write", "after", 10),
    ("spool:SpoolWriter._rotate", "before", 4),
    ("spool:try_lock", "before", 4),  # the next segment is there, nobody's
    ("spool:try_lock", "after", 4),
    ("spool:SpoolWriter._rotate", "after", 4),
    ("store.write:_insert_new", "before", 2),
    ("store.write:_insert_new", "after", 2),  # in the transaction
    ("store.write:roll_up", "after", 2),
    ("store.write:write_rows", "after", 2),  # committed, the offset is not
    ("segments:commit_offset", "before", 3),
    ("private:os.replace", "before", 3),  # the offset is written beside, not yet in its place
    ("segments:commit_offset", "after", 3),
    ("spool:SpoolWriter.release", "before", 2),
    ("segments:os.unlink", "after", 1),  # the segment is gone, its offset is not
    ("segments:remove", "after", 2),
]
_OF_AN_ADOPTION = [
    ("spool:adopt", "after", 1),
    ("spool:try_lock", "after", 2),
    ("store.write:_insert_new", "after", 1),
    ("store.write:roll_up", "after", 1),
    ("store.write:write_rows", "after", 1),
    ("segments:remove", "before", 1),
    ("segments:os.unlink", "after", 1),
    ("segments:remove", "after", 1),
]


def place(settings: UsageSettings, provider: FakeProvider) -> tuple[str, ...]:
    return (settings.database_url, settings.schema, settings.spool_dir, provider.base_url)


def died(code: str, where: tuple[str, ...], step: tuple[str, str, int]) -> None:
    """Run a process that dies at a step; that it really did."""
    command = [sys.executable, "-c", _DYING + code, *where, *map(str, step)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, (step, done.stderr)


def check_one_row_each(settings: UsageSettings, provider: FakeProvider, least: int) -> list[dict[str, Any]]:
    requests = [request.body["user"] for request in provider.requests if isinstance(request.body, dict)]
    found = rows(settings)
    count = Counter(asked_by(row) for row in found)
    assert len(requests) >= least
    assert [user for user in requests if count[user] != 1] == []
    assert len(found) - len(requests) <= 3  # one thread each may have died between its intent and its request
    assert {row["status"] for row in found} <= {"ok", "unknown"}
    assert segments.segments(settings.spool_folder) == []
    return found


@pytest.mark.full
@pytest.mark.parametrize("step", _OF_A_CALL, ids=str)
def test_a_kill_at_each_step_of_recording_and_flushing(settings: UsageSettings, step: tuple[str, str, int]) -> None:
    optional("openai")
    with FakeProvider(Answer(delay=0.001)) as provider:
        died(_CALLING, place(settings, provider), step)
        bring_in(settings)
        check_one_row_each(settings, provider, 3)


@pytest.mark.full
@pytest.mark.parametrize("step", _OF_AN_ADOPTION, ids=str)
def test_a_kill_at_each_step_of_an_adoption(settings: UsageSettings, step: tuple[str, str, int]) -> None:
    optional("openai")
    with FakeProvider(Answer(delay=0.001)) as provider:
        died(_CALLING, place(settings, provider), ("store.write:_insert_new", "before", 1))
        assert segments.segments(settings.spool_folder) != []
        died(_ADOPTING, place(settings, provider), step)
        bring_in(settings)
        check_one_row_each(settings, provider, 3)


@pytest.mark.full
def test_rival_adopters_one_of_which_is_killed(settings: UsageSettings, tmp_path: Path) -> None:
    """Four adopt what five dead processes left, at the same time; one dies while it holds segments."""
    optional("openai")
    with FakeProvider(Answer(delay=0.001)) as provider:
        where = place(settings, provider)
        for _ in range(5):
            died(_CALLING, where, ("store.write:_insert_new", "before", 1))
        dying = [sys.executable, "-c", _DYING + _ADOPTING, *where, "store.write:roll_up", "after", "1"]
        living = [sys.executable, "-c", _DYING + _ADOPTING, *where, "segments:remove", "never", "1"]
        started = [subprocess.Popen(command, cwd=ROOT) for command in (living, dying, living, living)]
        codes = [process.wait(120) for process in started]
        assert codes[0] == codes[2] == codes[3] == 0
        assert codes[1] in (0, -signal.SIGKILL)  # when the others left nothing to it, it has nothing to die of
        bring_in(settings)
        found = check_one_row_each_of_many(settings, provider)
        assert len(found) >= 15


def check_one_row_each_of_many(settings: UsageSettings, provider: FakeProvider) -> list[dict[str, Any]]:
    requests = {request.body["user"] for request in provider.requests if isinstance(request.body, dict)}
    found = rows(settings)
    count = Counter(asked_by(row) for row in found)
    assert {user: count[user] for user in requests if count[user] != 1} == {}
    assert len(found) - len(requests) <= 15
    assert segments.segments(settings.spool_folder) == []
    return found


@pytest.mark.full
def test_a_fork_then_the_parent_is_killed(settings: UsageSettings) -> None:
    """The child goes on, and adopts what the parent left: each call has its row, without another process."""
    optional("openai")
    code = """
import time
from llmguard.usage import flusher
flusher._HOUSEKEEPING = 0.1
""" + _CALLING.replace(
        "threads = [",
        """
recorder.recorder().flush(10)
parent = os.getpid()
if os.fork():
    threading.Timer(0.15, lambda: os.kill(parent, signal.SIGKILL)).start()
else:
    import atexit
    atexit.register(lambda: (time.sleep(0.5), recorder.recorder().flush(10)))
threads = [""",
    )
    with FakeProvider(Answer(delay=0.001)) as provider:
        where = place(settings, provider)
        command = [sys.executable, "-W", "ignore", "-c", _DYING + code, *where, "segments:remove", "never", "1"]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.communicate(timeout=120)  # until the child, which holds the pipes, has ended too
        assert process.returncode == -signal.SIGKILL
        assert len(provider.requests) >= 450
        calls = rows(settings)
        assert {row["status"] for row in calls} <= {"ok", "unknown"}
        bring_in(settings)  # the child's own segment, which is empty
        assert len(check_one_row_each(settings, provider, 450)) == len(calls)
