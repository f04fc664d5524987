"""Receives GPU events: from a durable consumer of a stream, or a queue subscription where no stream keeps them.

What is done with them is in `event_recorder.py`; which of the two it is, in `jetstream_setup.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import nats.errors
import nats.js.errors
import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from model_registry.fleet.gpu_events import NOTHING, NodeMessage

BATCH = 2000
"""Messages requested, and returned, at once at most. Twice as many may be in transit."""

_REQUEST_SECONDS = 5.0
"""Time for which the server keeps one request for messages open."""
_LOOK_SECONDS = 1.0
"""Interval between checks whether a request was lost with its connection or server."""
_DRAIN_SECONDS = 1.0
_LATEST_AGAIN_SECONDS = 5
_OVER = ("404", "408")
"""Statuses that end a request normally: no messages, and timeout."""
_ACK_PARTS = 9


@dataclass(slots=True)
class Delivery:
    """A delivered message, and its parsed content."""

    message: Msg
    received_at: datetime
    """When NATS received it: the same time at every delivery from a stream."""
    times: int = 1
    """Deliveries so far, this one included."""
    content: NodeMessage = field(default_factory=lambda: NOTHING)
    reasons: list[str] = field(default_factory=list)
    """Why the message, or a part of it, is rejected."""


class StreamSource:
    """A durable pull consumer. Unacknowledged messages are delivered again, to this replica or another.

    nats-py's own `fetch` holds a batch back until it is full or its time is up, and forgets what it has when it is
    cancelled. Here one request for `BATCH` messages is always open, and `batch` returns whatever has arrived.
    """

    def __init__(self, client: Client, stream: str, consumer: str) -> None:
        self._client = client
        self._request_subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"
        self._inbox = client.new_inbox()
        self._arrived: deque[Delivery] = deque()
        self._news = asyncio.Event()
        self._failure: nats.errors.Error | None = None
        self._owed = 0
        self._asked_at = 0.0
        self._asked_on = -1
        self._subscription: Subscription | None = None

    async def open(self) -> None:
        """Begin to listen."""
        self._subscription = await self._client.subscribe(self._inbox, cb=self._received)

    async def batch(self, seconds: float | None = None) -> list[Delivery]:
        """Return at most `BATCH` messages; wait `seconds` for the first. Errors: nats.errors.Error."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._arrived:
            if self._failure is not None:
                raise self._failure
            await self._ask()
            wait_seconds = _LOOK_SECONDS if end is None else min(_LOOK_SECONDS, end - time.monotonic())
            if wait_seconds <= 0:
                return []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_seconds):
                    await self._news.wait()
            self._news.clear()
        await self._ask()  # receive more while this batch is recorded
        return [self._arrived.popleft() for _ in range(min(BATCH, len(self._arrived)))]

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge: NATS does not deliver these again."""
        for delivery in deliveries:
            await delivery.message.ack()

    async def again(self, deliveries: Sequence[Delivery]) -> None:
        """Ask NATS to redeliver these, a little later each time; skip those that are acknowledged already."""
        for delivery in deliveries:
            with contextlib.suppress(nats.errors.MsgAlreadyAckdError):
                await delivery.message.nak(delay=min(delivery.times, _LATEST_AGAIN_SECONDS))

    async def close(self) -> None:
        """Unsubscribe, and return the messages not taken, so that other replicas need not wait for them."""
        if self._subscription is None:
            return
        if not self._client.is_connected:  # a reconnect must not restore the subscription
            await self._subscription.unsubscribe()
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await self._subscription.drain()  # type: ignore[no-untyped-call]
            for delivery in self._arrived:
                await delivery.message.nak()

    async def _ask(self) -> None:
        """Request messages, unless a request is open. A request lost with its connection is not open."""
        now, connection = time.monotonic(), self._client.stats["reconnects"]
        lost = connection != self._asked_on or now > self._asked_at + _REQUEST_SECONDS + _LOOK_SECONDS
        if self._client.is_connected and (lost or self._owed <= 0):
            self._owed, self._asked_at, self._asked_on = BATCH, now, connection
            request = {"batch": BATCH, "expires": int(_REQUEST_SECONDS * 1e9)}
            await self._client.publish(self._request_subject, orjson.dumps(request), reply=self._inbox)

    async def _received(self, message: Msg) -> None:
        delivery = delivered(message)
        if delivery is not None:
            self._arrived.append(delivery)
            self._owed -= 1
        else:  # not from the stream: the server's status for our request
            status = (message.headers or {}).get("Status", "")
            self._owed = 0
            if status not in _OVER:
                self._failure = _failure(status, (message.headers or {}).get("Description", ""))
        self._news.set()


class QueueSource:
    """A queue subscription: each message reaches one of the listening replicas. NATS delivers nothing again."""

    def __init__(self, client: Client, subjects: Sequence[str], queue: str, most: int = 10_000) -> None:
        """Buffer at most `most` messages that are not taken yet."""
        self._client = client
        self._subjects = subjects
        self._queue = queue
        self._arrived: asyncio.Queue[Delivery] = asyncio.Queue(most)
        self._most = most
        self._returned: list[Delivery] = []
        self._subscriptions: list[Subscription] = []

    async def open(self) -> None:
        """Begin to listen."""
        for subject in self._subjects:
            # When the database is down for long the buffer fills, nats-py drops messages, and the connection logs it.
            subscription = await self._client.subscribe(
                subject, queue=self._queue, cb=self._received, pending_msgs_limit=self._most
            )
            self._subscriptions.append(subscription)

    async def batch(self, seconds: float | None = None) -> list[Delivery]:
        """Return returned messages, else arrived ones, at most `BATCH`; wait `seconds` for the first.

        New messages wait until the returned ones are done, or they would pile up while the database is down.
        """
        batch, self._returned = self._returned[:BATCH], self._returned[BATCH:]
        if batch:
            return batch
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                batch.append(await self._arrived.get())
        while batch and len(batch) < BATCH and not self._arrived.empty():
            batch.append(self._arrived.get_nowait())
        return batch

    async def done(self, _deliveries: Sequence[Delivery]) -> None:
        """Acknowledge nothing: a reply would go to the publisher, who did not ask for one."""

    async def again(self, deliveries: Sequence[Delivery]) -> None:
        """Keep these for the next batch: no other replica has them."""
        self._returned += [replace(delivery, times=delivery.times + 1) for delivery in deliveries]

    async def close(self) -> None:
        """Unsubscribe, also while disconnected: a reconnect would restore a subscription that swallows events."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    async def _received(self, message: Msg) -> None:
        await self._arrived.put(Delivery(message, datetime.now(UTC)))


Source = StreamSource | QueueSource


def delivered(message: Msg) -> Delivery | None:
    """Read a message's delivery data from its acknowledgement subject; None, when it is from no stream.

    $JS.ACK.<stream>.<consumer>.<times>.<stream sequence>.<consumer sequence>.<nanoseconds>.<pending>, since 2.9 also
    with <domain>.<account> before the stream and more behind. nats-py reads all of it, at six times the price.
    """
    parts = message.reply.split(".")
    if parts[:2] != ["$JS", "ACK"] or len(parts) < _ACK_PARTS:
        return None
    more = 0 if len(parts) == _ACK_PARTS else 2
    return Delivery(message, datetime.fromtimestamp(int(parts[7 + more]) / 1e9, UTC), int(parts[4 + more]))


def _failure(status: str, description: str) -> nats.errors.Error:
    if status == "503":
        return nats.js.errors.ServiceUnavailableError(code=503, description="no JetStream, stream or consumer answers")
    return nats.js.errors.APIError(code=int(status) if status.isdigit() else None, description=description)
