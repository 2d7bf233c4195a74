"""Budgets of runs: so many dollars, calls and tokens for everything that happens inside, whatever it starts.

    with budget("nightly", usd=5, calls=200):
        ...

It holds by context: in what is called, in tasks and (`carry_into_threads`) in threads; a budget inside takes from those
around it as well. Processes that are started inside take from the same one, by `LLMGUARD_RUN_ID` and `LLMGUARD_BUDGETS`
in their environment. A new run is a new budget.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from decimal import Decimal
from typing import Any, TypeVar

from llmguard.errors import UsageError
from llmguard.usage.context import request_context
from llmguard.usage.limits import runs
from llmguard.usage.limits.limit import POLICIES, amount, units, value_of
from llmguard.usage.limits.runs import OnExceed, Open
from llmguard.usage.recorder import recorder

#: Kind of limit -> argument of `budget`.
_SPOKEN = {"cost": "usd", "requests": "calls", "tokens": "tokens"}
F = TypeVar("F", bound=Callable[..., Any])


class Budget:
    """What `budget` gives: a context manager (`with`, `async with`) and a decorator. Each use as a decorator, and each
    block that stands in no other one, is a run of its own, unless its process has inherited one.

    Attributes:
        opened: the budget, inside the block.
    """

    def __init__(self, name: str, most: dict[str, int], terms: dict[str, Any], run_id: str) -> None:
        self.name = name
        self.opened: Open | None = None
        self._most = most
        self._terms = terms
        self._run_id = run_id

    @property
    def run_id(self) -> str:
        """Of the run, "" before it has begun."""
        return self.opened.run_id if self.opened is not None else ""

    @property
    def environment(self) -> dict[str, str]:
        """What a child process needs to know, for `subprocess.run(..., env={**os.environ, **b.environment})`. Children
        that are started inside the block get it by themselves; where several budgets are open at once in a process,
        that is the one opened last."""
        return runs.environment_of(runs.upto(self._open))

    def spent(self) -> dict[str, Decimal]:
        """What was taken of it, with what running calls have reserved: "usd", "calls" and "tokens", as far as they are
        limited.

        Raises:
            SQLAlchemyError: the database does not answer.
        """
        opened = self._open
        gate = recorder().gate
        if gate is None:
            return {_SPOKEN[kind]: Decimal(0) for kind in opened.most}  # nothing is recorded
        found = gate.used([(opened.key(kind), 0) for kind in opened.most])
        return {_SPOKEN[kind]: amount(kind, found.get((opened.key(kind), 0), (0, 0))[0]) for kind in opened.most}

    def extend(self, *, usd: Any = None, calls: Any = None, tokens: Any = None) -> None:
        """Grant it so much more, in every process of the run: from a callback, say.

        Raises:
            UsageError: it has no limit of that kind, or that is no amount.
            SQLAlchemyError: the database does not answer.
        """
        for kind, more in _amounts(usd, calls, tokens).items():
            if kind not in self._open.most:
                raise UsageError(f"the budget {self.name!r} has no {_SPOKEN[kind]} that could be extended")
            gate = recorder().gate
            if gate is not None:
                gate.grant(self._open.key(kind), more)

    def __enter__(self) -> Budget:
        chain = runs.active()
        same = runs.joined(chain, self.name) if chain and chain is runs.inherited_budgets() else None
        if same is not None:  # a process that was started in it takes from it, under the name that it knows
            chain = chain[: chain.index(same)]
            self.opened = Open(same.name, same.run_id, same.most, self._terms, self)
        else:
            run_id = chain[-1].run_id if chain else self._run_id or runs.run_at_hand(request_context().get("run_id"))
            name = f"{chain[-1].name}/{self.name}" if chain else self.name
            self.opened = Open(name, run_id, self._most, self._terms, self)
        runs.open_in((*chain, self.opened))
        runs.tell_children(runs.active())
        return self

    def __exit__(self, *_: object) -> None:
        chain = runs.active()
        mine = next((each for each in reversed(chain) if each.owner is self), None)
        if mine is not None:
            runs.open_in(chain[: chain.index(mine)])
        runs.no_longer_tell(self)

    async def __aenter__(self) -> Budget:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def __call__(self, function: F) -> F:
        """Decorate a function of any kind: each call of it has the budget for itself."""

        def again() -> Budget:
            return Budget(self.name, self._most, self._terms, self._run_id)

        if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
            raise UsageError(f"budget {self.name!r}: a generator is suspended while others run: use a block inside it")
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def limited_async(*arguments: Any, **keywords: Any) -> Any:
                with again():
                    return await function(*arguments, **keywords)

            return limited_async  # type: ignore[return-value]

        @functools.wraps(function)
        def limited(*arguments: Any, **keywords: Any) -> Any:
            with again():
                return function(*arguments, **keywords)

        return limited  # type: ignore[return-value]

    @property
    def _open(self) -> Open:
        if self.opened is None:
            raise UsageError(f"the budget {self.name!r} is not open: use it as `with budget(...) as b:`")
        return self.opened


def budget(
    name: str,
    *,
    usd: Any = None,
    calls: int | None = None,
    tokens: int | None = None,
    on_exceed: OnExceed = "raise",
    run_id: str = "",
    on_outage: str = "closed",
    unpriced: str = "count",
    warn_at: float | None = 0.8,
) -> Budget:
    """A budget of a run: of what is called, started and awaited inside.

    Args:
        name: of it; rows say it, behind the names of those around it.
        usd: US dollars, exact (a text, an int, a Decimal or a float).
        calls: number of calls.
        tokens: number of tokens, of requests and answers together.
        on_exceed: "raise" refuses a call that has no room (`BudgetExceeded`); "warn" says it once and lets it go out; a
            function is called with the exception, one call at a time, and may wait for a person: what it returns (or
            the coroutine that it returns, in asynchronous calls) says whether the call goes out.
        run_id: of the run; by default that of the process that has started this one, of the request at hand
            (`set_request_context`), else a new one.
        on_outage: whether calls go out ("open") or not ("closed") when the database does not answer.
        unpriced: of a model without a known price under `usd`: "refuse", "count" (at a stated price) or "allow".
        warn_at: the share from which on is warned, None for never.

    Raises:
        UsageError: one of them makes no sense.
    """
    if not isinstance(name, str) or not name.strip() or "\0" in name or len(name) > 200:
        raise UsageError("a budget must have a name of 1 to 200 characters")
    most = _amounts(usd, calls, tokens)
    if not most:
        raise UsageError(f"the budget {name!r} limits nothing: give it usd=, calls= or tokens=")
    if not callable(on_exceed) and on_exceed not in ("raise", "warn"):
        raise UsageError(f"on_exceed must be raise, warn or a function, not {on_exceed!r}")
    for policy, given in (("on_outage", on_outage), ("unpriced", unpriced)):
        if given not in POLICIES[policy]:
            raise UsageError(f"{policy} must be one of {', '.join(POLICIES[policy])}, not {given!r}")
    if warn_at is not None and not 0 < warn_at <= 1:
        raise UsageError(f"warn_at must be a share from 0 to 1, not {warn_at!r}")
    terms = {"on_exceed": on_exceed, "on_outage": on_outage, "unpriced": unpriced, "warn_at": warn_at}
    return Budget(name, most, terms, run_id)


def _amounts(usd: Any, calls: Any, tokens: Any) -> dict[str, int]:
    given = {"cost": usd, "requests": calls, "tokens": tokens}
    return {kind: units(kind, value_of(value, kind)) for kind, value in given.items() if value is not None}
