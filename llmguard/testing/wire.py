"""What a provider answers, in the wire formats of OpenAI, Anthropic, Google and Cohere: their shapes, our words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """How the fake provider answers a request.

    Attributes:
        text: what it says.
        prompt_tokens: its count of the request.
        completion_tokens: its count of the answer.
        usage: whether it tells its counts. Of a stream, OpenAI's format tells them only when the request asks so
            (`stream_options.include_usage`), the others always.
        status: of the HTTP response; from 400 on an error is sent.
        headers: of the HTTP response, beside the content type.
        delay: seconds before it answers.
        chunks: pieces that a streamed answer comes in.
        chunk_delay: seconds between them.
        cut: pieces after which the connection is dropped, None for never.
        body: bytes that are sent as they are, instead of all that.
        content_type: of that body.
    """

    text: str = "The answer is 42."
    prompt_tokens: int = 11
    completion_tokens: int = 7
    usage: bool = True
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    delay: float = 0.0
    chunks: int = 5
    chunk_delay: float = 0.0
    cut: int | None = None
    body: bytes | None = None
    content_type: str = "application/json"

    def pieces(self) -> list[str]:
        """The text, in pieces."""
        size = -(-len(self.text) // max(self.chunks, 1)) or 1
        return [self.text[start : start + size] for start in range(0, len(self.text), size)]


def dialect_of(path: str) -> str:
    """The wire format of a request's path."""
    path = path.partition("?")[0]
    if path.endswith(("/messages", "/complete")):
        return "anthropic"
    if path.endswith(("enerateContent", "embedContent", "batchEmbedContents")):
        return "google"
    if path.endswith(("/v2/chat", "/v2/embed", "/v1/chat")):
        return "cohere"
    if path.endswith("/responses"):
        return "responses"
    return "openai"


def whole(dialect: str, path: str, request: dict[str, Any], answer: Answer) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    if "embed" in path.lower():
        return _embedding(dialect, request, answer)
    return _WHOLE[dialect](request, answer)


def error(dialect: str, answer: Answer) -> dict[str, Any]:
    """The body of an error."""
    if dialect == "anthropic":
        return {"type": "error", "error": {"type": "invalid_request_error", "message": answer.text}}
    if dialect == "google":
        return {"error": {"code": answer.status, "message": answer.text, "status": "INVALID_ARGUMENT"}}
    if dialect == "cohere":
        return {"message": answer.text}
    return {"error": {"message": answer.text, "type": "invalid_request_error", "param": None, "code": None}}


def events(dialect: str, request: dict[str, Any], answer: Answer) -> Iterator[bytes]:
    """The server-sent events of a streamed answer, one piece of text in each of the middle ones."""
    yield from _EVENTS[dialect](request, answer)


def _data(body: Any, event: str = "") -> bytes:
    head = f"event: {event}\n" if event else ""
    return f"{head}data: {json.dumps(body)}\n\n".encode()


def _counts(answer: Answer) -> dict[str, Any]:
    total = answer.prompt_tokens + answer.completion_tokens
    return {"prompt_tokens": answer.prompt_tokens, "completion_tokens": answer.completion_tokens, "total_tokens": total}


def _openai(request: dict[str, Any], answer: Answer) -> dict[str, Any]:
    head = {"id": "chatcmpl-1", "created": 1767225600, "model": request.get("model", "model")}
    if "prompt" in request:
        choice: dict[str, Any] = {"index": 0, "text": answer.text, "logprobs": None, "finish_reason": "stop"}
        body = {**head, "object": "text_completion", "choices": [choice]}
    else:
        message = {"role": "assistant", "content": answer.text}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        body = {**head, "object": "chat.completion", "choices": [choice]}
    return {**body, "usage": _counts(answer)} if answer.usage else body


def _openai_events(request: dict[str, Any], answer: Answer) -> Iterator[bytes]:
    is_text = "prompt" in request
    kind = "text_completion" if is_text else "chat.completion.chunk"
    head = {"id": "chatcmpl-1", "object": kind, "created": 1767225600, "model": request.get("model", "model")}
    for piece in answer.pieces():
        said: dict[str, Any] = {"text": piece} if is_text else {"delta": {"role": "assistant", "content": piece}}
        yield _data({**head, "choices": [{"index": 0, **said, "finish_reason": None}]})
    said = {"text": ""} if is_text else {"delta": {}}
    yield _data({**head, "choices": [{"index": 0, **said, "finish_reason": "stop"}]})
    if answer.usage and (request.get("stream_options") or {}).get("include_usage"):
        yield _data({**head, "choices": [], "usage": _counts(answer)})
    yield b"data: [DONE]\n\n"


def _responses(request: dict[str, Any], answer: Answer) -> dict[str, Any]:
    part = {"type": "output_text", "text": answer.text, "annotations": []}
    item = {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}
    body = {
        "id": "resp_1",
        "object": "response",
        "created_at": 1767225600,
        "status": "completed",
        "model": request.get("model", "model"),
        "output": [item],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "temperature": 1.0,
        "top_p": 1.0,
    }
    if answer.usage:
        body["usage"] = {
            "input_tokens": answer.prompt_tokens,
            "output_tokens": answer.completion_tokens,
            "total_tokens": answer.prompt_tokens + answer.completion_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        }
    return body


def _responses_events(request: dict[str, Any], answer: Answer) -> Iterator[bytes]:
    done = _responses(request, answer)
    begun = {**done, "status": "in_progress", "output": [], "usage": None}
    yield _data({"type": "response.created", "sequence_number": 0, "response": begun}, "response.created")
    item = {**done["output"][0], "status": "in_progress", "content": []}
    kind = "response.output_item.added"
    yield _data({"type": kind, "sequence_number": 1, "output_index": 0, "item": item}, kind)
    place: dict[str, Any] = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    kind = "response.content_part.added"
    yield _data({"type": kind, "sequence_number": 2, "part": part, **place}, kind)
    place["logprobs"] = []
    kind = "response.output_text.delta"
    for number, piece in enumerate(answer.pieces(), 3):
        yield _data({"type": kind, "sequence_number": number, "delta": piece, **place}, kind)
    yield _data({"type": "response.completed", "sequence_number": 99, "response": done}, "response.completed")


def _anthropic(request: dict[str, Any], answer: Answer) -> dict[str, Any]:
    usage = {"input_tokens": answer.prompt_tokens, "output_tokens": answer.completion_tokens}
    body = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": request.get("model", "model"),
        "content": [{"type": "text", "text": answer.text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
    }
    return {**body, "usage": usage} if answer.usage else body


def _anthropic_events(request: dict[str, Any], answer: Answer) -> Iterator[bytes]:
    begun = {**_anthropic(request, answer), "content": [], "stop_reason": None}
    if answer.usage:
        begun["usage"] = {"input_tokens": answer.prompt_tokens, "output_tokens": 1}
    yield _data({"type": "message_start", "message": begun}, "message_start")
    block = {"type": "text", "text": ""}
    yield _data({"type": "content_block_start", "index": 0, "content_block": block}, "content_block_start")
    for piece in answer.pieces():
        delta = {"type": "text_delta", "text": piece}
        yield _data({"type": "content_block_delta", "index": 0, "delta": delta}, "content_block_delta")
    yield _data({"type": "content_block_stop", "index": 0}, "content_block_stop")
    ended: dict[str, Any] = {"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": None}}
    if answer.usage:
        ended["usage"] = {"output_tokens": answer.completion_tokens}
    yield _data(ended, "message_delta")
    yield _data({"type": "message_stop"}, "message_stop")


def _google(request: dict[str, Any], answer: Answer, text: str | None = None, *, ends: bool = True) -> dict[str, Any]:
    content = {"role": "model", "parts": [{"text": answer.text if text is None else text}]}
    candidate = {"content": content, "index": 0, **({"finishReason": "STOP"} if ends else {})}
    body: dict[str, Any] = {"candidates": [candidate], "modelVersion": "model", "responseId": "g-1"}
    if answer.usage and ends:
        body["usageMetadata"] = {
            "promptTokenCount": answer.prompt_tokens,
            "candidatesTokenCount": answer.completion_tokens,
            "totalTokenCount": answer.prompt_tokens + answer.completion_tokens,
        }
    return body


def _google_events(request: dict[str, Any], answer: Answer) -> Iterator[bytes]:
    for piece in answer.pieces():
        yield _data(_google(request, answer, piece, ends=False))
    yield _data(_google(request, answer, ""))


def _cohere(request: dict[str, Any], answer: Answer) -> dict[str, Any]:
    message = {"role": "assistant", "content": [{"type": "text", "text": answer.text}]}
    body: dict[str, Any] = {"id": "co-1", "finish_reason": "COMPLETE", "message": message}
    return {**body, "usage": _cohere_counts(answer)} if answer.usage else body


def _cohere_counts(answer: Answer) -> dict[str, Any]:
    counts = {"input_tokens": answer.prompt_tokens, "output_tokens": answer.completion_tokens}
    return {"billed_units": counts, "tokens": counts}


def _cohere_events(request: dict[str, Any], answer: Answer) -> Iterator[bytes]:
    start = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
    yield _data({"id": "co-1", "type": "message-start", "delta": {"message": start}}, "message-start")
    for piece in answer.pieces():
        delta = {"message": {"content": {"text": piece}}}
        yield _data({"type": "content-delta", "index": 0, "delta": delta}, "content-delta")
    ended: dict[str, Any] = {"finish_reason": "COMPLETE"}
    if answer.usage:
        ended["usage"] = _cohere_counts(answer)
    yield _data({"type": "message-end", "delta": ended}, "message-end")


def _embedding(dialect: str, request: dict[str, Any], answer: Answer) -> dict[str, Any]:
    if dialect == "google":
        return {"embeddings": [{"values": [0.1, 0.2]}]}
    if dialect == "cohere":
        billed = {"input_tokens": answer.prompt_tokens}
        texts = request.get("texts", [])
        return {"id": "e", "embeddings": {"float": [[0.1, 0.2]]}, "texts": texts, "meta": {"billed_units": billed}}
    counts = {"prompt_tokens": answer.prompt_tokens, "total_tokens": answer.prompt_tokens}
    data = [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}]
    return {"id": "e", "object": "list", "data": data, "model": request.get("model", "model"), "usage": counts}


_WHOLE = {"openai": _openai, "responses": _responses, "anthropic": _anthropic, "google": _google, "cohere": _cohere}
_EVENTS = {
    "openai": _openai_events,
    "responses": _responses_events,
    "anthropic": _anthropic_events,
    "google": _google_events,
    "cohere": _cohere_events,
}
