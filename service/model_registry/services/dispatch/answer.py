"""The response to a dispatched request, as it comes from its target."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Self

from model_registry.errors import UpstreamFailed, UpstreamTimeout
from model_registry.http11.errors import ConnectionBroken
from model_registry.services.dispatch.attempt import Attempt
from model_registry.services.dispatch.header_rules import Header, response_headers
from model_registry.services.dispatch.targets import Target


class Answer:
    """The response to a dispatched request: its head is there, its body comes as it is read.

    A context manager: left early, it closes the connection, and the upstream stops.
    """

    __slots__ = ("_attempt", "_ended", "attempts", "headers", "status")

    def __init__(self, attempt: Attempt, attempts: int, ended: Callable[[], None]) -> None:
        head = attempt.head
        assert head is not None  # noqa: S101 (it has begun)
        self._attempt = attempt
        self._ended = ended
        self.status = head.status
        self.headers: list[Header] = response_headers(head.status, head.headers)
        self.attempts = attempts

    @property
    def target(self) -> Target:
        """Where it comes from."""
        return self._attempt.target

    @property
    def service(self) -> str:
        """Who answered, by name."""
        return service_name(self.target)

    @property
    def upstream_seconds(self) -> float:
        """What the target took to the head of its response."""
        return self._attempt.upstream_seconds

    @property
    def complete(self) -> bool:
        """Whether the whole body was read."""
        return self._attempt.complete

    def whole(self) -> bytes | None:
        """The whole body, if all of it has come already and none was read."""
        return self._attempt.whole()

    async def read(self) -> bytes:
        """The next piece of the body; empty at its end. Errors: UpstreamFailed, UpstreamTimeout, when it breaks off."""
        try:
            return await self._attempt.read()
        except ConnectionBroken as error:
            if self._attempt.expired:
                raise UpstreamTimeout(f"{self.service} stopped in the middle of its response.") from error
            raise UpstreamFailed(f"{self.service} broke off in the middle of its response: {error}.") from error

    async def body(self) -> AsyncIterator[bytes]:
        """The body, piece by piece. Errors: those of `read`."""
        while data := await self.read():
            yield data

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the target's place, and of the connection where the body was not read to its end."""
        self._attempt.close()
        self._ended()


def service_name(target: Target) -> str:
    """What a target is called: its `service_id`, its provider's name, or its deployment's."""
    return target.key.partition(":")[2]
