"""`llm_wrapper`: the same call as before, on the books.

    result = await llm_wrapper.chat_completion(messages, user_id="u", service_name="search", model="gpt-4o")
    result["response"]  # the SDK's own object
    result["usage"]     # tokens, milliseconds, dollars

What is not passed is not sent, what is passed arrives, retries and timeouts are the SDK's, and its exceptions come
through as they are.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from functools import partial
from typing import Any, TypeVar

from llmguard.calls.cached_answer import CachedAnswer, key_of, reached
from llmguard.calls.chat import ChatMethods, Messages, Options
from llmguard.calls.clients import pool
from llmguard.calls.failover import Ask, Failover
from llmguard.calls.messages import MessagesMethods
from llmguard.calls.prices import Estimate, estimate_cost
from llmguard.calls.question import Question
from llmguard.calls.request import (
    NOT_GIVEN,
    Request,
    Shape,
    Since,
    check_alone,
    check_messages,
    check_model,
    default_provider,
)
from llmguard.calls.service_settings import from_environment
from llmguard.calls.transports import row_of
from llmguard.calls.ways import (
    About,
    CacheOption,
    Extra,
    Way,
    Whom,
    cache_of,
    check_of,
    is_own,
    is_seconds,
    of_an_attempt,
    others,
    places_of,
    sendable_again,
    within_of,
)
from llmguard.errors import UsageError
from llmguard.usage.clients import view
from llmguard.usage.ids import call_id as new_call_id

C = TypeVar("C")
_FURTHER = frozenset(("tenant", "run_id", "agent", "budget"))


class LLMWrapper(ChatMethods, MessagesMethods):
    """Asks models, tracked. Making one costs nothing: clients are made at the first call, and shared.

    Args:
        provider: asked when a call names none; LLM_PRIMARY_PROVIDER, else "groq", when this is None.
        default_model: asked of that provider when a call names none; LLM_DEFAULT_MODEL when this is None.
        client_options: arguments of the SDK's clients (`timeout`, `max_retries`, `base_url`, `api_key`, ...); those of
            a call are laid over them.
        cache: whether answers are given again that were had before: True for the cache of the process, or a cache of
            `llmguard.calls.cache`. A call may say otherwise.
    """

    def __init__(
        self,
        *,
        provider: str | None = None,
        default_model: str | None = None,
        client_options: Options = None,
        cache: CacheOption = None,
    ) -> None:
        self._provider = provider
        self._default_model = default_model
        self._client_options = dict(client_options or {})
        self._cache = cache
        self._failover: Failover | None = None
        self._lock = threading.Lock()

    @property
    def default_provider(self) -> str:
        """Who is asked when a call names nobody."""
        return self._provider or default_provider()

    @property
    def default_model(self) -> str:
        """The model of `default_provider` that is asked when a call names none, "" when there is none."""
        named = self._default_model or os.environ.get("LLM_DEFAULT_MODEL", "")
        return named or (row_of("groq").default_model if self.default_provider == "groq" else "")

    @default_model.setter
    def default_model(self, model: str) -> None:
        self._default_model = model

    # -- any other method --------------------------------------------------------------------------------------------

    def using(
        self,
        client: C,
        *,
        user_id: Any = None,
        service_name: str | None = None,
        feature_context: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        **fields: Any,
    ) -> C:
        """A view on a client of your own, for calls of any of its methods, each of them on the books.

            llm_wrapper.using(client, user_id=user.id).chat.completions.parse(...)

        Args:
            client: of the OpenAI, Azure OpenAI, Groq or Anthropic SDK, synchronous or asynchronous; anything else (a
                test's fake) comes back as it is, its calls are not recorded, and that is said once.
            user_id, service_name, feature_context, metadata: what the rows say.
            fields: further columns: tenant, run_id, agent, budget.

        Returns:
            An object of the same class, over the same connections. The client stays as it is.

        Raises:
            TypeError: it is a client of another SDK that `track` knows, or there is no such column.
        """
        unknown = sorted(fields.keys() - _FURTHER)
        if unknown:
            raise TypeError(f"using() knows no {unknown[0]}: one of {', '.join(sorted(_FURTHER))}")
        given = {"user_id": user_id, "service_name": service_name, "feature_context": feature_context, **fields}
        given["metadata"] = dict(metadata) if metadata else None
        return view(client, {name: value for name, value in given.items() if value is not None})

    # -- beside the calls --------------------------------------------------------------------------------------------

    def estimate_cost(
        self,
        messages: Messages,
        model: str | None = None,
        max_tokens: int | None = None,
        provider: str | None = None,
    ) -> Estimate:
        """What a call would cost, before it is made; see `llmguard.calls.prices.estimate_cost`."""
        return estimate_cost(messages, model or self.default_model, max_tokens, provider or self.default_provider)

    def close(self) -> None:
        """Close the synchronous clients of this process; done at its end too."""
        pool.close()

    async def aclose(self) -> None:
        """Close the asynchronous clients of the running loop."""
        await pool.aclose()

    def get_stats(self) -> dict[str, Any]:
        """`{"failover": {...}, "cache": {...} or None}`: of the calls of this wrapper that had a `fallback`, as of
        `UnifiedLLMService.get_stats()["stats"]`; and of its cache."""
        cache = cache_of(self._cache)
        return {
            "failover": self._failover.statistics() if self._failover is not None else Failover().statistics(),
            "cache": cache.statistics() if cache is not None else None,
        }

    def _question(
        self, shape: Shape, sent: dict[str, Any], about: About, whom: Whom, extra: Extra, *, asynchronous: bool
    ) -> Question:
        first = self._first(shape, sent, whom, is_one_of_many=bool(extra.fallback))
        ways = [first]
        attribution = {"user_id": about.user_id, "service_name": about.service_name}
        given = {name: value for name, value in sent.items() if value is not NOT_GIVEN}
        if extra.fallback:
            ways += others(shape, first, extra.fallback, {**self._client_options, **(whom.client_options or {})})
            attribution["call_id"] = new_call_id()
            given = sendable_again(given)

        def attempt(ask: Ask) -> Request:
            way = next(way for way in ways if way.target is ask.target)
            arguments = given if way is first else {**way.target.defaults, **given, "model": way.model}
            told = {**attribution, "attempt_no": ask.number} if extra.fallback else attribution
            reach = partial(way.reach, asynchronous=asynchronous)
            return Request(shape, reach, arguments, told, about.metadata, asynchronous=asynchronous)

        def again(kept: CachedAnswer, since: Since) -> Request:
            asked_for = {**given, "model": kept.model}
            reach = partial(reached, kept, since, first.told)
            return Request(shape, reach, asked_for, attribution, about.metadata, asynchronous=asynchronous, since=since)

        question = Question([way.target for way in ways], attempt, check_of(shape), again)
        if extra.fallback:
            question = question._replace(failover=self._failing_over(), within=within_of(given))
        cache = cache_of(self._cache if extra.cache is None else extra.cache)
        if cache is None:
            return question
        key = key_of(cache.limits.scope, shape.name, places_of(ways), given, first.told, about.user_id)
        patience = given.get("timeout") or first.target.options.get("timeout")
        return question._replace(cache=cache, key=key, patience=patience if is_seconds(patience) else None)

    def _first(self, shape: Shape, sent: dict[str, Any], whom: Whom, *, is_one_of_many: bool) -> Way:
        """Who is asked where nobody fails."""
        if whom.client is not NOT_GIVEN:  # one that is None has no methods, and says so
            check_alone(whom.provider, whom.client_options)
            way = Way.through(shape, whom.client, sent["model"])
            return way.as_account(whom.client) if is_one_of_many else way
        check_messages(sent["messages"])
        chosen = whom.provider or self.default_provider
        options = {**self._client_options, **whom.client_options} if whom.client_options else self._client_options
        if not whom.provider and not self._provider:
            check_model(sent["model"], chosen, options)
        if sent["model"] is NOT_GIVEN or sent["model"] is None:
            default = self.default_model if chosen == self.default_provider else ""
            if not default and sent["model"] is NOT_GIVEN:
                raise UsageError(f'no model: pass model=..., provider "{chosen}" has no default')
            sent["model"] = default or None  # None is sent where it was passed, and the provider says what it thinks
        if not is_one_of_many:
            return Way.to(shape, chosen, sent["model"], options)
        way = Way.to(shape, chosen, sent["model"], {**of_an_attempt(), **options})
        return way.as_account(options) if is_own(options) else way

    def _failing_over(self) -> Failover:
        with self._lock:
            if self._failover is None:
                self._failover = Failover(from_environment().rules)
            return self._failover


llm_wrapper = LLMWrapper()
