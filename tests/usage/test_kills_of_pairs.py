"""Twenty kills with every pair of recorders: each request that arrived has one row, whoever of the two has it.

One process imports the SDKs and forks; each child dies before or after one of the writes of its spool.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter

import pytest

from llmguard.testing import FakeProvider
from llmguard.usage.adoption import adopt_all
from llmguard.usage.recorder import Recorder
from llmguard.usage.segments import segments
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.rollup import differences
from tests.command import ROOT
from tests.optional import optional
from tests.usage.recorded import rows_of
from tests.usage.test_recorded_once import INNER

pytestmark = [pytest.mark.full, pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")]

#: Dies before, or after, its n-th write: an intent, or an end.
_DYING = """
import asyncio, itertools, os, signal, sys, uuid
url, schema, folder, base_url, outer, inner = sys.argv[1:7]
import openai
if "litellm" in inner:
    import litellm
from llmguard import llm_tracker
from llmguard.usage import recorder, spool
from llmguard.usage.settings import UsageSettings
from tests.usage.test_recorded_once import Ask

def die_at(when, number):
    writes = itertools.count(1)
    write = os.write
    class Dying:
        def __getattr__(self, name):
            return getattr(os, name)
        def write(self, descriptor, data):
            here = next(writes) == number
            if here and when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            written = write(descriptor, data)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)
            return written
    spool.os = Dying()

async def work(way):
    while True:
        user = uuid.uuid4().hex
        ask = Ask(base_url, user)
        llm_tracker.set_request_context(user_id=user)
        if outer == "block":
            with llm_tracker.track_llm_call("openai", "m"):
                await ask.by(inner, way)
        else:
            await ask.by(inner, way)

for number in range(1, 11):
    for when in ("before", "after"):
        child = os.fork()
        if child == 0:
            try:
                recorder.configure(UsageSettings(url, schema, folder))
                die_at(when, number)
                asyncio.run(work("sync" if number % 2 else "async stream"))
            finally:
                os._exit(7)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL, status
print("20 kills")
"""
PAIRS = [("block", inner) for inner in INNER] + [("", inner) for inner in INNER if inner != "block"]


@pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
@pytest.mark.parametrize(("outer", "inner"), PAIRS)
def test_twenty_kills(settings: UsageSettings, outer: str, inner: str, provider: FakeProvider) -> None:
    optional("openai")
    if "litellm" in inner:
        optional("litellm")
    where = (settings.database_url, settings.schema, settings.spool_dir, provider.base_url, outer, inner)
    command = [sys.executable, "-W", "ignore", "-c", _DYING, *where]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stdout == "20 kills\n", done.stderr[-2000:]
    ledger = Ledger.open(settings)
    adopt_all(settings.spool_folder, set(), ledger.write)
    recording = Recorder(settings)
    rows = rows_of(recording)
    recording.close()
    asked = {request.body["messages"][0]["content"] for request in provider.requests}
    count = Counter(row["user_id"] for row in rows)
    assert {user: count[user] for user in asked if count[user] != 1} == {}
    assert len(rows) - len(asked) <= 20 or inner == "block"  # a child may have died between its intent and its request
    assert len(asked) >= 30 or inner == "block"
    assert {row["status"] for row in rows} <= {"ok", "unknown"}
    assert segments(settings.spool_folder) == []
    assert differences(ledger.engine) == []
    ledger.close()
