"""Plain HTTP requests to a provider's generation URL: requests, httpx, aiohttp, urllib."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from llmguard.check.finding import Callee, Confidence
from llmguard.check.strings import texts_of
from llmguard.check.values import HOLE, OWN_APPLICATION, UNKNOWN, External, Here, Instance, Other
from llmguard.providers import Family, Provider, index, vocabulary

if TYPE_CHECKING:
    from llmguard.check.infer import Inference
    from llmguard.check.module import Site

_LIBRARIES = frozenset(
    {
        "requests",
        "httpx",
        "aiohttp",
        "urllib",
        "urllib3",
        "curl_cffi",
        "tornado",
        "niquests",
        "httpx2",
        "httpx_sse",
        "aiohttp_retry",
    }
)
#: Sending functions, and the position of their URL; the argument before it is the HTTP method.
_POSITIONS = {"post": 0, "urlopen": 0, "fetch": 0, "request": 1, "stream": 1, "connect_sse": 2, "aconnect_sse": 2}
#: Last names of the functions that send a request.
NAMES = frozenset(_POSITIONS)
# Endpoint pieces that are an LLM's on whatever host; the others need their own host in the URL.
_ANY_HOST = re.compile(
    r"/chat/completions|/v1/completions|/v1/embeddings|/v1/responses\b|/v1/images/(?:generations|edits)|/v1/audio/|:(?:stream)?[gG]enerate|:\w*[eE]mbedContent|/openai/deployments/|:11434/api/|/ml/v1/text/"
)

_BARE_HOST = re.compile(r"https?://(?!localhost)[a-z]+(?:/|$)")


def of_request(infer: Inference, call: ast.Call, site: Site) -> Callee | None:
    """The provider whose URL a request goes to, None when it is no such request."""
    func = call.func
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    if name not in _POSITIONS or site.decorator:
        return None
    here = Here(site.scope, site.block)
    sender = _sender(infer, func, here)
    if sender is None:
        return None
    known, base = sender
    position = _POSITIONS[name]
    if position and not _is_post(infer, call, position - 1, here):
        return None
    for url in _urls(infer, call, position, here):
        provider = provider_of(_joined(base, url))
        if provider is not None:
            # An authorised request carries headers, unless a session that we know does it.
            shown = known or any(k.arg in ("headers", None) for k in call.keywords)
            confidence = Confidence.PROVED if known else Confidence.LIKELY if shown else Confidence.POSSIBLE
            return Callee(provider.name, provider.title, Family.HTTP, confidence)
    return None


def _sender(infer: Inference, func: ast.expr, here: Here) -> tuple[bool, str] | None:
    """(whether it is a known HTTP library, its base URL); None when what sends is known to be something else."""
    values = [v for v in infer.values(func, here) if v != UNKNOWN and v != Other("None")]
    known, base = False, ""
    for value in values:
        if not isinstance(value, (External, Instance)):
            return None
        path = value.path if isinstance(value, External) else value.cls
        if path.partition(".")[0] not in _LIBRARIES:
            return None
        known = True
        if isinstance(value, Instance):
            base = value.base_url or base
    return (known, base) if known or isinstance(func, ast.Attribute) else None


def _is_post(infer: Inference, call: ast.Call, position: int, here: Here) -> bool:
    verb = (
        call.args[position]
        if len(call.args) > position
        else next((k.value for k in call.keywords if k.arg == "method"), None)
    )
    return verb is not None and any(text.upper() == "POST" for text in texts_of(infer, verb, here))


def _urls(infer: Inference, call: ast.Call, position: int, here: Here) -> list[str]:
    node = next((k.value for k in call.keywords if k.arg in ("url", "fullurl")), None)
    if node is None and len(call.args) > position:
        node = call.args[position]
    if node is None:
        return []
    prepared = [v.base_url for v in infer.values(node, here) if isinstance(v, Instance) and v.base_url]
    return prepared or texts_of(infer, node, here)


def _joined(base: str, url: str) -> str:
    if not base or "://" in url:
        return url
    if base == OWN_APPLICATION:
        return base
    return f"{base.rstrip('/')}/{url.lstrip('/')}"


def provider_of(url: str) -> Provider | None:
    """The provider that a generation URL belongs to; HOLE stands for pieces that are not known.

    >>> provider_of("https://api.groq.com/openai/v1/chat/completions").name
    'groq'
    """
    if url.startswith("/") or not url.strip(HOLE):
        return None  # a path on one's own server
    if _BARE_HOST.match(url):
        return None  # http://testserver
    host = index.by_host(url)
    for provider in vocabulary.current.rows:
        for endpoint in provider.endpoints:
            own = provider in vocabulary.current.own_providers
            if endpoint in url and (own or host is not None or _ANY_HOST.search(endpoint)):
                return host or provider
    return None
