"""Deaths of processes and of the database under real calls. The oracle is the provider's own log of requests."""

from __future__ import annotations

import glob
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text

from llmguard.testing import Answer, FakeProvider
from llmguard.usage import segments
from llmguard.usage.adoption import adopt_all
from llmguard.usage.call import Call
from llmguard.usage.recorder import Recorder
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.engine import connect
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.rollup import differences
from llmguard.usage.store.schema import upgrade
from llmguard.usage.store.tables import usage_logs
from llmguard.usage.tokens import Tokens
from tests.command import ROOT
from tests.optional import optional

_WORKER = """
import sys, threading, uuid
import openai
from llmguard import track
from llmguard.usage import recorder
from llmguard.usage.settings import UsageSettings
url, schema, spool, base_url, fork = sys.argv[1:6]
recorder.configure(UsageSettings(url, schema, spool, store_content=300))
if fork == "fork":
    import os
    if os.fork():
        pass
client = track(openai.OpenAI(base_url=base_url, api_key="x", max_retries=0))
def work():
    while True:
        stream = client.chat.completions.create(
            model="m", user=uuid.uuid4().hex, messages=[{"role": "user", "content": "x"}], stream=True
        )
        for chunk in stream:
            pass
for _ in range(3):
    threading.Thread(target=work).start()
"""


def bring_in(settings: UsageSettings) -> None:
    opened = Ledger.open(settings)
    try:
        adopt_all(settings.spool_folder, set(), opened.write)
    finally:
        opened.close()


def rows(settings: UsageSettings) -> list[dict[str, Any]]:
    opened = Ledger.open(settings)
    try:
        assert differences(opened.engine) == []
        with opened.engine.connect() as connection:
            return [dict(row) for row in connection.execute(select(usage_logs)).mappings()]
    finally:
        opened.close()


def asked_by(row: dict[str, Any]) -> str:
    """The identifier that the request carried."""
    return str(json.loads(row["request_data"])["user"])


@pytest.mark.parametrize(
    ("kills", "fork"),
    [(2, "fork"), pytest.param(20, "", marks=pytest.mark.full), pytest.param(20, "fork", marks=pytest.mark.full)],
)
def test_every_request_that_reached_the_provider_has_one_row(
    settings: UsageSettings, tmp_path: Path, kills: int, fork: str
) -> None:
    optional("openai")
    saved = tmp_path / "saved"
    with FakeProvider(Answer(chunk_delay=0.002, delay=0.003)) as provider:
        for number in range(kills):
            place = (settings.database_url, settings.schema, settings.spool_dir, provider.base_url, fork)
            before = len(provider.requests)
            worker = subprocess.Popen([sys.executable, "-c", _WORKER, *place], cwd=ROOT, start_new_session=True)
            ends = time.monotonic() + 30
            while len(provider.requests) < before + 20:
                assert time.monotonic() < ends, "the worker makes no calls"
                time.sleep(0.01)
            time.sleep(random.random() * 0.5)
            os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()
            time.sleep(0.2)  # the other process of the group dies too, and lets go of its lock
            if number == kills - 1:
                shutil.copytree(settings.spool_folder, saved)
            bring_in(settings)
        # What a kill cut off in the middle of its body did not reach the provider.
        requests = [request.body["user"] for request in provider.requests if isinstance(request.body, dict)]
    found = rows(settings)
    count = Counter(asked_by(row) for row in found)
    assert len(requests) >= 20 * kills
    assert [user for user in requests if count[user] != 1] == []
    # An intent whose request was not sent any more: one for each thread that was killed.
    assert len(found) - len(requests) <= 3 * kills * (2 if fork else 1)
    assert {row["status"] for row in found} <= {"ok", "unknown"}
    assert sum(row["status"] == "unknown" for row in found) <= 3 * kills * (2 if fork else 1)
    assert segments.segments(settings.spool_folder) == []

    totals = sorted((row["call_id"], row["status"], row["tokens_used"]) for row in found)
    for _ in range(2):  # every segment of the last death again, from its beginning
        for path in glob.glob(str(saved / "*.seg")):
            shutil.copy(path, settings.spool_folder)
        bring_in(settings)
        assert sorted((r["call_id"], r["status"], r["tokens_used"]) for r in rows(settings)) == totals


@pytest.mark.full
def test_forks_while_calls_are_recorded(settings: UsageSettings) -> None:
    """Children of a process whose flusher is at work record too, and none of them crashes."""
    code = """
import os, sys, threading, time
from llmguard.usage import recorder
from llmguard.usage.call import Call
from llmguard.usage.settings import UsageSettings
recording = recorder.configure(UsageSettings(sys.argv[1], sys.argv[2], sys.argv[3]))
def call(model):
    made = Call(recording, {"model": model})
    made.start()
    made.finish("ok")
stop = False
def work():
    while not stop:
        call("parent")
        time.sleep(0.001)
threads = [threading.Thread(target=work) for _ in range(2)]
for thread in threads:
    thread.start()
codes = []
for number in range(15):
    time.sleep(0.05)
    pid = os.fork()
    if not pid:
        call("child")
        recording.close(10)
        os._exit(0)
    codes.append(os.waitpid(pid, 0)[1])
stop = True
for thread in threads:
    thread.join()
recording.close(10)
print(codes)
"""
    place = (settings.database_url, settings.schema, settings.spool_dir)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *place], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.stdout == f"{[0] * 15}\n", done.stderr
    bring_in(settings)
    found = Counter((row["model"], row["status"]) for row in rows(settings))
    assert found["child", "ok"] == 15
    assert set(found) == {("child", "ok"), ("parent", "ok")}


# -- a PostgreSQL that dies -------------------------------------------------------------------------------------------


class Server:
    """A PostgreSQL of our own, in a folder, that can be killed."""

    def __init__(self, folder: Path) -> None:
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
        self.programs = found[-1] if found else os.path.dirname(shutil.which("initdb") or "")
        self.folder = folder
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://owner@127.0.0.1:{self.port}/postgres"

    def run(self, program: str, *arguments: str) -> None:
        command = [os.path.join(self.programs, program), *arguments]
        if os.geteuid() == 0:  # a server does not run as root
            command = ["runuser", "-u", "postgres", "--", *command]
        subprocess.run(command, check=True, capture_output=True, cwd="/")

    def make(self) -> None:
        self.folder.mkdir()
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
        self.run("initdb", "-D", str(self.folder), "-U", "owner", "-A", "trust", "-N")

    def start(self) -> None:
        options = f"-p {self.port} -k '' -c listen_addresses=127.0.0.1"
        log = str(self.folder / "log")
        for _ in range(20):
            try:
                self.run("pg_ctl", "-D", str(self.folder), "-w", "-l", log, "-o", options, "start")
                return
            except subprocess.CalledProcessError:  # noqa: PERF203  (children of the killed one hold its memory still)
                time.sleep(0.5)
        raise AssertionError((self.folder / "log").read_text())

    def kill(self) -> None:
        pid = int((self.folder / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, signal.SIGKILL)
        time.sleep(0.5)


@pytest.fixture
def server() -> Iterator[Server]:
    # Not below the test's own folder: the server's user may not enter that.
    folder = Path("/tmp") / f"llmguard-pg-{os.getpid()}-{random.randrange(10**6)}"
    made = Server(folder)
    if not os.path.exists(os.path.join(made.programs, "initdb")) or (os.geteuid() == 0 and not shutil.which("runuser")):
        pytest.skip("no PostgreSQL server programs here (initdb, pg_ctl), to start one that may be killed")
    try:
        made.make()
        made.start()
        yield made
        made.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.full
def test_a_postgresql_that_is_killed_and_restarted_loses_nothing(server: Server, tmp_path: Path) -> None:
    settings = UsageSettings(server.url, spool_dir=str(tmp_path / "spool"))
    engine = connect(server.url)
    upgrade(engine)
    engine.dispose()
    recording = Recorder(settings)
    made: list[str] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            call = Call(recording, {"model": "m"})
            call.start()
            call.finish("ok", tokens=Tokens(1, 1, 2))
            made.append(call.call_id)
            time.sleep(0.001)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        time.sleep(random.uniform(0.3, 1.2))
        server.kill()
        time.sleep(0.5)
        server.start()
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join()
    assert recording.flush(60)
    recording.close(10)
    found = Counter(row["call_id"] for row in rows(settings))
    assert len(made) > 500
    assert set(found) == set(made)
    assert set(found.values()) == {1}
    engine = create_engine(server.url)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT SUM(calls) FROM llm_usage_hourly")).scalar_one() == len(made)
    engine.dispose()
