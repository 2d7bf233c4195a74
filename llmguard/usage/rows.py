"""From the lines of the spool to rows of the ledger: what is not usable is left out and counted, never the row."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from datetime import datetime, timezone
from functools import partial
from typing import TYPE_CHECKING, Any

from llmguard.printable import printable

LOG = logging.getLogger("llmguard.usage")
if TYPE_CHECKING:
    from llmguard.usage.lines import Line

Row = dict[str, Any]

#: Fields of a line that are columns as they are (texts).
TEXTS = (
    *("user_id", "endpoint", "model", "error_message", "error_type", "provider", "response_model", "model_version"),
    *("operation", "service_name", "feature_context", "page_context", "username", "client_account_id"),
    *("engagement_id", "flow_id", "request_id", "ip_address", "user_agent", "usage_source", "code_file"),
    *("code_function", "provider_response_id", "tenant", "environment", "run_id", "agent", "budget", "repository"),
    *("commit", "code_blob", "service_tier"),
)
#: Counts: whole, not negative.
COUNTS = (
    *("status_code", "tokens_used", "prompt_tokens", "completion_tokens", "duration_ms", "cache_read_tokens"),
    *("cache_write_tokens", "reasoning_tokens", "code_line", "code_column", "code_end_line", "code_end_column"),
)
OBJECTS = ("metadata", "request_data", "response_data", "usage_details")
STATUSES = ("ok", "error", "cancelled", "timeout", "partial", "unknown")
#: Above these a count is none: what is larger fits no column, and no price times it a sum of money.
_LARGEST_COUNT = 10**12
_LARGEST_SMALL = 2**31 - 1
_SMALL = frozenset({"status_code", "code_line", "code_column", "code_end_line", "code_end_column"})
_MOST_TEXT = 8000
#: Bytes of the texts that the key of a roll-up is made of: together they must fit an entry of its index (2,704 bytes).
_KEYS = {
    **dict.fromkeys(("user_id", "service_name", "feature_context", "model"), 400),
    **dict.fromkeys(("tenant", "provider"), 200),
    "environment": 100,
    "code_file": 500,
    "code_function": 300,
}
_SHORTEST = min(_KEYS.values())
_DEEPEST = 50  # levels of an object that are kept


def entry(data: dict[str, Any], make: Callable[[dict[str, Any]], Row]) -> Row:
    """The row of a line, with its cost. Whatever is wrong with the line, its call has a row.

    Args:
        data: of the line.
        make: `row_of` or `unknown_row_of`.
    """
    from llmguard.usage.prices import priced

    try:
        row = make(data)
        try:
            row = priced(dict(row), data)
        except Exception:  # a price must not cost a call its row
            LOG.exception("a call could not be priced")
            row["price_status"] = "unknown"
        if isinstance(data.get("limits"), list):
            row["limits"] = data["limits"]  # no column: who writes the row settles them
        return row
    except Exception as error:  # one line must not keep those behind it out of the ledger
        LOG.exception("a record could not be read as it was written")
        status = data.get("status", "unknown")
        return {
            "call_id": str(data["call_id"]),
            "attempt_no": 0,
            "created_at": _time(data.get("started_at")),
            "status": status if status in STATUSES else "unknown",
            "usage_source": "none",
            "metadata": {"llmguard_unusable": type(error).__name__},
        }


def entry_of(line: Line, make: Callable[[dict[str, Any]], Row]) -> Row:
    """`entry` of a line of the spool; one that cannot be decoded still says which call it is of."""
    try:
        data = line.data
        data.setdefault("call_id", line.key[0])
    except (ValueError, RecursionError, AttributeError):  # the last of what is no object
        LOG.warning("a record of the call %s could not be decoded", printable(line.key[0]))
        data = {"call_id": line.key[0], "attempt_no": line.key[1], "status": "unknown"}
    return entry(data, make)


def row_of(data: dict[str, Any]) -> Row:
    """The row of a finish line."""
    row = _common(data)
    status = data.get("status", "ok")
    row["status"] = status if status in STATUSES else "unknown"
    if row.get("tokens_used") is None:
        parts = (row.get("prompt_tokens"), row.get("completion_tokens"))
        row["tokens_used"] = (
            sum(part for part in parts if part is not None) if any(p is not None for p in parts) else None
        )
    return row


def unknown_row_of(data: dict[str, Any]) -> Row:
    """The row of an intent whose end nobody wrote. One that notes an answer has ended, as far as it is known."""
    if "status" in data:
        return row_of(data)
    row = _common(data)
    row["status"] = "unknown"
    row["error_type"] = "unfinished"
    sent = count_of(data.get("prompt_estimate"))
    if sent is not None:
        row["prompt_tokens"] = row["tokens_used"] = sent
    row["usage_source"] = "none" if sent is None else "estimated"
    return row


def amendment_of(data: dict[str, Any]) -> Row:
    """What an amendment says of a row: its key, and the columns that it has something for. One that settles a call has
    `settles`, the provider's identifier of it, instead of a key, and what only a price depends on."""
    row = _common({name: value for name, value in data.items() if name != "started_at"})
    del row["created_at"]
    if "settles" in data:
        row["settles"] = _text(data["settles"])
        row.update({name: data[name] for name in _FOR_A_PRICE if data.get(name) is not None})
        if data.get("status") in STATUSES:
            row["status"] = data["status"]
    return row


_FOR_A_PRICE = ("parts", "cache_write_1h_tokens", "request_tokens", "inference_geo")
#: What the counts of a call say of it.
_COUNTED = (
    *("prompt_tokens", "completion_tokens", "tokens_used", "cache_read_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "usage_details", "usage_source"),
)
_PRICE = ("input_cost", "output_cost", "total_cost", "price_status", "price_version")


def chosen(rows: list[Row]) -> Row | None:
    """Of the rows that have one identifier of a provider's, that which its counts are settled onto: the one that has
    counts of the provider, else the first."""
    counted = (row for row in rows if row.get("usage_source") == "provider")
    return next(counted, rows[0] if rows else None)


def settled(row: Row, settlement: Row) -> Row:
    """A row with the counts that its provider has told later, and the price of them. Counts that are there already are
    replaced by larger ones only: those of a session grow."""
    from llmguard.usage.prices import priced

    new = dict(row)
    status = settlement.get("status")
    if status is not None and row.get("status") == "ok":
        new["status"] = status
    total = settlement.get("tokens_used")
    if total is None or (row.get("usage_source") == "provider" and (row.get("tokens_used") or 0) >= total):
        return new
    new.update({name: settlement.get(name) for name in _COUNTED})
    new.update(dict.fromkeys(_PRICE))
    for name in ("response_model", "service_tier"):
        new[name] = settlement.get(name) or row.get(name)
    if new.get("provider") is None:
        new["provider"] = settlement.get("provider")
    return priced(new, {**settlement, "service_tier": new["service_tier"]})


def amended(row: Row, amendment: Row) -> Row:
    """A row with an amendment: what the row does not know is taken; `metadata` is merged, and who logs a call knows
    best for whom it was."""
    new = dict(row)
    for name, value in amendment.items():
        if name == "metadata" and isinstance(row.get(name), dict) and isinstance(value, dict):
            new[name] = {**row[name], **value}
        elif row.get(name) is None or name == "user_id":
            new[name] = value
    return new


def _common(data: dict[str, Any]) -> Row:
    row: Row = {"call_id": str(data["call_id"]), "attempt_no": count_of(data.get("attempt_no")) or 0}
    row["created_at"] = _time(data.get("started_at"))
    bad = []
    for name, value in data.items():
        if name in _SHORT and type(value) is str and len(value) <= _SHORTEST and value.isascii() and "\0" not in value:
            row[name] = value  # nearly all: this loop is most of what a row costs
            continue
        clean = _CLEAN.get(name)
        if clean is not None and value is not None:
            row[name] = clean(value)
            if row[name] is None:
                bad.append(name)
    if bad:
        kept = row.get("metadata")
        row["metadata"] = {**(kept if isinstance(kept, dict) else {}), "llmguard_unusable": bad}
    return row


def _text(value: Any, most: int = _MOST_TEXT) -> str:
    text = value if isinstance(value, str) else str(value)
    if text.isascii() and "\x00" not in text:
        return text[:most]
    # PostgreSQL takes no zero byte, and no half of a surrogate pair.
    data = text.replace("\x00", "").encode("utf-8", "replace")
    return data.decode() if len(data) <= most else data[:most].decode("utf-8", "ignore")


def _object(value: Any, deep: int = 0) -> Any:
    """A value that a JSON column takes: texts that every database takes, no endless depth, no number that is none."""
    if isinstance(value, str):
        return _text(value, 1_000_000)
    if deep > _DEEPEST:
        return "..."
    if isinstance(value, dict):
        return {_text(key): _object(inner, deep + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_object(inner, deep + 1) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _blob(value: Any) -> str | None:
    return value if isinstance(value, str) and value.isalnum() and value.isascii() and len(value) <= 64 else None


def _small(value: Any) -> int | None:
    number = count_of(value)
    return number if number is not None and number <= _LARGEST_SMALL else None


def count_of(value: Any) -> int | None:
    """A whole number that is not negative, None for anything else."""
    if type(value) is int:
        return value if 0 <= value < _LARGEST_COUNT else None
    if isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return int(number) if math.isfinite(number) and 0 <= number < _LARGEST_COUNT else None


def _time(value: Any) -> datetime:
    try:
        return datetime.fromtimestamp(float(value), timezone.utc)
    except (TypeError, ValueError, OverflowError, OSError):
        return datetime.now(timezone.utc)


def _flag(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


#: Field of a line -> what makes its column of it; None is "not usable".
_CLEAN: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(TEXTS, _text),
    **dict.fromkeys(COUNTS, count_of),
    **dict.fromkeys(OBJECTS, _object),
    **{name: partial(_text, most=most) for name, most in _KEYS.items()},
    **dict.fromkeys(_SMALL, _small),
    "code_blob": _blob,
    "stream": _flag,
}
_SHORT = frozenset(TEXTS) - {"code_blob"}
