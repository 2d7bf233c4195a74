"""What a request to a provider's API asks for, by the end of its path: in OpenTelemetry's words where it has one.

The provider's row says it; below is what such paths mean where there is no row, or a new SDK has a path that it lacks.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from llmguard.providers import PROVIDERS

if TYPE_CHECKING:
    from llmguard.providers.provider import Provider

#: (end of the path, operation). The first match decides; what matches none generates nothing.
_OPERATIONS = tuple(
    (re.compile(pattern), operation)
    for pattern, operation in (
        (r"/chat/completions$|/fim/completions$|/agents/completions$|/v[12]/chat$", "chat"),
        (r"/messages$|/conversations(/[^/]+)?(/restart)?(#stream)?$", "chat"),
        (r"/responses(/compact)?$", "chat"),
        (r"/completions$|/complete$|/v1/generate$", "text_completion"),
        (r"/embeddings$|/embed$|:embedContent$|:batchEmbedContents$", "embeddings"),
        (r":(stream)?[gG]enerateContent$", "generate_content"),
        (r"/images/(generations|edits|variations)$|:predict$", "image_generation"),
        (r"/audio/speech$", "speech"),
        (r"/audio/(transcriptions|translations)(#stream)?$", "transcription"),
        (r"/videos(/[^/]+/(remix|edits|extensions))?$|:predictLongRunning$", "video_generation"),
        (r"/threads/runs$|/threads/[^/]+/runs(/[^/]+/submit_tool_outputs)?$", "invoke_agent"),
        (r"/batches$|/batch/jobs$|:batchGenerateContent$", "batch"),
        (r"/rerank$", "rerank"),
        (r"/ocr$", "ocr"),
    )
)
_NOT = re.compile(r"/threads/[^/]+/messages$")  # stores a message, generates nothing


@lru_cache(maxsize=2048)
def operation_of(path: str, provider: str = "") -> str:
    """The operation that a POST to a path starts, "" when it generates nothing (files, threads, token counts).

    Args:
        path: of the URL.
        provider: whose API it is; its row decides, and for a path that it does not know what such paths mean elsewhere.

    >>> operation_of("/openai/deployments/gpt-4o/chat/completions?api-version=1")
    'chat'
    >>> operation_of("/v1/conversations", "mistral"), operation_of("/v1/conversations", "openai")
    ('chat', '')
    """
    path = path.partition("?")[0]
    known = decided(path, provider)
    if known is not None:
        return known
    if _NOT.search(path):
        return ""
    for pattern, operation in _OPERATIONS:
        if pattern.search(path):
            return operation
    return ""


def decided(path: str, provider: str) -> str | None:
    """What the row of a provider says of a path, None when it does not know it."""
    for pattern, operation in _templates(provider):
        if pattern.search(path.partition("#")[0]):
            return operation
    return None


def settles(path: str, provider: str) -> str | None:
    """Whether a GET of a path tells the counts of work that was begun earlier: the identifier of that work, "" where
    the answer says it; None when it tells none.

    >>> settles("/v1/messages/batches/msgbatch_1/results", "anthropic"), settles("/v1/responses/resp_1", "openai")
    ('msgbatch_1', '')
    """
    for pattern in _settling(provider):
        found = pattern.search(path.partition("?")[0])
        if found is not None:
            return next(iter(found.groups()), "")
    return None


@lru_cache(maxsize=128)
def _settling(provider: str) -> tuple[re.Pattern[str], ...]:
    row = _row_of(provider, "settled")
    return tuple(_compiled(template) for template in (row.settled if row is not None else ()))


@lru_cache(maxsize=128)
def _templates(provider: str) -> tuple[tuple[re.Pattern[str], str], ...]:
    """The paths that a provider's row knows, the most exact first."""
    row = _row_of(provider, "operations")
    known = sorted(row.operations.items() if row is not None else (), key=_exactness)
    return tuple((_compiled(template), operation) for template, operation in known)


def _row_of(provider: str, field: str) -> Provider | None:
    """The row of a provider; where its API has no paths of its own, that of the one whose format it speaks."""
    rows = {row.name: row for row in PROVIDERS}
    row = rows.get(provider)
    if row is not None and not getattr(row, field):
        row = rows.get(row.dialect.partition("_")[2] or row.dialect)
    return row


def _exactness(entry: tuple[str, str]) -> tuple[bool, int, int]:
    pieces = entry[0].split("/")
    return "**" in pieces, -sum("*" not in piece for piece in pieces), -len(pieces)


def _compiled(template: str) -> re.Pattern[str]:
    pieces = (_PIECES.get(piece) or re.escape(piece).replace(r"\*", "[^/]+") for piece in template.split("/"))
    return re.compile(f"(?:^|/){'/'.join(pieces)}$")


_PIECES = {"**": ".+", "*work": "([^/]+)"}
