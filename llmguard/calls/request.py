"""What one call is: where it goes, what is sent, what its row says."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from llmguard.calls.result import Usage, result_of
from llmguard.calls.transports import Reached, row_of
from llmguard.calls.transports.deadline import deadline
from llmguard.errors import UsageError
from llmguard.printable import printable
from llmguard.providers.index import maker_of
from llmguard.usage.call import Call, started
from llmguard.usage.inner_call import InnerCall
from llmguard.usage.tokens import Tokens

LOG = logging.getLogger("llmguard.calls")
LOG.addHandler(logging.NullHandler())  # a program that has set up no logging is not told of errors that it gets anyway


class NotGiven:
    """The type of `NOT_GIVEN`: an argument that was not passed is not sent, which None would be."""

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NOT_GIVEN"


NOT_GIVEN: Any = NotGiven()


class Shape(NamedTuple):
    """One of the two formats of a question.

    Attributes:
        name: "chat" (OpenAI's) or "messages" (Anthropic's).
        endpoint: what the row says.
        path: attributes from a client to the method that sends it.
    """

    name: str
    endpoint: str
    path: tuple[str, ...]


CHAT = Shape("chat", "/v1/chat/completions", ("chat", "completions", "create"))
MESSAGES = Shape("messages", "/v1/messages", ("messages", "create"))


#: When something began, as `time.time` and `time.perf_counter` have it.
Since = tuple[float, float]


class Request:
    """A call of the wrapper, from its arguments to its result.

    Args:
        shape: format of the question.
        reach: makes what reaches who is asked, by the arguments.
        sent: arguments of the SDK's method; those that are `NOT_GIVEN` are left out.
        attribution: columns of the row: user_id, service_name.
        metadata: of the caller, for the row.
        since: when it began, where it has begun already.

    Raises:
        UsageError: the provider is unknown, or does not speak this format.
        ConfigError: its SDK is not installed, or its key is missing.
    """

    __slots__ = ("_began", "_call", "_fields", "_shape", "arguments", "asynchronous", "reached", "usage")

    def __init__(
        self,
        shape: Shape,
        reach: Callable[[dict[str, Any]], Reached],
        sent: dict[str, Any],
        attribution: dict[str, Any],
        metadata: Mapping[str, Any] | None,
        *,
        asynchronous: bool,
        since: Since | None = None,
    ) -> None:
        self._shape = shape
        self.arguments = {name: value for name, value in sent.items() if value is not NOT_GIVEN}
        if "provider_metadata" in self.arguments:
            self.arguments["metadata"] = self.arguments.pop("provider_metadata")
        self.reached = reach(self.arguments)
        self.asynchronous = asynchronous
        self.usage = Usage.empty()
        self._fields = self._row(attribution, metadata)
        self._call: Call | InnerCall | None = None
        self._began = since[1] if since is not None else 0.0

    def _row(self, attribution: dict[str, Any], metadata: Mapping[str, Any] | None) -> dict[str, Any]:
        given = self.arguments
        # What the call itself says wins: the caller's metadata must not forge where a cost belongs.
        noted = dict(metadata) if isinstance(metadata, Mapping) else {"metadata": metadata} if metadata else {}
        if attribution.get("service_name") is not None:
            noted["service"] = attribution["service_name"]
        noted.update({name: given[name] for name in ("temperature", "max_tokens") if _is_number(given.get(name))})
        told = {name: value for name, value in attribution.items() if value is not None}
        return {
            **(self.reached.fields or {}),
            **told,
            "provider": self.reached.provider or None,
            "model": given["model"] if isinstance(given.get("model"), str) else None,
            "operation": "chat",
            "endpoint": self._shape.endpoint,
            "stream": bool(given.get("stream")),
            "metadata": {**((self.reached.fields or {}).get("metadata") or {}), **noted} or None,
        }

    def begin(self, *, hold: bool = False) -> Call | InnerCall | None:
        """Ask the limits and write the intent. What is `held` is to be admitted before it is sent.

        Raises:
            RateLimitExceeded: a limit refuses it.
            SpoolError: the intent cannot be written, and `strict` is on.
        """
        self._began = self._began or time.perf_counter()
        if not self.reached.records:
            return None
        if self.reached.made is not None:
            self._call = call = self.reached.made(self._fields, self.arguments)
        else:
            self._call = call = started(self._fields, self.arguments, defaults=self.reached.defaults, hold=hold)
        call.listener = self._heard
        self.usage["call_id"] = call.call_id
        return call

    def send(self) -> Any:
        """Call the SDK; its answer, or the awaitable of it."""
        try:
            return self.reached.call(self._call, self.arguments)
        except BaseException as error:
            self.failed(error)
            raise

    def failed(self, error: BaseException) -> None:
        """The SDK raised."""
        if self._call is not None:
            self._call.fail(error)

    def answered(self, response: Any) -> Any:
        """What the caller of the wrapper gets; the end is on the books, or will be when the stream ends."""
        if self._call is not None:
            response = self.reached.ended(response, self._call)
        return result_of(response, self.usage, asynchronous=self.asynchronous)

    def _heard(self, status: str, tokens: Tokens, source: str, model: str | None) -> None:
        """The call has ended."""
        milliseconds = round((time.perf_counter() - self._began) * 1000)
        names = (model, self._fields["model"])
        self.usage.fill(self.reached.provider, names, tokens, source, milliseconds)
        level = logging.ERROR if status in ("error", "timeout") else logging.INFO
        if LOG.isEnabledFor(level):
            # No text of an error: prompts and keys are quoted in them.
            LOG.log(
                level,
                "[LLM_WRAPPER] service=%s model=%s tokens=%s duration_ms=%s status=%s",
                *(printable(str(self._fields.get("service_name"))), printable(str(self._fields["model"]))),
                *(self.usage["total_tokens"], milliseconds, status),
            )


async def asked(request: Request, within: float | None = None) -> Any:
    """Send it, and wait for its answer: as long as the SDK does, or so many seconds.

    Raises:
        asyncio.TimeoutError: they are over.
    """
    call = request.begin(hold=True)
    if call is not None and call.held:
        await call.admitted()
    sent = request.send()
    try:
        if within is not None and inspect.isawaitable(sent):
            sent = asyncio.wait_for(sent, within)  # the call has begun: its place is that of who waits
        response = await sent if inspect.isawaitable(sent) else sent
    except BaseException as error:
        request.failed(error)
        raise
    return request.answered(response)


def asked_sync(request: Request, within: float | None = None) -> Any:
    """Send it; its answer.

    Args:
        request: what is sent.
        within: seconds that it may take, as far as the transport can tell while it waits.
    """
    request.begin()
    if within is None:
        return request.answered(request.send())
    with deadline(within):
        return request.answered(request.send())


def default_provider() -> str:
    """The provider that is asked when the call names none: LLM_PRIMARY_PROVIDER, else groq."""
    return os.environ.get("LLM_PRIMARY_PROVIDER", "").strip().lower() or "groq"


def check_messages(messages: Any) -> None:
    """Refuse what is certainly no conversation, before anything is sent.

    Raises:
        UsageError: it is a text: the first argument of a prompt-shaped function, probably.
    """
    if isinstance(messages, (str, bytes)):
        raise UsageError('messages must be a list like [{"role": "user", "content": "..."}], not a text')


def check_alone(provider: str | None, client_options: Mapping[str, Any] | None) -> None:
    """Refuse what the caller's own client decides itself.

    Raises:
        UsageError: options or a provider stand beside it.
    """
    if client_options is not None:
        raise UsageError("client= has its options already: leave client_options out, or pass client.with_options(...)")
    if provider is not None:
        raise UsageError("client= says itself who is asked: leave provider out")


def check_model(model: Any, provider: str, options: Mapping[str, Any]) -> None:
    """Refuse a model that the default provider surely does not serve: the question would go to the wrong company.

    Args:
        model: as it was passed.
        provider: the default one, which the call did not name.
        options: of the client; with a place of its own in them anything may be served there.

    Raises:
        UsageError: the model is another maker's.
    """
    row = row_of(provider)
    if not isinstance(model, str) or not row.own_models or options.get("base_url"):
        return
    if os.environ.get(f"{row.name.upper()}_BASE_URL"):
        return
    maker = maker_of(model)
    if maker is not None and maker.name != row.name:
        raise UsageError(
            f'model "{model}" is not served by {row.title}, which is asked when a call names nobody: '
            f'pass provider="{maker.name}", or set LLM_PRIMARY_PROVIDER'
        )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
