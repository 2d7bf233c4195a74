"""`UnifiedLLMService`: one question, several providers; who fails is left alone for a while.

Every attempt is a row of the ledger, and those of one question share its `call_id`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterable, Mapping
from functools import partial
from typing import Any

from llmguard.calls.answer import LLMChunk, LLMProvider, LLMResponse, answer_of, text_of
from llmguard.calls.cached_answer import CachedAnswer, key_of, reached
from llmguard.calls.failover import Ask, Failover, Recover, Round, Target, drive
from llmguard.calls.question import Question, answered, answered_sync
from llmguard.calls.request import CHAT, Request, Since, asked, check_messages
from llmguard.calls.service_settings import ServiceSettings, from_environment, known, target_of
from llmguard.calls.transports import Reached, Told, is_reached_by_sdk, transport_for
from llmguard.calls.ways import GRACE, About, CacheOption, cache_of, is_seconds, placed, sendable_again
from llmguard.errors import MalformedAnswer, UsageError
from llmguard.usage.ids import call_id as new_call_id

__all__ = ["LLMChunk", "LLMProvider", "LLMResponse", "UnifiedLLMService", "get_llm_service", "set_llm_service"]
_TEMPERATURE = 0.7  # sent where a question does not say, and the model takes one


class UnifiedLLMService:
    """Asks the primary provider, and the fallbacks in order when it fails. Making one opens no connection.

    Args:
        settings: who is asked, and how; by default what the environment says.
        cache: whether answers are given again that were had before: True for the cache of the process, or a cache of
            `llmguard.calls.cache`; by default what the settings say.

    Attributes:
        primary_provider: who is asked first; may be set.
        fallback_providers: who is asked then, in order; may be changed.
        enable_fallback: whether anybody is.

    Raises:
        ConfigError: the environment names a provider that is none, or a number that is none.
    """

    def __init__(self, settings: ServiceSettings | None = None, *, cache: CacheOption = None) -> None:
        self.settings = settings or from_environment()
        self._cache = self.settings.enable_cache if cache is None else cache
        self.primary_provider: str = self.settings.primary
        self.fallback_providers: list[str] = list(self.settings.fallbacks)
        self.enable_fallback = self.settings.enable_fallback
        self.pool_size = self.settings.pool_size
        self._turns: dict[str, int] = {}
        self._lock = threading.Lock()
        self._fixed: set[tuple[str, str]] = set()  # models that take no temperature
        self._failover = Failover(self.settings.rules, self.settings.rounds)
        for name in self.settings.order:
            target_of(name)  # says now what is wrong with it

    # -- asking --------------------------------------------------------------------------------------------------------

    def generate_response(
        self,
        messages: Iterable[Any],
        temperature: float | None = _TEMPERATURE,
        max_tokens: int | None = None,
        tools: Iterable[Any] | None = None,
        *,
        user_id: Any = None,
        service_name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        cache: CacheOption = None,
        **arguments: Any,
    ) -> LLMResponse:
        """`generate_response_async` for code that is not asynchronous; inside a running loop it blocks that.

        When an attempt's time is over, it ends with the next piece of the answer that comes, or with the end of a wait
        for it that takes as long: nobody can end a thread's call from outside.
        """
        sent = self._sent(messages, temperature, max_tokens, tools, arguments)
        about = About(user_id, service_name, metadata)
        answer: LLMResponse = answered_sync(self._question(sent, about, cache, asynchronous=False)).value
        return answer

    async def generate_response_async(
        self,
        messages: Iterable[Any],
        temperature: float | None = _TEMPERATURE,
        max_tokens: int | None = None,
        tools: Iterable[Any] | None = None,
        *,
        user_id: Any = None,
        service_name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        cache: CacheOption = None,
        **arguments: Any,
    ) -> LLMResponse:
        """Ask, in OpenAI's format, whoever it goes to.

        Args:
            messages: the conversation: several system messages, images and results of tools are all right.
            temperature: not sent when it is None; that of the default is left out for models that refuse one.
            max_tokens: not sent when it is None, but where the provider needs one.
            tools: in OpenAI's format.
            user_id, service_name, metadata: what the rows say.
            cache: whether an answer is given again that was had before; by default what the service says.
            arguments: anything else of `chat.completions.create`: tool_choice, response_format, top_p, stop, seed, ...;
                `model` is sent to whoever is asked.

        Raises:
            AllProvidersFailed: nobody has answered; the last error is its cause.
            UsageError: messages that are none, or a stream, which `stream_response_async` gives.
            RateLimitExceeded: a limit of the ledger refuses it.
            Exception: of the provider's SDK, where it is the question's fault, or the key's.
        """
        sent = self._sent(messages, temperature, max_tokens, tools, arguments)
        about = About(user_id, service_name, metadata)
        answer: LLMResponse = (await answered(self._question(sent, about, cache, asynchronous=True))).value
        return answer

    async def stream_response_async(
        self,
        messages: Iterable[Any],
        temperature: float | None = _TEMPERATURE,
        max_tokens: int | None = None,
        *,
        user_id: Any = None,
        service_name: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **arguments: Any,
    ) -> AsyncIterator[LLMChunk]:
        """Ask, and give the answer piece by piece: `async for chunk in service.stream_response_async(messages)`.

        Another provider is asked until somebody has begun to answer; who breaks off then has broken off, and its error
        comes through. Arguments and errors are those of `generate_response_async`.
        """
        question = self._sent(messages, temperature, max_tokens, None, arguments)
        question["stream"] = True
        time = self._time_of(question)
        told = {"user_id": user_id, "service_name": service_name, "call_id": new_call_id()}

        async def attempt(ask: Ask) -> tuple[Any, Any]:
            stream = await asked(self._request(ask, question, told, metadata, asynchronous=True), time)
            try:
                first = await asyncio.wait_for(anext(stream, None), time)
                if first is None:
                    raise MalformedAnswer("the stream ended before it began")
            except BaseException:
                await stream.aclose()
                raise
            return stream, first

        round_ = self._failover.round(self._targets())
        ask, (stream, first) = await drive(round_, attempt, self._recovered(question))
        async for chunk in self._pieces(round_, ask, stream, first):
            yield chunk

    async def _pieces(self, round_: Round, ask: Ask, stream: Any, first: Any) -> AsyncIterator[LLMChunk]:
        provider, model = ask.target.provider, ask.target.model
        try:
            chunk = first
            while chunk is not None:
                if piece := text_of(chunk):
                    yield LLMChunk(piece, provider, model)
                chunk = await anext(stream, None)
        except Exception as error:
            round_.broke_off(ask, error)
            raise
        finally:
            await stream.aclose()
        round_.answered(ask)
        yield LLMChunk("", provider, model, dict(stream["usage"]))

    def _time_of(self, question: Mapping[str, Any]) -> float:
        """Seconds of an attempt, and a moment in which the SDK may say itself that they are over."""
        given = question.get("timeout")
        return (given if is_seconds(given) else self.settings.attempt_timeout) + GRACE

    def _recovered(self, question: dict[str, Any]) -> Recover:
        """The same one is asked again without a temperature, where nobody asked for that and it is refused."""

        def recover(ask: Ask, error: BaseException) -> bool:
            model = (ask.target.provider, ask.target.model)
            if not _is_of_temperature(error) or question.get("temperature") != _TEMPERATURE or model in self._fixed:
                return False
            self._fixed.add(model)
            return True

        return recover

    async def warm_connections(self) -> dict[str, bool]:
        """Open the connections of all providers that are asked: a list of models is fetched, which costs nothing.

        Returns:
            Provider -> whether it has answered; those that are reached through LiteLLM, which keeps its connections to
            itself, are left out.
        """
        names = [target.provider for target in self._targets() if is_reached_by_sdk(target.provider)]
        done = await asyncio.gather(*(self.ping(name) for name in names), return_exceptions=True)
        return {name: not isinstance(each, BaseException) for name, each in zip(names, done, strict=True)}

    async def ping(self, provider: str, *, generate: bool = False) -> None:
        """Ask a provider for its list of models through each client of its pool: nothing is paid, and no other
        provider, breaker or statistic has to do with it.

        Args:
            provider: its name.
            generate: ask for an answer of one token instead, which is paid, and on the books.

        Raises:
            UsageError: it is switched off, or has no key; or LiteLLM reaches it and `generate` is off.
            Exception: of its SDK, or a timeout.
        """
        target = target_of(known("provider", provider))
        if target is None:
            raise UsageError(f"{provider} is switched off, or has no key")
        if not generate and not is_reached_by_sdk(target.provider):
            raise UsageError(f"{provider} is reached through LiteLLM, which keeps its connections to itself")
        await asyncio.wait_for(self._ping(target, generate), self._time_of({}))

    async def _ping(self, target: Target, generate: bool) -> None:
        if generate:
            question = {"messages": [{"role": "user", "content": "ping"}], "max_tokens": 1}
            told = {"service_name": "llm_warmer", "call_id": new_call_id()}
            await asked(self._request(Ask(target, 0, 0), question, told, None, asynchronous=True))
            return
        await asyncio.gather(*(client.call(None, {}) for client in self._clients(target)))

    def make_clients(self, provider: str) -> None:
        """Make the clients of a provider in the running loop; the SDK is imported, and nothing is sent.

        Raises:
            ConfigError: its SDK is not installed.
        """
        target = target_of(known("provider", provider))
        if target is not None and is_reached_by_sdk(target.provider):
            self._clients(target)

    def _clients(self, target: Target) -> list[Reached]:
        """Each client of a provider's pool, ready to be asked for the list of models."""
        transport, options = transport_for(target.provider, CHAT.name), self._options(target)
        return [
            transport.reach(("models", "list"), target.model, options, asynchronous=True, slot=slot)
            for slot in range(max(self.pool_size, 1))
        ]

    # -- about it ------------------------------------------------------------------------------------------------------

    def get_available_providers(self) -> list[str]:
        """Names of those that are asked, in order: they are switched on, and have a key."""
        return [target.provider for target in self._targets()]

    def get_stats(self) -> dict[str, Any]:
        """`{"primary_provider", "enabled_providers", "pool_size", "stats": {"requests_by_provider",
        "errors_by_provider", "fallback_count", "breakers"}, "cache": {...} or None}`, which JSON can hold."""
        cache = cache_of(self._cache)
        return {
            "primary_provider": str(getattr(self.primary_provider, "value", self.primary_provider)),
            "enabled_providers": self.get_available_providers(),
            "pool_size": self.pool_size,
            "stats": self.stats,
            "cache": cache.statistics() if cache is not None else None,
        }

    @property
    def stats(self) -> dict[str, Any]:
        """What was asked of whom, and what came of it."""
        return self._failover.statistics()

    def last_answer(self, provider: str) -> float | None:
        """When a provider has answered a question last (`time.time`), None for never."""
        return self._failover.answered_at.get(provider)

    @property
    def configs(self) -> dict[str, dict[str, Any]]:
        """Of each provider that is asked: its model and where it is; no key."""
        return {target.provider: {"model": target.model, **target.options} for target in self._targets()}

    def _targets(self) -> list[Target]:
        names = (self.primary_provider, *(self.fallback_providers if self.enable_fallback else ()))
        plain = [known("provider", str(getattr(name, "value", name))) for name in names]
        found = [target_of(name) for name in dict.fromkeys(plain)]
        return [target for target in found if target is not None]

    def _options(self, target: Target) -> dict[str, Any]:
        return {**target.options, "timeout": self.settings.attempt_timeout, "max_retries": 0}

    def _slot(self, provider: str) -> int:
        """The client of a provider's pool whose turn it is."""
        with self._lock:
            turn = self._turns[provider] = self._turns.get(provider, -1) + 1
        return turn % max(self.pool_size, 1)

    def _question(self, sent: dict[str, Any], about: About, cache: CacheOption, *, asynchronous: bool) -> Question:
        told = {"user_id": about.user_id, "service_name": about.service_name, "call_id": new_call_id()}

        def attempt(ask: Ask) -> Request:
            return self._request(ask, sent, told, about.metadata, asynchronous=asynchronous)

        def again(kept: CachedAnswer, since: Since) -> Request:
            asked_for = {**sent, "model": kept.model}
            reach = partial(reached, kept, since, Told())
            return Request(CHAT, reach, asked_for, told, about.metadata, asynchronous=asynchronous, since=since)

        targets = self._targets()
        found = cache_of(self._cache if cache is None else cache)
        key = None
        if found is not None:
            places = [
                placed(target, transport_for(target.provider, CHAT.name).place(target.options)) for target in targets
            ]
            known = None if any(place[0] is None for place in places) else places
            key = key_of(found.limits.scope, CHAT.name, known, sent, Told(), about.user_id)
        return Question(
            targets,
            attempt,
            answer_of,
            again,
            failover=self._failover,
            recover=self._recovered(sent),
            within=lambda _: self._time_of(sent),
            patience=sent["timeout"] if is_seconds(sent.get("timeout")) else None,
            cache=found,
            key=key,
        )

    def _sent(
        self, messages: Any, temperature: float | None, max_tokens: int | None, tools: Any, arguments: dict[str, Any]
    ) -> dict[str, Any]:
        check_messages(messages)
        if arguments.get("stream"):
            raise UsageError("a stream is given by stream_response_async(...)")
        messages = messages if isinstance(messages, list) else list(messages)
        question = {"messages": messages, "temperature": temperature, "max_tokens": max_tokens}
        question["tools"] = list(tools) if tools is not None else None
        given = {name: value for name, value in {**question, **arguments}.items() if value is not None}
        return sendable_again(given)

    def _request(
        self,
        step: Ask,
        question: dict[str, Any],
        attribution: dict[str, Any],
        metadata: Mapping[str, Any] | None,
        *,
        asynchronous: bool,
    ) -> Request:
        target = step.target
        options = self._options(target)
        sent = {**target.defaults, "model": target.model, **question}
        if sent.get("temperature") == _TEMPERATURE and (target.provider, target.model) in self._fixed:
            del sent["temperature"]

        def reach(arguments: dict[str, Any]) -> Reached:
            transport = transport_for(target.provider, CHAT.name)
            return transport.reach(
                CHAT.path, arguments.get("model"), options, asynchronous=asynchronous, slot=self._slot(target.provider)
            )

        told = {**attribution, "attempt_no": step.number}
        return Request(CHAT, reach, sent, told, metadata, asynchronous=asynchronous)


def _is_of_temperature(error: BaseException) -> bool:
    """Whether a provider refuses a temperature: reasoning models have one of their own."""
    return getattr(error, "status_code", None) in (400, 422) and "temperature" in str(error)


_service: UnifiedLLMService | None = None
_lock = threading.Lock()


def get_llm_service() -> UnifiedLLMService:
    """The service of this process, made by the environment when it is first asked for.

    Raises:
        ConfigError: as of `UnifiedLLMService`.
    """
    global _service
    with _lock:
        if _service is None:
            _service = UnifiedLLMService()
        return _service


def set_llm_service(service: UnifiedLLMService | None) -> None:
    """Put another service in its place; None for one that is made anew when it is asked for."""
    global _service
    with _lock:
        _service = service
