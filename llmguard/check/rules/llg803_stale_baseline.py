"""An entry of the baseline answers to no call any more.

What:
    The call was removed, moved to another function or file, put on the books, or is suppressed.

Why:
    A dead entry lets the same call come back unseen.

Example:
    app/gone.py::ask::litellm.completion::1

Instead:
    Run `llmguard baseline prune`.

Limits:
    Entries of files that a run did not look at, or could not read in full, are never called stale. The exit code
    stays the same unless `--fail-on-stale` is given.

Fix safety:
    `llmguard check` changes nothing; `llmguard baseline prune` removes such entries and nothing else.
"""

from llmguard.check.finding import Severity
from llmguard.check.rules.rule import Rule

RULE = Rule(
    "LLG803",
    "stale-baseline",
    "An entry of the baseline answers to no call any more.",
    severity=Severity.NOTE,
)
