"""Who is calling, and whether a call is on the books already: context variables, so that requests never mix."""

from __future__ import annotations

import functools
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, ContextVar, copy_context
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from types import FrameType

    from llmguard.usage.tokens import Tokens

#: Fields of a request that rows take over when the call itself does not say.
FIELDS = (
    *("client_account_id", "engagement_id", "user_id", "username", "flow_id", "page_context", "feature_context"),
    *("endpoint", "request_id", "ip_address", "user_agent", "service_name", "tenant", "run_id", "agent", "budget"),
)


class Part(NamedTuple):
    """What a call inside another one has used: it is priced by itself.

    Attributes:
        tokens: as far as they are known.
        fields: its provider, model, response_model, service_tier, given_cost and what a cache saved, as far as known.
    """

    tokens: Tokens
    fields: dict[str, Any]

    def as_line(self) -> dict[str, Any]:
        """As it stands in the line of the call around it."""
        return {**{name: value for name, value in self.fields.items() if value is not None}, **self.tokens.fields()}


class Enclosing:
    """A call on the books, around calls that belong to it.

    Attributes:
        call_id: its identifier.
        inner: the calls inside that have ended.
        begun: the provider's identifiers of work that was begun inside, and whose counts are not known yet.
        estimated: whether some of that is an estimate.
        parent: the one around it.
        ended: whether it is over: what outlives it (a task that was started inside) does not belong to it.
        frame: of the generator that it stands in, None when it stands in none.
    """

    __slots__ = ("begun", "call_id", "ended", "estimated", "frame", "inner", "parent")

    def __init__(self, call_id: str, parent: Enclosing | None = None, frame: FrameType | None = None) -> None:
        self.call_id = call_id
        self.inner: list[Part] = []
        self.begun: set[str] = set()
        self.estimated = False
        self.parent = parent
        self.ended = False
        self.frame = frame

    @property
    def holds(self) -> bool:
        """Whether code that runs now is inside: not while the generator it stands in is suspended."""
        return not self.ended and (self.frame is None or self.frame.f_back is not None)


_REQUEST: ContextVar[dict[str, Any]] = ContextVar("llmguard_request", default={})  # noqa: B039  (never changed in place)
_INSIDE: ContextVar[Enclosing | None] = ContextVar("llmguard_inside", default=None)


def request_context() -> dict[str, Any]:
    """What is known of the request at hand. Not to be changed in place."""
    return _REQUEST.get()


def set_request_fields(fields: dict[str, Any]) -> None:
    """Know this of the request from here on, in this task or thread and what it starts."""
    _REQUEST.set({name: value for name, value in fields.items() if value is not None})


def enclosing() -> Enclosing | None:
    """The call that is on the books around this code, None when there is none."""
    around = _INSIDE.get()
    while around is not None and not around.holds:
        around = around.parent
    return around


def enter(call_id: str, frame: FrameType | None = None) -> Enclosing:
    """From here on, in this context, calls belong to the one that is tracked: they get no row of their own.

    Args:
        call_id: of the one that is tracked.
        frame: of the generator in which that stands, if it does.
    """
    parent = _INSIDE.get()
    while parent is not None and parent.ended:
        parent = parent.parent
    around = Enclosing(call_id, parent, frame)
    _INSIDE.set(around)
    return around


def leave(around: Enclosing) -> None:
    """The tracked call is over, in whichever context this is: a generator's end may run in another one."""
    around.ended = True
    around.frame = None
    if _INSIDE.get() is around:
        _INSIDE.set(around.parent)


# -- into threads -----------------------------------------------------------------------------------------------------

_CARRIES = "_llmguard_carries"


def carry_into_threads() -> None:
    """From here on, work that is submitted to a `ThreadPoolExecutor` (`run_in_executor` too) and threads that are
    started run in a copy of the context that they come from: what is known of the request holds there, and their calls
    belong to the line that submits or starts them. Twice is once. (`asyncio.to_thread` copies the context by itself.)
    """
    if hasattr(ThreadPoolExecutor.submit, _CARRIES):
        return
    submit: Any = ThreadPoolExecutor.submit
    start = threading.Thread.start

    @functools.wraps(submit)
    def submit_with_context(self: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
        return submit(self, _here().run, fn, *args, **kwargs)

    @functools.wraps(start)
    def start_with_context(self: Any) -> None:
        if not isinstance(self, threading._DummyThread) and not _serves_a_pool(self):
            run, context = self.run, _here()

            def run_with_context() -> None:
                del self.run  # a thread must not hold itself
                context.run(run)

            self.run = run_with_context
        start(self)

    setattr(submit_with_context, _CARRIES, submit)
    ThreadPoolExecutor.submit = submit_with_context  # type: ignore[method-assign]
    threading.Thread.start = start_with_context  # type: ignore[method-assign]


def _serves_a_pool(thread: threading.Thread) -> bool:
    """Whether a thread is a pool's, or the flusher: it works for many, and has no context."""
    target = getattr(thread, "_target", None)
    return getattr(target, "__module__", "") in ("concurrent.futures.thread", "llmguard.usage.flusher")


def _here() -> Context:
    """A copy of the context, which knows the place that it was made at."""
    from llmguard.usage.caller import spot, submitted
    from llmguard.usage.recorder import recorder

    context = copy_context()
    try:
        place = spot(recorder().settings.project_root, (), sys._getframe(2))
    except Exception:  # noqa: BLE001  (work goes on without a place)
        place = None
    context.run(submitted.set, place)
    return context
