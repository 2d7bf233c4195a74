"""A LiteLLM completion is called directly.

What:
    `litellm.completion`, `acompletion`, their batch and retry kin, and the same methods of a `Router`.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    import litellm

    litellm.completion(model="gpt-4o", messages=messages)

Instead:
    response = llm_wrapper.chat_completion_sync(
        messages=messages, model="gpt-4o", provider="litellm", user_id=user, service_name="reports"
    )["response"]

Limits:
    Where the project installs llmguard's LiteLLM callback, every such call is on the books and is not reported.

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule
from llmguard.providers.provider import Family

RULE = Rule(
    "LLG101",
    "direct-completion",
    "A LiteLLM completion is called directly.",
    applies=lambda callee: callee.family is Family.COMPLETION,
)
