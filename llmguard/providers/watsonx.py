"""watsonx.ai: IBM's model inference classes."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

WATSONX = Provider(
    name="watsonx",
    title="watsonx.ai",
    modules=("ibm_watsonx_ai", "ibm_watson_machine_learning"),
    clients=(
        Client(
            names=("ModelInference", "Model"),
            calls={
                "generate": Family.TEXT,
                "generate_text": Family.TEXT,
                "generate_text_stream": Family.TEXT,
                "agenerate": Family.TEXT,
                "agenerate_stream": Family.TEXT,
                "chat": Family.CHAT,
                "chat_stream": Family.CHAT,
                "achat": Family.CHAT,
                "achat_stream": Family.CHAT,
            },
        ),
        Client(
            names=("Embeddings",),
            calls=dict.fromkeys(
                ("embed_query", "embed_documents", "generate", "aembed_query", "aembed_documents", "agenerate"),
                Family.EMBEDDING,
            ),
        ),
    ),
    endpoints={"/ml/v1/text/generation": Family.HTTP, "/ml/v1/text/chat": Family.HTTP},
    hosts=("ml.cloud.ibm.com",),
    key_env=("WATSONX_APIKEY",),
)
