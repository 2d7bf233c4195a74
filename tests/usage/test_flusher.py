"""From the spool into the database: nothing is lost, nothing counts twice, whatever dies in between."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import OperationalError

from llmguard.usage import flusher, recorder, segments, spool
from llmguard.usage.ids import call_id
from llmguard.usage.lines import FINISH, INTENT, encode
from llmguard.usage.recorder import Recorder, SpoolError
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store import ledger
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.store.rollup import differences
from llmguard.usage.store.tables import usage_hourly, usage_logs
from tests.command import ROOT


@pytest.fixture
def recording(settings: UsageSettings) -> Iterator[Recorder]:
    made = Recorder(settings)
    yield made
    made.close(10)


def start(**more: Any) -> dict[str, Any]:
    return {"call_id": call_id(), "started_at": time.time(), "provider": "openai", "model": "m", **more}


def end(data: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**data, "status": "ok", "prompt_tokens": 1, "completion_tokens": 2, **more}


def statuses(settings: UsageSettings) -> dict[str, str]:
    opened = Ledger.open(settings)
    try:
        assert differences(opened.engine) == []
        with opened.engine.connect() as connection:
            rows = connection.execute(select(usage_logs.c.call_id, usage_logs.c.status)).all()
            return {row.call_id: row.status for row in rows}
    finally:
        opened.close()


def adopt_all(settings: UsageSettings) -> None:
    """What any process of the application does when it finds segments without an owner."""
    other = Recorder(settings)
    assert other.flush(120)
    other.close(10)


def test_what_ended_is_in_the_ledger_and_the_spool_is_empty_again(recording: Recorder) -> None:
    calls = [start() for _ in range(2500)]
    for call in calls:
        recording.intent(call)
        recording.finish(end(call))
    assert recording.flush(30)
    assert statuses(recording.settings) == {call["call_id"]: "ok" for call in calls}
    recording.close(10)
    adopt_all(recording.settings)
    assert segments.segments(recording.settings.spool_folder) == []


def test_rotation_with_calls_under_way(recording: Recorder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ROTATE_BYTES", 2000)
    under_way = [start() for _ in range(3)]
    for call in under_way:
        recording.intent(call)
    for _ in range(200):
        call = start()
        recording.intent(call)
        recording.finish(end(call))
    assert recording.flush(30)
    assert len(recording.spool.own()) == 2, "the first is kept for what began in it"
    for call in under_way:
        recording.finish(end(call, status="cancelled"))
    assert recording.flush(30)
    assert len(recording.spool.own()) == 1
    found = list(statuses(recording.settings).values())
    assert (found.count("ok"), found.count("cancelled"), len(found)) == (200, 3, 203)


def test_a_call_that_takes_longer_than_the_maximum_age(settings: UsageSettings) -> None:
    recording = Recorder(settings._replace(max_age=0.0))
    call = start(started_at=time.time() - 1)
    recording.intent(call)
    assert recording.flush(20)
    recording.flush(20)
    assert statuses(settings) == {call["call_id"]: "unknown"}
    recording.finish(end(call))
    assert recording.flush(20)
    assert statuses(settings) == {call["call_id"]: "ok"}
    recording.close(10)


KILLED = """
import os, sys, time, random
from llmguard.usage import recorder
from llmguard.usage.ids import call_id
from llmguard.usage.settings import UsageSettings
from llmguard.usage.recorder import Recorder
recording = Recorder(UsageSettings(sys.argv[1], sys.argv[2], sys.argv[3]))
out = os.open(sys.argv[4], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
while True:
    data = {"call_id": call_id(), "started_at": time.time(), "model": "m"}
    recording.intent(data)
    time.sleep(random.random() / 1000)
    os.write(out, b"S " + data["call_id"].encode() + b"\\n")
    if random.random() < 0.9:
        recording.finish({**data, "status": "ok", "prompt_tokens": 1})
        os.write(out, b"E " + data["call_id"].encode() + b"\\n")
"""


@pytest.mark.parametrize("kills", [1, pytest.param(20, marks=pytest.mark.full)])
def test_kills_at_random_moments_lose_nothing(settings: UsageSettings, tmp_path: Path, kills: int) -> None:
    log = tmp_path / "oracle"
    for number in range(kills):
        command = [sys.executable, "-c", KILLED, settings.database_url, settings.schema, settings.spool_dir, str(log)]
        size = log.stat().st_size if log.exists() else 0
        process = subprocess.Popen(command, cwd=ROOT)
        while not (log.exists() and log.stat().st_size > size):  # it has begun
            time.sleep(0.01)
        time.sleep(0.2 + 0.07 * number)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    adopt_all(settings)
    lines = log.read_text().splitlines()
    started = {line[2:] for line in lines if line.startswith("S")}
    ended = {line[2:] for line in lines if line.startswith("E")}
    found = statuses(settings)
    assert len(started) > 20 * kills
    assert set(found) >= started
    assert len(set(found) - started) <= kills  # the line that the oracle did not get to write
    assert all(found[call] == "ok" for call in ended)
    assert sum(found[call] == "unknown" for call in started - ended) >= len(started - ended) - kills
    assert segments.segments(settings.spool_folder) == []


STEPS = ("write", "commit", "commit_offset", "release", "remove")


@pytest.mark.parametrize("step", STEPS)
def test_a_death_at_each_step_and_a_replay(settings: UsageSettings, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies (as far as the spool can tell) just before and just after a step; the next one replays."""

    class Death(BaseException):
        pass

    for after in (False, True):
        made = spool.SpoolWriter(settings.spool_folder, settings.spool_cap)
        calls = [start() for _ in range(30)]
        for call in calls:
            made.append(encode(INTENT, call))
            made.append(encode(FINISH, end(call)))
        made.close()
        with monkeypatch.context() as patch:
            target, name = {
                "write": (Ledger, "write"),
                "commit": (flusher.Reading, "commit"),
                "commit_offset": (segments, "commit_offset"),
                "release": (spool.SpoolWriter, "release"),
                "remove": (segments, "remove"),
            }[step]
            real = getattr(target, name)

            def dying(*arguments: Any, real: Any = real, after: bool = after, **keywords: Any) -> Any:
                if after:
                    real(*arguments, **keywords)
                raise Death

            patch.setattr(target, name, dying)
            patch.setattr(flusher.threading.Thread, "start", lambda self: None)
            writer = spool.SpoolWriter(settings.spool_folder, settings.spool_cap)
            victim = flusher.Flusher(settings, writer)
            extra = start()
            writer.append(encode(INTENT, extra))
            writer.append(encode(FINISH, end(extra)))
            writer.rotate()
            try:
                for _ in range(3):
                    victim.step()
            except Death:
                pass
            if victim._ledger is not None:
                victim._ledger.close()
            writer.close()
        adopt_all(settings)
        adopt_all(settings)
        found = statuses(settings)
        assert {call["call_id"] for call in (*calls, extra)} <= set(found)
        assert set(found.values()) == {"ok"}


def test_rival_adopters(settings: UsageSettings) -> None:
    calls = []
    for _ in range(5):
        dead = spool.SpoolWriter(settings.spool_folder, settings.spool_cap)
        for _ in range(100):
            calls.append(start())
            dead.append(encode(INTENT, calls[-1]))
            dead.append(encode(FINISH, end(calls[-1])))
        dead.close()
    rivals = [Recorder(settings) for _ in range(4)]
    threads = [threading.Thread(target=rival.flush, args=(30,)) for rival in rivals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for rival in rivals:
        rival.close(10)
    adopt_all(settings)
    assert statuses(settings) == {call["call_id"]: "ok" for call in calls}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_and_the_death_of_the_parent(settings: UsageSettings, tmp_path: Path) -> None:
    code = """
import os, sys, time
from llmguard.usage import recorder
from llmguard.usage.ids import call_id
from llmguard.usage.settings import UsageSettings
recording = recorder.configure(UsageSettings(sys.argv[1], sys.argv[2], sys.argv[3]))
def call(model, finish=True):
    data = {"call_id": call_id(), "started_at": time.time(), "model": model}
    recording.intent(data)
    if finish:
        recording.finish({**data, "status": "ok"})
call("parent"); call("parent open", finish=False)
recording.flush(20)
if os.fork():
    os.kill(os.getpid(), 9)
for _ in range(3):
    call("child")
time.sleep(0.5)
call("child")
"""
    command = [sys.executable, "-c", code, settings.database_url, settings.schema, settings.spool_dir]
    subprocess.run(command, cwd=ROOT, check=False, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        adopt_all(settings)
        opened = Ledger.open(settings)
        with opened.engine.connect() as connection:
            rows = connection.execute(select(usage_logs.c.model, usage_logs.c.status)).all()
            found = sorted((row.model, row.status) for row in rows)
        opened.close()
        if len(found) == 6:
            break
        time.sleep(0.2)
    assert found == [("child", "ok")] * 4 + [("parent", "ok"), ("parent open", "unknown")]


def test_a_database_that_is_down_is_waited_for(settings: UsageSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher, "_BACKOFF", (0.01, 0.05))
    real = ledger.Ledger.open
    down = True

    def opening(asked: UsageSettings) -> Ledger:
        if down:
            raise OperationalError("connect", None, Exception("the database is down"))
        return real(asked)

    monkeypatch.setattr(ledger.Ledger, "open", staticmethod(opening))
    recording = Recorder(settings)
    calls = [start() for _ in range(50)]
    for call in calls:
        recording.intent(call)
        recording.finish(end(call))
    assert not recording.flush(0.5)
    down = False
    assert recording.flush(30)
    monkeypatch.undo()
    assert statuses(settings) == {call["call_id"]: "ok" for call in calls}
    recording.close(10)


def test_without_a_spool_rows_are_written_at_once(settings: UsageSettings) -> None:
    recording = Recorder(settings._replace(spool=False))
    call = start()
    recording.intent(call)
    recording.finish(end(call))
    assert statuses(settings) == {call["call_id"]: "ok"}
    assert not os.path.exists(settings.spool_folder)


def test_disabled_records_nothing(settings: UsageSettings) -> None:
    recording = Recorder(settings._replace(disabled=True))
    recording.intent(start())
    recording.finish(end(start()))
    assert recording.flush(1)
    assert statuses(settings) == {}


def test_a_spool_that_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    settings = UsageSettings(f"sqlite:///{tmp_path / 'u.db'}", spool_dir=str(tmp_path / "file"))
    recording = Recorder(settings)
    for _ in range(3):
        recording.intent(start())
    assert recording.spool.dropped == 3
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert "cannot be written or is full" in caplog.text
    recording.close(1)
    strict = Recorder(settings._replace(strict=True))
    with pytest.raises(SpoolError, match="the call is refused"):
        strict.intent(start())
    strict.close(1)


def test_corrupt_lines_are_counted_and_passed_over(settings: UsageSettings, caplog: pytest.LogCaptureFixture) -> None:
    dead = spool.SpoolWriter(settings.spool_folder, settings.spool_cap)
    calls = [start(), start()]
    dead.append(encode(FINISH, end(calls[0])))
    dead.append(b"deadbeef F {torn\n")
    dead.append(encode(FINISH, end(calls[1])))
    dead.close()
    adopt_all(settings)
    assert statuses(settings) == {call["call_id"]: "ok" for call in calls}
    assert "1 corrupt lines" in caplog.text


def test_the_exit_of_a_program_flushes(settings: UsageSettings) -> None:
    code = (
        "import sys, time; from llmguard.usage import recorder; from llmguard.usage.settings import UsageSettings;"
        "r = recorder.configure(UsageSettings(sys.argv[1], sys.argv[2], sys.argv[3]));"
        "r.finish({'call_id': 'c', 'started_at': time.time(), 'status': 'ok'})"
    )
    command = [sys.executable, "-c", code, settings.database_url, settings.schema, settings.spool_dir]
    assert subprocess.run(command, cwd=ROOT, check=False).returncode == 0
    opened = Ledger.open(settings)
    with opened.engine.connect() as connection:
        assert connection.execute(select(usage_hourly.c.calls)).scalars().all() == [1]
        connection.execute(text("SELECT 1"))
    opened.close()
    assert recorder._recorder is None or recorder._recorder.settings != settings
