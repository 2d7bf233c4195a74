"""The wrapper's methods in Anthropic's format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from llmguard.calls.question import Question, answered, answered_sync
from llmguard.calls.request import MESSAGES, NOT_GIVEN, NotGiven, Shape
from llmguard.calls.result import AsyncStreamed, Result, Streamed
from llmguard.calls.ways import About, CacheOption, Extra, Fallback, Whom
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


class MessagesMethods(ABC):
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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        cache: CacheOption = None,
        fallback: Fallback = None,
        **provider_arguments: Any,
    ) -> Any:
        """Ask in Anthropic's format; arguments, result and errors as of `chat_completion`, but that Anthropic is asked
        where no provider is named."""
        sent = {"messages": messages, "model": model, "max_tokens": max_tokens, "stream": stream, **provider_arguments}
        whom = Whom(provider or ("anthropic" if client is NOT_GIVEN else None), client_options, client)
        about = About(user_id, service_name, metadata)
        question = self._question(MESSAGES, sent, about, whom, Extra(cache, fallback), asynchronous=True)
        return (await answered(question)).result

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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        cache: CacheOption = None,
        fallback: Fallback = None,
        **provider_arguments: Any,
    ) -> Any:
        """`messages_create` for code that is not asynchronous, with a synchronous client of its own.

        Raises:
            TypeError: `client` is asynchronous.
        """
        sent = {"messages": messages, "model": model, "max_tokens": max_tokens, "stream": stream, **provider_arguments}
        whom = Whom(provider or ("anthropic" if client is NOT_GIVEN else None), client_options, client)
        about = About(user_id, service_name, metadata)
        question = self._question(MESSAGES, sent, about, whom, Extra(cache, fallback), asynchronous=False)
        return answered_sync(question).result

    @abstractmethod
    def _question(
        self, shape: Shape, sent: dict[str, Any], about: About, whom: Whom, extra: Extra, *, asynchronous: bool
    ) -> Question:
        """What is asked, of whom."""


if not TYPE_CHECKING:  # for a type checker they stay what they are
    # The calls of a coroutine belong to the line that makes it, whoever awaits it.
    for _name in ("messages_create", "messages_create_sync"):
        setattr(MessagesMethods, _name, Noted(vars(MessagesMethods)[_name]))
