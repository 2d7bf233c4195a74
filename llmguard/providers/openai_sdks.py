"""SDKs of their own that offer OpenAI's calls: one line each. A row of its own is needed where calls differ."""

from __future__ import annotations

from llmguard.providers.openai_shape import (
    OPENAI_CALLS,
    OPENAI_CAPABILITIES,
    OPENAI_RETURNS,
    OPENAI_TRANSPARENT,
    OPENAI_USAGE,
    openai_resources,
)
from llmguard.providers.provider import Client, Family, Provider


def _sdk(
    name: str,
    title: str,
    modules: tuple[str, ...],
    classes: tuple[str, ...],
    *,
    hosts: tuple[str, ...] = (),
    key_env: str = "",
    base_url: str = "",
    extra: dict[str, Family] | None = None,
) -> Provider:
    return Provider(
        name=name,
        title=title,
        modules=modules,
        clients=(
            Client(names=classes, calls=OPENAI_CALLS | (extra or {}), returns=OPENAI_RETURNS),
            *openai_resources(),
        ),
        transparent=OPENAI_TRANSPARENT,
        hosts=hosts,
        key_env=(key_env,) if key_env else (),
        base_url=base_url,
        dialect="openai",
        usage_paths=OPENAI_USAGE,
        capabilities=OPENAI_CAPABILITIES,
    )


_LEGACY_TOGETHER = {
    "together.Complete.create": Family.TEXT,
    "together.Complete.create_streaming": Family.TEXT,
    "together.Image.create": Family.MEDIA,
    "together.Embeddings.create": Family.EMBEDDING,
}

TOGETHER = Provider(
    name="together",
    title="Together",
    modules=("together",),
    clients=(
        Client(
            names=("Together", "AsyncTogether", "Client", "AsyncClient"), calls=OPENAI_CALLS, returns=OPENAI_RETURNS
        ),
        *openai_resources(),
    ),
    functions=_LEGACY_TOGETHER,
    transparent=OPENAI_TRANSPARENT,
    endpoints={"api.together.xyz/inference": Family.HTTP},
    hosts=("api.together.xyz", "api.together.ai"),
    key_env=("TOGETHER_API_KEY",),
    base_url="https://api.together.xyz/v1",
    dialect="openai",
    usage_paths=OPENAI_USAGE,
    capabilities=OPENAI_CAPABILITIES,
)

CEREBRAS = _sdk(
    "cerebras",
    "Cerebras",
    ("cerebras.cloud.sdk", "cerebras"),
    ("Cerebras", "AsyncCerebras", "Client", "AsyncClient"),
    hosts=("api.cerebras.ai",),
    key_env="CEREBRAS_API_KEY",
    base_url="https://api.cerebras.ai/v1",
)
ZHIPU = _sdk(
    "zhipu",
    "Zhipu",
    ("zhipuai", "zai"),
    ("ZhipuAI", "ZaiClient", "ZhipuAiClient", "Client"),
    hosts=("open.bigmodel.cn", "api.z.ai"),
    key_env="ZHIPUAI_API_KEY",
    base_url="https://open.bigmodel.cn/api/paas/v4",
    extra={
        "chat.asyncCompletions.create": Family.CHAT,
        "images.generations": Family.MEDIA,
        "videos.generations": Family.MEDIA,
    },
)
FIREWORKS = _sdk(
    "fireworks",
    "Fireworks",
    ("fireworks.client", "fireworks"),
    ("", "Fireworks", "AsyncFireworks", "LLM"),
    hosts=("api.fireworks.ai",),
    key_env="FIREWORKS_API_KEY",
    base_url="https://api.fireworks.ai/inference/v1",
    extra={
        "ChatCompletion.create": Family.CHAT,
        "ChatCompletion.acreate": Family.CHAT,
        "Completion.create": Family.TEXT,
        "Completion.acreate": Family.TEXT,
    },
)
SAMBANOVA = _sdk(
    "sambanova",
    "SambaNova",
    ("sambanova",),
    ("SambaNova", "AsyncSambaNova", "Client", "AsyncClient"),
    hosts=("api.sambanova.ai",),
    key_env="SAMBANOVA_API_KEY",
    base_url="https://api.sambanova.ai/v1",
)
PERPLEXITY = _sdk(
    "perplexity",
    "Perplexity",
    ("perplexity",),
    ("Perplexity", "AsyncPerplexity", "Client", "AsyncClient"),
    hosts=("api.perplexity.ai",),
    key_env="PERPLEXITY_API_KEY",
    base_url="https://api.perplexity.ai",
)
VOLCENGINE = _sdk(
    "volcengine",
    "Volcengine Ark",
    ("volcenginesdkarkruntime",),
    ("Ark", "AsyncArk"),
    hosts=("ark.cn-beijing.volces.com",),
    key_env="ARK_API_KEY",
    base_url="https://ark.cn-beijing.volces.com/api/v3",
    extra={"multimodal_embeddings.create": Family.EMBEDDING, "bot_chat.completions.create": Family.CHAT},
)
PORTKEY = _sdk(
    "portkey",
    "Portkey",
    ("portkey_ai",),
    ("Portkey", "AsyncPortkey"),
    hosts=("api.portkey.ai",),
    key_env="PORTKEY_API_KEY",
    base_url="https://api.portkey.ai/v1",
)
INSTRUCTOR = _sdk(
    "instructor",
    "Instructor",
    ("instructor",),
    ("Instructor", "AsyncInstructor", "from_provider"),
    extra={
        f"{prefix}{method}": Family.CHAT
        for prefix in ("", "chat.completions.", "messages.")
        for method in ("create", "create_partial", "create_iterable", "create_with_completion")
    },
)

OPENAI_SDKS = (TOGETHER, CEREBRAS, ZHIPU, FIREWORKS, SAMBANOVA, PERPLEXITY, VOLCENGINE, PORTKEY, INSTRUCTOR)
