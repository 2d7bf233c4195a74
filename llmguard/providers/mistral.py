"""Mistral: the SDK of today and the `MistralClient` of before 1.0."""

from __future__ import annotations

from llmguard.providers.openai_shape import OPENAI_CAPABILITIES, OPENAI_USAGE
from llmguard.providers.provider import Client, Family, Provider, Shape

_MODEL_AND_MESSAGES = frozenset({"model", "messages"})

_CALLS = (
    {
        f"{resource}.{method}": family
        for resource, family in (("chat", Family.CHAT), ("fim", Family.TEXT), ("agents", Family.CHAT))
        for method in (
            "complete",
            "complete_async",
            "stream",
            "stream_async",
            "parse",
            "parse_async",
            "parse_stream",
            "parse_stream_async",
        )
    }
    | {
        "embeddings.create": Family.EMBEDDING,
        "embeddings.create_async": Family.EMBEDDING,
        "audio.transcriptions.complete": Family.MEDIA,
        "audio.transcriptions.complete_async": Family.MEDIA,
        "audio.transcriptions.stream": Family.MEDIA,
        "audio.transcriptions.stream_async": Family.MEDIA,
        "audio.speech.complete": Family.MEDIA,
        "audio.speech.complete_async": Family.MEDIA,
        "responses.create": Family.RESPONSES,
        "responses.create_async": Family.RESPONSES,
        "batch.jobs.create": Family.CHAT,
        "batch.jobs.create_async": Family.CHAT,
    }
    | {
        f"conversations.{method}{suffix}": Family.CHAT
        for method in (
            "start",
            "append",
            "restart",
            "start_stream",
            "append_stream",
            "restart_stream",
            "run",
            "run_stream",
        )
        for suffix in ("", "_async")
    }
)

MISTRAL = Provider(
    name="mistral",
    title="Mistral",
    modules=("mistralai", "mistralai_azure", "mistralai_gcp"),
    clients=(
        Client(names=("Mistral", "MistralAzure", "MistralGCP", "MistralGoogleCloud"), calls=_CALLS),
        Client(
            names=("MistralClient", "MistralAsyncClient"),
            calls={
                "chat": Family.CHAT,
                "chat_stream": Family.CHAT,
                "completion": Family.TEXT,
                "completion_stream": Family.TEXT,
                "embeddings": Family.EMBEDDING,
            },
        ),
    ),
    shapes=(
        *(
            Shape(f"chat.{method}", Family.CHAT, needs=_MODEL_AND_MESSAGES)
            for method in ("complete", "complete_async", "stream", "stream_async", "parse", "parse_async")
        ),
    ),
    transparent=frozenset({"beta"}),
    hosts=("api.mistral.ai", "codestral.mistral.ai"),
    key_env=("MISTRAL_API_KEY",),
    base_url="https://api.mistral.ai/v1",
    dialect="openai",
    operations={
        **dict.fromkeys(("v1/chat/completions", "v1/fim/completions", "v1/agents/completions"), "chat"),
        **dict.fromkeys(("models/chat/completions", "rawPredict", "streamRawPredict", "v1/responses"), "chat"),
        **dict.fromkeys(("v1/conversations", "v1/conversations/*", "v1/conversations/*/restart"), "chat"),
        "v1/embeddings": "embeddings",
        "v1/audio/speech": "speech",
        "v1/audio/transcriptions": "transcription",
        **dict.fromkeys(("v1/ocr", "providers/mistral/azure/ocr"), "ocr"),
        "v1/batch/jobs": "batch",
        **dict.fromkeys(("v1/chat/classifications", "v1/classifications"), "classification"),
        **dict.fromkeys(
            ("v1/observability/judges/*/live-judging", "v1/observability/dataset-records/*/live-judging"),
            "evaluation",
        ),
        **dict.fromkeys(
            (
                *("v1/agents", "v1/agents/**", "v1/audio/agents", "v1/audio/sessions", "v1/audio/voices"),
                *("v1/batch/jobs/*/cancel", "v1/chat/moderations", "v1/moderations", "v1/client/**"),
                *("v1/connectors", "v1/connectors/**", "v1/context/**", "v1/files", "v1/fine_tuning/**"),
                *("v1/libraries", "v1/libraries/**", "v1/observability/**", "v1/responses/input_tokens"),
                *(
                    "v1/service-accounts",
                    "v1/triggers",
                    "v1/webhooks",
                    "v1/workflows/**",
                    "v2/prompts",
                    "v2/prompts/**",
                ),
                *("v2/skills", "v2/skills/**"),
            ),
            "",
        ),
    },
    own_models=True,
    usage_paths=OPENAI_USAGE,
    capabilities=OPENAI_CAPABILITIES | {"images", "embeddings"},
)
