"""Lines could not be parsed by this Python.

What:
    A part of the file is no syntax that the running interpreter reads (Python 2, newer syntax, nesting without
    end). The rest of the file was checked.

Why:
    Calls in those lines would go unseen: they are looked for by their text alone, as
    `likely` or `possible`.

Example:
    print "hello"

Instead:
    Run llmguard on a Python at least as new as the code.

Limits:
    The exit code stays the same unless `--fail-on-unchecked` is given.

Fix safety:
    `llmguard check` changes nothing.
"""

from llmguard.check.rules.rule import Rule

RULE = Rule(
    "LLG902",
    "unparsed-lines",
    "Lines could not be parsed by this Python.",
)
