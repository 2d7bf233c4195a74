"""The doors: the sanctioned ways to call a model, as data that checker, codemods and runtime share.

A call through a door is tracked; so is a direct call inside a tracker block, on a tracked client, or in the module
that defines a door. Names are those that migrated code and the seeds use.
"""

from __future__ import annotations

from typing import NamedTuple


class Door(NamedTuple):
    """A sanctioned object.

    Attributes:
        name: the instance as code writes it.
        cls: its class.
        methods: the methods that ask a model.
        modules: dotted modules in which the instance lives (ours, and the paths that the seeds use).
    """

    name: str
    cls: str
    methods: tuple[str, ...]
    modules: tuple[str, ...]


DOORS: tuple[Door, ...] = (
    Door(
        "llm_wrapper",
        "LLMWrapper",
        ("chat_completion", "chat_completion_sync", "messages_create", "messages_create_sync"),
        ("llmguard", "llmguard.calls.wrapper", "app.services.llm_wrapper"),
    ),
    Door(
        "multi_model_service",
        "MultiModelService",
        ("generate_response", "chat_with_context"),
        ("llmguard", "llmguard.calls.multi_model", "app.services.multi_model_service"),
    ),
    Door(
        "get_llm_service",
        "UnifiedLLMService",
        ("generate_response", "generate_response_async"),
        ("llmguard", "llmguard.calls.unified", "services.llm.unified_llm_service"),
    ),
    Door(
        "UnifiedLLMClient",
        "UnifiedLLMClient",
        ("generate_response",),
        ("llmguard", "llmguard.calls.client", "services.llm.unified_llm_client"),
    ),
    Door(
        "llm_tracker",
        "LLMUsageTracker",
        ("track_llm_call",),
        ("llmguard", "llmguard.usage.tracker", "app.services.llm_usage_tracker"),
    ),
)


class OwnDoor(NamedTuple):
    """A sanctioned way of a project's own, from its configuration.

    Attributes:
        name: dotted name, as the project imports it.
        kind: "wrapper" (a function, class or module whose own calls are on the books), "tracker" (a context manager
            or decorator that puts the calls inside on the books) or "client" (a function that gives tracked clients).
        methods: of a wrapper that is a class: the methods that ask a model.
        family: of the calls through a wrapper.
    """

    name: str
    kind: str = "wrapper"
    methods: tuple[str, ...] = ()
    family: str = "chat"


DOOR_KINDS = ("wrapper", "tracker", "client")

#: Names of context managers and decorators that put the calls inside them on the books.
TRACKER_BLOCKS = frozenset({"track_llm_call"})

#: Dotted paths of what turns a client into a tracked one, or gives a tracked view on it: its result is its first
#: argument, tracked.
TRACK_CLIENT = frozenset(
    {
        *("llmguard.track", "llmguard.usage.clients.track"),
        *(f"{module}.llm_wrapper.using" for door in DOORS if door.name == "llm_wrapper" for module in door.modules),
    }
)

#: Calls that put every LiteLLM call of a program on the books.
LITELLM_SETUP = frozenset({"setup_litellm_tracking", "LLMUsageCallback"})

#: What a finding suggests when the configuration names no wrapper.
DEFAULT_WRAPPER = "llm_wrapper"

#: SDKs whose clients `llmguard.track` knows, by the root of their classes' paths.
TRACKABLE = frozenset(
    {
        *("openai", "groq", "anthropic", "together", "cerebras", "mistralai", "cohere", "writerai", "xai_sdk"),
        *("sambanova", "portkey_ai", "perplexity", "fireworks", "volcenginesdkarkruntime", "zai", "zhipuai"),
    }
)
#: Class of a client that the wrapper stands for -> (provider, format, whether it is asynchronous).
WRAPPED: dict[str, tuple[str, str, bool]] = {
    "groq.Groq": ("groq", "chat", False),
    "groq.AsyncGroq": ("groq", "chat", True),
    "openai.OpenAI": ("openai", "chat", False),
    "openai.AsyncOpenAI": ("openai", "chat", True),
    "openai.AzureOpenAI": ("azure_openai", "chat", False),
    "openai.AsyncAzureOpenAI": ("azure_openai", "chat", True),
    "anthropic.Anthropic": ("anthropic", "messages", False),
    "anthropic.AsyncAnthropic": ("anthropic", "messages", True),
}


def is_trackable(cls: str) -> bool:
    """Whether `llmguard.track` knows clients of a class."""
    return cls.partition(".")[0] in TRACKABLE or cls.startswith("google.genai.")


def has_views(cls: str) -> bool:
    """Whether `llm_wrapper.using` has views of clients of a class."""
    return cls.partition(".")[0] in _VIEWED


_VIEWED = frozenset({"openai", "groq", "anthropic"})
