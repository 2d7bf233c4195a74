"""Identifiers of calls: UUID version 7, in order of time within a process even when the clock jumps back."""

from __future__ import annotations

import os
import random
import threading
import time

_lock = threading.Lock()
_last = 0
_STEP = 245  # nanoseconds; more than one of the 4,096 parts of a millisecond, so that the count of the parts goes up
_VERSION_7 = 0x7000 << 64 | 0x8000 << 48
_random = random.Random(os.urandom(16))


def call_id() -> str:
    """A new UUIDv7 as text (RFC 9562): 48 bits of milliseconds, 12 bits that count within one, 62 random bits."""
    global _last
    with _lock:
        _last = now = max(time.time_ns(), _last + _STEP)
    milliseconds, nanoseconds = divmod(now, 1_000_000)
    number = milliseconds << 80 | nanoseconds * 4096 // 1_000_000 << 64 | _VERSION_7 | _random.getrandbits(62)
    text = number.to_bytes(16, "big").hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _after_fork() -> None:
    global _lock, _random
    _lock = threading.Lock()
    _random = random.Random(os.urandom(16))


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
