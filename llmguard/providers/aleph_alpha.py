"""Aleph Alpha: one client, many tasks."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

ALEPH_ALPHA = Provider(
    name="aleph_alpha",
    title="Aleph Alpha",
    modules=("aleph_alpha_client",),
    clients=(
        Client(
            names=("Client", "AsyncClient"),
            calls={
                "complete": Family.TEXT,
                "complete_with_streaming": Family.TEXT,
                "chat": Family.CHAT,
                "chat_with_streaming": Family.CHAT,
                "summarize": Family.TEXT,
                "qa": Family.TEXT,
                "embed": Family.EMBEDDING,
                "batch_semantic_embed": Family.EMBEDDING,
                "semantic_embed": Family.EMBEDDING,
                "instructable_embed": Family.EMBEDDING,
            },
        ),
    ),
    hosts=("api.aleph-alpha.com",),
    key_env=("AA_TOKEN",),
)
