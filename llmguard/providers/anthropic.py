"""Anthropic: messages (plain, beta, batches), legacy completions, the Bedrock, Vertex and Foundry clients."""

from __future__ import annotations

from llmguard.providers.provider import Client, Family, Provider, Shape

_CALLS = {
    "messages.create": Family.MESSAGES,
    "messages.stream": Family.MESSAGES,
    "messages.parse": Family.MESSAGES,
    "messages.tool_runner": Family.MESSAGES,
    "messages.batches.create": Family.MESSAGES,
    "completions.create": Family.TEXT,
    "completion": Family.TEXT,  # anthropic < 0.3
    "acompletion": Family.TEXT,
    "completion_stream": Family.TEXT,
}

# Twilio, Gmail, chat services and OpenAI's threads have `messages.create` too; these are their keywords.
_OTHER_MESSAGES = frozenset(
    {
        "body",
        "to",
        "from_",
        "thread_id",
        "role",
        "userId",
        "to_email",
        "text",
        "channel",
        "media_url",
        "messaging_service_sid",
    }
)

ANTHROPIC = Provider(
    name="anthropic",
    title="Anthropic",
    modules=("anthropic", "posthog.ai.anthropic"),
    clients=(
        Client(
            names=(
                "Anthropic",
                "AsyncAnthropic",
                "Client",
                "AsyncClient",
                "AnthropicBedrock",
                "AsyncAnthropicBedrock",
                "AnthropicBedrockMantle",
                "AsyncAnthropicBedrockMantle",
                "AnthropicVertex",
                "AsyncAnthropicVertex",
                "AnthropicFoundry",
                "AsyncAnthropicFoundry",
                "AnthropicAWS",
                "AsyncAnthropicAWS",
                "AnthropicGoogleCloud",
                "AsyncAnthropicGoogleCloud",
            ),
            calls=_CALLS,
            returns={"with_options": "", "copy": "", "messages.thread": "BetaMessageThread"},
        ),
        Client(
            names=("Messages", "AsyncMessages"),
            calls={p.removeprefix("messages."): f for p, f in _CALLS.items() if p.startswith("messages.")},
        ),
        Client(
            names=("BetaMessageThread",),
            calls=dict.fromkeys(("send", "parse", "stream", "tool_runner"), Family.MESSAGES),
        ),
        Client(names=("Completions", "AsyncCompletions"), calls={"create": Family.TEXT}),
        Client(names=("Batches", "AsyncBatches"), calls={"create": Family.MESSAGES}),
    ),
    shapes=(
        *(
            Shape(
                f"messages.{method}", Family.MESSAGES, needs=frozenset({"model", "messages"}), refuses=_OTHER_MESSAGES
            )
            for method in ("create", "stream", "parse")
        ),
        Shape("messages.batches.create", Family.MESSAGES, needs=frozenset({"requests"})),
    ),
    transparent=frozenset({"with_raw_response", "with_streaming_response", "beta", "prompt_caching"}),
    endpoints={"/v1/messages": Family.HTTP, "/v1/complete": Family.HTTP},
    hosts=("api.anthropic.com",),
    key_env=("ANTHROPIC_API_KEY",),
    base_url="https://api.anthropic.com",
    dialect="anthropic",
    operations={
        "v1/messages": "chat",
        "v1/complete": "text_completion",
        "v1/messages/batches": "batch",
        **dict.fromkeys(("v1/sessions/*/events", "v1/deployments/*/run", "v1/dreams"), "invoke_agent"),
        **dict.fromkeys(
            (
                *("v1/messages/count_tokens", "v1/messages/batches/*/cancel", "v1/agents", "v1/agents/**"),
                *("v1/compliance/**", "v1/deployments", "v1/deployments/**", "v1/dreams/**", "v1/environments"),
                *("v1/environments/**", "v1/files", "v1/memory_stores", "v1/memory_stores/**", "v1/organizations/**"),
                *("v1/sessions", "v1/sessions/**", "v1/skills", "v1/skills/**", "v1/tunnels", "v1/tunnels/**"),
                *("v1/user_profiles", "v1/user_profiles/**", "v1/vaults", "v1/vaults/**"),
            ),
            "",
        ),
    },
    settled=("v1/messages/batches/*work/results", "v1/dreams/*"),
    models=("claude-",),
    own_models=True,
    # claude-3-opus-20240229, which users had, is gone since 2026-01-05
    # (https://platform.claude.com/docs/en/about-claude/model-deprecations).
    default_model="claude-opus-5-5",
    model_env="ANTHROPIC_MODEL",
    request_defaults={"max_tokens": 1024},
    usage_paths={
        "input_tokens": "usage.input_tokens",
        "output_tokens": "usage.output_tokens",
        "cached_tokens": "usage.cache_read_input_tokens",
        "cache_write_tokens": "usage.cache_creation_input_tokens",
    },
    capabilities=frozenset({"stream", "tools", "images"}),
)
