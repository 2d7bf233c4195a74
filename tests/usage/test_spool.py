"""Lines, segments and identifiers: what a crash, a full disk or a rival can do to them."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmguard.usage import segments, spool
from llmguard.usage.ids import call_id
from llmguard.usage.lines import FINISH, INTENT, LARGEST, decode, encode
from llmguard.usage.reading import Reading

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), JSON, max_size=5), st.sampled_from([INTENT, FINISH]))
def test_a_line_comes_back_as_it_went(data: dict[str, object], kind: str) -> None:
    data = {**data, "call_id": "c"}
    (line,), end, corrupt = decode(encode(kind, data), 7)
    assert (line.kind, line.data, line.end, corrupt) == (kind, data, end, 0)
    assert end == 7 + len(encode(kind, data))


@given(st.lists(st.integers(0, 3), max_size=20), st.integers(0, 200))
def test_a_torn_or_changed_line_hides_no_other(numbers: list[int], cut: int) -> None:
    lines = [encode(FINISH, {"call_id": str(at), "n": number}) for at, number in enumerate(numbers)]
    data = b"".join(lines)
    torn = data[: max(0, len(data) - cut % 9 - 1)]
    found, _, _ = decode(torn)
    assert [line.data["n"] for line in found] == numbers[: len(found)]
    assert len(found) >= len(numbers) - 1
    broken = b"".join([*lines[:1], b"garbage\n", b"00000000 F {}\n", b"\xff\xfe\n", *lines[1:]])
    found, end, corrupt = decode(broken)
    assert ([line.data["n"] for line in found], end, corrupt) == (numbers, len(broken), 3)


def test_what_json_has_no_form_for_is_kept_as_text_and_what_is_too_large_is_cut() -> None:
    endless: dict[str, object] = {}
    endless["self"] = endless
    odd = {"call_id": "c", "path": Path("x"), "set": {1}, "endless": endless, "keys": {("a", 1): 2}}
    (line,), _, _ = decode(encode(FINISH, odd))
    assert line.data["path"] == "x"
    assert json.dumps(line.data)
    huge = {"call_id": "c", "model": "m", "metadata": {"text": "x" * 10_000_000}, "error_message": "y" * 1_000_000}
    data = encode(FINISH, huge)
    assert len(data) < LARGEST
    (line,), _, _ = decode(data)
    assert (line.data["model"], line.data["metadata"], line.data["cut"] > 10_000_000) == ("m", {"cut": True}, True)


def test_identifiers_are_unique_ordered_and_of_version_7() -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.extend(call_id() for _ in range(2000))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 8000
    one = [call_id() for _ in range(1000)]
    assert [value[:18] for value in one] == sorted(value[:18] for value in one)
    assert {(len(value), value[14], value[19] in "89ab") for value in found} == {(36, "7", True)}


def test_segments_rotate_and_are_released_when_finished_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "ROTATE_BYTES", 200)
    writer = spool.SpoolWriter(str(tmp_path / "s"), 10_000)
    for number in range(10):
        assert writer.append(encode(FINISH, {"call_id": str(number), "pad": "x" * 60}))
    own = writer.own()
    assert len(own) > 2
    assert [segment.path for segment in segments.segments(writer.folder)] == own
    assert all(spool.adopt(segment) is None for segment in segments.segments(writer.folder)), (
        "a living owner keeps them"
    )
    writer.release(own[0])
    assert not os.path.exists(own[0])
    writer.close()
    adopted = [spool.adopt(segment) for segment in segments.segments(writer.folder)]
    assert all(adopted)
    assert all(spool.adopt(segment) is None for segment in segments.segments(writer.folder)), "one adopter at a time"
    for one in adopted:
        assert one is not None
        one.close()


def test_a_cap_drops_and_counts(tmp_path: Path) -> None:
    writer = spool.SpoolWriter(str(tmp_path / "s"), 500)
    results = [writer.append(encode(FINISH, {"call_id": str(number), "pad": "x" * 60})) for number in range(20)]
    assert results == sorted(results, reverse=True)
    assert writer.dropped == results.count(False) > 0
    other = spool.SpoolWriter(writer.folder, 500)
    other.measure()
    assert not other.append(b"x" * 200), "the cap is the folder's, not the process's"


def test_a_folder_that_cannot_be_written_drops_and_counts(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    writer = spool.SpoolWriter(str(tmp_path / "file" / "below"), 500)
    assert not writer.append(b"x")
    assert writer.dropped == 1


def test_the_committed_offset_never_passes_an_open_intent(tmp_path: Path) -> None:
    path = tmp_path / "h-1-a-000001.seg"
    lines = [encode(INTENT, {"call_id": "a"}), encode(INTENT, {"call_id": "b"}), encode(FINISH, {"call_id": "b"})]
    path.write_bytes(b"".join(lines))
    reading = Reading(str(path))
    assert [line.key for line in reading.read()] == [("b", 0)]
    reading.open.pop(("b", 0))
    reading.commit()
    assert segments.committed_offset(str(path)) == 0
    again = Reading(str(path))
    again.read()
    assert ("a", 0) in again.open
    reading.open.clear()
    reading.commit()
    assert segments.committed_offset(str(path)) == sum(map(len, lines))
