"""Google: google-genai, google-generativeai and Vertex AI."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider, Shape

_GENERATE = {
    "models.generate_content": Family.CHAT,
    "models.generate_content_stream": Family.CHAT,
    "models.embed_content": Family.EMBEDDING,
    "models.generate_images": Family.MEDIA,
    "models.edit_image": Family.MEDIA,
    "models.upscale_image": Family.MEDIA,
    "models.recontext_image": Family.MEDIA,
    "models.generate_videos": Family.MEDIA,
    "batches.create": Family.CHAT,
    "batches.create_embeddings": Family.EMBEDDING,
    "interactions.create": Family.CHAT,
}

_CHAT = {
    "send_message": Family.CHAT,
    "send_message_async": Family.CHAT,
    "send_message_stream": Family.CHAT,
    "send_message_streaming": Family.CHAT,
    "send_message_streaming_async": Family.CHAT,
}

_MODEL = {"generate_content": Family.CHAT, "generate_content_async": Family.CHAT}

_PREDICT = {
    "predict": Family.TEXT,
    "predict_async": Family.TEXT,
    "predict_streaming": Family.TEXT,
    "predict_streaming_async": Family.TEXT,
}

GOOGLE = Provider(
    name="google",
    title="Google",
    modules=(
        "google.genai",
        "google.generativeai",
        "google.ai.generativelanguage",
        "vertexai",
        "google.cloud.aiplatform",
    ),
    clients=(
        Client(
            names=("Client", "AsyncClient", "BaseApiClient"),
            calls=_GENERATE,
            returns={"chats.create": "Chat"},
        ),
        Client(
            names=("Models", "AsyncModels"),
            calls={p.removeprefix("models."): f for p, f in _GENERATE.items() if p.startswith("models.")},
        ),
        Client(names=("Chats", "AsyncChats"), returns={"create": "Chat"}),
        Client(
            names=("Chat", "AsyncChat", "ChatSession", "CodeChatSession"),
            calls=_CHAT | {"last.reply": Family.CHAT, "reply": Family.CHAT},
        ),
        Client(
            names=("GenerativeModel",),
            calls=_MODEL,
            returns={"start_chat": "ChatSession", "from_cached_content": "", "from_pretrained": ""},
        ),
        Client(
            names=("TextGenerationModel", "CodeGenerationModel"),
            calls=_PREDICT,
            returns={"from_pretrained": "", "get_tuned_model": ""},
        ),
        Client(names=("ChatModel", "CodeChatModel"), returns={"from_pretrained": "", "start_chat": "ChatSession"}),
        Client(
            names=("TextEmbeddingModel", "MultiModalEmbeddingModel"),
            calls={"get_embeddings": Family.EMBEDDING, "get_embeddings_async": Family.EMBEDDING},
            returns={"from_pretrained": ""},
        ),
        Client(
            names=("ImageGenerationModel", "ImageCaptioningModel", "ImageQnAModel"),
            calls={
                "generate_images": Family.MEDIA,
                "edit_image": Family.MEDIA,
                "get_captions": Family.MEDIA,
                "ask_question": Family.MEDIA,
            },
            returns={"from_pretrained": ""},
        ),
        Client(
            names=(
                "GenerativeServiceClient",
                "GenerativeServiceAsyncClient",
                "TextServiceClient",
                "DiscussServiceClient",
            ),
            calls={
                "generate_content": Family.CHAT,
                "stream_generate_content": Family.CHAT,
                "generate_answer": Family.CHAT,
                "generate_text": Family.TEXT,
                "generate_message": Family.CHAT,
                "embed_content": Family.EMBEDDING,
                "batch_embed_contents": Family.EMBEDDING,
            },
        ),
    ),
    functions={
        "google.generativeai.generate_text": Family.TEXT,
        "google.generativeai.chat": Family.CHAT,
        "google.generativeai.chat_async": Family.CHAT,
        "google.generativeai.generate_embeddings": Family.EMBEDDING,
        "google.generativeai.embed_content": Family.EMBEDDING,
        "google.generativeai.embed_content_async": Family.EMBEDDING,
    },
    shapes=(
        *(
            Shape(f"models.{method}", Family.CHAT, unseen="likely")
            for method in ("generate_content", "generate_content_stream")
        ),
        Shape("models.embed_content", Family.EMBEDDING, unseen="likely"),
        *(
            Shape(method, Family.CHAT, any_of=frozenset({"contents", "generation_config", "safety_settings"}))
            for method in ("generate_content", "generate_content_async")
        ),
        Shape("models.generate_images", Family.MEDIA, unseen="likely"),
    ),
    transparent=frozenset({"aio", "preview"}),
    endpoints={
        ":generateContent": Family.HTTP,
        ":streamGenerateContent": Family.HTTP,
        ":generateMessage": Family.HTTP,
        ":generateText": Family.HTTP,
        ":embedContent": Family.HTTP,
        ":batchEmbedContents": Family.HTTP,
    },
    hosts=("generativelanguage.googleapis.com", "aiplatform.googleapis.com"),
    key_env=("GOOGLE_API_KEY", "GEMINI_API_KEY"),
    base_url="https://generativelanguage.googleapis.com",
    dialect="google",
    models=("gemini-",),
    operations={
        **dict.fromkeys(("*:generateContent", "*:streamGenerateContent"), "generate_content"),
        **dict.fromkeys(("interactions", "decisions"), "generate_content"),
        **dict.fromkeys(("*:embedContent", "*:batchEmbedContents"), "embeddings"),
        "*embedding*:predict": "embeddings",
        "*:predict": "image_generation",
        "*:predictLongRunning": "video_generation",
        **dict.fromkeys(("*:batchGenerateContent", "*:asyncBatchEmbedContent", "batchPredictionJobs"), "batch"),
        "triggers/*/executions": "invoke_agent",
        **dict.fromkeys(
            (
                *("*:countTokens", "*:computeTokens", "*:cancel", "*:importFile", "*:fetchPredictOperation"),
                *("*:uploadToFileSearchStore", "*:register", "*:validateReinforcementTuningReward", "*:ping"),
                *("*:rotateSigningSecret", "agents", "auth_tokens", "cachedContents", "credentials", "environments"),
                *("files", "fileSearchStores", "interactions/*/auth_tokens", "interactions/*/cancel", "triggers"),
                *("tunedModels", "tuningJobs", "voices", "webhooks", "*/documents"),
            ),
            "",
        ),
    },
    settled=("interactions/*",),
    own_models=True,
    usage_paths={
        "input_tokens": "usage_metadata.prompt_token_count",
        "output_tokens": "usage_metadata.candidates_token_count",
        "total_tokens": "usage_metadata.total_token_count",
        "cached_tokens": "usage_metadata.cached_content_token_count",
        "reasoning_tokens": "usage_metadata.thoughts_token_count",
    },
    capabilities=frozenset({"stream", "tools", "json", "images", "embeddings"}),
)
