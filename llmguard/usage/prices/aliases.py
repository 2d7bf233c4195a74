"""Names of providers as llmguard, LiteLLM and OpenTelemetry have them, for the provider in the price snapshot."""

from __future__ import annotations

#: Name -> provider of the snapshot; None for what is known to be no provider by itself.
ALIASES: dict[str, str | None] = {
    "anthropic_text": "anthropic",
    "aiohttp_openai": None,
    "amazon_nova": "aws",
    "aws.bedrock": "aws",
    "aws_bedrock": "aws",
    "azure.ai.inference": "azure",
    "azure.ai.openai": "azure",
    "azure_ai": "azure",
    "azure_openai": "azure",
    "azure_text": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "bedrock_mantle": "aws",
    "chatgpt": None,
    "codestral": "mistral",
    "cohere_chat": "cohere",
    "custom_openai": None,
    "fireworks_ai": "fireworks",
    "gcp.gemini": "google",
    "gcp.gen_ai": "google",
    "gcp.vertex_ai": "google",
    "gemini": "google",
    "github_copilot": "github-copilot",
    "google_genai": "google",
    "huggingface": None,
    "meta_llama": "meta",
    "mistral_ai": "mistral",
    "mistralai": "mistral",
    "moonshot": "moonshotai",
    "moonshot_ai": "moonshotai",
    "openai_compatible": None,
    "openai_like": None,
    "openai_responses": "openai",
    "text-completion-codestral": "mistral",
    "text-completion-openai": "openai",
    "together_ai": "together",
    "togetherai": "together",
    "vertex_ai": "google",
    "vertex_ai_beta": "google",
    "vertexai": "google",
    "voyage": "voyageai",
    "voyage_ai": "voyageai",
    "x_ai": "x-ai",
    "xai": "x-ai",
    "z_ai": "zai",
}

#: What a batch costs of the usual price, where the snapshot has no price of its own for it. As the providers state it:
#: half at all of them but xAI (80 %) and Voyage (67 %). A cost that is made with it is called approximate.
BATCH = {
    "openai": "0.5",
    "azure": "0.5",
    "anthropic": "0.5",
    "google": "0.5",
    "mistral": "0.5",
    "groq": "0.5",
    "aws": "0.5",
    "x-ai": "0.8",
    "voyageai": "0.67",
}

#: What a token costs of the usual price where the inference is kept in a region, as the provider states it
#: (https://platform.claude.com/docs/en/manage-claude/data-residency). Such a cost is called approximate too.
REGIONS = {("anthropic", "us"): "1.1"}
