"""Voyage: embeddings."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

VOYAGE = Provider(
    name="voyage",
    title="Voyage",
    modules=("voyageai",),
    clients=(
        Client(
            names=("Client", "AsyncClient"),
            calls={
                "embed": Family.EMBEDDING,
                "multimodal_embed": Family.EMBEDDING,
                "contextualized_embed": Family.EMBEDDING,
            },
        ),
    ),
    functions={"voyageai.Embedding.create": Family.EMBEDDING, "voyageai.Embedding.acreate": Family.EMBEDDING},
    endpoints={"api.voyageai.com/v1/": Family.HTTP},
    hosts=("api.voyageai.com",),
    key_env=("VOYAGE_API_KEY",),
)
