"""Switching the tracking of LiteLLM's calls on. LiteLLM is imported by `setup_litellm_tracking` only."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

from llmguard.config.source import how_to_install
from llmguard.errors import LLMGuardError

LOG = logging.getLogger("llmguard.usage")


def setup_litellm_tracking(service_name: str | None = None, user_id: Any = None) -> None:
    """Put every call of LiteLLM from here on on the books, beside the callbacks that are there. Twice is once.

    Args:
        service_name: what rows of its calls say, where neither the request context nor the call (`metadata`) does.
        user_id: the same (`user=` of a call goes before it).

    A call on the books already (inside `track_llm_call`, say) is not counted again. LiteLLM is imported, without
    fetching its prices from the network unless LITELLM_LOCAL_MODEL_COST_MAP says so.

    Raises:
        LLMGuardError: LiteLLM is not installed.
    """
    if "litellm" not in sys.modules:
        os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        import litellm

        from llmguard.usage.litellm_callback import LLMUsageCallback, self_test, wrap_litellm
        from llmguard.usage.litellm_calls import DEFAULTS
    except ModuleNotFoundError as error:
        if error.name != "litellm":
            raise
        problem = f"LiteLLM is not installed, so there is nothing to track: {how_to_install('litellm')}"
        raise LLMGuardError(problem) from None
    given = {"service_name": service_name, "user_id": user_id}
    DEFAULTS.update({name: value for name, value in given.items() if value is not None})
    wrap_litellm()
    if is_litellm_tracking_enabled():
        return
    litellm.callbacks.append(LLMUsageCallback())
    missing = self_test()
    if missing:
        LOG.warning(
            "this version of LiteLLM does not call %s as expected: some of its calls may be missing from the books",
            ", ".join(missing),
        )
    LOG.info("LiteLLM tracking callback installed - all LLM calls will be logged")


def is_litellm_tracking_enabled() -> bool:
    """Whether LiteLLM's calls are being put on the books. LiteLLM is not imported for it."""
    litellm = sys.modules.get("litellm")
    callback = sys.modules.get("llmguard.usage.litellm_callback")
    if litellm is None or callback is None:
        return False
    return any(isinstance(each, callback.LLMUsageCallback) for each in getattr(litellm, "callbacks", ()))
