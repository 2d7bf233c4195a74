"""Writer: chat is a resource with a method of the same name."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

WRITER = Provider(
    name="writer",
    title="Writer",
    modules=("writerai",),
    clients=(
        Client(
            names=("Writer", "AsyncWriter", "Client", "AsyncClient"),
            calls={
                "chat.chat": Family.CHAT,
                "chat.parse": Family.CHAT,
                "chat.stream": Family.CHAT,
                "completions.create": Family.TEXT,
                "completions.stream": Family.TEXT,
                "applications.generate_content": Family.TEXT,
                "graphs.question": Family.CHAT,
            },
            returns={"with_options": "", "copy": ""},
        ),
    ),
    transparent=frozenset({"with_raw_response", "with_streaming_response"}),
    hosts=("api.writer.com",),
    key_env=("WRITER_API_KEY",),
    base_url="https://api.writer.com",
)
