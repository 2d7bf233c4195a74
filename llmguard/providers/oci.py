"""Oracle Generative AI: the inference client of the OCI SDK."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

OCI = Provider(
    name="oci",
    title="Oracle Generative AI",
    modules=("oci",),
    clients=(
        Client(
            names=("GenerativeAiInferenceClient",),
            calls={
                "chat": Family.CHAT,
                "generate_text": Family.TEXT,
                "summarize_text": Family.TEXT,
                "embed_text": Family.EMBEDDING,
            },
        ),
    ),
)
