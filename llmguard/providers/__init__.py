"""The providers, one row each, and the look-ups that everyone else uses.

A new provider is one file with one row, added to `PROVIDERS` below.
"""

from __future__ import annotations

from llmguard.providers.anthropic import ANTHROPIC
from llmguard.providers.azure_openai import AZURE_OPENAI
from llmguard.providers.bedrock import BEDROCK
from llmguard.providers.cohere import COHERE
from llmguard.providers.google import GOOGLE
from llmguard.providers.groq import GROQ
from llmguard.providers.huggingface import HUGGINGFACE
from llmguard.providers.litellm import LITELLM
from llmguard.providers.mistral import MISTRAL
from llmguard.providers.ollama import OLLAMA
from llmguard.providers.openai import OPENAI
from llmguard.providers.openai_sdks import OPENAI_SDKS
from llmguard.providers.openai_services import OPENAI_SERVICES
from llmguard.providers.other_sdks import OTHER_SDKS
from llmguard.providers.provider import Client, Factory, Family, Provider, Shape

PROVIDERS: tuple[Provider, ...] = (
    OPENAI,
    AZURE_OPENAI,
    ANTHROPIC,
    GROQ,
    LITELLM,
    GOOGLE,
    MISTRAL,
    COHERE,
    BEDROCK,
    OLLAMA,
    HUGGINGFACE,
    *OPENAI_SDKS,
    *OPENAI_SERVICES,
    *OTHER_SDKS,
)

__all__ = ["PROVIDERS", "Client", "Factory", "Family", "Provider", "Shape"]
