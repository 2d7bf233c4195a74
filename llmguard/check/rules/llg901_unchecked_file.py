"""A file could not be checked.

What:
    The file cannot be opened, is no regular file, or holds no text.

Why:
    A file that was not read may hold calls: it must not look clean.

Example:
    (a FIFO named `pipe.py`, a dangling link, a file without read permission)

Instead:
    Make it readable, or exclude it.

Limits:
    The exit code stays the same unless `--fail-on-unchecked` is given.

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule

RULE = Rule(
    "LLG901",
    "unchecked-file",
    "A file could not be checked.",
)
