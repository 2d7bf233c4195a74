"""OpenRouter: its own SDK (most code reaches it through the OpenAI SDK, see `openai_services`)."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

OPENROUTER_SDK = Provider(
    name="openrouter",
    title="OpenRouter",
    modules=("openrouter",),
    clients=(
        Client(
            names=("OpenRouter",),
            calls={
                f"{path}{suffix}": family
                for path, family in (
                    ("chat.send", Family.CHAT),
                    ("completions.generate", Family.TEXT),
                    ("embeddings.generate", Family.EMBEDDING),
                    ("responses.send", Family.RESPONSES),
                )
                for suffix in ("", "_async")
            },
        ),
    ),
    transparent=frozenset({"beta"}),
)
