"""What a response or an exception says of its call."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from llmguard.usage.counts import tokens_of, usage_by_model
from llmguard.usage.meter import PRICED_REGIONS, StreamMeter
from llmguard.usage.response import field, is_plain_http, json_body, mapping
from llmguard.usage.tokens import Tokens

LOG = logging.getLogger("llmguard.usage")

_MOST_ERROR = 300  # characters of an error's text that are kept
_MOST_READ = 20_000  # ... and that are looked at


def estimated(response: Any, prompt: int, *, whole: bool = False) -> tuple[Tokens, str]:
    """The counts of an answer whose provider does not say, by its characters; none for what is no text, unless the
    request is the whole of it."""
    if whole:
        return Tokens(prompt=prompt, total=prompt), "estimated"
    meter = StreamMeter()
    meter.add(json_body(response) if is_plain_http(response) else response)
    return meter.counts(prompt) if meter.characters else (Tokens(), "")


_SAID = (
    ("response_model", ("model", "model_version", "modelVersion")),
    ("provider_response_id", ("id", "response_id", "responseId")),
)


def response_fields(response: Any) -> dict[str, Any]:
    """What a response says of itself: its model, its identifier and, of a plain HTTP response, its status."""
    found: dict[str, Any] = {}
    if is_plain_http(response):
        status = getattr(response, "status_code", None)
        if isinstance(status, int):
            found["status_code"] = status
        response = json_body(response)
    get = mapping(response).get
    for column, names in _SAID:
        for name in names:
            value = get(name)
            if isinstance(value, str):
                found[column] = value
                break
    usage = get("usage")
    tier = get("service_tier") or field(usage, "service_tier")
    if isinstance(tier, str) and tier not in ("default", "standard", "auto"):
        found["service_tier"] = tier  # its price is another one
    elif field(usage, "speed") == "fast":
        found["service_tier"] = "fast"  # Anthropic's word for it is speed
    region = field(usage, "inference_geo")
    if region in PRICED_REGIONS:
        found["inference_geo"] = region
    models = {} if usage is not None else usage_by_model(response)
    if any(models):
        # Each is of several requests: how large one of them was, nobody says.
        found["parts"] = [
            {"model": model, "request_tokens": 0, **tokens.fields()} for model, tokens in models.items() if model
        ]
    return found


def failure_fields(error: BaseException, request: Any = None) -> dict[str, Any]:
    """Status, status code, type and text of an exception; the text is short, without secrets, and without what was
    asked.

    Args:
        error: the exception.
        request: what was asked, if it is there.
    """
    if isinstance(error, (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)):
        return {"status": "cancelled", "error_type": type(error).__name__}
    is_timeout = isinstance(error, TimeoutError) or "Timeout" in type(error).__name__
    return {
        "status": "timeout" if is_timeout else "error",
        "status_code": _status_code(error),
        "error_type": type(error).__name__,
        "error_message": error_text(_text(error), request),
    }


def error_text(text: str, request: Any = None) -> str:
    """What is kept of an error's text."""
    from llmguard.usage.scrub import scrubbed, without_input

    return scrubbed(without_input(text[:_MOST_READ], request))[:_MOST_ERROR]


def _status_code(error: BaseException) -> int | None:
    """As the SDKs (`status_code`, Google's `code`) and httpx (`response.status_code`) have it."""
    for holder in (error, getattr(error, "response", None)):
        for name in ("status_code", "code"):
            value = getattr(holder, name, None)
            if isinstance(value, int) and 100 <= value <= 599:
                return value
    return None


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001  (an exception whose own text fails still is that exception)
        return ""


#: What an answer out of a cache uses.
NOTHING = Tokens(0, 0, 0)
_OF_A_PRICE = ("response_model", "service_tier", "inference_geo")


def saved_by(response: Any) -> tuple[Tokens, dict[str, Any]]:
    """What an answer out of a cache would have used, and what it says of itself (not its identifier, which is that of
    the call that was paid)."""
    try:
        said = response_fields(response)
        return tokens_of(response), {name: said[name] for name in _OF_A_PRICE if name in said}
    except Exception:  # a call never fails for its record
        LOG.exception("the tokens of a response could not be read")
        return Tokens(), {}
