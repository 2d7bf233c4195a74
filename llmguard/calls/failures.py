"""Which failures another provider, or a later try, may not have; and how long a provider asks to be left alone."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timezone
from email.utils import parsedate_to_datetime
from typing import Any

from llmguard.errors import LLMGuardError, MalformedAnswer

#: Statuses of HTTP that pass: timeouts, conflicts, too early, too many, and whatever is the server's fault.
_PASSING = frozenset({408, 409, 425, 429})
#: Classes of errors without a status: of the SDKs of OpenAI, Groq and Anthropic, of httpx, aiohttp and LiteLLM.
_NAMES = frozenset(
    {
        *("APIConnectionError", "APITimeoutError", "APIResponseValidationError", "Timeout", "TransportError"),
        *("TimeoutError", "ClientConnectionError", "ClientPayloadError", "ServiceUnavailableError", "JSONDecodeError"),
    }
)
#: Classes of errors that say that this one cannot be asked this: LiteLLM looks at the arguments before it sends them.
_UNABLE = frozenset({"UnsupportedParamsError"})


def may_pass(error: BaseException) -> bool:
    """Whether somebody else, or a later try, may succeed: a connection, a timeout, 429, 5xx, a malformed answer. What
    the request itself is to blame for, or a key, is not."""
    if isinstance(error, MalformedAnswer):
        return True
    if isinstance(error, LLMGuardError) or not isinstance(error, Exception):
        return False
    if is_unable(error):
        return True
    status = getattr(error, "status_code", None)
    if isinstance(status, int) and not isinstance(status, bool):
        return status in _PASSING or status >= 500
    if isinstance(error, (TimeoutError, ConnectionError)):
        return True
    return any(cls.__name__ in _NAMES for cls in type(error).__mro__)


def is_unable(error: BaseException) -> bool:
    """Whether the question is one that this provider, or model, does not take: nothing was sent, and it is not to
    blame."""
    return any(cls.__name__ in _UNABLE for cls in type(error).__mro__)


def retry_after(error: BaseException) -> float | None:
    """Seconds that the provider asks to be left alone for, by the headers of its answer (RFC 9110, 10.2.3; and
    `retry-after-ms`, as OpenAI's SDK reads it); None where it does not say."""
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    if not isinstance(headers, Mapping) and not hasattr(headers, "get"):
        return None
    text = headers.get("retry-after-ms")
    try:
        if text:
            return max(0.0, float(text) / 1000)
        text = headers.get("retry-after")
        return max(0.0, float(text)) if text else None
    except (TypeError, ValueError):
        return _until(text)


def _until(text: Any) -> float | None:
    try:
        moment = parsedate_to_datetime(str(text))
    except (TypeError, ValueError):
        return None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
    return max(0.0, moment.timestamp() - time.time())
