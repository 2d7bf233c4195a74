"""Cohere: `Client` and `ClientV2`; reranking is not generation and is left alone."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

_CALLS = {
    "chat": Family.CHAT,
    "chat_stream": Family.CHAT,
    "generate": Family.TEXT,
    "generate_stream": Family.TEXT,
    "batch_generate": Family.TEXT,
    "summarize": Family.TEXT,
    "embed": Family.EMBEDDING,
    "batch_embed": Family.EMBEDDING,
    "embed_stream": Family.EMBEDDING,
    "audio.transcriptions.create": Family.MEDIA,
    "embed_jobs.create": Family.EMBEDDING,
    "v2.chat": Family.CHAT,
    "v2.chat_stream": Family.CHAT,
    "v2.embed": Family.EMBEDDING,
}

COHERE = Provider(
    name="cohere",
    title="Cohere",
    modules=("cohere", "cohere_aws", "cohere_sagemaker"),
    clients=(
        Client(
            names=(
                "Client",
                "AsyncClient",
                "ClientV2",
                "AsyncClientV2",
                "AwsClient",
                "AwsClientV2",
                "BedrockClient",
                "BedrockClientV2",
                "SagemakerClient",
                "SagemakerClientV2",
                "OciClient",
                "OciClientV2",
            ),
            calls=_CALLS,
        ),
    ),
    transparent=frozenset({"with_raw_response"}),
    endpoints={
        "api.cohere.ai/v1/chat": Family.HTTP,
        "api.cohere.ai/v1/generate": Family.HTTP,
        "api.cohere.ai/v1/embed": Family.HTTP,
        "api.cohere.com/v1/chat": Family.HTTP,
        "api.cohere.com/v2/chat": Family.HTTP,
        "api.cohere.com/v1/generate": Family.HTTP,
        "api.cohere.com/v1/embed": Family.HTTP,
        "api.cohere.com/v2/embed": Family.HTTP,
    },
    hosts=("api.cohere.com", "api.cohere.ai"),
    key_env=("COHERE_API_KEY", "CO_API_KEY"),
    base_url="https://api.cohere.com",
    dialect="cohere",
    operations={
        **dict.fromkeys(("v1/chat", "v2/chat", "v1/summarize"), "chat"),
        "v1/generate": "text_completion",
        **dict.fromkeys(("v1/embed", "v2/embed"), "embeddings"),
        **dict.fromkeys(("v1/rerank", "v2/rerank"), "rerank"),
        "v1/classify": "classification",
        "v2/parse": "ocr",
        "v2/audio/transcriptions": "transcription",
        **dict.fromkeys(("v2/batches", "v1/embed-jobs"), "batch"),
        **dict.fromkeys(
            (
                *("v1/check-api-key", "v1/connectors", "v1/connectors/**", "v1/datasets", "v1/detokenize"),
                *("v1/embed-jobs/*/cancel", "v1/finetuning/**", "v1/tokenize", "v2/batches/*"),
            ),
            "",
        ),
    },
    own_models=True,
    usage_paths={"input_tokens": "meta.tokens.input_tokens", "output_tokens": "meta.tokens.output_tokens"},
    capabilities=frozenset({"stream", "tools", "json", "embeddings"}),
)
