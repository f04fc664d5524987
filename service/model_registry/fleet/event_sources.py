"""Where GPU events come from: a durable consumer of a stream, or a queue subscription where no stream keeps them.

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
"""The most messages asked for, and handed over, at once. Twice as many may be on their way."""

_REQUEST_SECONDS = 5.0
"""How long the server keeps one request for messages open."""
_LOOK_SECONDS = 1.0
"""Between two looks at whether a request was lost with the connection or server that had it."""
_DRAIN_SECONDS = 1.0
_LATEST_AGAIN_SECONDS = 5
_OVER = ("404", "408")
"""Statuses that end a request as it should: there is nothing, and: time is up."""
_ACK_PARTS = 9


@dataclass(slots=True)
class Delivery:
    """A message that was delivered, and what was read of it."""

    message: Msg
    received_at: datetime
    """When NATS got it: the same time at every delivery where a stream keeps it."""
    times: int = 1
    """How often it has been delivered by now."""
    content: NodeMessage = field(default_factory=lambda: NOTHING)
    reasons: list[str] = field(default_factory=list)
    """Why it is rejected, or parts of it."""


class StreamSource:
    """A durable pull consumer. What is not acknowledged is delivered again, to this replica or another.

    nats-py's own `fetch` holds a batch back until it is full or its time is up, and forgets what it has when it is
    cancelled. Here one request for `BATCH` messages is always open, and what has arrived is taken as it is.
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
        self._subscription = await self._client.subscribe(self._inbox, cb=self._heard)

    async def batch(self, seconds: float | None = None) -> list[Delivery]:
        """What has arrived, at most `BATCH`; waits so many seconds for the first. Errors: nats.errors.Error."""
        end = None if seconds is None else time.monotonic() + seconds
        while not self._arrived:
            if self._failure is not None:
                raise self._failure
            await self._ask()
            patience = _LOOK_SECONDS if end is None else min(_LOOK_SECONDS, end - time.monotonic())
            if patience <= 0:
                return []
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self._news.wait()
            self._news.clear()
        await self._ask()  # so that more comes in while this is recorded
        return [self._arrived.popleft() for _ in range(min(BATCH, len(self._arrived)))]

    async def done(self, deliveries: Sequence[Delivery]) -> None:
        """Acknowledge: never again."""
        for delivery in deliveries:
            await delivery.message.ack()

    async def again(self, deliveries: Sequence[Delivery]) -> None:
        """Have these delivered again, a little later each time; not those that are acknowledged already."""
        for delivery in deliveries:
            with contextlib.suppress(nats.errors.MsgAlreadyAckdError):
                await delivery.message.nak(delay=min(delivery.times, _LATEST_AGAIN_SECONDS))

    async def close(self) -> None:
        """Stop listening, and give back what was not taken, so that others need not wait for it."""
        if self._subscription is None:
            return
        if not self._client.is_connected:  # a reconnect must not bring it back
            await self._subscription.unsubscribe()
        else:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_DRAIN_SECONDS):
                    await self._subscription.drain()  # type: ignore[no-untyped-call]
            for delivery in self._arrived:
                await delivery.message.nak()

    async def _ask(self) -> None:
        """Ask for messages, unless a request is open. One that a lost connection took with it is not."""
        now, connection = time.monotonic(), self._client.stats["reconnects"]
        lost = connection != self._asked_on or now > self._asked_at + _REQUEST_SECONDS + _LOOK_SECONDS
        if self._client.is_connected and (lost or self._owed <= 0):
            self._owed, self._asked_at, self._asked_on = BATCH, now, connection
            request = {"batch": BATCH, "expires": int(_REQUEST_SECONDS * 1e9)}
            await self._client.publish(self._request_subject, orjson.dumps(request), reply=self._inbox)

    async def _heard(self, message: Msg) -> None:
        delivery = delivered(message)
        if delivery is not None:
            self._arrived.append(delivery)
            self._owed -= 1
        else:  # not from the stream: what the server says of our request
            status = (message.headers or {}).get("Status", "")
            self._owed = 0
            if status not in _OVER:
                self._failure = _failure(status, (message.headers or {}).get("Description", ""))
        self._news.set()


class QueueSource:
    """A queue subscription: each message reaches one of the replicas that listen. Nothing is delivered again."""

    def __init__(self, client: Client, subjects: Sequence[str], queue: str, most: int = 10_000) -> None:
        """Of what nobody has taken yet, `most` messages are kept."""
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
            # When the database is away for long this fills up, nats-py drops what comes, and the link logs it.
            subscription = await self._client.subscribe(
                subject, queue=self._queue, cb=self._heard, pending_msgs_limit=self._most
            )
            self._subscriptions.append(subscription)

    async def batch(self, seconds: float | None = None) -> list[Delivery]:
        """What came back, else what has arrived, at most `BATCH`; waits so many seconds for the first.

        Nothing new is taken while there is a batch of what came back, or it would pile up while the database is away.
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
        """Nobody waits for it: a reply would go to the publisher, who asked for none."""

    async def again(self, deliveries: Sequence[Delivery]) -> None:
        """Keep these for the next batch: nobody else has them."""
        self._returned += [replace(delivery, times=delivery.times + 1) for delivery in deliveries]

    async def close(self) -> None:
        """Stop listening, also when the connection is lost: a reconnect would bring it back, to swallow events."""
        for subscription in self._subscriptions:
            await subscription.unsubscribe()

    async def _heard(self, message: Msg) -> None:
        await self._arrived.put(Delivery(message, datetime.now(UTC)))


Source = StreamSource | QueueSource


def delivered(message: Msg) -> Delivery | None:
    """What a stream says of a message in the subject where it is acknowledged; None, when it is from no stream.

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
