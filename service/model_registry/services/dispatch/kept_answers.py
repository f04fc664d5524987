"""The answers to requests with an Idempotency-Key: a request that is repeated is not carried out again.

In memory, per replica: bounded in time, number and bytes. What was too large to be kept, or whose end nobody saw, is
known to have been sent, and refused; only a request of which nothing was sent may be sent again.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from model_registry.errors import RepeatedRequest

Messages = Sequence[MutableMapping[str, Any]]
"""An answer as ASGI sends it."""
Key = tuple[str, str, bytes]
"""Caller, path, and what the caller sent."""

KEPT_SECONDS = 24 * 3600.0
MOST_KEPT = 10_000
MOST_BYTES = 64 * 2**20
MOST_ANSWER_BYTES = 2**20
_MESSAGE_BYTES = 250
"""Of a message and a header, beside its text: an answer in many small pieces takes more than its body."""


class Promise:
    """A request with a key: running, answered, or sent without a known answer."""

    __slots__ = ("at", "bytes", "ended", "fingerprint", "messages")

    def __init__(self, fingerprint: bytes, at: float) -> None:
        self.fingerprint = fingerprint
        self.at = at
        self.ended = asyncio.Event()
        self.messages: Messages | None = None
        self.bytes = 0


class KeptAnswers:
    """The requests with keys of the last `seconds`."""

    def __init__(
        self,
        *,
        seconds: float = KEPT_SECONDS,
        most: int = MOST_KEPT,
        most_bytes: int = MOST_BYTES,
        most_answer_bytes: int = MOST_ANSWER_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._seconds = seconds
        self._most = most
        self._most_bytes = most_bytes
        self._most_answer_bytes = most_answer_bytes
        self._clock = clock
        self._promises: OrderedDict[Key, Promise] = OrderedDict()
        self._bytes = 0

    async def begin(self, key: Key, fingerprint: bytes) -> tuple[Promise, bool]:
        """Return the promise of this key, and whether the request is to be carried out; else it has its answer.

        Waits while another request with the same key is running. Errors: RepeatedRequest when the key was used for
        another request, or its answer is not known.
        """
        while (promise := self._known(key)) is not None:
            if promise.fingerprint != fingerprint:
                raise RepeatedRequest("This Idempotency-Key was used for another request. Use a new one.")
            if not promise.ended.is_set():
                await promise.ended.wait()
                continue
            if promise.messages is None:
                raise RepeatedRequest(
                    "The request with this Idempotency-Key was sent before, and its answer is not kept: it was larger "
                    f"than {self._most_answer_bytes // 2**20} MiB, or broke off. It is not sent again."
                )
            return promise, False
        promise = self._promises[key] = Promise(fingerprint, self._clock())
        self._make_room()
        return promise, True

    def end(self, key: Key, promise: Promise, messages: Messages | None, *, sent: bool) -> None:
        """The request is over. `messages`: its whole answer, if there is one. Not `sent`: it may be tried again."""
        promise.ended.set()
        if not sent:
            if self._promises.get(key) is promise:
                del self._promises[key]
            return
        size = sum(map(size_of, messages or ()))
        if messages is not None and size <= self._most_answer_bytes:
            promise.messages, promise.bytes = messages, size
            self._bytes += size
            self._make_room()

    def _known(self, key: Key) -> Promise | None:
        promise = self._promises.get(key)
        if promise is not None and promise.ended.is_set() and self._clock() - promise.at > self._seconds:
            self._forget(key)
            return None
        return promise

    def _make_room(self) -> None:
        """Forget the oldest that are not running."""
        while self._is_over():
            oldest = next((key for key, promise in self._promises.items() if promise.ended.is_set()), None)
            if oldest is None:
                return
            self._forget(oldest)

    def _is_over(self) -> bool:
        if len(self._promises) > self._most or self._bytes > self._most_bytes:
            return True
        first = next(iter(self._promises.values()), None)
        return first is not None and first.ended.is_set() and self._clock() - first.at > self._seconds

    def _forget(self, key: Key) -> None:
        self._bytes -= self._promises.pop(key).bytes


def size_of(message: MutableMapping[str, Any]) -> int:
    """About what a message takes of memory, in bytes."""
    headers = message.get("headers", ())
    text = sum(len(name) + len(value) for name, value in headers)
    return len(message.get("body", b"")) + text + _MESSAGE_BYTES * (1 + len(headers))
