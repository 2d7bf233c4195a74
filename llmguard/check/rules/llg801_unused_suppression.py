"""A suppression comment suppresses nothing.

What:
    `# llmguard: ignore[...]`, `# noqa: LLG...` or a file-level ignore on a place without such a finding.

Why:
    Dead suppressions hide the next call that is written on their line.

Example:
    total = 1  # llmguard: ignore[LLG101] old call

Instead:
    total = 1

Limits:
    Plain `# noqa` belongs to other tools as well and is never reported.

Fix safety:
    `llmguard check --fix` removes the comment, or those of its codes that are of no use; the program stays the same.
    `--diff` shows what it would change. Files that are not valid in their encoding, and notebooks, are left alone.
"""

from llmguard.check.finding import Severity
from llmguard.check.rules.rule import Rule

RULE = Rule(
    "LLG801",
    "unused-suppression",
    "A suppression comment suppresses nothing.",
    severity=Severity.NOTE,
)
