"""A plain text completion is called directly.

What:
    Prompt in, text out: `completions.create`, `openai.Completion.create`, `litellm.text_completion`, and the text
    calls of SDKs without a rule of their own.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    from openai import OpenAI

    OpenAI().completions.create(model="gpt-3.5-turbo-instruct", prompt="Once")

Instead:
    from llmguard import track

    client = track(OpenAI())
    client.completions.create(model="gpt-3.5-turbo-instruct", prompt="Once")

Limits:
    A receiver that cannot be resolved is judged by the shape and keywords of the call (`confidence`).

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule
from llmguard.providers.provider import Family

RULE = Rule(
    "LLG105",
    "direct-text-completion",
    "A plain text completion is called directly.",
    applies=lambda callee: callee.family is Family.TEXT,
)
