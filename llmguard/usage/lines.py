"""A line of the spool: checksum, kind and a JSON object, in ASCII.

    1b2f00aa I {"call_id": "...", "started_at": 1767225600.0, ...}

`I` is an intent (before the request), `F` a finish (after it). A line that does not match its checksum is counted and
passed over: it was torn by a full disk or by power loss.
"""

from __future__ import annotations

import json
import zlib
from typing import Any, NamedTuple

INTENT = "I"
FINISH = "F"
#: Bytes of a line, above which what users put in (metadata, content, messages) is cut.
LARGEST = 256 * 1024


class Line(NamedTuple):
    """A line that was read.

    Attributes:
        kind: INTENT or FINISH.
        data: the object.
        end: offset in the file just behind the line.
    """

    kind: str
    data: dict[str, Any]
    end: int


def encode(kind: str, data: dict[str, Any]) -> bytes:
    """The bytes of a line. What JSON has no form for becomes its text; what is too large loses its metadata."""
    body = f"{kind} {_dumps(data)}".encode("ascii")
    if len(body) > LARGEST:
        small = {key: _cut(value) for key, value in data.items()}
        body = f"{kind} {_dumps({**small, 'cut': len(body)})}".encode("ascii")
    return b"%08x %s\n" % (zlib.crc32(body), body)


def _dumps(data: dict[str, Any]) -> str:
    try:
        return json.dumps(data, separators=(",", ":"), default=str)
    except (TypeError, ValueError, RecursionError):
        # A key that is no text, or an object that holds itself: keep what can be kept.
        return json.dumps({key: _plain(value) for key, value in data.items()}, separators=(",", ":"), default=str)


def _plain(value: Any) -> Any:
    try:
        json.dumps(value, default=str)
    except (TypeError, ValueError, RecursionError):
        return repr(value)[:1000]
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
        if int(raw[:8], 16) != zlib.crc32(body) or body[1:2] != b" ":
            return None
        data = json.loads(body[2:])
    except ValueError:
        return None
    kind = chr(body[0])
    return Line(kind, data, end) if kind in (INTENT, FINISH) and isinstance(data, dict) and "call_id" in data else None
