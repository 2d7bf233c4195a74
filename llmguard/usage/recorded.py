"""What a request is to the ledger, for those who see its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from llmguard.usage.meter import StreamMeter


class Recorded(Protocol):
    """What a request is to the ledger, for those who see its end: a call, one inside another, or a settlement."""

    fields: dict[str, Any]
    prompt_estimate: int | None

    @property
    def done(self) -> bool:
        """Whether its end is on the books."""

    @property
    def held(self) -> bool:
        """Whether `admitted` is to be awaited before anything is sent."""

    async def admitted(self) -> None:
        """Ask the limits of a call that is held."""

    def meter(self) -> StreamMeter:
        """What counts a stream of it."""

    def succeed(self, response: Any) -> None:
        """It gave a whole answer."""

    def end_stream(self, meter: StreamMeter, status: str, error: BaseException | None = None) -> None:
        """A stream has ended: exhausted (ok), left (partial), or with an exception."""

    def finish(self, status: str, **more: Any) -> None:
        """It has ended in another way."""

    def fail(self, error: BaseException) -> None:
        """It ended with an exception, or was cancelled."""
