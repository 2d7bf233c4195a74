"""Requests and answers on a row: nothing of them, unless LLMGUARD_STORE_CONTENT says how much."""

from __future__ import annotations

import json
from typing import Any

from llmguard.usage.scrub import scrubbed


def kept(value: Any, most: int) -> str | None:
    """The first so many characters of a value as text, without what looks like a secret; None for nothing."""
    if value is None or most <= 0:
        return None
    try:
        dump = getattr(value, "model_dump", None)
        if callable(dump):
            value = dump(mode="json", exclude_none=True)
        text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    except Exception:  # noqa: BLE001  (an object that JSON has no form for)
        text = f"<{type(value).__name__}>"
    return scrubbed(text, long_words=False)[:most]  # scrubbed first: half a secret would not be known as one
