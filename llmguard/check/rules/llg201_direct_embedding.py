"""An embedding is computed directly.

What:
    `embeddings.create`, `litellm.embedding`, `embed_content` and the embedding calls of every other SDK.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    from openai import OpenAI

    OpenAI().embeddings.create(model="text-embedding-3-small", input=texts)

Instead:
    from llmguard import track

    client = track(OpenAI())
    client.embeddings.create(model="text-embedding-3-small", input=texts)

Limits:
    A receiver that cannot be resolved is judged by the shape and keywords of the call (`confidence`).

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule
from llmguard.providers.provider import Family

RULE = Rule(
    "LLG201",
    "direct-embedding",
    "An embedding is computed directly.",
    applies=lambda callee: callee.family is Family.EMBEDDING,
)
