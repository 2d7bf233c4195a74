"""Every exception that llmguard raises on purpose.

LLMGuardError
├── ConfigError        a configuration that cannot be used
├── UsageError         a command or a call with arguments that make no sense
├── MalformedAnswer    a provider's answer that is no answer
├── AllProvidersFailed nobody who was asked has answered
├── UncheckableError   a file that could not be checked (a finding for the run, never its end)
└── RateLimitExceeded  a call that a limit refuses, before anything was sent
    ├── BudgetExceeded a call that the budget of a run refuses
    └── CallsStopped   a call that somebody has switched off
"""

from __future__ import annotations

from llmguard.printable import printable

TYPE_CHECKING = False
if TYPE_CHECKING:
    import datetime
    from decimal import Decimal

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


class MalformedAnswer(LLMGuardError):  # noqa: N818  (as those below)
    """An answer that is none: no choice in it, or a tool call whose arguments are no JSON."""


class AllProvidersFailed(LLMGuardError):  # noqa: N818
    """Nobody who was asked has answered; the error of the last one is its `__cause__`.

    Args:
        attempts: (provider, model, its error) in the order in which they were asked.
        retry_after: seconds after which somebody may be asked again, as far as that is known.
    """

    def __init__(self, attempts: list[tuple[str, str, BaseException]], retry_after: float | None = None) -> None:
        said = "; ".join(f"{provider} {model}: {type(error).__name__}" for provider, model, error in attempts)
        super().__init__(f"all providers failed: {said or 'none is configured'}")
        self.attempts = attempts
        self.retry_after = retry_after


class RateLimitExceeded(LLMGuardError):  # noqa: N818  (the name that its users expect)
    """A call is refused: nothing was sent, and nothing is taken from any limit.

    Args:
        limit: which one, in words ("3 requests per minute of user ann").
        why: a sentence about this call.

    Attributes:
        kind: what is limited: "requests", "tokens" or "cost".
        window: "minute", "hour", "day", "month", "run", or "" where there is none.
        limit_value: how much a window holds (calls, tokens, US dollars); None where nothing is counted.
        remaining: what is left of it.
        requested: what the call would take, by the estimate that is reserved.
        reset_at: when the window ends (aware), None when it does not.
        retry_after: seconds until then, None likewise.
    """

    def __init__(
        self,
        limit: str,
        why: str,
        *,
        kind: str = "",
        window: str = "",
        limit_value: Decimal | None = None,
        remaining: Decimal | None = None,
        requested: Decimal | None = None,
        reset_at: datetime.datetime | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{limit}: {why}")
        self.limit = limit
        self.kind = kind
        self.window = window
        self.limit_value = limit_value
        self.remaining = remaining
        self.requested = requested
        self.reset_at = reset_at
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (type(self), str(self), dict(vars(self)))


class BudgetExceeded(RateLimitExceeded):
    """A call is refused by the budget of a run; `budget` is its name, `run_id` that of the run."""

    budget = ""
    run_id = ""


class CallsStopped(RateLimitExceeded):
    """A call is refused because somebody has stopped calls of its kind (`llmguard limits stop`)."""


def _again(cls: type[RateLimitExceeded], text: str, attributes: dict[str, object]) -> RateLimitExceeded:
    """An exception that came from another process."""
    made = cls.__new__(cls, text)
    Exception.__init__(made, text)
    vars(made).update(attributes)
    return made
