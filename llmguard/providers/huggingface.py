"""Hugging Face: the inference clients of huggingface_hub (and of text-generation), and the inference URLs."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider

_CALLS = {
    "text_generation": Family.TEXT,
    "chat_completion": Family.CHAT,
    "chat.completions.create": Family.CHAT,
    "conversational": Family.CHAT,
    "summarization": Family.TEXT,
    "translation": Family.TEXT,
    "question_answering": Family.TEXT,
    "feature_extraction": Family.EMBEDDING,
    "sentence_similarity": Family.EMBEDDING,
    "text_to_image": Family.MEDIA,
    "image_to_image": Family.MEDIA,
    "text_to_speech": Family.MEDIA,
    "text_to_video": Family.MEDIA,
    "image_to_video": Family.MEDIA,
    "image_to_text": Family.MEDIA,
    "automatic_speech_recognition": Family.MEDIA,
    "audio_to_audio": Family.MEDIA,
    "visual_question_answering": Family.MEDIA,
    "document_question_answering": Family.MEDIA,
    "post": Family.TEXT,
}

HUGGINGFACE = Provider(
    name="huggingface",
    title="Hugging Face",
    modules=("huggingface_hub", "text_generation"),
    clients=(
        Client(
            names=("InferenceClient", "AsyncInferenceClient", "InferenceApi"), calls=_CALLS | {"__call__": Family.TEXT}
        ),
        Client(
            names=("Client", "AsyncClient", "InferenceAPIClient", "InferenceAPIAsyncClient"),
            calls={"generate": Family.TEXT, "generate_stream": Family.TEXT, "chat": Family.CHAT},
        ),
    ),
    endpoints={
        "api-inference.huggingface.co/models/": Family.HTTP,
        "api-inference.huggingface.co/pipeline/": Family.HTTP,
        "router.huggingface.co/": Family.HTTP,
    },
    hosts=("api-inference.huggingface.co", "router.huggingface.co"),
    key_env=("HF_TOKEN", "HUGGINGFACEHUB_API_TOKEN"),
    base_url="https://router.huggingface.co/v1",
    dialect="openai",
    capabilities=frozenset({"stream", "tools", "embeddings"}),
)
