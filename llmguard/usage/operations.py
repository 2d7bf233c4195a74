"""What a request to a provider's API asks for, by the end of its path: in OpenTelemetry's words where it has one."""

from __future__ import annotations

import re
from functools import lru_cache

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


@lru_cache(maxsize=1024)
def operation_of(path: str) -> str:
    """The operation that a POST to a path starts, "" when it generates nothing (files, threads, token counts).

    >>> operation_of("/openai/deployments/gpt-4o/chat/completions?api-version=1")
    'chat'
    """
    path = path.partition("?")[0]
    if _NOT.search(path):
        return ""
    for pattern, operation in _OPERATIONS:
        if pattern.search(path):
            return operation
    return ""
