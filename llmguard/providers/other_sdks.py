"""SDKs in real use whose calls are like nobody else's: small rows, gathered here because each is a few lines."""

from __future__ import annotations

from llmguard.providers.openai_shape import OPENAI_CALLS
from llmguard.providers.provider import Client, Family, Provider

XAI = Provider(
    name="xai",
    title="xAI",
    modules=("xai_sdk",),
    clients=(
        Client(
            names=("Client", "AsyncClient"),
            calls={
                "image.sample": Family.MEDIA,
                "image.sample_batch": Family.MEDIA,
                "video.generate": Family.MEDIA,
                "chat.get_stored_completion": Family.CHAT,
            },
            returns={"chat.create": "Chat"},
        ),
        Client(
            names=("Chat",),
            calls=dict.fromkeys(
                ("sample", "sample_batch", "stream", "stream_batch", "parse", "defer", "defer_batch"), Family.CHAT
            ),
        ),
    ),
    hosts=("api.x.ai",),
    key_env=("XAI_API_KEY",),
    base_url="https://api.x.ai/v1",
    dialect="openai",
)
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
_REPLICATE = {
    "run": Family.TEXT,
    "async_run": Family.TEXT,
    "stream": Family.TEXT,
    "async_stream": Family.TEXT,
    "predictions.create": Family.TEXT,
    "predictions.async_create": Family.TEXT,
    "models.predictions.create": Family.TEXT,
    "models.predictions.async_create": Family.TEXT,
    "deployments.predictions.create": Family.TEXT,
    "deployments.predictions.async_create": Family.TEXT,
}
REPLICATE = Provider(
    name="replicate",
    title="Replicate",
    modules=("replicate",),
    clients=(Client(names=("", "Client", "Replicate", "AsyncReplicate"), calls=_REPLICATE),),
    endpoints={"api.replicate.com/v1/predictions": Family.HTTP, "api.replicate.com/v1/models/": Family.HTTP},
    hosts=("api.replicate.com",),
    key_env=("REPLICATE_API_TOKEN",),
    base_url="https://api.replicate.com/v1",
)
DASHSCOPE = Provider(
    name="dashscope",
    title="DashScope",
    modules=("dashscope",),
    functions={
        f"dashscope.{name}.{method}": family
        for name, family in (
            ("Generation", Family.CHAT),
            ("AioGeneration", Family.CHAT),
            ("MultiModalConversation", Family.CHAT),
            ("AioMultiModalConversation", Family.CHAT),
            ("Application", Family.CHAT),
            ("TextEmbedding", Family.EMBEDDING),
            ("MultiModalEmbedding", Family.EMBEDDING),
            ("BatchTextEmbedding", Family.EMBEDDING),
            ("ImageSynthesis", Family.MEDIA),
            ("VideoSynthesis", Family.MEDIA),
        )
        for method in ("call", "async_call")
    },
    endpoints={"dashscope.aliyuncs.com/api/v1/services/": Family.HTTP},
    hosts=("dashscope.aliyuncs.com",),
    key_env=("DASHSCOPE_API_KEY",),
)
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
VOYAGE = Provider(
    name="voyage",
    title="Voyage",
    modules=("voyageai",),
    clients=(
        Client(
            names=("Client", "AsyncClient"),
            calls={
                "embed": Family.EMBEDDING,
                "multimodal_embed": Family.EMBEDDING,
                "contextualized_embed": Family.EMBEDDING,
            },
        ),
    ),
    functions={"voyageai.Embedding.create": Family.EMBEDDING, "voyageai.Embedding.acreate": Family.EMBEDDING},
    endpoints={"api.voyageai.com/v1/": Family.HTTP},
    hosts=("api.voyageai.com",),
    key_env=("VOYAGE_API_KEY",),
)
ALEPH_ALPHA = Provider(
    name="aleph_alpha",
    title="Aleph Alpha",
    modules=("aleph_alpha_client",),
    clients=(
        Client(
            names=("Client", "AsyncClient"),
            calls={
                "complete": Family.TEXT,
                "complete_with_streaming": Family.TEXT,
                "chat": Family.CHAT,
                "chat_with_streaming": Family.CHAT,
                "summarize": Family.TEXT,
                "qa": Family.TEXT,
                "embed": Family.EMBEDDING,
                "batch_semantic_embed": Family.EMBEDDING,
                "semantic_embed": Family.EMBEDDING,
                "instructable_embed": Family.EMBEDDING,
            },
        ),
    ),
    hosts=("api.aleph-alpha.com",),
    key_env=("AA_TOKEN",),
)
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
QIANFAN = Provider(
    name="qianfan",
    title="Qianfan",
    modules=("qianfan",),
    clients=(
        Client(names=("ChatCompletion", "Completion"), calls={"do": Family.CHAT, "ado": Family.CHAT}),
        Client(names=("Embedding",), calls={"do": Family.EMBEDDING, "ado": Family.EMBEDDING}),
        Client(names=("Text2Image",), calls={"do": Family.MEDIA, "ado": Family.MEDIA}),
    ),
    hosts=("aip.baidubce.com", "qianfan.baidubce.com"),
    key_env=("QIANFAN_ACCESS_KEY",),
)

OCI = Provider(
    name="oci",
    title="Oracle Generative AI",
    modules=("oci",),
    clients=(
        Client(
            names=("GenerativeAiInferenceClient",),
            calls={
                "chat": Family.CHAT,
                "generate_text": Family.TEXT,
                "summarize_text": Family.TEXT,
                "embed_text": Family.EMBEDDING,
            },
        ),
    ),
)
ELEVENLABS = Provider(
    name="elevenlabs",
    title="ElevenLabs",
    modules=("elevenlabs",),
    clients=(
        Client(
            names=("ElevenLabs", "AsyncElevenLabs"),
            calls=dict.fromkeys(
                (
                    "generate",
                    *("text_to_speech.convert", "text_to_speech.stream", "text_to_speech.convert_with_timestamps"),
                    *("speech_to_text.convert", "speech_to_speech.convert", "text_to_sound_effects.convert"),
                ),
                Family.MEDIA,
            ),
        ),
    ),
    functions={"elevenlabs.generate": Family.MEDIA},
    hosts=("api.elevenlabs.io",),
    key_env=("ELEVENLABS_API_KEY",),
)
ASSEMBLYAI = Provider(
    name="assemblyai",
    title="AssemblyAI",
    modules=("assemblyai",),
    clients=(
        Client(
            names=("Transcriber",),
            calls=dict.fromkeys(("transcribe", "transcribe_async", "transcribe_group", "submit"), Family.MEDIA),
        ),
        Client(
            names=("Lemur",),
            calls=dict.fromkeys(("task", "question", "summarize", "action_items"), Family.TEXT),
        ),
    ),
    hosts=("api.assemblyai.com",),
    key_env=("ASSEMBLYAI_API_KEY",),
)

OTHER_SDKS = (
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
