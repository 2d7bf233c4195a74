"""The callback that puts LiteLLM's calls on the books. Importing this module imports LiteLLM: `setup_litellm_tracking`
does it, programs do not.

Beside the hooks that LiteLLM offers, a few of its methods are wrapped, because no hook says that a stream was left or a
task cancelled. Where a version has no such method, those calls end when LiteLLM drops them, later but not never.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any

import litellm
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.litellm_core_utils.streaming_handler import CustomStreamWrapper

from llmguard.usage.clients.methods import Noted, Started
from llmguard.usage.litellm_calls import KEY, Attempt, Priced
from llmguard.usage.streams import Tracking

#: Frames of these folders only pass a call on.
FOLDERS = (os.path.dirname(os.path.abspath(litellm.__file__)) + os.sep,)
_STREAMS = ("completion_stream", "__next__", "__anext__", "cr_frame")
_MARK = "_llmguard_wraps"
#: Calls that the limits have admitted, by LiteLLM's identifier, until their records are there.
_WAITING: dict[str, Attempt] = {}
_MOST_WAITING = 10_000


class LLMUsageCallback(CustomLogger):
    """Records every call of LiteLLM: synchronous, asynchronous, streamed, failed, of a Router, of any of its APIs.

    LiteLLM calls these methods by keyword and swallows what they raise: their signatures are a contract.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        wrap_litellm()

    def log_pre_api_call(self, model: Any, messages: Any, kwargs: dict[str, Any]) -> None:
        attempt = self._mine(kwargs)
        if attempt is not None:
            attempt.begin(kwargs, FOLDERS)

    def log_post_api_call(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        answer = kwargs.get("original_response")
        if any(hasattr(answer, name) for name in _STREAMS):
            # The details would hold the stream, which holds them: a stream that is left would end when the collector
            # of cycles comes by.
            kwargs["original_response"] = f"<{type(answer).__name__}>"
        elif isinstance(answer, str) and answer.startswith("{"):
            attempt = self._mine(kwargs)
            if attempt is not None:
                attempt.heard(answer)

    def log_success_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._succeeded(kwargs, response_obj)

    async def async_log_success_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._succeeded(kwargs, response_obj)

    def log_failure_event(self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any) -> None:
        self._failed(kwargs)

    async def async_log_failure_event(
        self, kwargs: dict[str, Any], response_obj: Any, start_time: Any, end_time: Any
    ) -> None:
        self._failed(kwargs)

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> Any:
        # The one hook whose exception LiteLLM hands on: limits can refuse here.
        logging_obj = kwargs.get("litellm_logging_obj")
        details = getattr(logging_obj, "model_call_details", None)
        # Whichever instance is asked first asks; who reports the call is found out when it begins.
        if isinstance(details, dict):
            attempt = details.setdefault(KEY, Attempt())
        else:  # before 1.105 the call's own record is not there yet: it is found by the identifier
            identity = str(kwargs.get("litellm_call_id") or "")
            attempt = _WAITING.setdefault(identity, Attempt()) if identity else Attempt()
            while len(_WAITING) > _MOST_WAITING:
                _WAITING.pop(next(iter(_WAITING)), None)
        if not attempt.begun and not attempt.asked:
            attempt.asked = True
            kind = getattr(logging_obj, "call_type", "") or getattr(call_type, "value", "") or ""
            await attempt.ask(_asked(kwargs, str(kind)), kwargs)

    async def async_post_call_success_deployment_hook(
        self, request_data: dict[str, Any], response: Any, call_type: Any
    ) -> Any:
        # The one hook that runs before `acompletion` returns: a program that ends then has its row.
        details = getattr(request_data.get("litellm_logging_obj"), "model_call_details", None)
        if isinstance(details, dict) and not type(response).__name__.endswith(("Iterator", "Wrapper")):
            attempt = details.get(KEY) or self._mine(details)  # whichever instance has begun it: it is over now
            if attempt is not None and not attempt.begun:
                attempt.begin(details, FOLDERS, sent=False)  # of a handler without hook
            if attempt is not None and attempt.tracking is None:
                attempt.answered(response, cost_of(response))
        return None

    def _mine(self, details: dict[str, Any]) -> Attempt | None:
        """The attempt of a call; None when another instance of this class has it: LiteLLM copies its list of
        callbacks, so that one which was taken out of it, or is in it twice, may be called still."""
        attempt = details.get(KEY)
        if attempt is None:
            attempt = details[KEY] = _WAITING.pop(str(details.get("litellm_call_id")), None) or Attempt()
        if attempt.seen_by == 0:
            attempt.seen_by = id(self)
        return attempt if attempt.seen_by == id(self) else None

    def _succeeded(self, details: dict[str, Any], response: Any) -> None:
        attempt = self._mine(details)
        if attempt is None:
            return
        cached = details.get("cache_hit") is True
        if attempt.call is None and not attempt.begun:
            attempt.begin(details, FOLDERS, sent=False)  # an answer from LiteLLM's cache, or of a handler without hook
        if attempt.tracking is not None and not cached:
            return  # its stream says how it ends; what LiteLLM puts together of it comes from a thread, at any time
        attempt.answered(response, details.get("response_cost"), cached=cached)

    def _failed(self, details: dict[str, Any]) -> None:
        attempt = self._mine(details)
        if attempt is None or attempt.refused:
            return
        if attempt.call is None and not attempt.begun:
            attempt.begin(details, FOLDERS, sent=False)  # refused before anything was sent
        attempt.failed(details.get("exception"))


def _asked(arguments: dict[str, Any], kind: str) -> dict[str, Any]:
    """LiteLLM's details of a call that it has not made yet, as far as its row tells of them."""
    model, provider = arguments.get("model"), arguments.get("custom_llm_provider")
    with contextlib.suppress(Exception):  # it raises what it likes for a model that it does not know
        model, provider, *_ = litellm.get_llm_provider(
            model=model, custom_llm_provider=provider, api_base=arguments.get("api_base")
        )
    given = {name: arguments.get(name) for name in ("user", "stream")}
    params = {"metadata": arguments.get("metadata")}
    return {**given, "model": model, "custom_llm_provider": provider, "call_type": kind, "litellm_params": params}


def attempt_of(details: Any) -> Any:
    """The attempt in LiteLLM's details of a call, None when there is none."""
    return details.get(KEY) if isinstance(details, dict) else None


def cost_of(response: Any) -> Any:
    """What LiteLLM says that a response costs."""
    hidden = getattr(response, "_hidden_params", None)
    return hidden.get("response_cost") if isinstance(hidden, dict) else None


def self_test() -> list[str]:
    """The hooks that this version of LiteLLM does not call the way that they are defined here; empty when all is well.

    Looks at LiteLLM's code, so that nothing is sent and no other callback is bothered.
    """
    event = frozenset({"kwargs", "response_obj", "start_time", "end_time"})
    needed = (
        ("log_pre_api_call", frozenset({"model", "messages", "kwargs"}), ("pre_call",)),
        ("log_success_event", event, ("_success_handler_body", "success_handler")),
        ("async_log_success_event", event, ("_async_success_handler_body", "async_success_handler")),
        ("log_failure_event", event, ("_failure_handler_body", "failure_handler")),
        ("async_log_failure_event", event, ("_async_failure_handler_body", "async_failure_handler")),
    )
    return [name for name, keywords, callers in needed if not _calls(callers, name, keywords)]


def _calls(callers: tuple[str, ...], name: str, keywords: frozenset[str]) -> bool:
    for caller in callers:
        code = getattr(getattr(Logging, caller, None), "__code__", None)
        if code is not None and name in code.co_names:
            return any(isinstance(constant, tuple) and keywords == {*constant} for constant in code.co_consts)
    return False


# -- what no hook says ------------------------------------------------------------------------------------------------


def wrap_litellm() -> None:
    """Wrap the methods that say how a stream or a cancelled call ends; once."""
    _wrap(CustomStreamWrapper, "__init__", _stream_made)
    _wrap(CustomStreamWrapper, "__next__", _stream_next)
    _wrap(CustomStreamWrapper, "__anext__", _stream_anext)
    _wrap(CustomStreamWrapper, "close", _stream_close)
    _wrap(CustomStreamWrapper, "aclose", _stream_aclose)
    _wrap(CustomStreamWrapper, "__del__", _stream_dropped)
    _wrap(Logging, "_restore_correlation_context", _call_left)
    _note_places()
    try:
        from litellm.responses import streaming_iterator
    except ImportError:
        return
    for name, method, wrapper in (
        ("ResponsesAPIStreamingIterator", "__anext__", _stream_anext),
        ("SyncResponsesAPIStreamingIterator", "__next__", _stream_next),
    ):
        _wrap(getattr(streaming_iterator, name, None), method, wrapper)


def _note_places() -> None:
    """Have LiteLLM's asynchronous functions, and those of its Router, note where their coroutines are made: who makes a
    task of one is on the stack no more when it runs. A function that was taken from LiteLLM before stays as it was."""
    for module in (litellm, litellm.main):
        for name, found in list(vars(module).items()):
            if _makes_a_call(name, found):
                setattr(module, name, Started(found, FOLDERS, None))
    router = getattr(litellm, "Router", None)
    for name, found in list(vars(router).items()) if router is not None else ():
        if _makes_a_call(name, found):
            setattr(router, name, Noted(found, FOLDERS, Started))


def _makes_a_call(name: str, found: Any) -> bool:
    """Whether a function is the asynchronous half of a pair, as those that ask a model are."""
    is_half = name.startswith("a") and hasattr(litellm, name[1:])
    return is_half and type(found) is FunctionType and inspect.iscoroutinefunction(found)


def _wrap(cls: Any, name: str, wrapper: Callable[[Any], Any]) -> None:
    method = vars(cls).get(name) if cls is not None else None
    if method is not None and not hasattr(method, _MARK):
        wrapped = functools.wraps(method)(wrapper(method))
        setattr(wrapped, _MARK, method)
        setattr(cls, name, wrapped)


def _tracking(stream: Any) -> Tracking | None:
    """The record of a stream object; None when it has none, or wraps the one that has."""
    attempt = attempt_of(getattr(getattr(stream, "logging_obj", None), "model_call_details", None))
    if attempt is None or not attempt.open:
        return None
    if attempt.tracking is None:
        attempt.tracking, attempt.owner = Priced(attempt), id(stream)
    return attempt.tracking if attempt.owner == id(stream) else None


def _stream_made(method: Any) -> Any:
    def made(self: Any, *arguments: Any, **keywords: Any) -> None:
        method(self, *arguments, **keywords)
        _tracking(self)

    return made


def _stream_next(method: Any) -> Any:
    def advance(self: Any) -> Any:
        tracking = _tracking(self)
        return method(self) if tracking is None else tracking.follow(method, self)

    return advance


def _stream_anext(method: Any) -> Any:
    async def advance(self: Any) -> Any:
        tracking = _tracking(self)
        if tracking is None:
            return await method(self)
        return await tracking.afollow(method, self)

    return advance


def _stream_close(method: Any) -> Any:
    def close(self: Any) -> Any:
        try:
            return method(self)
        finally:
            _leave(self)

    return close


def _stream_aclose(method: Any) -> Any:
    async def aclose(self: Any) -> Any:
        try:
            return await method(self)
        finally:
            _leave(self)

    return aclose


def _stream_dropped(method: Any) -> Any:
    def dropped(self: Any) -> None:
        _leave(self)
        method(self)

    return dropped


def _leave(stream: Any) -> None:
    attempt = attempt_of(getattr(getattr(stream, "logging_obj", None), "model_call_details", None))
    if attempt is not None and attempt.tracking is not None and attempt.owner == id(stream):
        attempt.tracking.leave()


def _call_left(method: Any) -> Any:
    """LiteLLM's asynchronous functions call this method when they are left, by an exception too: a cancellation, which
    it reports to nobody."""

    def left(self: Any) -> Any:
        error = sys.exc_info()[1]
        attempt = attempt_of(getattr(self, "model_call_details", None))
        if error is not None and attempt is not None and attempt.open and attempt.tracking is None:
            frame = sys._getframe(1)
            at = error.__traceback__
            while at is not None and at.tb_frame is not frame:
                at = at.tb_next
            if at is not None:  # it goes through this very call, and is not one that is being handled around it
                attempt.call.fail(error)
        return method(self)

    return left
