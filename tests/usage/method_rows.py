"""Every method of the SDKs that generates something, and what a call of it leaves in the ledger: written down before
the code. Where there are no tokens, the row says why.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

#: (status, prompt tokens, completion tokens, usage source, price status)
Cell = tuple[str, "int | None", "int | None", str, str]
COUNTED: Cell = ("ok", 11, 7, "provider", "priced")
READ: Cell = ("ok", 11, None, "provider", "priced")  # what only reads: embeddings
UNPRICED: Cell = ("ok", 11, 7, "provider", "unknown")
UNCOUNTED: Cell = ("ok", None, None, "none", "no_usage")
GUESSED: Cell = ("ok", 3, 5, "estimated", "estimated")


class Method(NamedTuple):
    """A method of an SDK.

    Attributes:
        name: dotted, from the client on.
        path: of its request, as the SDK's source has it; `*` for what is filled in.
        asked: arguments.
        operation: of the row.
        cell: what a call leaves.
        reply: what the provider answers; None for what the fake provider answers such a path.
        later: further answers, for a method that asks again.
        events: of a stream that `stream=True` asks for; "usual" for the fake provider's, None where there is none.
        streamed: what a stream leaves, None for the same.
        to_stream: further arguments of a stream.
        kind: create (an answer, raw and streaming responses), manager (a `with` block around a stream), iterator (a
            stream by a method of its own) or helper (what is made of the others).
        why: there are no tokens, or no price.
    """

    name: str
    path: str
    asked: dict[str, Any]
    operation: str = "chat"
    cell: Cell = COUNTED
    reply: Any = None
    later: tuple[Any, ...] = ()
    events: Any = None
    streamed: Cell | None = None
    to_stream: dict[str, Any] = {}  # noqa: RUF012  (never changed)
    kind: str = "create"
    why: str = ""


def sse(*events: dict[str, Any], end: str = "") -> bytes:
    """Server-sent events, each with its type as the event's name."""
    lines = []
    for event in events:
        named = event.get("type") or event.get("event_type")
        lines.append(f"event: {named}\n" if named else "")
        lines.append(f"data: {json.dumps(event)}\n\n")
    return ("".join(lines) + end).encode()


DAY = "2026-01-01T00:00:00Z"
MESSAGES = [{"role": "user", "content": "What is it?"}]  # 11 characters, 3 tokens
INPUT = {"input_tokens": 11, "output_tokens": 7, "total_tokens": 18}
DETAILS = {
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}
CHAT = {"prompt_tokens": 11, "completion_tokens": 7, "total_tokens": 18}
FILE = ("a.wav", b"RIFF")
VIDEO = ("a.mp4", b"MP4", "video/mp4")
PICTURE = ("a.png", b"PNG", "image/png")
IN_PROGRESS = {"created_at": 1, "model": "gpt-4o", "object": "thread.run", "thread_id": "t", "assistant_id": "a"}

_STREAM_USAGE = {"stream_options": {"include_usage": True}}
_ASKED: dict[str, Any] = {"model": "gpt-4o", "messages": MESSAGES}
RESPONSE = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1,
    "status": "completed",
    "model": "gpt-4o",
    "output": [],
    "parallel_tool_calls": True,
    "tool_choice": "auto",
    "tools": [],
    "usage": {**INPUT, **DETAILS},
}
WAITING = {**RESPONSE, "status": "queued", "usage": None, "background": True}
_IMAGE_USAGE = {**INPUT, "input_tokens_details": {"text_tokens": 11, "image_tokens": 0}}
IMAGES = {"created": 1, "data": [{"b64_json": "aGk="}], "usage": _IMAGE_USAGE}
_PICTURES = "dall-e is paid by the picture, and counts no tokens"
RUN = {**IN_PROGRESS, "id": "run_1", "status": "queued", "usage": None}
_RAN = {**RUN, "status": "completed", "usage": CHAT}
_RUN_EVENTS = b"".join(
    f"event: {name}\ndata: {json.dumps(run)}\n\n".encode()
    for name, run in (("thread.run.created", RUN), ("thread.run.completed", _RAN))
)
_RUN_EVENTS += b"event: done\ndata: [DONE]\n\n"
_LATER = "the answer only says that the work has begun: the counts come when the program fetches its end"
_VIDEO = {"id": "video_1", "object": "video", "status": "queued", "model": "sora-2", "seconds": "4", "size": "1x1"}
_VIDEO.update(created_at=1, progress=0)
_SECONDS = "a video is paid by the second, and counts no tokens"
_SPEECH = {"model": "gpt-4o-mini-tts", "voice": "alloy", "input": "What is it?"}
_SPOKEN = sse({"type": "speech.audio.delta", "audio": "aGk="}, {"type": "speech.audio.done", "usage": INPUT})
_HEARD = {"text": "It is.", "usage": {"type": "tokens", **INPUT}}
_HEARING = sse(
    {"type": "transcript.text.delta", "delta": "It is."},
    {"type": "transcript.text.done", "text": "It is.", "usage": {"type": "tokens", **INPUT}},
)
_EVAL = {
    "id": "evalrun_1",
    "object": "eval.run",
    "eval_id": "eval_1",
    "created_at": 1,
    "model": "gpt-4o",
    "name": "n",
    "status": "queued",
    "per_model_usage": [],
    "per_testing_criteria_results": [],
    "report_url": "u",
    "data_source": {"type": "jsonl", "source": {"type": "file_id", "id": "f"}},
    "result_counts": {"errored": 0, "failed": 0, "passed": 0, "total": 0},
}
_GRADED = {
    "reward": 1.0,
    "sub_rewards": {},
    "model_grader_token_usage_per_model": {"gpt-4o": CHAT},
    "metadata": {"errors": {}, "execution_time": 1.0, "name": "n", "scores": {}, "type": "t", "token_usage": 18},
}
BATCH = {
    "id": "batch_1",
    "object": "batch",
    "endpoint": "/v1/chat/completions",
    "completion_window": "24h",
    "created_at": 1,
    "input_file_id": "file_1",
    "status": "validating",
}
_DECIDED = {"id": "d_1", "object": "decision", "created_at": 1, "model": "gpt-4o", "status": "completed"}
_DECIDED.update(answers=[], usage={**INPUT, **DETAILS})
_SESSION = {"id": "as_1", "object": "agent.session", "created_at": 1, "status": "idle", "usage": None}
_INVOCATION = {"id": "inv_1", "object": "agent.automation.invocation", "created_at": 1, "status": "queued"}
_COMPACT = {
    "id": "resp_2",
    "object": "response.compaction",
    "created_at": 1,
    "output": [],
    "usage": {**INPUT, **DETAILS},
}

OPENAI = (
    Method("chat.completions.create", "/chat/completions", _ASKED, events="usual", to_stream=_STREAM_USAGE),
    Method("chat.completions.create", "/chat/completions", _ASKED, events="usual", streamed=GUESSED),
    Method("chat.completions.parse", "/chat/completions", _ASKED),
    Method("chat.completions.stream", "/chat/completions", {**_ASKED, **_STREAM_USAGE}, kind="manager"),
    Method("beta.chat.completions.create", "/chat/completions", _ASKED),
    Method(
        *("completions.create", "/completions", {"model": "gpt-3.5-turbo-instruct", "prompt": "What is it?"}),
        operation="text_completion",
        events="usual",
        to_stream=_STREAM_USAGE,
    ),
    Method("responses.create", "/responses", {"model": "gpt-4o", "input": "What?"}, events="usual"),
    Method("responses.parse", "/responses", {"model": "gpt-4o", "input": "What?"}),
    Method("responses.stream", "/responses", {"model": "gpt-4o", "input": "What?"}, kind="manager"),
    Method(
        *("responses.create", "/responses", {"model": "gpt-4o", "input": "What?", "background": True}),
        cell=UNCOUNTED,
        reply=WAITING,
        why=_LATER,
    ),
    Method("responses.compact", "/responses/compact", {"model": "gpt-4o", "input": "What?"}, reply=_COMPACT),
    Method("beta.responses.create", "/responses", {"model": "gpt-4o", "input": "What?"}, events="usual"),
    Method("beta.responses.compact", "/responses/compact", {"model": "gpt-4o", "input": "What?"}, reply=_COMPACT),
    Method("decisions.create", "/decisions", {"model": "gpt-4o", "input": "What?", "questions": []}, reply=_DECIDED),
    Method(
        *("embeddings.create", "/embeddings", {"model": "text-embedding-3-small", "input": "What?"}),
        operation="embeddings",
        cell=READ,
    ),
    Method(
        *("images.generate", "/images/generations", {"model": "gpt-image-1", "prompt": "What?"}),
        operation="image_generation",
        reply=IMAGES,
        events=sse(
            {"type": "image_generation.partial_image", "b64_json": "aGk=", "partial_image_index": 0},
            {"type": "image_generation.completed", "b64_json": "aGk=", "usage": _IMAGE_USAGE},
        ),
    ),
    Method(
        *("images.edit", "/images/edits", {"model": "gpt-image-1", "prompt": "What?", "image": PICTURE}),
        operation="image_generation",
        reply=IMAGES,
        events=sse({"type": "image_edit.completed", "b64_json": "aGk=", "usage": _IMAGE_USAGE}),
    ),
    Method(
        *("images.create_variation", "/images/variations", {"model": "dall-e-2", "image": PICTURE}),
        operation="image_generation",
        cell=UNCOUNTED,
        reply={"created": 1, "data": [{"url": "u"}]},
        why=_PICTURES,
    ),
    Method(
        *("audio.speech.create", "/audio/speech", _SPEECH),
        operation="speech",
        cell=UNCOUNTED,
        reply=b"RIFF",
        why="sound has no room for counts; stream_format=sse has",
    ),
    Method(
        *("audio.speech.create", "/audio/speech", {**_SPEECH, "stream_format": "sse"}),
        operation="speech",
        reply=_SPOKEN,
    ),
    Method(
        *("audio.transcriptions.create", "/audio/transcriptions", {"model": "gpt-4o-transcribe", "file": FILE}),
        operation="transcription",
        reply=_HEARD,
        events=_HEARING,
    ),
    Method(
        *("audio.transcriptions.create", "/audio/transcriptions", {"model": "whisper-1", "file": FILE}),
        operation="transcription",
        cell=UNCOUNTED,
        reply={"text": "It is.", "usage": {"type": "duration", "seconds": 12}},
        why="whisper is paid by the second",
    ),
    Method(
        *("audio.translations.create", "/audio/translations", {"model": "whisper-1", "file": FILE}),
        operation="transcription",
        cell=UNCOUNTED,
        reply={"text": "It is."},
        why="whisper is paid by the second",
    ),
    *(
        Method(name, path, asked, "video_generation", UNCOUNTED, reply=_VIDEO, why=_SECONDS)
        for name, path, asked in (
            ("videos.create", "/videos", {"model": "sora-2", "prompt": "What?"}),
            ("videos.edit", "/videos/edits", {"prompt": "What?", "video": VIDEO}),
            ("videos.extend", "/videos/extensions", {"prompt": "What?", "seconds": "4", "video": VIDEO}),
            ("videos.remix", "/videos/*/remix", {"video_id": "video_0", "prompt": "What?"}),
        )
    ),
    Method(
        *("videos.create_and_poll", "/videos", {"model": "sora-2", "prompt": "What?"}, "video_generation", UNCOUNTED),
        reply=_VIDEO,
        later=({**_VIDEO, "status": "completed"},),
        kind="helper",
        why=_SECONDS,
    ),
    Method(
        *("beta.threads.create_and_run", "/threads/runs", {"assistant_id": "a"}, "invoke_agent", UNCOUNTED),
        reply=RUN,
        events=_RUN_EVENTS,
        streamed=COUNTED,
        why=_LATER,
    ),
    Method(
        *("beta.threads.create_and_run_poll", "/threads/runs", {"assistant_id": "a"}, "invoke_agent"),
        reply=RUN,
        later=(_RAN,),
        kind="helper",
    ),
    Method(
        *("beta.threads.create_and_run_stream", "/threads/runs", {"assistant_id": "a"}, "invoke_agent"),
        events=_RUN_EVENTS,
        kind="manager",
    ),
    Method(
        *("beta.threads.runs.create", "/threads/*/runs", {"thread_id": "t", "assistant_id": "a"}, "invoke_agent"),
        cell=UNCOUNTED,
        reply=RUN,
        events=_RUN_EVENTS,
        streamed=COUNTED,
        why=_LATER,
    ),
    *(
        Method(
            *(f"beta.threads.runs.{name}", "/threads/*/runs", {"thread_id": "t", "assistant_id": "a"}, "invoke_agent"),
            reply=RUN,
            later=(_RAN,),
            kind="helper",
        )
        for name in ("create_and_poll",)
    ),
    *(
        Method(
            *(f"beta.threads.runs.{name}", "/threads/*/runs", {"thread_id": "t", "assistant_id": "a"}, "invoke_agent"),
            events=_RUN_EVENTS,
            kind="manager",
        )
        for name in ("stream", "create_and_stream")
    ),
    Method(
        *("beta.threads.runs.submit_tool_outputs", "/threads/*/runs/*/submit_tool_outputs"),
        {"thread_id": "t", "run_id": "run_1", "tool_outputs": []},
        "invoke_agent",
        UNCOUNTED,
        reply=RUN,
        events=_RUN_EVENTS,
        streamed=COUNTED,
        why=_LATER,
    ),
    Method(
        *("beta.threads.runs.submit_tool_outputs_and_poll", "/threads/*/runs/*/submit_tool_outputs"),
        {"thread_id": "t", "run_id": "run_1", "tool_outputs": []},
        "invoke_agent",
        reply=RUN,
        later=(_RAN,),
        kind="helper",
    ),
    Method(
        *("beta.threads.runs.submit_tool_outputs_stream", "/threads/*/runs/*/submit_tool_outputs"),
        {"thread_id": "t", "run_id": "run_1", "tool_outputs": []},
        "invoke_agent",
        events=_RUN_EVENTS,
        kind="manager",
    ),
    Method(
        *("evals.runs.create", "/evals/*/runs", {"eval_id": "eval_1", "data_source": {"type": "jsonl"}}, "evaluation"),
        cell=UNCOUNTED,
        reply=_EVAL,
        why=_LATER,
    ),
    Method(
        *("fine_tuning.alpha.graders.run", "/fine_tuning/alpha/graders/run"),
        {"grader": {"type": "score_model"}, "model_sample": "It is."},
        "evaluation",
        reply=_GRADED,
    ),
    Method(
        *("batches.create", "/batches"),
        {"completion_window": "24h", "endpoint": "/v1/chat/completions", "input_file_id": "file_1"},
        "batch",
        UNCOUNTED,
        reply=BATCH,
        why=_LATER,
    ),
    *(
        Method(name, path, asked, "invoke_agent", UNCOUNTED, reply=reply, why=_LATER)
        for name, path, asked, reply in (
            ("beta.agents.sessions.create", "/agents/sessions", {"environment": {"type": "auto"}}, _SESSION),
            (
                "beta.agents.sessions.events.create",
                "/agents/sessions/*/events",
                {"session_id": "as_1", "events": []},
                b"",
            ),
            (
                "beta.agents.automations.invocations.create",
                "/agents/automations/*/invocations",
                {"automation_id": "auto_1"},
                _INVOCATION,
            ),
        )
    ),
)

_CLAUDE: dict[str, Any] = {"model": "claude-sonnet-4-5", "messages": MESSAGES, "max_tokens": 20}
_MESSAGE_BATCH = {
    "id": "msgbatch_1",
    "type": "message_batch",
    "processing_status": "in_progress",
    "created_at": DAY,
    "expires_at": DAY,
    "archived_at": None,
    "cancel_initiated_at": None,
    "ended_at": None,
    "results_url": None,
    "request_counts": {"canceled": 0, "errored": 0, "expired": 0, "processing": 1, "succeeded": 0},
}
_DREAM = {
    "id": "drm_1",
    "type": "dream",
    "status": "pending",
    "inputs": [],
    "outputs": [],
    "created_at": DAY,
}
_DREAM["usage"] = {
    "input_tokens": 0,
    "output_tokens": 0,
    "cache_read_input_tokens": 0,
    "cache_creation_input_tokens": 0,
}
ANTHROPIC = (
    Method("messages.create", "/v1/messages", _CLAUDE, events="usual"),
    Method("messages.parse", "/v1/messages", _CLAUDE),
    Method("messages.stream", "/v1/messages", _CLAUDE, kind="manager"),
    Method("beta.messages.create", "/v1/messages", _CLAUDE, events="usual"),
    Method("beta.messages.parse", "/v1/messages", _CLAUDE),
    Method("beta.messages.stream", "/v1/messages", _CLAUDE, kind="manager"),
    *(
        Method(
            *(name, "/v1/messages/batches", {"requests": [{"custom_id": "a", "params": _CLAUDE}]}, "batch", UNCOUNTED),
            reply=_MESSAGE_BATCH,
            why=_LATER,
        )
        for name in ("messages.batches.create", "beta.messages.batches.create")
    ),
    Method(
        *("completions.create", "/v1/complete"),
        {"model": "claude-2.1", "prompt": "\n\nHuman: What?\n\nAssistant:", "max_tokens_to_sample": 20},
        "text_completion",
        ("ok", 7, 2, "estimated", "estimated"),
        reply={
            "id": "compl_1",
            "type": "completion",
            "completion": "It is.",
            "model": "claude-2.1",
            "stop_reason": "s",
        },
        why="this API counts no tokens",
    ),
    *(
        Method(name, path, asked, "invoke_agent", UNCOUNTED, reply=reply, why=_LATER)
        for name, path, asked, reply in (
            ("beta.dreams.create", "/v1/dreams", {"inputs": [], "model": "claude-sonnet-4-5"}, _DREAM),
            ("beta.sessions.events.send", "/v1/sessions/*/events", {"session_id": "s", "events": []}, {"data": []}),
            (
                "beta.deployments.run",
                "/v1/deployments/*/run",
                {"deployment_id": "d"},
                {"id": "drun_1", "type": "deployment_run", "created_at": DAY},
            ),
        )
    ),
)

_LLAMA: dict[str, Any] = {"model": "llama-3.3-70b-versatile", "messages": MESSAGES}
_GROQ = "/openai/v1"
GROQ = (
    Method("chat.completions.create", f"{_GROQ}/chat/completions", _LLAMA, events="usual", streamed=GUESSED),
    Method(
        *(
            "embeddings.create",
            f"{_GROQ}/embeddings",
            {"model": "nomic-embed-text-v1_5", "input": "What?"},
            "embeddings",
        ),
        ("ok", 11, None, "provider", "unknown"),
        why="the price list has no price of it",
    ),
    Method(
        *("audio.speech.create", f"{_GROQ}/audio/speech"),
        {"model": "playai-tts", "voice": "v", "input": "What?"},
        "speech",
        UNCOUNTED,
        reply=b"RIFF",
        why="sound has no room for counts",
    ),
    *(
        Method(
            *(f"audio.{name}.create", f"{_GROQ}/audio/{name}", {"model": "whisper-large-v3", "file": FILE}),
            *("transcription", UNCOUNTED, {"text": "It is."}),
            why="whisper is paid by the second",
        )
        for name in ("transcriptions", "translations")
    ),
    Method(
        *("batches.create", f"{_GROQ}/batches"),
        {"completion_window": "24h", "endpoint": "/v1/chat/completions", "input_file_id": "file_1"},
        "batch",
        UNCOUNTED,
        reply=BATCH,
        why=_LATER,
    ),
)
