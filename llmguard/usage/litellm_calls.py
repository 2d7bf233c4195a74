"""One LiteLLM call as the callback sees it: what its dictionary of details says, and the record that hangs in it.

LiteLLM keeps one dictionary for each call (`Logging.model_call_details`), hands it to every hook, and drops it with the
call. `Attempt` lives in that dictionary, so that a call that nobody reports the end of (a stream that is left, a task
that is cancelled) ends when LiteLLM lets go of it. (Read and tried with litellm 1.106.)
"""

from __future__ import annotations

import json
import sys
from typing import Any

from llmguard.errors import RateLimitExceeded
from llmguard.usage.call import Call
from llmguard.usage.context import FIELDS, enclosing
from llmguard.usage.counts import tokens_of
from llmguard.usage.estimate import characters_of, tokens_in
from llmguard.usage.inner_call import InnerCall
from llmguard.usage.recorder import recorder
from llmguard.usage.streams import Tracking
from llmguard.usage.tokens import Tokens

#: Key of the attempt in LiteLLM's dictionary.
KEY = "_llmguard_attempt"
#: What rows of LiteLLM's calls say, where neither the request context nor the call says otherwise.
DEFAULTS: dict[str, Any] = {}
_OPERATIONS = (
    ("text_completion", "text_completion"),
    ("embedding", "embeddings"),
    ("image", "image_generation"),
    ("speech", "speech"),
    ("transcription", "transcription"),
    ("rerank", "rerank"),
    ("video", "video_generation"),
    ("batch", "batch"),
    ("ocr", "ocr"),
    ("moderation", ""),  # which generates nothing
)
_MOST_TAGS = 50
_PLAIN = (str, int, float, bool)
#: Metadata that LiteLLM's Router and proxy put in beside the user's.
_INTERNAL = ("user_api_key", "litellm_", "model_", "deployment", "caching_", "previous_", "attempted_", "api_base")


class Attempt:
    """One request of LiteLLM: an intent and an end.

    Attributes:
        call: on the books, or a part of one around it; None when nothing is recorded.
        tracking: of its stream.
        owner: identity of the stream object that is counted: a Router's wraps another one.
        answer: the raw text of an answer whose end nobody has reported yet.
        seen_by: identity of the callback that reports it.
        claims: what limits have said of it, before it began.
        refused: whether they have refused it: it has no row.
        asked: whether limits were asked.
        begun: whether it was looked at.
    """

    def __init__(self) -> None:
        self.call: Call | InnerCall | None = None
        self.tracking: Tracking | None = None
        self.owner = 0
        self.answer: str | None = None
        self.seen_by = 0
        self.claims: list[list[Any]] | None = None
        self.refused = False
        self.asked = False
        self.begun = False
        self._named: dict[str, Any] = {}

    def __deepcopy__(self, memo: Any) -> Attempt:
        return self

    def __copy__(self) -> Attempt:
        return self

    def __reduce__(self) -> Any:
        return str, ("llmguard",)

    def __repr__(self) -> str:
        return "<llmguard>"

    def begin(self, details: dict[str, Any], passing: tuple[str, ...], *, sent: bool = True) -> None:
        """The request is about to be sent. One before it that nobody ended failed, and is being tried again."""
        self.begun = True
        if self.call is not None and not self.call.done:
            self.call.finish("error", error_type="retried")
        self.tracking, self.answer, self.owner = None, None, 0
        current = recorder()
        self._named = {"provider": details.get("custom_llm_provider"), "model": details.get("model")}
        fields = fields_of(details)
        if current.settings.disabled or not fields["operation"]:
            return
        around = enclosing()
        if around is not None:
            self.call = InnerCall(around, self._named)
            return
        self.call = call = Call(current, fields, DEFAULTS)
        body = {"messages": details.get("messages") or details.get("input")}
        # LiteLLM swallows what a hook of a synchronous call raises: limits count it, and cannot refuse it.
        claims, self.claims = self.claims, None
        call.start(body if sent else None, passing, asks=False, claims=claims)

    async def ask(self, details: dict[str, Any], request: dict[str, Any]) -> None:
        """Ask the limits, before an asynchronous call is made.

        Raises:
            RateLimitExceeded: one of them refuses it.
        """
        current = recorder()
        fields = fields_of(details)
        gate = current.gate
        if gate is None or gate.is_open or not fields["operation"] or enclosing() is not None:
            return
        try:
            asked = Call(current, fields, DEFAULTS).fields
            self.claims = await gate.admit_async(asked, request, tokens_in(characters_of(request)))
        except RateLimitExceeded:
            self.refused = True
            raise

    def heard(self, answer: str) -> None:
        """The provider has answered. LiteLLM reports it from a thread, which a kill may forestall: it is noted now."""
        self.answer = answer
        if self.open and self.call is not None:
            try:
                response = json.loads(answer)
            except ValueError:
                return  # no JSON, or a part of it: the report will say
            cost = reckoned(self._named, tokens_of(response))
            if cost is not None:
                self.call.fields["given_cost"] = cost
            self.call.note(response)

    @property
    def open(self) -> bool:
        """Whether its end is still to come."""
        return self.call is not None and not self.call.done

    def answered(self, response: Any, cost: Any = None, *, cached: bool = False) -> None:
        """A whole answer is there."""
        tokens = tokens_of(response)
        call = self.call
        if call is None or call.done:
            return
        if isinstance(cost, float) and cost > 0:
            call.fields["given_cost"] = cost
        elif "given_cost" not in call.fields:  # else it was reckoned when the answer was heard
            cost = reckoned(self._named, tokens)
            if cost is not None:
                call.fields["given_cost"] = cost
        if cached:
            call.hit(response)
            return
        if (tokens.prompt or 0) + (tokens.completion or 0) == 0:
            response = _without_usage(response)  # LiteLLM fills in zeros where the provider says nothing
        call.succeed(response)

    def failed(self, error: BaseException | None) -> None:
        """It ended with an exception."""
        if self.open and self.call is not None:
            if error is None:
                self.call.finish("error", error_type="unknown")
            elif self.tracking is not None:
                self.tracking.end(error)
            else:
                self.call.fail(error)

    def abandoned(self) -> None:
        """LiteLLM has let go of it without a word."""
        gate = recorder().gate if self.claims else None
        if gate is not None and self.claims:
            gate.release(self.claims)  # it never began
            self.claims = None
        if not self.open or self.call is None:
            return
        if self.tracking is not None:
            self.tracking.leave()
        elif self.answer is not None:
            self.call.succeed(_json(self.answer))
        else:
            self.call.finish("cancelled", error_type="CancelledError")

    def __del__(self) -> None:
        self.abandoned()


class Priced(Tracking):
    """A stream of LiteLLM's: what it costs is LiteLLM's to say, where the snapshot does not know the model.

    Args:
        attempt: that the stream belongs to, whose end is still to come.
    """

    __slots__ = ("_named",)

    def __init__(self, attempt: Attempt) -> None:
        assert attempt.call is not None
        super().__init__(attempt.call)
        self._named = attempt._named

    def end(self, error: BaseException | None = None) -> None:
        self._reckon()
        super().end(error)

    def give_up(self) -> None:
        self._reckon()
        super().give_up()

    def _reckon(self) -> None:
        if not self.call.done:
            tokens, _ = self.meter.counts(self.call.prompt_estimate)
            cost = reckoned(self._named, tokens)
            if cost is not None:
                self.call.fields["given_cost"] = cost


def reckoned(named: dict[str, Any], tokens: Tokens) -> float | None:
    """What a call costs by LiteLLM's own list, None when it has no price."""
    litellm = sys.modules.get("litellm")
    if litellm is None or (not tokens.prompt and not tokens.completion):
        return None
    try:
        into, out = litellm.cost_per_token(
            model=named.get("model") or "",
            custom_llm_provider=named.get("provider"),
            prompt_tokens=tokens.prompt or 0,
            completion_tokens=tokens.completion or 0,
            cache_creation_input_tokens=tokens.cache_write or 0,
            cache_read_input_tokens=tokens.cache_read or 0,
        )
        return float(into + out) or None
    except Exception:  # noqa: BLE001  (it raises what it likes for a model that it does not know)
        return None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return {}


def _without_usage(response: Any) -> Any:
    """The answer of a response, for an estimate."""
    choices = response.get("choices") if isinstance(response, dict) else getattr(response, "choices", None)
    return {"choices": choices, "model": getattr(response, "model", None), "id": getattr(response, "id", None)}


def fields_of(details: dict[str, Any]) -> dict[str, Any]:
    """What LiteLLM's details of a call say: the columns of its row."""
    kind = str(details.get("call_type") or "")
    given = (details.get("litellm_params") or {}).get("metadata") or {}
    metadata = {key: value for key, value in given.items() if isinstance(value, _PLAIN)} if given else {}
    known = {name: metadata.pop(name) for name in FIELDS if name in metadata}
    ours = given.get("llmguard") if isinstance(given, dict) else None
    if isinstance(ours, dict):  # LiteLLM sends Anthropic the `user_id` of its own metadata
        known.update({name: value for name, value in ours.items() if name in FIELDS and isinstance(value, _PLAIN)})
    mine: dict[str, Any] = {key: value for key, value in metadata.items() if not key.startswith(_INTERNAL)}
    tags = given.get("tags") if isinstance(given, dict) else None
    if isinstance(tags, list) and tags:
        mine["tags"] = [str(tag) for tag in tags[:_MOST_TAGS]]
    user = details.get("user")
    if "user_id" not in known and isinstance(user, str) and user:
        known["user_id"] = user
    return {
        "provider": details.get("custom_llm_provider"),
        "model": details.get("model"),
        "operation": next((operation for part, operation in _OPERATIONS if part in kind), "chat"),
        "endpoint": kind.removeprefix("a") if kind.startswith(("aco", "ate", "aem", "are")) else kind or None,
        "stream": bool(details.get("stream")),
        **known,
        "metadata": {"source": "litellm_callback", **mine},
    }
