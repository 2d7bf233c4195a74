"""A generating method is passed on without being called.

What:
    A callable such as `client.chat.completions.create` is kept, wrapped or handed to something that may call it.

Why:
    Whoever calls it later makes a direct call, often in a file where nobody sees that it is one.

Example:
    call = functools.partial(litellm.completion, model="gpt-4o")

Instead:
    from llmguard import track

    call = functools.partial(track(client).chat.completions.create, model="gpt-4o")

Limits:
    A callable that only gets a name here, whose calls in the same file are reported, is not reported as well.

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.finding import Severity
from llmguard.check.rules.rule import Rule

RULE = Rule(
    "LLG301",
    "passed-on-method",
    "A generating method is passed on without being called.",
    severity=Severity.NOTE,
    applies=lambda callee: callee.reference,
)
