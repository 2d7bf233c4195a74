"""The Responses API is called directly.

What:
    `responses.create`, `responses.parse`, `responses.stream` and `litellm.responses`.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    from openai import OpenAI

    OpenAI().responses.create(model="gpt-4.1", input="Hello")

Instead:
    from llmguard import track

    client = track(OpenAI())
    client.responses.create(model="gpt-4.1", input="Hello")

Limits:
    A receiver that cannot be resolved is judged by the shape and keywords of the call (`confidence`).

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule
from llmguard.providers.provider import Family

RULE = Rule(
    "LLG104",
    "direct-response",
    "The Responses API is called directly.",
    applies=lambda callee: callee.family is Family.RESPONSES,
)
