"""An Anthropic message is created directly.

What:
    `messages.create`, `messages.stream`, `messages.parse` and message batches on Anthropic's clients, on Bedrock,
    Vertex and Foundry too.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    from anthropic import Anthropic

    Anthropic().messages.create(model="claude-sonnet-4-5", max_tokens=512, messages=messages)

Instead:
    message = llm_wrapper.messages_create_sync(
        model="claude-sonnet-4-5", max_tokens=512, messages=messages, user_id=user
    )["response"]

Limits:
    Twilio, Gmail, chat services and OpenAI's threads have `messages.create` too: without a resolved client the
    keywords decide, and theirs rule it out.

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule
from llmguard.providers.provider import Family

RULE = Rule(
    "LLG103",
    "direct-messages",
    "An Anthropic message is created directly.",
    applies=lambda callee: callee.family is Family.MESSAGES,
)
