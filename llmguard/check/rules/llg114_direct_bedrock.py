"""An Amazon Bedrock model is called directly.

What:
    Every generating call of Amazon Bedrock's SDK; embeddings and media have rules of their own.

Why:
    The call costs money and uses up rate limit, and no ledger sees who spent it or on what.

Example:
    import boto3

    boto3.client("bedrock-runtime").converse(modelId=model, messages=messages)

Instead:
    from llmguard import llm_tracker

    with llm_tracker.track_llm_call(provider="bedrock", model=model) as usage_log:
        response = ...  # the same call

Limits:
    A receiver that cannot be resolved is judged by the shape and keywords of the call (`confidence`).

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule

RULE = Rule(
    "LLG114",
    "direct-bedrock",
    "An Amazon Bedrock model is called directly.",
    applies=lambda callee: callee.provider == "bedrock",
)
