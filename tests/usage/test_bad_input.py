"""Bad input to the ledger: one clear error or one counted loss each, and the user's call goes through."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmguard import llm_tracker
from llmguard.usage import lines, losses, recorder, segments, spool
from llmguard.usage import rows as rows_module
from llmguard.usage.call import Call
from llmguard.usage.recorder import Recorder, SpoolError
from llmguard.usage.settings import UsageSettings, from_environment
from llmguard.usage.store.ledger import Ledger
from llmguard.usage.tokens import Tokens
from tests.command import ROOT
from tests.usage.recorded import rows_of as rows


@pytest.fixture
def recording(settings: UsageSettings) -> Iterator[Recorder]:
    yield recorder.configure(settings)
    recorder.configure(settings._replace(disabled=True))


def call(recording: Recorder, **fields: Any) -> None:
    made = Call(recording, {"model": "m", **fields})
    made.start()
    made.finish("ok", tokens=Tokens(1, 1, 2))


def deep(levels: int) -> Any:
    value: Any = "end"
    for _ in range(levels):
        value = [value]
    return value


class NoText:
    def __str__(self) -> str:
        raise RuntimeError("no text")


@pytest.mark.parametrize(
    "fields",
    [
        {"prompt_tokens": 2**61, "model": "gpt-4o", "provider": "openai"},
        {"status_code": 2**40},
        {"user_id": os.urandom(3000).hex()},
        {"model": "ü" * 5000},
        {"metadata": {"deep": deep(3000)}},
        {"metadata": {"text": "x" * 10_000_000}},
        {"metadata": {"object": NoText()}},
        {"metadata": {"digits": 10**5000}},
        {"metadata": {"nan": math.nan, "bytes": b"\xff", ("key",): 1}},
        {"given_cost": math.inf},
        {"given_cost": -1},
        {"prompt_tokens": math.nan, "completion_tokens": -5},
        {"model": "nul\x00byte", "user_id": "half \ud800 pair"},
        {"provider": "openai", "model": "a-model-that-nobody-knows"},
        {"started_at": "yesterday"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_a_record_that_is_odd_keeps_no_other_out(recording: Recorder, fields: dict[str, Any]) -> None:
    call(recording)
    made = Call(recording, {"model": "odd", **fields})
    made.start()
    made.finish("ok", tokens=Tokens(1, 1, 2), **fields)
    call(recording)
    found = rows(recording)
    assert len(found) == 3
    assert [row["status"] for row in found] == ["ok"] * 3
    assert recording._running().corrupt == 0


def test_a_row_that_the_database_refuses_is_counted_and_the_others_stay(
    settings: UsageSettings, caplog: pytest.LogCaptureFixture
) -> None:
    from datetime import datetime, timezone

    opened = Ledger.open(settings)
    made = [
        {"call_id": str(number), "attempt_no": 0, "created_at": datetime.now(timezone.utc), "status": "ok"}
        for number in range(5)
    ]
    made[2]["prompt_tokens"] = 2**70
    assert opened.write(made) == 4
    assert opened.refused == 1
    assert opened.write(made) == 0
    opened.close()
    assert "refuses a record" in caplog.text


def test_a_spool_that_is_removed_is_begun_anew(recording: Recorder, caplog: pytest.LogCaptureFixture) -> None:
    call(recording)
    assert len(rows(recording)) == 1
    shutil.rmtree(recording.settings.spool_folder)
    call(recording)
    recording.flush(20)
    call(recording)
    assert len(rows(recording)) >= 2
    assert "was removed by somebody" in caplog.text


def test_a_full_disk_drops_and_counts_and_goes_on(
    recording: Recorder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The first lines go in, then one is torn and the next find no room, then there is room again."""
    call(recording)
    real = os.write
    room = [40]

    def write(descriptor: int, data: bytes) -> int:
        if descriptor != recording.spool._descriptor or not room:
            return real(descriptor, data)
        if not room[0]:
            raise OSError(28, "No space left on device")
        written, room[0] = real(descriptor, data[: room[0]]), 0
        return written

    monkeypatch.setattr(spool.os, "write", write)
    call(recording)
    room.clear()
    call(recording)
    assert not recording.flush(20), "two records were not written"
    assert recording.flush(20), "said once"
    assert [row["status"] for row in rows(recording)] == ["ok", "ok"]
    assert recording.spool.dropped == 2
    assert losses.total(recording.spool.folder).dropped == 2
    assert "records are being dropped" in caplog.text


def test_strict_refuses_the_call_when_nothing_can_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    strict = Recorder(UsageSettings(f"sqlite:///{tmp_path / 'u.db'}", spool_dir=str(blocked), strict=True))
    with pytest.raises(SpoolError, match="cannot be written"):
        Call(strict, {}).start()


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"LLMGUARD_DATABASE_URL": "nonsense"}, "is no database URL"),
        pytest.param({"LLMGUARD_DATABASE_URL": "oracle://x/y"}, "oracle", marks=pytest.mark.full),
        pytest.param(
            {"LLMGUARD_DATABASE_URL": "postgresql+pg8000://127.0.0.1/x"},
            "needs the driver pg8000",
            marks=pytest.mark.full,
        ),
        pytest.param(
            {"LLMGUARD_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/x"}, "cannot be written", marks=pytest.mark.full
        ),
        ({"LLMGUARD_SPOOL_CAP": "much"}, "LLMGUARD_SPOOL_CAP: must be a number"),
        ({"LLMGUARD_SPOOL_DIR": "/proc/nowhere"}, "records are being dropped"),
        ({"LLMGUARD_SPOOL": "off", "LLMGUARD_DATABASE_URL": "sqlite:////proc/nowhere/u.db"}, "a usage record was lost"),
    ],
    ids=lambda value: next(iter(value.values()))[:30] if isinstance(value, dict) else "",
)
def test_settings_of_no_use_are_said_once_and_the_call_goes_through(
    tmp_path: Path, variables: dict[str, str], says: str
) -> None:
    code = """
import logging, time
logging.basicConfig(format="%(message)s")
from llmguard import llm_tracker
for _ in range(3):
    with llm_tracker.track_llm_call("p", "m") as usage_log:
        usage_log.input_tokens = 1
time.sleep(0.3)
print("went through")
"""
    env = {**os.environ, "LLMGUARD_SPOOL_DIR": str(tmp_path), "PYTHONPATH": str(ROOT), **variables}
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout == "went through\n"
    assert says in done.stderr
    assert done.stderr.count(says) <= (3 if "LLMGUARD_SPOOL" in variables else 1)
    assert "Traceback" not in done.stderr


def test_a_working_directory_that_is_gone(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        """
import os, sys
gone = os.path.join(os.path.dirname(__file__), "gone")
os.mkdir(gone)
os.chdir(gone)
os.rmdir(gone)
from llmguard import llm_tracker
with llm_tracker.track_llm_call("p", "m"):
    pass
print("went through")
"""
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_DATA_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, str(program)], env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("went through\n", "")


def test_paths_do_not_follow_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LLMGUARD_DATABASE_URL", "sqlite:///u.db")
    monkeypatch.setenv("LLMGUARD_SPOOL_DIR", "spool")
    found = from_environment()
    assert found.database_url == f"sqlite:///{tmp_path / 'u.db'}"
    assert found.spool_dir == str(tmp_path / "spool")


def test_losses_are_counted_over_processes(tmp_path: Path) -> None:
    losses.note(str(tmp_path), "a", 2, 1)
    losses.note(str(tmp_path), "b", 3, 0)
    losses.note(str(tmp_path), "c", 0, 0)
    assert losses.total(str(tmp_path))[:2] == (5, 1)
    assert losses.total(str(tmp_path / "nothing")) == losses.Losses()


def test_naive_times_are_taken_as_utc(recording: Recorder) -> None:
    from datetime import datetime

    call(recording)
    assert recording.flush(20)
    report = __import__("asyncio").run(llm_tracker.get_usage_report(start_date=datetime(2020, 1, 1)))
    assert report["summary"]["total_requests"] == 1
    assert report["summary"]["period"]["start"].endswith("+00:00")


def test_a_spool_folder_with_what_is_no_segment_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    good = lines.encode("F", {"call_id": "good", "started_at": 1.0, "status": "ok"})
    body = b'F lost 0 {"status": "ok"}'
    (folder / "host-1-1-000001.seg").write_bytes(good + b"%08x %s\n" % (zlib.crc32(body), body))
    os.mkfifo(folder / "host-1-1-000001.seg.offset")
    os.mkfifo(folder / "host-2-2-000001.seg")
    os.symlink("/dev/zero", folder / "host-3-3-000001.seg")
    os.symlink("host-1-1-000001.seg", folder / "host-4-4-000001.seg")
    (found,) = segments.segments(str(folder))
    read, _, corrupt = lines.decode(segments.read(found.path, segments.committed_offset(found.path)))
    assert [rows_module.entry_of(line, rows_module.row_of)["call_id"] for line in read] == ["good", "lost"]
    assert corrupt == 0
