"""AI21: the SDK of today and the module classes before it."""

from __future__ import annotations

from llmguard.providers.openai_shape import OPENAI_CALLS
from llmguard.providers.provider import Client, Family, Provider

AI21 = Provider(
    name="ai21",
    title="AI21",
    modules=("ai21",),
    clients=(
        Client(
            names=("AI21Client", "AsyncAI21Client", "AI21BedrockClient", "AI21AzureClient", "AI21VertexClient"),
            calls=OPENAI_CALLS
            | {
                "completion.create": Family.TEXT,
                "chat.create": Family.CHAT,
                "answer.create": Family.TEXT,
                "summarize.create": Family.TEXT,
                "paraphrase.create": Family.TEXT,
                "embed.create": Family.EMBEDDING,
            },
        ),
    ),
    functions={
        "ai21.Completion.execute": Family.TEXT,
        "ai21.Chat.execute": Family.CHAT,
        "ai21.Summarize.execute": Family.TEXT,
        "ai21.Paraphrase.execute": Family.TEXT,
        "ai21.Embed.execute": Family.EMBEDDING,
    },
    transparent=frozenset({"beta"}),
    hosts=("api.ai21.com",),
    key_env=("AI21_API_KEY",),
    base_url="https://api.ai21.com/studio/v1",
)
