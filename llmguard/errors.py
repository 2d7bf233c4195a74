"""Every exception that llmguard raises on purpose.

LLMGuardError
├── ConfigError        a configuration that cannot be used
├── UsageError         a command or a call with arguments that make no sense
└── UncheckableError   a file that could not be checked (a finding for the run, never its end)
"""

from llmguard.printable import printable

_LONGEST = 2_000  # characters of a problem: what is quoted in it may be of any size


class LLMGuardError(Exception):
    """Base of all. Its text is one line, fit to be shown to a user as it is."""

    def __init__(self, text: str = "") -> None:
        super().__init__(printable(text[:_LONGEST] + ("..." if len(text) > _LONGEST else "")))


class ConfigError(LLMGuardError):
    """A configuration that cannot be used.

    Args:
        source: the file that was read.
        key: the dotted key in it, or "" when the whole file is meant.
        problem: what is wrong and what was expected, in a few words.
    """

    def __init__(self, source: str, key: str, problem: str) -> None:
        where = f"{source}: {key}" if key else source
        super().__init__(f"{where}: {problem}")
        self.source = source
        self.key = key
        self.problem = problem


class UsageError(LLMGuardError):
    """Arguments that make no sense together, or name something that is not there."""


class UncheckableError(LLMGuardError):
    """A file that could not be checked. `line` is 1-based, 0 when the whole file is meant."""

    def __init__(self, problem: str, line: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
