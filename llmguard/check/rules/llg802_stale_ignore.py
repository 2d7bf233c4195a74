"""An entry of `per-file-ignores` ignores nothing.

What:
    The pattern matches no file, or the files that it matches have no finding of that code.

Why:
    A dead entry hides the next call that is written in such a file.

Example:
    [tool.llmguard.per-file-ignores]
    "scripts/gone.py" = ["LLG101"]

Instead:
    Remove the entry.

Limits:
    Said only by a run over the configuration's whole folder, without `--since`; entries of a configuration that is
    extended are never reported. The exit code stays the same unless `--fail-on-stale` is given.

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.finding import Severity
from llmguard.check.rules.rule import Rule

RULE = Rule(
    "LLG802",
    "stale-ignore",
    "An entry of per-file-ignores ignores nothing.",
    severity=Severity.NOTE,
)
