"""A spool on a disk that is full, has no locks or cannot be written, and folders that hold what nobody here has put
there: calls go on at once, nothing that can be read is lost, and what is lost is counted and said."""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import subprocess
import sys
import threading
import zlib
from pathlib import Path

import pytest

from llmguard.usage import lines, locks, losses, private, segments, spool
from llmguard.usage.adoption import adopt_all
from llmguard.usage.block import TrackedBlock
from llmguard.usage.diagnosis import examine
from llmguard.usage.ids import call_id
from llmguard.usage.recorder import Recorder
from llmguard.usage.rows import Row
from llmguard.usage.settings import UsageSettings
from llmguard.usage.store.ledger import Ledger
from tests.command import ROOT


def finish(identity: str, **more: object) -> bytes:
    return lines.encode(lines.FINISH, {"call_id": identity, "started_at": 1.0, "status": "ok", **more})


def adopted(folder: Path) -> tuple[list[str], object]:
    """The calls that were brought in from a folder, and what was said of it."""
    found: list[Row] = []
    done = adopt_all(str(folder), set(), lambda rows, _: found.extend(rows))
    return sorted(row["call_id"] for row in found), done


def sealed(kind: str, identity: str, body: str) -> bytes:
    """A line whose checksum is right, whatever is in it."""
    text = f"{kind} {identity} 0 {body}".encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


@pytest.fixture
def without_locks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(locks.fcntl, "flock", refuse)


@pytest.mark.usefixtures("without_locks")
def test_without_locks_calls_go_on_and_what_a_dead_process_left_is_brought_in(tmp_path: Path) -> None:
    settings = UsageSettings(f"sqlite:///{tmp_path / 'u.db'}", spool_dir=str(tmp_path / "spool"))
    recording = Recorder(settings)
    for _ in range(3):
        recording.finish({"call_id": call_id(), "started_at": 1.0, "status": "ok"})
    assert recording.flush(20)
    folder = Path(settings.spool_folder)
    assert len(list(folder.glob("*.seg"))) == 1
    host = segments.host()
    (folder / f"{host}-4194304-1-000001.seg").write_bytes(finish("dead"))  # above the largest process number
    (folder / f"{host}-{os.getppid()}-1-000001.seg").write_bytes(finish("alive"))
    (folder / "elsewhere-4194304-1-000001.seg").write_bytes(finish("elsewhere"))
    found, _ = adopted(folder)
    assert found == ["dead"]
    recording.close(5)


def test_without_locks_nobody_hangs(tmp_path: Path) -> None:
    """As a program has it: `flock` fails before llmguard is imported."""
    program = (
        "import errno, fcntl, os, sys\n"
        "def no_flock(descriptor, operation): raise OSError(errno.ENOTSUP, 'x')\n"
        "fcntl.flock = no_flock\n"
        "from llmguard import llm_tracker\n"
        "for _ in range(3):\n"
        "    with llm_tracker.track_llm_call('openai', 'm') as log: log.input_tokens = 1\n"
        "from llmguard.usage.recorder import recorder\n"
        "print(recorder().flush(20), len(recorder().spool.own()))\n"
    )
    env = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True 1\n", "")


JUNK = {
    "bytes": os.urandom(3000) + b"\n",
    "NULs": bytes(5000) + b"\n",
    "five megabytes without a line": bytes(5 * 1024 * 1024) + b"\n",
    "an array": sealed("F", "odd", "[1, 2]"),
    "a number": sealed("F", "odd", "7"),
    "deep": sealed("F", "odd", '{"metadata": ' + "[" * 100_000 + "]" * 100_000 + "}"),
    "an attempt that is none": b"%08x F x many {}\n" % zlib.crc32(b"F x many {}"),
    "a name that is no text": b"%08x F \xff 0 {}\n" % zlib.crc32(b"F \xff 0 {}"),
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK)
def test_junk_hides_nothing_and_is_counted(junk: bytes, tmp_path: Path) -> None:
    (tmp_path / "h-1-1-000001.seg").write_bytes(finish("a") + junk + finish("b"))
    (tmp_path / "h-2-2-000001.seg").write_bytes(finish("c"))
    found, done = adopted(tmp_path)
    assert [each for each in found if each != "odd"] == ["a", "b", "c"]
    unusable = done.corrupt  # type: ignore[attr-defined]
    assert unusable or "odd" in found
    assert list(tmp_path.glob("*.seg")) == []
    assert len(list(tmp_path.glob("*.seg.aside"))) == (1 if unusable else 0)


@pytest.mark.parametrize("offset", [b"-5 -5", b"99999999999 99999999999", b"3 3", b"x", b"", b"\0" * 60, b"1" * 5000])
def test_an_offset_that_cannot_be_is_none(offset: bytes, tmp_path: Path) -> None:
    (tmp_path / "h-1-1-000001.seg").write_bytes(finish("a") + finish("b"))
    (tmp_path / "h-1-1-000001.seg.offset").write_bytes(offset)
    assert adopted(tmp_path)[0] == ["a", "b"]


def test_links_pipes_and_folders_are_never_read_or_written(tmp_path: Path) -> None:
    folder, precious = tmp_path / "spool", tmp_path / "precious"
    folder.mkdir()
    precious.write_text("mine\n")
    os.mkfifo(folder / "h-1-1-000001.seg")
    (folder / "h-2-2-000001.seg").symlink_to(precious)
    (folder / "h-3-3-000001.seg").mkdir()
    (folder / "h-4-4-000001.seg").write_bytes(finish("a"))
    (folder / "h-4-4-000001.seg.offset").symlink_to(precious)
    (folder / f"h-4-4-000001.seg.offset.{os.getpid()}").symlink_to(precious)
    (folder / "h-5-5.lost").symlink_to(precious)
    assert adopted(folder)[0] == ["a"]
    segments.commit_offset(str(folder / "h-4-4-000001.seg"), 3, 3)
    losses.note(str(folder), "h-5-5", 7)
    assert precious.read_text() == "mine\n"
    assert len(segments.strange(str(folder))) == 3
    said = "\n".join(finding.text for finding in examine(settings_in(folder, tmp_path)))
    assert "3 of its files are no plain files of this user" in said


def settings_in(folder: Path, home: Path) -> UsageSettings:
    """Settings whose spool is a folder that is there already."""
    settings = UsageSettings(f"sqlite:///{home / 'u.db'}", spool_dir=str(home / "spools"))
    os.makedirs(settings.spool_dir, exist_ok=True)
    os.rename(folder, settings.spool_folder)
    return settings


@pytest.mark.parametrize("umask", [0, 0o022, 0o277])
def test_folders_and_files_are_the_users_alone(umask: int, tmp_path: Path) -> None:
    settings = UsageSettings(f"sqlite:///{tmp_path}/data/deep/u.db", spool_dir=str(tmp_path / "s" / "spool"))
    before = os.umask(umask)
    try:
        recording = Recorder(settings)
        recording.finish({"call_id": call_id(), "started_at": 1.0, "status": "ok"})
        assert recording.flush(20)
        made = {path: path.lstat().st_mode for path in tmp_path.rglob("*")}
        recording.close(5)
    finally:
        os.umask(before)
    assert {"u.db", "u.db-wal"} <= {path.name for path in made}
    for path, mode in made.items():
        allowed = 0o700 if stat.S_ISDIR(mode) else 0o600
        assert stat.S_IMODE(mode) == allowed, path


def test_a_folder_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    private.make_folder(str(tmp_path / "open"))
    assert stat.S_IMODE((tmp_path / "open").stat().st_mode) == 0o700


@pytest.mark.parametrize("how", ["foreign", "link", "file", "below a file"])
def test_a_spool_that_is_not_ours_is_said_once_and_counted(
    how: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = UsageSettings(f"sqlite:///{tmp_path / 'u.db'}", spool_dir=str(tmp_path / "spool"))
    folder = Path(settings.spool_folder)
    if how == "below a file":
        folder.parent.write_text("")
    else:
        folder.parent.mkdir()
    if how == "foreign":
        if os.geteuid():
            pytest.skip("only root can give a folder to somebody else")
        folder.mkdir()
        os.chown(folder, 65534, 65534)
    elif how == "link":
        (tmp_path / "elsewhere").mkdir()
        folder.symlink_to(tmp_path / "elsewhere")
    elif how == "file":
        folder.write_text("")
    caplog.set_level(logging.WARNING)
    recording = Recorder(settings)
    for _ in range(3):
        recording.finish({"call_id": call_id(), "started_at": 1.0, "status": "ok"})
    assert recording.spool.dropped == 3
    assert not recording.flush(5), "not one of them got there"
    recording.close(5)
    assert caplog.text.count("records are being dropped") == 1
    assert any(finding.is_problem and "cannot be written" in finding.text for finding in examine(settings))
    if how == "link":
        assert os.listdir(tmp_path / "elsewhere") == []


def test_without_a_spool_flush_says_what_did_not_arrive(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    recording = Recorder(UsageSettings(f"sqlite:///{tmp_path / 'file' / 'u.db'}", spool=False))
    recording.finish({"call_id": call_id(), "started_at": 1.0, "status": "ok"})
    assert not recording.flush()
    assert recording.flush()


def test_a_kill_loses_no_count_of_what_was_dropped(tmp_path: Path) -> None:
    writer = spool.SpoolWriter(str(tmp_path), cap=10)
    assert not writer.append(finish("a"))
    assert losses.total(str(tmp_path)).dropped == 1, "noted at once, not when the process ends"


@pytest.mark.full
@pytest.mark.skipif(
    not sys.platform.startswith("linux") or os.geteuid() != 0, reason="needs root to mount a small disk"
)
@pytest.mark.parametrize("megabytes", [1, 4])
def test_on_a_disk_that_fills_up_all_that_is_in_the_spool_gets_into_the_database(
    megabytes: int, tmp_path: Path
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}M", "tmpfs", str(small)]
    if subprocess.run(mounted, capture_output=True, check=False).returncode:
        pytest.skip("a small disk cannot be mounted here")
    try:
        settings = UsageSettings(f"sqlite:///{small}/x.db", spool_dir=f"{small}/spool")
        recording = Recorder(settings)
        calls = 6000 * megabytes
        from llmguard.usage import recorder

        before = recorder.replace(recording)
        try:
            for _ in range(calls):
                with TrackedBlock({"provider": "acme", "model": "m", "service_name": "s" * 40}) as log:
                    log.input_tokens = 1
        finally:
            recorder.replace(before)
        assert recording.spool.dropped
        assert not recording.flush(60), "something was dropped, and flush says so"
        assert segments.waiting(settings.spool_folder) == {}
        ledger = Ledger.open(settings)
        with ledger.engine.connect() as connection:
            rows = connection.exec_driver_sql("SELECT count(*) FROM llm_usage_logs").scalar_one()
        ledger.close()
        counted = losses.total(settings.spool_folder)
        assert rows >= 100 * megabytes
        assert rows + counted.dropped >= calls, "each is in the ledger, or counted"
        assert counted.dropped == recording.spool.dropped
        assert any("records dropped" in finding.text for finding in examine(settings))
    finally:
        recording.close(5)
        subprocess.run(["umount", str(small)], check=False)


def test_a_half_written_line_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = spool.SpoolWriter(str(tmp_path), cap=10_000)
    assert writer.append(finish("a"))
    real = os.write
    with monkeypatch.context() as patch:
        patch.setattr(spool.os, "write", lambda descriptor, data: real(descriptor, data[:20]))
        assert not writer.append(finish("b"))
    assert writer.append(finish("c"))
    writer.close()
    found, done = adopted(tmp_path)
    assert (found, done.corrupt) == (["a", "c"], 0)  # type: ignore[attr-defined]


def test_notes_of_losses_only_grow_and_are_one_file(tmp_path: Path) -> None:
    threads = [threading.Thread(target=losses.note, args=(str(tmp_path), "o", n)) for n in (5, 2, 9)]
    for thread in threads:
        thread.start()
        thread.join()
    losses.note(str(tmp_path), "o", 0, 4)
    assert losses.total(str(tmp_path))[:2] == (9, 4)
    assert os.listdir(tmp_path) == ["o.lost"]
    assert json.loads((tmp_path / "o.lost").read_text())["dropped"] == 9
