"""What a type checker knows of `client=`: the type of the answer is that of the client's own method. Nothing of this is
imported when a program runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Literal, Protocol, TypeVar, overload

from llmguard.calls.result import AsyncStreamed, Streamed, UsageDict

if TYPE_CHECKING:
    from typing_extensions import TypedDict

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

if TYPE_CHECKING:

    class ResultOf(TypedDict, Generic[R]):
        """`Result`, with the type of the response."""

        response: R
        usage: UsageDict

    class StreamedOf(Streamed, Generic[R]):
        """`Streamed`, with the type of the stream."""

        @overload
        def __getitem__(self, key: Literal["response"]) -> R: ...
        @overload
        def __getitem__(self, key: str) -> Any: ...
        def __getitem__(self, key: Any) -> Any:
            """The stream, or the usage."""

    class AsyncStreamedOf(AsyncStreamed, Generic[R]):
        """`AsyncStreamed`, with the type of the stream."""

        @overload
        def __getitem__(self, key: Literal["response"]) -> R: ...
        @overload
        def __getitem__(self, key: str) -> Any: ...
        def __getitem__(self, key: Any) -> Any:
            """The stream, or the usage."""


class _Chat(Protocol[R_co]):
    def create(self, *, messages: Any, model: Any) -> R_co: ...


class _StreamedChat(Protocol[R_co]):
    def create(self, *, messages: Any, model: Any, stream: Literal[True]) -> R_co: ...


class _Messages(Protocol[R_co]):
    def create(self, *, max_tokens: int, messages: Any, model: Any) -> R_co: ...


class _StreamedMessages(Protocol[R_co]):
    def create(self, *, max_tokens: int, messages: Any, model: Any, stream: Literal[True]) -> R_co: ...


class _Completions(Protocol[R_co]):
    @property
    def completions(self) -> _Chat[R_co]: ...


class _StreamedCompletions(Protocol[R_co]):
    @property
    def completions(self) -> _StreamedChat[R_co]: ...


class ChatClient(Protocol[R_co]):
    """Has `chat.completions.create`, which gives an answer (of an asynchronous client, an awaitable of one)."""

    @property
    def chat(self) -> _Completions[R_co]: ...


class StreamedChatClient(Protocol[R_co]):
    """Has `chat.completions.create(stream=True)`."""

    @property
    def chat(self) -> _StreamedCompletions[R_co]: ...


class MessagesClient(Protocol[R_co]):
    """Has `messages.create`."""

    @property
    def messages(self) -> _Messages[R_co]: ...


class StreamedMessagesClient(Protocol[R_co]):
    """Has `messages.create(stream=True)`."""

    @property
    def messages(self) -> _StreamedMessages[R_co]: ...
