"""The wrapper's methods in Anthropic's format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from llmguard.calls.request import MESSAGES, NOT_GIVEN, NotGiven, Request, asked, asked_sync
from llmguard.calls.result import AsyncStreamed, Result, Streamed
from llmguard.usage.clients.methods import Noted

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from llmguard.calls.own_client_types import (
        AsyncStreamedOf,
        MessagesClient,
        ResultOf,
        StreamedMessagesClient,
        StreamedOf,
    )

    R = TypeVar("R")

Messages = Iterable[Any]
Options = Mapping[str, Any] | None


class MessagesMethods:
    """The wrapper's methods in Anthropic's format."""

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
        client: NotGiven = ...,
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
        client: NotGiven = ...,
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
        client: Any = NOT_GIVEN,
        **provider_arguments: Any,
    ) -> Any:
        """Ask in Anthropic's format; arguments, result and errors as of `chat_completion`, but that Anthropic is asked
        where no provider is named."""
        sent = {"messages": messages, "model": model, "max_tokens": max_tokens, "stream": stream, **provider_arguments}
        whom = (provider or ("anthropic" if client is NOT_GIVEN else None), client_options, client)
        request = self._request(MESSAGES, sent, user_id, service_name, metadata, *whom, True)
        return await asked(request)

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
        client: NotGiven = ...,
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
        client: NotGiven = ...,
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
        client: Any = NOT_GIVEN,
        **provider_arguments: Any,
    ) -> Any:
        """`messages_create` for code that is not asynchronous, with a synchronous client of its own.

        Raises:
            TypeError: `client` is asynchronous.
        """
        sent = {"messages": messages, "model": model, "max_tokens": max_tokens, "stream": stream, **provider_arguments}
        whom = (provider or ("anthropic" if client is NOT_GIVEN else None), client_options, client)
        request = self._request(MESSAGES, sent, user_id, service_name, metadata, *whom, False)
        return asked_sync(request)

    def _request(self, *arguments: Any) -> Request:
        """See `LLMWrapper`."""
        raise NotImplementedError


if not TYPE_CHECKING:  # for a type checker they stay what they are
    # The calls of a coroutine belong to the line that makes it, whoever awaits it.
    for _name in ("messages_create", "messages_create_sync"):
        setattr(MessagesMethods, _name, Noted(vars(MessagesMethods)[_name]))
