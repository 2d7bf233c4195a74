"""A Cohere model is called directly.

What:
    Every generating call of Cohere's SDK; embeddings and media have rules of their own.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    import cohere

    cohere.ClientV2().chat(model="command-r", messages=messages)

Instead:
    from llmguard import llm_tracker

    with llm_tracker.track_llm_call(provider="cohere", model=model) as usage_log:
        response = ...  # the same call

Limits:
    A receiver that cannot be resolved is judged by the shape and keywords of the call (`confidence`).

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule

RULE = Rule(
    "LLG113",
    "direct-cohere",
    "A Cohere model is called directly.",
    applies=lambda callee: callee.provider == "cohere",
)
