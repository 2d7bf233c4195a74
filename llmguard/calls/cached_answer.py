"""An answer as a cache keeps it, and the key under which it does.

The key is a digest of all that is asked, of whom, and for which tenant: what differs anywhere is another question. What
is kept is text: of what it says, the SDK's own object is built again, of a class that stands in a list here.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, NamedTuple

from llmguard.calls.service_settings import CACHE_SCOPES
from llmguard.calls.transports import Reached, Told
from llmguard.calls.transports.litellm import ANSWER
from llmguard.calls.transports.sdk import answer_classes
from llmguard.usage.call import Call
from llmguard.usage.call import made as new_call
from llmguard.usage.context import enclosing, request_context
from llmguard.usage.inner_call import InnerCall

LOG = logging.getLogger("llmguard.calls")
#: Classes of answers that are kept: name of the package and of the class -> where the class is found.
_CLASSES = {f"{module.partition('.')[0]}:{name}": (module, name) for module, name in (*answer_classes(), ANSWER)}
_NOT_ASKED = frozenset({"timeout"})  # arguments that say nothing of what is asked
_DEEPEST = 50


class CachedAnswer(NamedTuple):
    """An answer that is given again.

    Attributes:
        provider: who has answered.
        model: that was asked.
        response: the SDK's object.
        call_id: of the call that was paid.
        request_id: that its provider gave it, None for none.
    """

    provider: str
    model: str
    response: Any
    call_id: str
    request_id: str | None = None

    def as_bytes(self) -> bytes | None:
        """As a cache keeps it, None when it is an answer of a kind that is not kept."""
        kind = type(self.response)
        name = f"{kind.__module__.partition('.')[0]}:{kind.__qualname__}"
        if name not in _CLASSES:
            return None
        try:
            body = self.response.model_dump(mode="json", exclude_unset=True, by_alias=True, warnings=False)
            kept = {"answer": name, "body": body, **self._asdict()}
            del kept["response"]
            return json.dumps(kept, separators=(",", ":")).encode()
        except Exception:  # whatever the answer is, its caller has it
            LOG.exception("an answer could not be kept")
            return None


def read(kept: bytes) -> CachedAnswer | None:
    """An answer out of what a cache has kept, None when it is none."""
    try:
        found = json.loads(kept)
        module, name = _CLASSES[found["answer"]]
        cls = getattr(import_module(module), name)
        # As the SDK makes an answer of what it is sent; LiteLLM's classes have no such way.
        response = cls.construct(**found["body"]) if (module, name) != ANSWER else cls(**found["body"])
        told = (found["provider"], found["model"], found["call_id"])
        request_id = found.get("request_id")
        if (module, name) != ANSWER:
            response._request_id = request_id if isinstance(request_id, str) else None
    except Exception as error:  # noqa: BLE001  (others may write there: what is no answer was not kept)
        LOG.warning("what a cache has kept is no answer: %s", type(error).__name__)
        return None
    if not all(isinstance(each, str) for each in told):
        return None
    provider, model, call_id = told
    return CachedAnswer(provider, model, response, call_id)


def key_of(
    scope: str, shape: str, places: Sequence[Any] | None, arguments: Mapping[str, Any], told: Told, user_id: Any = None
) -> str | None:
    """The key of a question, None when it cannot be said in full what is asked: its answer is not kept then.

    Args:
        scope: whose answers are shared; see `CACHE_SCOPES`.
        shape: format of the question.
        places: who may answer, in order, each with its model; None where that is not known.
        arguments: all of the SDK's method.
        told: what the client that is asked says of whom it is for.
        user_id: for whom it is asked.
    """
    if arguments.get("stream") or places is None:
        return None  # a stream is not kept
    known = {**(told.defaults or {}), **request_context(), **(told.fields or {})}
    if user_id is not None:
        known["user_id"] = user_id
    whose = [str(known[name]) if known.get(name) is not None else None for name in CACHE_SCOPES[scope]]
    try:
        asked = {name: _plain(value) for name, value in arguments.items() if name not in _NOT_ASKED}
        text = json.dumps([whose, shape, places, asked], sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        LOG.debug("a question is not looked up: %s", error)
        return None
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _plain(value: Any, depth: int = 0) -> Any:
    """A value in the words of JSON.

    Raises:
        TypeError: it says more than these can say.
    """
    if value is None or isinstance(value, (str, bool, int, float)):
        return value
    if depth < _DEEPEST:
        if isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
            return {name: _plain(inner, depth + 1) for name, inner in value.items()}
        if isinstance(value, (list, tuple)):
            return [_plain(inner, depth + 1) for inner in value]
        if not isinstance(value, type) and hasattr(value, "model_dump"):  # a message that a model has answered
            return _plain(value.model_dump(mode="json", exclude_unset=True, warnings=False), depth + 1)
    raise TypeError(f"{type(value).__qualname__} has no plain form")


def reached(kept: CachedAnswer, since: tuple[float, float], told: Told, _: dict[str, Any]) -> Reached:
    """What gives an answer again: it is on the books like any other, at no cost; limits have nothing to do with it.

    Args:
        kept: the answer.
        since: when it was asked for, as `time.time` and `time.perf_counter` have it.
        told: what the client that would have been asked says of its calls.
    """

    def made(fields: dict[str, Any], arguments: dict[str, Any]) -> Call | InnerCall:
        around = enclosing()
        if around is not None:
            return InnerCall(around, fields)
        call = new_call(Call, fields, arguments, told.defaults)
        call.start(arguments, since=since, asks=False, claims=[])
        return call

    def ended(response: Any, call: Call | InnerCall) -> Any:
        call.hit(response, kept.call_id)
        return response

    return Reached(kept.provider, lambda *_: kept.response, ended, made=made, fields=told.fields)
