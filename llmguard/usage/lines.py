"""A line of the spool: checksum, kind, key of the call and a JSON object, in UTF-8.

    1b2f00aa I 019b76da-a800-7000-8000-000000000000 0 {"call_id": "...", "started_at": 1767225600.0, ...}

`I` is an intent (before the request), `F` a finish (after it), `A` an amendment (what is known later). A line that does
not match its checksum is counted and passed over: it was torn by a full disk or by power loss.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

INTENT = "I"
FINISH = "F"
AMENDMENT = "A"
_KINDS = (b"I", b"F", b"A")
#: Bytes of a line, above which what users put in (metadata, content, messages) is cut.
LARGEST = 256 * 1024


def _as_text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  (an object whose text cannot be made is no reason to lose the record)
        return f"<{type(value).__name__}>"


_standard = json.JSONEncoder(separators=(",", ":"), default=_as_text).encode


def _encoded_standard(data: dict[str, Any]) -> bytes:
    return _standard(data).encode("ascii")


try:
    import msgspec
except ImportError:
    _encoded: Callable[[Any], bytes] = _encoded_standard
    _decoded_data: Callable[[bytes], Any] = json.loads
else:
    # Several times as fast, and strict: what it refuses, the standard library gets.
    _encoded = msgspec.json.Encoder(enc_hook=_as_text).encode
    _decoded_data = msgspec.json.Decoder().decode


class Line(NamedTuple):
    """A line that was read. Its object is decoded when it is asked for: that of an intent mostly is not.

    Attributes:
        kind: INTENT, FINISH or AMENDMENT.
        key: (call_id, attempt_no).
        raw: the object as JSON.
        end: offset in the file just behind the line.
    """

    kind: str
    key: tuple[str, int]
    raw: bytes
    end: int

    @property
    def data(self) -> dict[str, Any]:
        """The object."""
        try:
            found: dict[str, Any] = _decoded_data(self.raw)
        except ValueError:  # half a surrogate pair, which the standard library takes
            found = json.loads(self.raw)
        return found


def encode(kind: str, data: dict[str, Any]) -> bytes:
    """The bytes of a line. What JSON has no form for becomes its text; what is too large loses its metadata."""
    head = f"{kind} {data['call_id']} {data.get('attempt_no') or 0} ".encode("ascii")
    body = head + _dumps(data)
    if len(body) > LARGEST:
        small = {key: _cut(value) for key, value in data.items()}
        body = head + _dumps({**small, "cut": len(body)})
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _dumps(data: dict[str, Any]) -> bytes:
    try:
        return _encoded(data)
    except Exception:  # noqa: BLE001  (whatever it does not take; half a surrogate pair, say)
        return _dumps_odd(data)


def _dumps_odd(data: dict[str, Any]) -> bytes:
    try:
        return _encoded_standard(data)
    except Exception:  # noqa: BLE001  (a key that is no text, or an object that holds itself: keep what can be kept)
        return _encoded_standard({key: _plain(value) for key, value in data.items()})


def _plain(value: Any) -> Any:
    try:
        json.dumps(value, default=_as_text)
    except Exception:  # noqa: BLE001  (whatever it is: its type is what can be said)
        try:
            return repr(value)[:1000]
        except Exception:  # noqa: BLE001
            return f"<{type(value).__name__}>"
    return value


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value[:4000]
    if isinstance(value, (dict, list)):
        return {"cut": True} if isinstance(value, dict) else []
    return value


def decode(data: bytes, start: int = 0) -> tuple[list[Line], int, int]:
    """The whole lines in a piece of a file.

    Args:
        data: the piece; it may end in the middle of a line.
        start: offset of the piece in the file.

    Returns:
        (lines, offset behind the last whole line, number of lines that are corrupt).
    """
    lines: list[Line] = []
    corrupt = 0
    at = 0
    while (end := data.find(b"\n", at)) >= 0:
        line = _decoded(data[at:end], start + end + 1)
        at = end + 1
        if line is not None:
            lines.append(line)
        else:
            corrupt += 1
    return lines, start + at, corrupt


def _decoded(raw: bytes, end: int) -> Line | None:
    body = raw[9:]
    try:
        if int(raw[:8], 16) != zlib.crc32(body):
            return None
        kind, call_id, attempt, data = body.split(b" ", 3)
        return Line(kind.decode(), (call_id.decode(), int(attempt)), data, end) if kind in _KINDS else None
    except ValueError:
        return None
