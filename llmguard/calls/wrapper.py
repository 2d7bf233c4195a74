"""`llm_wrapper`: the same call as before, on the books.

    result = await llm_wrapper.chat_completion(messages, user_id="u", service_name="search", model="gpt-4o")
    result["response"]  # the SDK's own object
    result["usage"]     # tokens, milliseconds, dollars

What is not passed is not sent, what is passed arrives, retries and timeouts are the SDK's, and its exceptions come
through as they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TypeVar

from llmguard.calls.chat import ChatMethods, Messages, Options
from llmguard.calls.clients import pool
from llmguard.calls.messages import MessagesMethods
from llmguard.calls.prices import Estimate, estimate_cost
from llmguard.calls.request import (
    NOT_GIVEN,
    Request,
    Shape,
    check_alone,
    check_messages,
    check_model,
    default_provider,
)
from llmguard.calls.transports import Reached, own_client, row_of, transport_for
from llmguard.errors import UsageError
from llmguard.usage.clients import view

C = TypeVar("C")
_FURTHER = frozenset(("tenant", "run_id", "agent", "budget"))


class LLMWrapper(ChatMethods, MessagesMethods):
    """Asks models, tracked. Making one costs nothing: clients are made at the first call, and shared.

    Args:
        provider: asked when a call names none; LLM_PRIMARY_PROVIDER, else "groq", when this is None.
        default_model: asked of that provider when a call names none; LLM_DEFAULT_MODEL when this is None.
        client_options: arguments of the SDK's clients (`timeout`, `max_retries`, `base_url`, `api_key`, ...); those of
            a call are laid over them.
    """

    def __init__(
        self, *, provider: str | None = None, default_model: str | None = None, client_options: Options = None
    ) -> None:
        self._provider = provider
        self._default_model = default_model
        self._client_options = dict(client_options or {})

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

    def _request(
        self,
        shape: Shape,
        sent: dict[str, Any],
        user_id: Any,
        service_name: str | None,
        metadata: Mapping[str, Any] | None,
        provider: str | None,
        client_options: Options,
        client: Any,
        asynchronous: bool,
    ) -> Request:
        attribution = {"user_id": user_id, "service_name": service_name}
        if client is not NOT_GIVEN:  # one that is None has no methods, and says so
            check_alone(provider, client_options)

            def through(_: dict[str, Any]) -> Reached:
                return own_client.reach(client, shape.path, asynchronous=asynchronous)

            return Request(shape, through, sent, attribution, metadata, asynchronous=asynchronous)
        check_messages(sent["messages"])
        chosen = provider or self.default_provider
        options = {**self._client_options, **client_options} if client_options else self._client_options
        if not provider and not self._provider:
            check_model(sent["model"], chosen, options)
        if sent["model"] is NOT_GIVEN or sent["model"] is None:
            default = self.default_model if chosen == self.default_provider else ""
            if not default and sent["model"] is NOT_GIVEN:
                raise UsageError(f'no model: pass model=..., provider "{chosen}" has no default')
            sent["model"] = default or None  # None is sent where it was passed, and the provider says what it thinks

        def reach(arguments: dict[str, Any]) -> Reached:
            transport = transport_for(chosen, shape.name)
            return transport.reach(shape.path, arguments.get("model"), options, asynchronous=asynchronous)

        return Request(shape, reach, sent, attribution, metadata, asynchronous=asynchronous)


llm_wrapper = LLMWrapper()
