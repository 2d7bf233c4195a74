"""Which budgets are open here: by context, and by what the process was started with."""

from __future__ import annotations

import contextvars
import functools
import json
import logging
import os
import threading
import uuid
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from llmguard.errors import BudgetExceeded, RateLimitExceeded
from llmguard.printable import printable
from llmguard.usage.limits.limit import amount, key_of, shown

LOG = logging.getLogger("llmguard.usage")
RUN = "LLMGUARD_RUN_ID"
BUDGETS = "LLMGUARD_BUDGETS"
OnExceed = str | Callable[[BudgetExceeded], Any]
_BUDGETS: ContextVar[tuple[Open, ...] | None] = ContextVar("llmguard_budgets", default=None)


class Open:
    """A budget that is open.

    Attributes:
        name: that it was given, behind those around it ("nightly/summaries").
        run_id: of the run.
        most: kind -> how much, in the units of counters.
        on_exceed, on_outage, unpriced, warn_at: see `budget`.
        asking: held while somebody is asked whether a call may go beyond it.
    """

    def __init__(self, name: str, run_id: str, most: dict[str, int], terms: Mapping[str, Any], owner: Any) -> None:
        self.name = name
        self.run_id = run_id
        self.most = most
        self.on_exceed: OnExceed = terms["on_exceed"]
        self.on_outage: str = terms["on_outage"]
        self.unpriced: str = terms["unpriced"]
        self.warn_at: float | None = terms["warn_at"]
        self.asking = threading.Lock()
        self.owner = owner
        self._warned: set[str] = set()

    def key(self, kind: str) -> str:
        """The name of its counter."""
        return key_of(["budget", self.run_id, self.name, kind])

    def says(self, kind: str) -> str:
        """It in words."""
        of = f" of {shown(kind, amount(kind, self.most[kind]))}" if kind in self.most else ""
        return f"the budget {printable(self.name)!r}{of} (run {printable(self.run_id)})"

    def ask(self, exceeded: RateLimitExceeded) -> Any:
        """What its callback says of a call that goes beyond it; calls that it makes itself are not of the run."""
        assert callable(self.on_exceed)
        context = contextvars.copy_context()
        context.run(_BUDGETS.set, ())
        return context.run(self.on_exceed, exceeded)  # type: ignore[arg-type]

    def warn(self, exceeded: RateLimitExceeded) -> None:
        """Say, once, that calls go beyond it."""
        if exceeded.kind not in self._warned:
            self._warned.add(exceeded.kind)
            LOG.warning("calls go beyond %s", exceeded)

    def inherited(self) -> dict[str, Any]:
        """It as a child process is told of it; a callback cannot go there, and refuses there."""
        terms = {name: getattr(self, name) for name in ("on_exceed", "on_outage", "unpriced", "warn_at")}
        if callable(terms["on_exceed"]):
            terms["on_exceed"] = "raise"
        return {"name": self.name, "run": self.run_id, "most": self.most, **terms}


def active() -> tuple[Open, ...]:
    """The budgets that calls take from here, the outermost first."""
    chain = _BUDGETS.get()
    return inherited_budgets() if chain is None else chain


def run_fields() -> dict[str, str]:
    """What rows say of the run."""
    chain = active()
    if chain:
        return {"run_id": chain[-1].run_id, "budget": chain[-1].name}
    run_id = _given()[0]
    return {"run_id": run_id} if run_id else {}


@functools.lru_cache(maxsize=1)
def _given() -> tuple[str, str]:
    """What the process was started with: this must be asked before `tell_children` changes it."""
    return os.environ.get(RUN, "").strip()[:200], os.environ.get(BUDGETS, "")


@functools.lru_cache(maxsize=1)
def inherited_budgets() -> tuple[Open, ...]:
    """The budgets of the process that has started this one."""
    text = _given()[1]
    if not text:
        return ()
    try:
        return tuple(
            Open(
                str(each["name"]),
                str(each["run"]),
                {kind: int(each["most"][kind]) for kind in each["most"]},
                each,
                None,
            )
            for each in json.loads(text)
        )
    except (ValueError, TypeError, KeyError):
        LOG.warning("%s is not what llmguard has written: no budget is inherited", BUDGETS)
        return ()


def joined(chain: tuple[Open, ...], name: str) -> Open | None:
    """The inherited budget that a block of this name means."""
    return next((each for each in reversed(chain) if each.name.rpartition("/")[2] == name), None)


def run_at_hand(asked: object) -> str:
    """The run that a budget begins in: that of the process, of the request at hand (`asked`), or a new one."""
    return _given()[0] or (str(asked) if asked else "") or uuid.uuid4().hex


def open_in(chain: tuple[Open, ...]) -> None:
    """Have calls take from these budgets, in this task or thread and what it starts; none for those that the process
    was started with."""
    _BUDGETS.set(chain or None)


def upto(opened: Open) -> tuple[Open, ...]:
    """A budget with those around it."""
    chain = active()
    return chain[: chain.index(opened) + 1] if opened in chain else (opened,)


# -- what children are told -------------------------------------------------------------------------------------------

_told: list[tuple[Any, dict[str, str]]] = []
_lock = threading.Lock()


def environment_of(chain: tuple[Open, ...]) -> dict[str, str]:
    """What a process needs to know to take from these budgets."""
    return {RUN: chain[-1].run_id, BUDGETS: json.dumps([each.inherited() for each in chain])}


def tell_children(chain: tuple[Open, ...]) -> None:
    """Have processes that are started from here on take from these budgets."""
    with _lock:
        _given()
        _told.append((chain[-1].owner, environment_of(chain)))
        os.environ.update(_told[-1][1])


def no_longer_tell(owner: Any) -> None:
    """Have them take from those that are still open."""
    with _lock:
        for number in range(len(_told) - 1, -1, -1):
            if _told[number][0] is owner:
                del _told[number]
                break
        run_id, budgets = _given()
        before = _told[-1][1] if _told else {RUN: run_id, BUDGETS: budgets}
        for name, value in before.items():
            if value:
                os.environ[name] = value
            else:
                os.environ.pop(name, None)
