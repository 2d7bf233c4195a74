"""The screen: whether a file can hold a call at all, from its bytes alone.

Everything that makes a check slow comes after this, so it must be cheap and may only err on one side.
"""

from __future__ import annotations

from llmguard.providers import vocabulary

#: Comments that llmguard answers to; a file with one is read even when it cannot hold a call.
MARKS = (b"llmguard:", b"LLG")

#: Bytes of a file that is read: a larger one would fill the memory, and is named.
LARGEST = 256_000_000


def may_hold_call(data: bytes) -> bool:
    """Whether the bytes contain what every call of some provider needs. UTF-16 is looked through its zero bytes."""
    if b"\x00" in data:
        data = data.replace(b"\x00", b"")
    for stem, group in vocabulary.current.tokens_by_stem:
        if stem in data:
            for tokens in group:
                for token in tokens:
                    if token not in data:
                        break
                else:
                    return True
    return False


def has_mark(data: bytes) -> bool:
    """Whether a comment may address llmguard."""
    return any(mark in data for mark in MARKS)
