"""How GPU events can be heard on this NATS server. Makes the stream and the consumer where they are missing.

What is there is used as it is, whatever its settings: an administrator made it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StorageType, StreamConfig

from model_registry.fleet.event_sources import QueueSource, Source, StreamSource
from model_registry.messaging.subjects import HEARD

log = structlog.get_logger(__name__)

STREAM = "MESH_GPU"
STREAM_SUBJECTS = "mesh.gpu.>"
CONSUMER = "model-registry"
ACK_WAIT_SECONDS = 10
"""After this long without an acknowledgement an event comes again: its replica is dead, or was cut off."""

_ANSWER_SECONDS = 5
_LOST = "the connection was lost"


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """With what a stream and a consumer are made. Those that are there keep theirs."""

    max_age_seconds: float
    max_bytes: int
    replicas: int
    in_flight: int
    """Messages that are handed out and not acknowledged."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What can be heard how."""

    streams: tuple[str, ...]
    """Streams that have our consumer."""
    loose: tuple[str, ...] = ()
    """Subjects that none of them keeps: what is said while no replica listens is missed."""
    why: str = ""
    """Why they are loose."""

    def sources(self, client: Client) -> list[Source]:
        """What to listen to; not opened yet."""
        sources: list[Source] = [StreamSource(client, stream, CONSUMER) for stream in self.streams]
        return [*sources, QueueSource(client, self.loose, CONSUMER)] if self.loose else sources


async def find_plan(client: Client, limits: StreamLimits) -> Plan:
    """Ask the server, and make what is missing. Takes up to 5 s an answer. Errors: OSError, when it is gone."""
    if not client.is_connected:
        raise ConnectionError(_LOST)
    js = client.jetstream(timeout=_ANSWER_SECONDS)
    try:
        kept = await _keepers(js)
        if any(kept.values()) and not all(kept.values()):
            kept = await _keepers(js)  # another replica may have made the stream between two answers
        if not any(kept.values()):
            await _add_stream(js, limits)
            kept = dict.fromkeys(HEARD, STREAM)
        streams = tuple(sorted({stream for stream in kept.values() if stream}))
        for stream in streams:
            heard = [subject for subject in HEARD if kept[subject] == stream]
            await _ensure_consumer(js, stream, heard, limits.in_flight)
    except nats.js.errors.ServiceUnavailableError as error:
        return Plan((), HEARD, error.description or "the server has no JetStream")
    except nats.js.errors.Error as error:
        return Plan((), HEARD, f"JetStream refuses: {error.description}")
    except nats.errors.TimeoutError as error:
        if not client.is_connected:
            raise ConnectionError(_LOST) from error
        return Plan((), HEARD, "JetStream does not answer (or this user may not ask it)")
    loose = tuple(subject for subject in HEARD if not kept[subject])
    return Plan(streams, loose, f"the stream {', '.join(streams)} does not keep them" if loose else "")


async def _keepers(js: JetStreamContext) -> dict[str, str | None]:
    """Subject -> the stream that keeps it."""
    kept: dict[str, str | None] = dict.fromkeys(HEARD)
    for subject in HEARD:
        with contextlib.suppress(nats.js.errors.NotFoundError):
            kept[subject] = await js.find_stream_name_by_subject(subject)
    return kept


async def _add_stream(js: JetStreamContext, limits: StreamLimits) -> None:
    await js.add_stream(
        StreamConfig(
            name=STREAM,
            description="What GPU nodes say, and what the model registry could not understand of it.",
            subjects=[STREAM_SUBJECTS],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=limits.max_age_seconds,
            max_bytes=limits.max_bytes,
            num_replicas=limits.replicas,
        )
    )
    log.info("stream created", stream=STREAM)


async def _ensure_consumer(js: JetStreamContext, stream: str, subjects: list[str], in_flight: int) -> None:
    """Make it, or widen what it hears: it may be from a time when the stream kept less."""
    try:
        config: ConsumerConfig = (await js.consumer_info(stream, CONSUMER)).config
    except nats.js.errors.NotFoundError:
        config = ConsumerConfig(
            durable_name=CONSUMER,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=ACK_WAIT_SECONDS,
            max_ack_pending=in_flight,
            filter_subjects=subjects,
        )
        await js.add_consumer(stream, config)
        log.info("consumer created", stream=stream, consumer=CONSUMER)
        return
    heard = config.filter_subjects or [config.filter_subject or ">"]
    unheard = [subject for subject in subjects if not any(_covers(one, subject) for one in heard)]
    if unheard:
        await js.add_consumer(stream, replace(config, filter_subject=None, filter_subjects=[*heard, *unheard]))
        log.info("consumer hears more now", stream=stream, consumer=CONSUMER, subjects=unheard)


def _covers(pattern: str, subject: str) -> bool:
    """Whether a subject is among those that a pattern of NATS means: * is one part of it, > all that follow."""
    parts = subject.split(".")
    for position, part in enumerate(pattern.split(".")):
        if part == ">":
            return position < len(parts)
        if position >= len(parts) or part not in ("*", parts[position]):
            return False
    return len(parts) == len(pattern.split("."))
