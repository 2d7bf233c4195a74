"""OpenAI: the SDK from 0.27 to 3, its drop-in replacements, and the shapes that give its calls away."""

from __future__ import annotations

from llmguard.providers.openai_shape import (
    OPENAI_CAPABILITIES,
    OPENAI_TRANSPARENT,
    OPENAI_USAGE,
    openai_client,
    openai_resources,
)
from llmguard.providers.provider import Family, Provider, Shape

_LEGACY = {
    f"{resource}.{method}": family
    for resource, family in (
        ("ChatCompletion", Family.CHAT),
        ("Completion", Family.TEXT),
        ("Edit", Family.TEXT),
        ("Embedding", Family.EMBEDDING),
        ("Image", Family.MEDIA),
    )
    for method in ("create", "acreate")
} | {
    f"{resource}.{method}": Family.MEDIA
    for resource, methods in (
        ("Image", ("create_edit", "acreate_edit", "create_variation", "acreate_variation")),
        ("Audio", ("transcribe", "atranscribe", "translate", "atranslate")),
    )
    for method in methods
}

_MODEL_AND_TEXT = frozenset({"prompt", "messages"})

OPENAI = Provider(
    name="openai",
    title="OpenAI",
    modules=("openai", "langfuse.openai", "posthog.ai.openai", "langsmith.wrappers.openai"),
    clients=(
        openai_client("", "OpenAI", "AsyncOpenAI", "Client", "AsyncClient", "BedrockOpenAI", "AsyncBedrockOpenAI"),
        *openai_resources(),
    ),
    functions={f"openai.{path}": family for path, family in _LEGACY.items()}
    | {
        "openai.embeddings_utils.get_embedding": Family.EMBEDDING,
        "openai.embeddings_utils.aget_embedding": Family.EMBEDDING,
        "openai.embeddings_utils.get_embeddings": Family.EMBEDDING,
        "openai.embeddings_utils.aget_embeddings": Family.EMBEDDING,
    },
    shapes=(
        *(
            Shape(f"chat.completions.{method}", Family.CHAT, unseen="likely")
            for method in ("create", "parse", "stream", "acreate")
        ),
        *(Shape(f"ChatCompletion.{method}", Family.CHAT, unseen="likely") for method in ("create", "acreate")),
        *(
            Shape(
                f"Completion.{method}", Family.TEXT, needs=frozenset({"prompt"}), any_of=frozenset({"engine", "model"})
            )
            for method in ("create", "acreate")
        ),
        Shape("completions.create", Family.TEXT, needs=frozenset({"model"}), any_of=_MODEL_AND_TEXT),
        Shape("completions.parse", Family.CHAT, needs=frozenset({"model", "messages"})),
        *(
            Shape(
                f"responses.{method}",
                Family.RESPONSES,
                needs=frozenset({"model"}),
                any_of=frozenset({"input", "prompt", "instructions", "previous_response_id"}),
                refuses=frozenset({"event_id", "response"}),
            )
            for method in ("create", "parse", "stream")
        ),
        Shape("embeddings.create", Family.EMBEDDING, needs=frozenset({"input"})),
        Shape("images.generate", Family.MEDIA, needs=frozenset({"prompt"})),
        Shape("images.edit", Family.MEDIA, needs=frozenset({"prompt", "image"})),
        Shape("images.create_variation", Family.MEDIA, needs=frozenset({"image"})),
        Shape("audio.transcriptions.create", Family.MEDIA, unseen="likely"),
        Shape("audio.translations.create", Family.MEDIA, unseen="likely"),
        Shape("audio.speech.create", Family.MEDIA, unseen="likely"),
        *(
            Shape(f"threads.runs.{method}", Family.ASSISTANTS, unseen="likely")
            for method in ("create", "create_and_poll", "create_and_stream", "stream", "submit_tool_outputs")
        ),
        *(
            Shape(f"threads.{method}", Family.ASSISTANTS, unseen="likely")
            for method in ("create_and_run", "create_and_run_poll", "create_and_run_stream")
        ),
        Shape("create", Family.CHAT, needs=frozenset({"model", "messages"}), unseen=""),
    ),
    transparent=OPENAI_TRANSPARENT,
    endpoints={
        "/chat/completions": Family.HTTP,
        "/v1/completions": Family.HTTP,
        "/v1/responses": Family.HTTP,
        "/v1/embeddings": Family.HTTP,
        "/v1/images/generations": Family.HTTP,
        "/v1/images/edits": Family.HTTP,
        "/v1/audio/transcriptions": Family.HTTP,
        "/v1/audio/speech": Family.HTTP,
        "api.openai.com/v1/engines/": Family.HTTP,
    },
    hosts=("api.openai.com",),
    key_env=("OPENAI_API_KEY",),
    base_url="https://api.openai.com/v1",
    dialect="openai",
    operations={
        "chat/completions": "chat",
        "responses": "chat",
        "responses/compact": "chat",
        "decisions": "chat",
        "completions": "text_completion",
        "embeddings": "embeddings",
        **dict.fromkeys(("images/generations", "images/edits", "images/variations"), "image_generation"),
        "audio/speech": "speech",
        **dict.fromkeys(("audio/transcriptions", "audio/translations"), "transcription"),
        **dict.fromkeys(("videos", "videos/edits", "videos/extensions", "videos/*/remix"), "video_generation"),
        **dict.fromkeys(("videos/*/edits", "videos/*/extensions"), "video_generation"),
        **dict.fromkeys(("threads/runs", "threads/*/runs", "threads/*/runs/*/submit_tool_outputs"), "invoke_agent"),
        **dict.fromkeys(("agents/sessions", "agents/sessions/*/events"), "invoke_agent"),
        "agents/automations/*/invocations": "invoke_agent",
        **dict.fromkeys(("evals/*/runs", "fine_tuning/alpha/graders/run"), "evaluation"),
        "batches": "batch",
        **dict.fromkeys(
            (
                *("agents/**", "agents", "assistants", "assistants/*", "audio/voice_consents/**", "audio/voices"),
                *("audio/voice_consents", "batches/*/cancel", "chat/completions/*", "chatkit/**", "containers"),
                *("containers/*/files", "content_provenance_checks", "conversations", "conversations/**", "evals"),
                *(
                    "evals/*",
                    "evals/*/runs/*",
                    "evals/*/runs/*/cancel",
                    "files",
                    "fine_tuning/**",
                    "live/**",
                    "moderations",
                ),
                *("organization/**", "projects/**", "realtime/**", "responses/input_tokens", "responses/*/cancel"),
                *("skills", "skills/**", "threads", "threads/*", "threads/*/messages", "threads/*/messages/*"),
                *("threads/*/runs/*", "threads/*/runs/*/cancel", "uploads", "uploads/**", "vaults", "vaults/**"),
                *("vector_stores", "vector_stores/**", "videos/characters", "webhook_endpoints"),
                *("webhook_endpoints/**",),
            ),
            "",
        ),
    },
    settled=(
        *("responses/*", "threads/*/runs/*", "threads/*/runs", "evals/*/runs/*", "evals/*/runs", "batches/*"),
        *("batches", "agents/sessions/*"),
    ),
    models=("gpt-", "chatgpt-", *(f"o{n}" for n in range(1, 10))),
    own_models=True,
    default_model="gpt-4",
    model_env="OPENAI_MODEL",
    usage_paths=OPENAI_USAGE,
    capabilities=OPENAI_CAPABILITIES | {"images", "responses", "embeddings"},
)
