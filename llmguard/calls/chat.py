"""The wrapper's methods in OpenAI's format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from llmguard.calls.question import Question, answered, answered_sync
from llmguard.calls.request import CHAT, NOT_GIVEN, NotGiven, Shape
from llmguard.calls.result import AsyncStreamed, Result, Streamed
from llmguard.calls.ways import About, CacheOption, Extra, Fallback, Whom
from llmguard.usage.clients.methods import Noted

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from llmguard.calls.own_client_types import AsyncStreamedOf, ChatClient, ResultOf, StreamedChatClient, StreamedOf

    R = TypeVar("R")

Messages = Iterable[Any]
Options = Mapping[str, Any] | None


class ChatMethods(ABC):
    """The wrapper's methods in OpenAI's format."""

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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        client: NotGiven = ...,
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        client: NotGiven = ...,
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        client: Any = NOT_GIVEN,
        cache: CacheOption = None,
        fallback: Fallback = None,
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
            cache: whether an answer is given again that was had before: True for the cache of the process, a cache of
                `llmguard.calls.cache`, False for none; by default what the wrapper says. Streams are not kept.
            fallback: who is asked when this one fails: "provider" or "provider:model", in order.
            provider_arguments: anything else that the SDK's method takes.

        Returns:
            `{"response": the SDK's own object, "usage": {...}}`, see `Result` and `AsyncStreamed`.

        Raises:
            ConfigError: the SDK is missing, or the key of a provider that has no SDK of its own.
            UsageError: the provider is unknown, there is no model, or no provider was named and the default one does
                not serve this maker's models; or `client` stands beside what it decides itself.
            SpoolError: the record cannot be written, and `strict` is on.
            AllProvidersFailed: nobody has answered, where there is a `fallback`.
            Exception: whatever the SDK raises, as it is; for a missing key too.
        """
        sent = {"messages": messages, "model": model, "temperature": temperature, "max_tokens": max_tokens}
        sent |= {"stream": stream, **provider_arguments}
        about, whom = About(user_id, service_name, metadata), Whom(provider, client_options, client)
        question = self._question(CHAT, sent, about, whom, Extra(cache, fallback), asynchronous=True)
        return (await answered(question)).result

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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        client: NotGiven = ...,
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        client: NotGiven = ...,
        cache: CacheOption = ...,
        fallback: Fallback = ...,
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
        client: Any = NOT_GIVEN,
        cache: CacheOption = None,
        fallback: Fallback = None,
        **provider_arguments: Any,
    ) -> Any:
        """`chat_completion` for code that is not asynchronous, with a synchronous client of its own.

        Raises:
            TypeError: `client` is asynchronous.
        """
        sent = {"messages": messages, "model": model, "temperature": temperature, "max_tokens": max_tokens}
        sent |= {"stream": stream, **provider_arguments}
        about, whom = About(user_id, service_name, metadata), Whom(provider, client_options, client)
        question = self._question(CHAT, sent, about, whom, Extra(cache, fallback), asynchronous=False)
        return answered_sync(question).result

    @abstractmethod
    def _question(
        self, shape: Shape, sent: dict[str, Any], about: About, whom: Whom, extra: Extra, *, asynchronous: bool
    ) -> Question:
        """What is asked, of whom."""


if not TYPE_CHECKING:  # for a type checker they stay what they are
    # The calls of a coroutine belong to the line that makes it, whoever awaits it.
    for _name in ("chat_completion", "chat_completion_sync"):
        setattr(ChatMethods, _name, Noted(vars(ChatMethods)[_name]))
