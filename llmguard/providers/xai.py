"""xAI: its gRPC SDK, whose chat object is made first and asked later."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

XAI = Provider(
    name="xai",
    title="xAI",
    modules=("xai_sdk",),
    clients=(
        Client(
            names=("Client", "AsyncClient"),
            calls={
                "image.sample": Family.MEDIA,
                "image.sample_batch": Family.MEDIA,
                "video.generate": Family.MEDIA,
                "chat.get_stored_completion": Family.CHAT,
            },
            returns={"chat.create": "Chat"},
        ),
        Client(
            names=("Chat",),
            calls=dict.fromkeys(
                ("sample", "sample_batch", "stream", "stream_batch", "parse", "defer", "defer_batch"), Family.CHAT
            ),
        ),
    ),
    hosts=("api.x.ai",),
    key_env=("XAI_API_KEY",),
    base_url="https://api.x.ai/v1",
    dialect="openai",
    own_models=True,
)
