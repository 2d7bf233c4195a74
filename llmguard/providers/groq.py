"""Groq: the OpenAI wire format under its own SDK."""

from __future__ import annotations

from llmguard.providers.openai_shape import (
    OPENAI_CAPABILITIES,
    OPENAI_TRANSPARENT,
    OPENAI_USAGE,
    openai_client,
    openai_resources,
)
from llmguard.providers.provider import Provider

GROQ = Provider(
    name="groq",
    title="Groq",
    modules=("groq",),
    clients=(openai_client("Groq", "AsyncGroq", "Client", "AsyncClient"), *openai_resources()),
    transparent=OPENAI_TRANSPARENT,
    hosts=("api.groq.com",),
    key_env=("GROQ_API_KEY",),
    base_url="https://api.groq.com/openai/v1",
    dialect="openai",
    operations={
        "chat/completions": "chat",
        "embeddings": "embeddings",
        "audio/speech": "speech",
        **dict.fromkeys(("audio/transcriptions", "audio/translations"), "transcription"),
        "batches": "batch",
        **dict.fromkeys(("batches/*/cancel", "files"), ""),
    },
    own_models=True,
    default_model="meta-llama/llama-4-scout-17b-16e-instruct",  # the one that the first users have
    model_env="GROQ_MODEL",
    usage_paths=OPENAI_USAGE,
    capabilities=OPENAI_CAPABILITIES | {"images"},
)
