"""A suppression comment gives no reason.

What:
    A comment that suppresses a finding and says nothing behind the codes, where `require-reason = true`.

Why:
    Whoever reads it later cannot tell a decision from a habit.

Example:
    litellm.completion(model="m", messages=[])  # llmguard: ignore[LLG101]

Instead:
    litellm.completion(model="m", messages=[])  # llmguard: ignore[LLG101] benchmark of the bare SDK

Limits:
    Any text counts as a reason. The finding stays suppressed.

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule

RULE = Rule(
    "LLG804",
    "suppression-without-reason",
    "A suppression comment gives no reason.",
)
