"""An Ollama model is called directly.

What:
    Every generating call of Ollama's SDK; embeddings and media have rules of their own.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    import ollama

    ollama.chat(model="llama3.2", messages=messages)

Instead:
    from llmguard import llm_tracker

    with llm_tracker.track_llm_call(provider="ollama", model=model) as usage_log:
        response = ...  # the same call

Limits:
    A receiver that cannot be resolved is judged by the shape and keywords of the call (`confidence`).

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule

RULE = Rule(
    "LLG115",
    "direct-ollama",
    "An Ollama model is called directly.",
    applies=lambda callee: callee.provider == "ollama",
)
