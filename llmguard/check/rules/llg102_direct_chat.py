"""A chat completion is called directly.

What:
    `chat.completions.create` and its kin (`parse`, `stream`, raw and streaming responses, beta, `openai<1`) on
    any client that offers OpenAI's calls, and the chat calls of SDKs without a rule of their own.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    from openai import OpenAI

    OpenAI().chat.completions.create(model="gpt-4o", messages=messages)

Instead:
    response = llm_wrapper.chat_completion_sync(
        messages=messages, model="gpt-4o", provider="openai", user_id=user, service_name="reports"
    )["response"]

Limits:
    A receiver that cannot be resolved is judged by the shape and keywords of the call (`confidence`).

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule
from llmguard.providers.provider import Family

RULE = Rule(
    "LLG102",
    "direct-chat",
    "A chat completion is called directly.",
    applies=lambda callee: callee.family is Family.CHAT,
)
