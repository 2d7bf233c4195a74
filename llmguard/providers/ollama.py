"""Ollama: module functions, clients, and the local HTTP API."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider, Shape

_CALLS = {
    "chat": Family.CHAT,
    "generate": Family.TEXT,
    "embeddings": Family.EMBEDDING,
    "embed": Family.EMBEDDING,
}

OLLAMA = Provider(
    name="ollama",
    title="Ollama",
    modules=("ollama",),
    clients=(Client(names=("", "Client", "AsyncClient"), calls=_CALLS),),
    shapes=(Shape("chat", Family.CHAT, needs=frozenset({"model", "messages"}), unseen="", evidence=True),),
    endpoints={
        ":11434/api/generate": Family.HTTP,
        ":11434/api/chat": Family.HTTP,
        ":11434/api/embed": Family.HTTP,
        "ollama.com/api/chat": Family.HTTP,
        "ollama.com/api/generate": Family.HTTP,
    },
    hosts=("localhost:11434", "127.0.0.1:11434", "ollama.com"),
    key_env=("OLLAMA_API_KEY",),
    base_url="http://localhost:11434",
    dialect="ollama",
    usage_paths={"input_tokens": "prompt_eval_count", "output_tokens": "eval_count"},
    capabilities=frozenset({"stream", "tools", "json", "images", "embeddings"}),
)
