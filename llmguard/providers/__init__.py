"""The providers, one row each, and the look-ups that everyone else uses.

A new provider is one file with one row, added to `PROVIDERS` below.
"""

from __future__ import annotations

from llmguard.providers.ai21 import AI21
from llmguard.providers.aleph_alpha import ALEPH_ALPHA
from llmguard.providers.anthropic import ANTHROPIC
from llmguard.providers.assemblyai import ASSEMBLYAI
from llmguard.providers.azure_openai import AZURE_OPENAI
from llmguard.providers.bedrock import BEDROCK
from llmguard.providers.cohere import COHERE
from llmguard.providers.dashscope import DASHSCOPE
from llmguard.providers.elevenlabs import ELEVENLABS
from llmguard.providers.google import GOOGLE
from llmguard.providers.groq import GROQ
from llmguard.providers.huggingface import HUGGINGFACE
from llmguard.providers.litellm import LITELLM
from llmguard.providers.mistral import MISTRAL
from llmguard.providers.oci import OCI
from llmguard.providers.ollama import OLLAMA
from llmguard.providers.openai import OPENAI
from llmguard.providers.openai_sdks import OPENAI_SDKS
from llmguard.providers.openai_services import OPENAI_SERVICES
from llmguard.providers.openrouter import OPENROUTER_SDK
from llmguard.providers.provider import Client, Factory, Family, Provider, Shape
from llmguard.providers.qianfan import QIANFAN
from llmguard.providers.replicate import REPLICATE
from llmguard.providers.voyage import VOYAGE
from llmguard.providers.watsonx import WATSONX
from llmguard.providers.writer import WRITER
from llmguard.providers.xai import XAI

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
    XAI,
    AI21,
    REPLICATE,
    DASHSCOPE,
    WATSONX,
    WRITER,
    VOYAGE,
    ALEPH_ALPHA,
    OPENROUTER_SDK,
    QIANFAN,
    OCI,
    ELEVENLABS,
    ASSEMBLYAI,
)

__all__ = ["PROVIDERS", "Client", "Factory", "Family", "Provider", "Shape"]
