"""llmguard: finds language-model calls that no ledger sees, and puts them on the books.

Importing the package loads nothing else: a public name is loaded when it is first used.
"""

from __future__ import annotations

__version__ = "0.1.0"

# Type checkers know the name; importing `typing` would take longer than everything else here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from llmguard.calls.answer import LLMProvider, LLMResponse
    from llmguard.calls.client import UnifiedLLMClient
    from llmguard.calls.multi_model import ModelType, MultiModelService, TaskComplexity, multi_model_service
    from llmguard.calls.unified import UnifiedLLMService, get_llm_service
    from llmguard.calls.warmer import LLMConnectionWarmer, get_llm_warmer
    from llmguard.calls.wrapper import LLMWrapper, llm_wrapper
    from llmguard.errors import AllProvidersFailed, BudgetExceeded, CallsStopped, RateLimitExceeded
    from llmguard.usage.clients import track
    from llmguard.usage.limits.budget import budget
    from llmguard.usage.litellm_callback import LLMUsageCallback
    from llmguard.usage.litellm_tracking import is_litellm_tracking_enabled, setup_litellm_tracking
    from llmguard.usage.tracker import LLMUsageTracker, llm_tracker, llm_usage_tracker

#: Public name -> module that defines it.
_WHERE = {
    "AllProvidersFailed": "llmguard.errors",
    "BudgetExceeded": "llmguard.errors",
    "CallsStopped": "llmguard.errors",
    "LLMConnectionWarmer": "llmguard.calls.warmer",
    "LLMProvider": "llmguard.calls.answer",
    "LLMResponse": "llmguard.calls.answer",
    "LLMUsageCallback": "llmguard.usage.litellm_callback",
    "LLMUsageTracker": "llmguard.usage.tracker",
    "LLMWrapper": "llmguard.calls.wrapper",
    "ModelType": "llmguard.calls.multi_model",
    "MultiModelService": "llmguard.calls.multi_model",
    "TaskComplexity": "llmguard.calls.multi_model",
    "RateLimitExceeded": "llmguard.errors",
    "UnifiedLLMClient": "llmguard.calls.client",
    "UnifiedLLMService": "llmguard.calls.unified",
    "budget": "llmguard.usage.limits.budget",
    "get_llm_service": "llmguard.calls.unified",
    "get_llm_warmer": "llmguard.calls.warmer",
    "is_litellm_tracking_enabled": "llmguard.usage.litellm_tracking",
    "multi_model_service": "llmguard.calls.multi_model",
    "setup_litellm_tracking": "llmguard.usage.litellm_tracking",
    "llm_tracker": "llmguard.usage.tracker",
    "llm_usage_tracker": "llmguard.usage.tracker",
    "llm_wrapper": "llmguard.calls.wrapper",
    "track": "llmguard.usage.clients",
}
__all__ = [
    "AllProvidersFailed",
    "BudgetExceeded",
    "CallsStopped",
    "LLMConnectionWarmer",
    "LLMProvider",
    "LLMResponse",
    "LLMUsageCallback",
    "LLMUsageTracker",
    "LLMWrapper",
    "ModelType",
    "MultiModelService",
    "RateLimitExceeded",
    "TaskComplexity",
    "UnifiedLLMClient",
    "UnifiedLLMService",
    "__version__",
    "budget",
    "get_llm_service",
    "get_llm_warmer",
    "is_litellm_tracking_enabled",
    "llm_tracker",
    "llm_usage_tracker",
    "llm_wrapper",
    "multi_model_service",
    "setup_litellm_tracking",
    "track",
]


def __getattr__(name: str) -> Any:
    if name in _WHERE:
        from importlib import import_module

        value = globals()[name] = getattr(import_module(_WHERE[name]), name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_WHERE})
