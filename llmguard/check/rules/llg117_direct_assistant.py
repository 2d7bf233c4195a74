"""An assistant or agent run is started directly.

What:
    Runs of OpenAI's assistants (`threads.runs.*`, `create_and_run`) and of Bedrock's agents. Creating a thread or
    a message generates nothing and is not reported.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    client.beta.threads.runs.create(thread_id=thread.id, assistant_id=assistant.id)

Instead:
    from llmguard import llm_tracker

    with llm_tracker.track_llm_call(provider="openai", model=model):
        client.beta.threads.runs.create(thread_id=thread.id, assistant_id=assistant.id)

Limits:
    A receiver that cannot be resolved is judged by the shape and keywords of the call (`confidence`).

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule
from llmguard.providers.provider import Family

RULE = Rule(
    "LLG117",
    "direct-assistant",
    "An assistant or agent run is started directly.",
    applies=lambda callee: callee.family is Family.ASSISTANTS,
)
