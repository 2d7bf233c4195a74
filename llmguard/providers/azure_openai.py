"""Azure OpenAI: OpenAI's SDK with Azure's classes, and Azure's own inference SDK."""

from __future__ import annotations

from llmguard.providers.openai_shape import OPENAI_CAPABILITIES, OPENAI_TRANSPARENT, OPENAI_USAGE, openai_client
from llmguard.providers.provider import Client, Family, Provider

AZURE_OPENAI = Provider(
    name="azure_openai",
    title="Azure OpenAI",
    modules=(
        "openai",
        "langfuse.openai",
        "posthog.ai.openai",
        "azure.ai.inference",
        "azure.ai.projects",
        "azure.ai.openai",
    ),
    clients=(
        openai_client("AzureOpenAI", "AsyncAzureOpenAI"),
        Client(names=("ChatCompletionsClient",), calls={"complete": Family.CHAT}),
        Client(names=("EmbeddingsClient", "ImageEmbeddingsClient"), calls={"embed": Family.EMBEDDING}),
        Client(
            names=("AIProjectClient",),
            returns={
                "get_openai_client": "AzureOpenAI",
                "inference.get_azure_openai_client": "AzureOpenAI",
                "inference.get_chat_completions_client": "ChatCompletionsClient",
                "inference.get_embeddings_client": "EmbeddingsClient",
            },
        ),
    ),
    transparent=OPENAI_TRANSPARENT,
    endpoints={"/openai/deployments/": Family.HTTP},
    hosts=("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com", "models.inference.ai.azure.com"),
    key_env=("AZURE_OPENAI_API_KEY",),
    dialect="azure_openai",
    usage_paths=OPENAI_USAGE,
    default_model="gpt-4",
    model_env="AZURE_OPENAI_DEPLOYMENT",
    option_env={
        "azure_endpoint": ("AZURE_OPENAI_ENDPOINT", ""),
        "api_version": ("AZURE_OPENAI_API_VERSION", "2024-12-01-preview"),
    },
    capabilities=OPENAI_CAPABILITIES | {"images", "responses", "embeddings"},
)
