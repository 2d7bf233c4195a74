"""`method_rows` for the SDKs of Google, Mistral and Cohere, and for LiteLLM."""

from __future__ import annotations

import json
from typing import Any

from tests.usage.method_rows import (
    BATCH,
    CHAT,
    COUNTED,
    DAY,
    GUESSED,
    IMAGES,
    MESSAGES,
    READ,
    UNCOUNTED,
    UNPRICED,
    Method,
    sse,
)

_NO_PRICE = "the price list has no price of it"
_LATER = "the answer only says that the work has begun: no counts in it"

# -- Google ------------------------------------------------------------------------------------------------------------

_GEMINI: dict[str, Any] = {"model": "gemini-2.5-flash", "contents": "What is it?"}
_MODEL = "/v1*"
_COUNTS = {"total_input_tokens": 11, "total_output_tokens": 5, "total_thought_tokens": 2, "total_tokens": 18}
_DONE: dict[str, Any] = {
    "id": "int_1",
    "object": "interaction",
    "status": "completed",
    "model": "gemini-2.5-flash",
    "steps": [],
    "created": DAY,
    "updated": DAY,
    "usage": _COUNTS,
}
_BEGUN = {**_DONE, "status": "in_progress"}
del _BEGUN["usage"]
_INTERACTING = sse(
    {"event_type": "interaction.created", "interaction": _BEGUN},
    {"event_type": "step.delta", "index": 0, "delta": {"type": "text", "text": "It is."}},
    {"event_type": "interaction.completed", "interaction": _DONE},
)
_PICTURE = {"predictions": [{"bytesBase64Encoded": "aGk=", "mimeType": "image/png"}]}
_PICTURES = "pictures are paid by the picture, and counted by nobody"
_QUESTION = {"type": "choice", "criteria": {"a": "It is."}, "instructions": "Is it?"}
_OPERATION = {"name": "models/veo/operations/1"}

GOOGLE = (
    Method("models.generate_content", f"{_MODEL}:generateContent", _GEMINI, "generate_content"),
    Method(
        "models.generate_content_stream",
        f"{_MODEL}:streamGenerateContent",
        _GEMINI,
        "generate_content",
        kind="iterator",
    ),
    Method(
        *("models.embed_content", f"{_MODEL}:batchEmbedContents"),
        {"model": "gemini-embedding-001", "contents": "What?"},
        "embeddings",
        ("ok", 2, None, "estimated", "estimated"),
        why="the Gemini API counts no tokens of embeddings",
    ),
    Method(
        *("batches.create", f"{_MODEL}:batchGenerateContent"),
        {"model": "gemini-2.5-flash", "src": [{"contents": [{"parts": [{"text": "What?"}], "role": "user"}]}]},
        *("batch", UNCOUNTED, {"name": "batches/1", "metadata": {"state": "BATCH_STATE_PENDING"}}),
        why=_LATER,
    ),
    Method(
        *("batches.create_embeddings", f"{_MODEL}:asyncBatchEmbedContent"),
        {
            "model": "gemini-embedding-001",
            "src": {"inlined_requests": {"contents": [{"parts": [{"text": "What?"}]}]}},
        },
        *("batch", UNCOUNTED, {"name": "batches/1", "metadata": {"state": "BATCH_STATE_PENDING"}}),
        why=_LATER,
    ),
    Method(
        *("interactions.create", "/*/interactions", {"model": "gemini-2.5-flash", "input": "What?"}),
        *("generate_content", COUNTED, _DONE),
    ),
    Method(
        *("interactions.create", "/*/interactions"),
        {"model": "gemini-2.5-flash", "input": "What?", "stream": True},
        *("generate_content", COUNTED, _INTERACTING),
        kind="iterator",
    ),
    Method(
        *("interactions.create", "/*/interactions"),
        {"model": "gemini-2.5-flash", "input": "What?", "background": True},
        *("generate_content", UNCOUNTED, _BEGUN),
        why=_LATER,
    ),
    Method(
        *("decisions.create", "/*/decisions"),
        {
            "model": "models/gemini-2.5-flash",
            "input": "What?",
            "questions": {"q": _QUESTION},
        },
        *("generate_content", COUNTED, {"answers": {}, "usage": _COUNTS}),
    ),
    Method(
        *("triggers.run", "/*/triggers/*/executions", {"trigger_id": "t"}),
        *("invoke_agent", UNCOUNTED, {"id": "e", "status": "pending", "trigger_id": "t"}),
        why=_LATER,
    ),
)

_IMAGE = {"image_bytes": b"PNG", "mime_type": "image/png"}
_CLOUD = "/v1*"
#: Of the same SDK, on Google Cloud.
GOOGLE_CLOUD = (
    Method("models.generate_content", f"{_CLOUD}:generateContent", _GEMINI, "generate_content"),
    Method(
        *("models.embed_content", f"{_CLOUD}:predict", {"model": "text-embedding-005", "contents": "What?"}),
        *("embeddings", ("ok", 2, None, "provider", "unknown")),
        {"predictions": [{"embeddings": {"values": [0.1], "statistics": {"token_count": 2, "truncated": False}}}]},
        why=_NO_PRICE,
    ),
    *(
        Method(name, f"{_CLOUD}:predict", asked, "image_generation", UNCOUNTED, _PICTURE, why=_PICTURES)
        for name, asked in (
            ("models.generate_images", {"model": "imagen-4.0-generate-001", "prompt": "What?"}),
            ("models.upscale_image", {"model": "imagen-4.0-upscale", "image": _IMAGE, "upscale_factor": "x2"}),
            ("models.segment_image", {"model": "image-segmentation-001", "source": {"image": _IMAGE}}),
            ("models.recontext_image", {"model": "imagen-product-recontext", "source": {"prompt": "What?"}}),
            ("models.edit_image", {"model": "imagen-3.0-capability-001", "prompt": "What?", "reference_images": []}),
        )
    ),
    Method(
        *("batches.create", "/v1*/batchPredictionJobs", {"model": "gemini-2.5-flash", "src": "gs://b/in.jsonl"}),
        *("batch", UNCOUNTED, {"name": "projects/p/locations/l/batchPredictionJobs/1", "state": "JOB_STATE_PENDING"}),
        why=_LATER,
    ),
    Method(
        *("models.generate_videos", f"{_CLOUD}:predictLongRunning"),
        {"model": "veo-3.0-generate-001", "prompt": "What?"},
        *("video_generation", UNCOUNTED, _OPERATION),
        why="videos are paid by the second",
    ),
)

# -- Mistral -----------------------------------------------------------------------------------------------------------

_LARGE: dict[str, Any] = {"model": "mistral-large-latest", "messages": MESSAGES}
_CODE: dict[str, Any] = {"model": "codestral-latest", "prompt": "def f"}
_COMPLETED = {"id": "f", "object": "chat.completion", "created": 1, "model": "codestral-latest", "usage": CHAT}
_COMPLETED["choices"] = [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "()"}}]
_EMBEDDED = {"id": "e", "object": "list", "model": "mistral-embed", "data": []}
_EMBEDDED["usage"] = {"prompt_tokens": 11, "completion_tokens": 0, "total_tokens": 11}
_TALK: dict[str, Any] = {"object": "conversation.response", "conversation_id": "c", "outputs": [], "usage": CHAT}
_TALKING = sse(
    {"type": "conversation.response.started", "conversation_id": "c", "created_at": DAY},
    {
        "type": "message.output.delta",
        "content": "It is.",
        "id": "m",
        "created_at": DAY,
        "output_index": 0,
        "content_index": 0,
        "role": "assistant",
        "model": "mistral-large-latest",
    },
    {"type": "conversation.response.done", "usage": CHAT, "created_at": DAY},
)
_HEARD = {"model": "voxtral-mini-latest", "text": "It is.", "usage": CHAT, "language": None, "segments": []}
_HEARING = sse({"type": "transcription.text.delta", "text": "It is."}, {"type": "transcription.done", **_HEARD})
_JUDGE = {
    "name": "n",
    "description": "d",
    "model_name": "mistral-large-latest",
    "instructions": "i",
    "tools": [],
    "output": {"type": "REGRESSION", "min_description": "a", "max_description": "b"},
}
_JUDGED = {"analysis": "a", "answer": 1.0}
_CLASSES = {"id": "mod_1", "model": "ministral-3b-latest", "results": [{"a": {"scores": {"b": 1.0}}}]}
_BATCH = {"endpoint": "/v1/chat/completions", "input_files": ["f"], "model": "mistral-large-latest"}
_JOB = {
    "id": "job_1",
    "object": "batch",
    "input_files": [],
    "endpoint": "/v1/chat/completions",
    "errors": [],
    "status": "QUEUED",
    "created_at": 1,
    "total_requests": 1,
    "completed_requests": 0,
    "succeeded_requests": 0,
    "failed_requests": 0,
    "outputs": [],
    "metadata": {},
    "model": "mistral-large-latest",
}
_FILE = {"file_name": "a.wav", "content": b"RIFF"}

MISTRAL = (
    Method("chat.complete", "/v1/chat/completions", _LARGE),
    Method("chat.stream", "/v1/chat/completions", _LARGE, cell=("ok", 3, 5, "estimated", "estimated"), kind="iterator"),
    Method("fim.complete", "/v1/fim/completions", _CODE, reply=_COMPLETED),
    Method(
        "fim.stream",
        "/v1/fim/completions",
        _CODE,
        reply=sse(
            {
                "model": "codestral-latest",
                "id": "f",
                "object": "o",
                "created": 1,
                "choices": [{"index": 0, "delta": {"content": "()"}, "finish_reason": "stop"}],
                "usage": CHAT,
            }
        ),
        kind="iterator",
    ),
    Method(
        *("agents.complete", "/v1/agents/completions", {"agent_id": "ag_1", "messages": MESSAGES}, "chat", UNPRICED),
        why="the answer names the agent, whose model it does not say",
    ),
    Method(
        *("beta.conversations.start", "/v1/conversations", {"model": "mistral-large-latest", "inputs": "What?"}),
        *("chat", COUNTED, _TALK),
    ),
    Method(
        *("beta.conversations.start_stream", "/v1/conversations"),
        {"model": "mistral-large-latest", "inputs": "What?"},
        *("chat", COUNTED, _TALKING),
        kind="iterator",
    ),
    Method(
        *("beta.conversations.append", "/v1/conversations/*", {"conversation_id": "c", "inputs": "What?"}),
        *("chat", UNPRICED, _TALK),
        why="neither request nor answer name the model of the conversation",
    ),
    Method(
        *("beta.conversations.restart", "/v1/conversations/*/restart"),
        {"conversation_id": "c", "inputs": "What?", "from_entry_id": "e"},
        *("chat", UNPRICED, _TALK),
        why="neither request nor answer name the model of the conversation",
    ),
    Method(
        *("embeddings.create", "/v1/embeddings", {"model": "mistral-embed", "inputs": ["What?"]}, "embeddings"),
        *(("ok", 11, 0, "provider", "priced"), _EMBEDDED),
    ),
    Method(
        *("ocr.process", "/v1/ocr"),
        {"model": "mistral-ocr-latest", "document": {"type": "document_url", "document_url": "https://a.example/b"}},
        *("ocr", UNCOUNTED),
        {"pages": [], "model": "mistral-ocr-latest", "usage_info": {"pages_processed": 1}},
        why="pages are paid by the page",
    ),
    Method(
        *("classifiers.classify", "/v1/classifications", {"model": "ministral-3b-latest", "inputs": "What?"}),
        *("classification", UNCOUNTED, _CLASSES),
        why="classifications count no tokens",
    ),
    Method(
        *("classifiers.classify_chat", "/v1/chat/classifications"),
        {"model": "ministral-3b-latest", "input": {"messages": MESSAGES}},
        *("classification", UNCOUNTED, _CLASSES),
        why="classifications count no tokens",
    ),
    Method(
        *("audio.transcriptions.complete", "/v1/audio/transcriptions", {"model": "voxtral-mini-latest", "file": _FILE}),
        *("transcription", UNPRICED, _HEARD),
        why=_NO_PRICE,
    ),
    Method(
        *("audio.transcriptions.stream", "/v1/audio/transcriptions", {"model": "voxtral-mini-latest", "file": _FILE}),
        *("transcription", UNPRICED, _HEARING),
        kind="iterator",
        why=_NO_PRICE,
    ),
    Method(
        *("audio.speech.complete", "/v1/audio/speech", {"model": "voxtral-mini-tts-latest", "input": "What?"}),
        *("speech", UNCOUNTED, {"audio_data": "aGk="}),
        why="sound has no room for counts",
    ),
    Method("responses.create", "/v1/responses", {"model": "mistral-large-latest", "input": "What?"}),
    *(
        Method(name, path, asked, "evaluation", UNCOUNTED, _JUDGED, why="judges count no tokens")
        for name, path, asked in (
            (
                "beta.observability.judges.judge_conversation",
                "/v1/observability/judges/*/live-judging",
                {"judge_id": "j", "messages": MESSAGES},
            ),
            (
                "beta.observability.datasets.records.judge",
                "/v1/observability/dataset-records/*/live-judging",
                {"dataset_record_id": "r", "judge_definition": _JUDGE},
            ),
        )
    ),
    Method(
        *("batch.jobs.create", "/v1/batch/jobs", _BATCH),
        *("batch", UNCOUNTED, _JOB),
        why=_LATER,
    ),
)

# -- Cohere ------------------------------------------------------------------------------------------------------------

_COMMAND: dict[str, Any] = {"model": "command-r-plus", "messages": MESSAGES}
_BILLED = {"billed_units": {"input_tokens": 11, "output_tokens": 7}}
_FIRST = {"response_id": "r", "generation_id": "g", "text": "It is.", "finish_reason": "COMPLETE", "meta": _BILLED}
_FIRST_EVENTS = b"".join(
    json.dumps(event).encode() + b"\n"
    for event in (
        {"event_type": "stream-start", "is_finished": False, "generation_id": "g"},
        {"event_type": "text-generation", "is_finished": False, "text": "It is."},
        {"event_type": "stream-end", "is_finished": True, "finish_reason": "COMPLETE", "response": _FIRST},
    )
)
_GENERATED = {"id": "g", "generations": [{"id": "1", "text": "It is."}], "meta": _BILLED}
_GENERATING = b"".join(
    json.dumps(event).encode() + b"\n"
    for event in (
        {"event_type": "text-generation", "text": "It is.", "is_finished": False},
        {"event_type": "stream-end", "is_finished": True, "finish_reason": "COMPLETE", "response": _GENERATED},
    )
)
_RANKED = {"id": "r", "results": [], "meta": {"billed_units": {"search_units": 1}}}
_LABELS = {"id": "c", "classifications": [], "meta": {"billed_units": {"classifications": 1}}}

COHERE = (
    Method("v2.chat", "/v2/chat", _COMMAND),
    Method("v2.chat_stream", "/v2/chat", _COMMAND, kind="iterator"),
    Method(
        "v2.embed",
        "/v2/embed",
        {"model": "embed-v4.0", "input_type": "search_query", "texts": ["What?"]},
        "embeddings",
        READ,
    ),
    Method(
        "v2.rerank",
        "/v2/rerank",
        {"model": "rerank-v3.5", "query": "What?", "documents": ["It."]},
        "rerank",
        UNCOUNTED,
        _RANKED,
        why="ranking is paid by the search",
    ),
    Method("chat", "/v1/chat", {"model": "command-r-plus", "message": "What?"}, reply=_FIRST),
    Method(
        "chat_stream", "/v1/chat", {"model": "command-r-plus", "message": "What?"}, reply=_FIRST_EVENTS, kind="iterator"
    ),
    Method("generate", "/v1/generate", {"model": "command", "prompt": "What?"}, "text_completion", COUNTED, _GENERATED),
    Method(
        "generate_stream",
        "/v1/generate",
        {"model": "command", "prompt": "What?"},
        "text_completion",
        COUNTED,
        _GENERATING,
        kind="iterator",
    ),
    Method(
        "embed",
        "/v1/embed",
        {"model": "embed-v4.0", "input_type": "search_query", "texts": ["What?"]},
        "embeddings",
        READ,
        {
            "id": "e",
            "embeddings": [[0.1]],
            "texts": ["What?"],
            "response_type": "embeddings_floats",
            "meta": {"billed_units": {"input_tokens": 11}},
        },
    ),
    Method(
        "rerank",
        "/v1/rerank",
        {"model": "rerank-v3.5", "query": "What?", "documents": ["It."]},
        "rerank",
        UNCOUNTED,
        _RANKED,
        why="ranking is paid by the search",
    ),
    Method(
        "classify",
        "/v1/classify",
        {"model": "m", "inputs": ["What?"]},
        "classification",
        UNCOUNTED,
        _LABELS,
        why="classifications are paid by the piece",
    ),
    Method(
        "summarize",
        "/v1/summarize",
        {"model": "command", "text": "What?" * 60},
        "chat",
        COUNTED,
        {"id": "s", "summary": "It.", "meta": _BILLED},
    ),
    Method(
        *(
            "v2.parse",
            "/v2/parse",
            {"model": "command-a-vision", "document": {"type": "document_url", "url": "https://a.b"}},
        ),
        *("ocr", UNCOUNTED, {"id": "p", "pages": []}),
        why="pages are paid by the page",
    ),
    Method(
        *("audio.transcriptions.create", "/v2/audio/transcriptions"),
        {"model": "cohere-transcribe", "language": "en", "file": ("a.wav", b"RIFF")},
        *("transcription", UNCOUNTED, {"text": "It is."}),
        why="transcriptions count no tokens",
    ),
    Method(
        *("batches.create", "/v2/batches"),
        {"request": {"name": "n", "input_dataset_id": "d", "model": "command-r-plus"}},
        *("batch", UNCOUNTED, {"batch": {"id": "b", "name": "n", "status": "BATCH_STATUS_QUEUED"}}),
        why=_LATER,
    ),
    Method(
        "embed_jobs.create",
        "/v1/embed-jobs",
        {"model": "embed-v4.0", "dataset_id": "d", "input_type": "search_query"},
        "batch",
        UNCOUNTED,
        {"job_id": "j", "meta": {}},
        why=_LATER,
    ),
)

# -- LiteLLM -----------------------------------------------------------------------------------------------------------

_GPT: dict[str, Any] = {"model": "openai/gpt-4o", "messages": MESSAGES}

LITELLM = (
    Method("completion", "/v1/chat/completions", _GPT),
    Method("completion", "/v1/chat/completions", {**_GPT, "stream": True}, cell=GUESSED, kind="iterator"),
    Method(
        *("text_completion", "/v1/completions", {"model": "openai/gpt-3.5-turbo-instruct", "prompt": "What?"}),
        "text_completion",
    ),
    Method(
        *("embedding", "/v1/embeddings", {"model": "openai/text-embedding-3-small", "input": ["What?"]}),
        *("embeddings", ("ok", 11, 0, "provider", "priced")),
    ),
    Method(
        *("image_generation", "/v1/images/generations", {"model": "openai/gpt-image-1", "prompt": "What?"}),
        *("image_generation", COUNTED, IMAGES),
    ),
    Method(
        *("image_edit", "/v1/images/edits", {"model": "openai/gpt-image-1", "prompt": "What?", "image": b"PNG"}),
        *("image_generation", COUNTED, IMAGES),
    ),
    Method(
        *("speech", "/v1/audio/speech", {"model": "openai/tts-1", "voice": "alloy", "input": "What?"}),
        *("speech", UNCOUNTED, b"RIFF"),
        why="sound has no room for counts",
    ),
    Method(
        *("transcription", "/v1/audio/transcriptions", {"model": "openai/whisper-1", "file": ("a.wav", b"RIFF")}),
        *("transcription", UNCOUNTED, {"text": "It is."}),
        why="whisper is paid by the second",
    ),
    Method("responses", "/v1/responses", {"model": "openai/gpt-4o", "input": "What?"}),
    Method("responses", "/v1/responses", {"model": "openai/gpt-4o", "input": "What?", "stream": True}, kind="iterator"),
    Method(
        *("rerank", "/*rerank", {"model": "cohere/rerank-v3.5", "query": "What?", "documents": ["It."]}),
        *("rerank", UNCOUNTED, _RANKED),
        why="ranking is paid by the search",
    ),
    Method(
        *("create_batch", "/v1/batches"),
        {
            "completion_window": "24h",
            "endpoint": "/v1/chat/completions",
            "input_file_id": "file_1",
            "custom_llm_provider": "openai",
        },
        *("batch", UNCOUNTED, BATCH),
        why=_LATER,
    ),
    Method(
        *("ocr", "/*ocr"),
        {
            "model": "mistral/mistral-ocr-latest",
            "document": {"type": "document_url", "document_url": "https://a.example/b"},
        },
        *("ocr", UNCOUNTED),
        {"pages": [], "model": "mistral-ocr-latest", "usage_info": {"pages_processed": 1}},
        why="pages are paid by the page",
    ),
)
