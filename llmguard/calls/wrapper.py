"""`llm_wrapper`: the same call as before, on the books.

    result = await llm_wrapper.chat_completion(messages, user_id="u", service_name="search", model="gpt-4o")
    result["response"]  # the SDK's own object
    result["usage"]     # tokens, milliseconds, dollars

What is not passed is not sent, what is passed arrives, retries and timeouts are the SDK's, and its exceptions come
through as they are.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from llmguard.calls.clients import pool
from llmguard.calls.prices import Estimate, estimate_cost
from llmguard.calls.request import (
    CHAT,
    MESSAGES,
    NOT_GIVEN,
    Request,
    Shape,
    check_alone,
    check_messages,
    check_model,
    default_provider,
)
from llmguard.calls.result import AsyncStreamed, Result, Streamed
from llmguard.calls.transports import Reached, own_client, transport_for
from llmguard.errors import UsageError
from llmguard.usage.clients import view
from llmguard.usage.clients.methods import Noted

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from llmguard.calls.own_client_types import (
        AsyncStreamedOf,
        ChatClient,
        MessagesClient,
        ResultOf,
        StreamedChatClient,
        StreamedMessagesClient,
        StreamedOf,
    )

    R = TypeVar("R")

Messages = Iterable[Any]
Options = Mapping[str, Any] | None
C = TypeVar("C")
_FURTHER = frozenset(("tenant", "run_id", "agent", "budget"))
_DEFAULT_MODEL = "meta-llama/llama-4-scout-17b-16e-instruct"  # the one that the first users have


class LLMWrapper:
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
        return named or (_DEFAULT_MODEL if self.default_provider == "groq" else "")

    @default_model.setter
    def default_model(self, model: str) -> None:
        self._default_model = model

    # -- OpenAI's format ---------------------------------------------------------------------------------------------

    @overload
    async def chat_completion(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        *,
        client: StreamedChatClient[Awaitable[R]],
        stream: Literal[True],
        metadata: Mapping[str, Any] | None = ...,
        **provider_arguments: Any,
    ) -> AsyncStreamedOf[R]: ...

    @overload
    async def chat_completion(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        *,
        client: ChatClient[Awaitable[R]],
        stream: Literal[False] | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        **provider_arguments: Any,
    ) -> ResultOf[R]: ...

    @overload
    async def chat_completion(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        temperature: float | None = ...,
        max_tokens: int | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        provider: str | None = ...,
        *,
        stream: Literal[True],
        client_options: Options = ...,
        client: None = ...,
        **provider_arguments: Any,
    ) -> AsyncStreamed: ...

    @overload
    async def chat_completion(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        temperature: float | None = ...,
        max_tokens: int | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        provider: str | None = ...,
        stream: Literal[False] | None = ...,
        client_options: Options = ...,
        *,
        client: None = ...,
        **provider_arguments: Any,
    ) -> Result: ...

    @overload
    async def chat_completion(
        self, messages: Messages, user_id: Any = ..., *, stream: bool, **arguments: Any
    ) -> Result | AsyncStreamed: ...

    async def chat_completion(
        self,
        messages: Messages,
        user_id: Any = None,
        service_name: str | None = None,
        model: str = NOT_GIVEN,
        temperature: float | None = NOT_GIVEN,
        max_tokens: int | None = NOT_GIVEN,
        metadata: Mapping[str, Any] | None = None,
        provider: str | None = None,
        stream: bool | None = NOT_GIVEN,
        client_options: Options = None,
        *,
        client: Any = None,
        **provider_arguments: Any,
    ) -> Any:
        """Ask in OpenAI's format.

        Args:
            messages: the conversation; the object itself is handed to the SDK.
            user_id: for whom, on the row.
            service_name: the part of the program that asks, on the row.
            model: as the provider names it.
            temperature, max_tokens: sent when given.
            metadata: kept on the row; the provider's own field of this name is `provider_metadata`.
            provider: who is asked: "groq", "openai", "azure_openai", "deepseek", ... or "litellm".
            stream: True gives a result whose `["response"]` is the SDK's stream.
            client_options: arguments of the SDK's client.
            client: of your own, that the request goes through as it is: its key, place, options and connections; no
                provider, model or option is filled in. A synchronous one blocks here as it does by itself.
            provider_arguments: anything else that the SDK's method takes.

        Returns:
            `{"response": the SDK's own object, "usage": {...}}`, see `Result` and `AsyncStreamed`.

        Raises:
            ConfigError: the SDK is missing, or the key of a provider that has no SDK of its own.
            UsageError: the provider is unknown, there is no model, or no provider was named and the default one does
                not serve this maker's models; or `client` stands beside what it decides itself.
            SpoolError: the record cannot be written, and `strict` is on.
            Exception: whatever the SDK raises, as it is; for a missing key too.
        """
        sent = {"messages": messages, "model": model, "temperature": temperature, "max_tokens": max_tokens}
        sent |= {"stream": stream, **provider_arguments}
        request = self._request(CHAT, sent, user_id, service_name, metadata, provider, client_options, client, True)
        return await _asked(request)

    @overload
    def chat_completion_sync(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        *,
        client: StreamedChatClient[R],
        stream: Literal[True],
        metadata: Mapping[str, Any] | None = ...,
        **provider_arguments: Any,
    ) -> StreamedOf[R]: ...

    @overload
    def chat_completion_sync(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        *,
        client: ChatClient[R],
        stream: Literal[False] | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        **provider_arguments: Any,
    ) -> ResultOf[R]: ...

    @overload
    def chat_completion_sync(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        temperature: float | None = ...,
        max_tokens: int | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        provider: str | None = ...,
        *,
        stream: Literal[True],
        client_options: Options = ...,
        client: None = ...,
        **provider_arguments: Any,
    ) -> Streamed: ...

    @overload
    def chat_completion_sync(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        temperature: float | None = ...,
        max_tokens: int | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        provider: str | None = ...,
        stream: Literal[False] | None = ...,
        client_options: Options = ...,
        *,
        client: None = ...,
        **provider_arguments: Any,
    ) -> Result: ...

    @overload
    def chat_completion_sync(
        self, messages: Messages, user_id: Any = ..., *, stream: bool, **arguments: Any
    ) -> Result | Streamed: ...

    def chat_completion_sync(
        self,
        messages: Messages,
        user_id: Any = None,
        service_name: str | None = None,
        model: str = NOT_GIVEN,
        temperature: float | None = NOT_GIVEN,
        max_tokens: int | None = NOT_GIVEN,
        metadata: Mapping[str, Any] | None = None,
        provider: str | None = None,
        stream: bool | None = NOT_GIVEN,
        client_options: Options = None,
        *,
        client: Any = None,
        **provider_arguments: Any,
    ) -> Any:
        """`chat_completion` for code that is not asynchronous, with a synchronous client of its own.

        Raises:
            TypeError: `client` is asynchronous.
        """
        sent = {"messages": messages, "model": model, "temperature": temperature, "max_tokens": max_tokens}
        sent |= {"stream": stream, **provider_arguments}
        request = self._request(CHAT, sent, user_id, service_name, metadata, provider, client_options, client, False)
        return _asked_sync(request)

    # -- Anthropic's format ------------------------------------------------------------------------------------------

    @overload
    async def messages_create(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        *,
        client: StreamedMessagesClient[Awaitable[R]],
        stream: Literal[True],
        metadata: Mapping[str, Any] | None = ...,
        **provider_arguments: Any,
    ) -> AsyncStreamedOf[R]: ...

    @overload
    async def messages_create(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        *,
        client: MessagesClient[Awaitable[R]],
        stream: Literal[False] | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        **provider_arguments: Any,
    ) -> ResultOf[R]: ...

    @overload
    async def messages_create(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        max_tokens: int = ...,
        metadata: Mapping[str, Any] | None = ...,
        provider: str | None = ...,
        *,
        stream: Literal[True],
        client_options: Options = ...,
        client: None = ...,
        **provider_arguments: Any,
    ) -> AsyncStreamed: ...

    @overload
    async def messages_create(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        max_tokens: int = ...,
        metadata: Mapping[str, Any] | None = ...,
        provider: str | None = ...,
        stream: Literal[False] | None = ...,
        client_options: Options = ...,
        *,
        client: None = ...,
        **provider_arguments: Any,
    ) -> Result: ...

    @overload
    async def messages_create(
        self, messages: Messages, user_id: Any = ..., *, stream: bool, **arguments: Any
    ) -> Result | AsyncStreamed: ...

    async def messages_create(
        self,
        messages: Messages,
        user_id: Any = None,
        service_name: str | None = None,
        model: str = NOT_GIVEN,
        max_tokens: int = NOT_GIVEN,
        metadata: Mapping[str, Any] | None = None,
        provider: str | None = None,
        stream: bool | None = NOT_GIVEN,
        client_options: Options = None,
        *,
        client: Any = None,
        **provider_arguments: Any,
    ) -> Any:
        """Ask in Anthropic's format; arguments, result and errors as of `chat_completion`, but that Anthropic is asked
        where no provider is named."""
        sent = {"messages": messages, "model": model, "max_tokens": max_tokens, "stream": stream, **provider_arguments}
        whom = (provider or ("anthropic" if client is None else None), client_options, client)
        request = self._request(MESSAGES, sent, user_id, service_name, metadata, *whom, True)
        return await _asked(request)

    @overload
    def messages_create_sync(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        *,
        client: StreamedMessagesClient[R],
        stream: Literal[True],
        metadata: Mapping[str, Any] | None = ...,
        **provider_arguments: Any,
    ) -> StreamedOf[R]: ...

    @overload
    def messages_create_sync(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        *,
        client: MessagesClient[R],
        stream: Literal[False] | None = ...,
        metadata: Mapping[str, Any] | None = ...,
        **provider_arguments: Any,
    ) -> ResultOf[R]: ...

    @overload
    def messages_create_sync(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        max_tokens: int = ...,
        metadata: Mapping[str, Any] | None = ...,
        provider: str | None = ...,
        *,
        stream: Literal[True],
        client_options: Options = ...,
        client: None = ...,
        **provider_arguments: Any,
    ) -> Streamed: ...

    @overload
    def messages_create_sync(
        self,
        messages: Messages,
        user_id: Any = ...,
        service_name: str | None = ...,
        model: str = ...,
        max_tokens: int = ...,
        metadata: Mapping[str, Any] | None = ...,
        provider: str | None = ...,
        stream: Literal[False] | None = ...,
        client_options: Options = ...,
        *,
        client: None = ...,
        **provider_arguments: Any,
    ) -> Result: ...

    @overload
    def messages_create_sync(
        self, messages: Messages, user_id: Any = ..., *, stream: bool, **arguments: Any
    ) -> Result | Streamed: ...

    def messages_create_sync(
        self,
        messages: Messages,
        user_id: Any = None,
        service_name: str | None = None,
        model: str = NOT_GIVEN,
        max_tokens: int = NOT_GIVEN,
        metadata: Mapping[str, Any] | None = None,
        provider: str | None = None,
        stream: bool | None = NOT_GIVEN,
        client_options: Options = None,
        *,
        client: Any = None,
        **provider_arguments: Any,
    ) -> Any:
        """`messages_create` for code that is not asynchronous, with a synchronous client of its own.

        Raises:
            TypeError: `client` is asynchronous.
        """
        sent = {"messages": messages, "model": model, "max_tokens": max_tokens, "stream": stream, **provider_arguments}
        request = self._request(
            MESSAGES, sent, user_id, service_name, metadata, provider, client_options, client, False
        )
        return _asked_sync(request)

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
            client: of the OpenAI, Azure OpenAI, Groq or Anthropic SDK, synchronous or asynchronous; a test's mock comes
                back as it is.
            user_id, service_name, feature_context, metadata: what the rows say.
            fields: further columns: tenant, run_id, agent, budget.

        Returns:
            An object of the same class, over the same connections. The client stays as it is.

        Raises:
            TypeError: it is no client of these SDKs, or there is no such column.
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
        check_messages(sent["messages"])
        attribution = {"user_id": user_id, "service_name": service_name}
        if client is not None:
            check_alone(provider, client_options)

            def through(_: dict[str, Any]) -> Reached:
                return own_client.reach(client, shape.path, asynchronous=asynchronous)

            return Request(shape, through, sent, attribution, metadata, asynchronous=asynchronous)
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


if not TYPE_CHECKING:  # for a type checker they stay what they are
    # The calls of a coroutine belong to the line that makes it, whoever awaits it.
    for _name in ("chat_completion", "chat_completion_sync", "messages_create", "messages_create_sync"):
        setattr(LLMWrapper, _name, Noted(vars(LLMWrapper)[_name]))


async def _asked(request: Request) -> Any:
    sent = request.send()
    try:
        response = await sent if inspect.isawaitable(sent) else sent
    except BaseException as error:
        request.failed(error)
        raise
    return request.answered(response)


def _asked_sync(request: Request) -> Any:
    return request.answered(request.send())


llm_wrapper = LLMWrapper()
