"""LiteLLM: module functions and the Router."""

from __future__ import annotations

from llmguard.providers.openai_shape import OPENAI_CALLS, OPENAI_USAGE
from llmguard.providers.provider import Client, Family, Provider, Shape

_CALLS = {
    "completion": Family.COMPLETION,
    "acompletion": Family.COMPLETION,
    "completion_with_retries": Family.COMPLETION,
    "acompletion_with_retries": Family.COMPLETION,
    "batch_completion": Family.COMPLETION,
    "abatch_completion": Family.COMPLETION,
    "batch_completion_models": Family.COMPLETION,
    "batch_completion_models_all_responses": Family.COMPLETION,
    "abatch_completion_one_model_multiple_requests": Family.COMPLETION,
    "abatch_completion_fastest_response": Family.COMPLETION,
    "schedule_acompletion": Family.COMPLETION,
    "text_completion": Family.TEXT,
    "atext_completion": Family.TEXT,
    "responses": Family.RESPONSES,
    "aresponses": Family.RESPONSES,
    "anthropic_messages": Family.MESSAGES,
    "aanthropic_messages": Family.MESSAGES,
    "generate_content": Family.CHAT,
    "agenerate_content": Family.CHAT,
    "generate_content_stream": Family.CHAT,
    "agenerate_content_stream": Family.CHAT,
    "embedding": Family.EMBEDDING,
    "aembedding": Family.EMBEDDING,
    "image_generation": Family.MEDIA,
    "aimage_generation": Family.MEDIA,
    "image_edit": Family.MEDIA,
    "aimage_edit": Family.MEDIA,
    "image_variation": Family.MEDIA,
    "aimage_variation": Family.MEDIA,
    "video_generation": Family.MEDIA,
    "avideo_generation": Family.MEDIA,
    "transcription": Family.MEDIA,
    "atranscription": Family.MEDIA,
    "speech": Family.MEDIA,
    "aspeech": Family.MEDIA,
    "create_batch": Family.COMPLETION,
    "acreate_batch": Family.COMPLETION,
    "run_thread": Family.ASSISTANTS,
    "arun_thread": Family.ASSISTANTS,
    "run_thread_stream": Family.ASSISTANTS,
    "arun_thread_stream": Family.ASSISTANTS,
}

_NAMESPACES = {
    "anthropic.messages.create": Family.MESSAGES,
    "anthropic.messages.acreate": Family.MESSAGES,
    "anthropic_interface.messages.create": Family.MESSAGES,
    "anthropic_interface.messages.acreate": Family.MESSAGES,
}

_MODEL_AND_MESSAGES = frozenset({"model", "messages"})

LITELLM = Provider(
    name="litellm",
    title="LiteLLM",
    modules=("litellm",),
    clients=(
        Client(names=("",), calls=_CALLS | _NAMESPACES),
        Client(
            names=("Router",),
            calls={k: f for k, f in _CALLS.items() if "batch_" not in k} | {"abatch_completion": Family.COMPLETION},
        ),
        Client(names=("LiteLLM", "AsyncLiteLLM"), calls=OPENAI_CALLS),
    ),
    functions={
        f"litellm.{module}.{name}": family for module in ("main", "responses.main") for name, family in _CALLS.items()
    },
    shapes=(
        *(
            Shape(name, Family.COMPLETION, needs=_MODEL_AND_MESSAGES)
            for name in ("completion", "acompletion", "completion_with_retries", "acompletion_with_retries")
        ),
        Shape("batch_completion", Family.COMPLETION, needs=_MODEL_AND_MESSAGES),
        *(
            Shape(name, Family.TEXT, needs=frozenset({"model", "prompt"}))
            for name in ("text_completion", "atext_completion")
        ),
        *(
            Shape(name, Family.EMBEDDING, needs=frozenset({"model", "input"}), unseen="", evidence=True)
            for name in ("embedding", "aembedding")
        ),
        *(
            Shape(name, Family.MEDIA, needs=frozenset({"model", "prompt"}), unseen="", evidence=True)
            for name in ("image_generation", "aimage_generation")
        ),
    ),
    key_env=(),
    dialect="litellm",
    usage_paths=OPENAI_USAGE,
    capabilities=frozenset({"stream", "tools", "json", "images", "embeddings"}),
)
