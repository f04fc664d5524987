"""Decides how to consume GPU events on this NATS server. Creates the stream and the consumer where they are missing.

Existing ones are used as they are, whatever their settings: an administrator made them.
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
from model_registry.messaging.subjects import EVENT_SUBJECTS

log = structlog.get_logger(__name__)

STREAM = "MESH_GPU"
CONSUMER = "model-registry"
ACK_WAIT_SECONDS = 10
"""Without an acknowledgement for this long an event is delivered again: its replica is dead or cut off."""

_ANSWER_SECONDS = 5
_LOST = "the connection was lost"


@dataclass(frozen=True, slots=True)
class Events:
    """Messages of one kind, and the stream that keeps them."""

    subjects: tuple[str, ...]
    stream: str
    """The stream that is made where none keeps the subjects."""
    kept: str
    """All subjects that it keeps, as a pattern."""
    consumer: str
    """The durable consumer. A stream of an administrator's own may keep several kinds, each with its consumer."""
    description: str


GPU_EVENTS = Events(
    EVENT_SUBJECTS,
    STREAM,
    "mesh.gpu.>",
    CONSUMER,
    "Events of GPU nodes, and the model registry's rejections of them.",
)


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """Limits of a new stream and consumer. Existing ones keep theirs."""

    max_age_seconds: float
    max_bytes: int
    replicas: int
    in_flight: int
    """Messages delivered and not acknowledged, at most."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How each subject is consumed."""

    streams: tuple[str, ...]
    """Streams that have our consumer."""
    loose: tuple[str, ...] = ()
    """Subjects that no stream keeps: events published while no replica listens are missed."""
    why: str = ""
    """Why no stream keeps them."""
    consumer: str = CONSUMER

    def sources(self, client: Client) -> list[Source]:
        """Make the sources to consume; not opened yet."""
        sources: list[Source] = [StreamSource(client, stream, self.consumer) for stream in self.streams]
        return [*sources, QueueSource(client, self.loose, self.consumer)] if self.loose else sources


async def find_plan(client: Client, limits: StreamLimits, events: Events = GPU_EVENTS) -> Plan:
    """Ask the server, and create what is missing. At most 5 s per answer. Errors: OSError, when it is unreachable."""
    if not client.is_connected:
        raise ConnectionError(_LOST)
    js = client.jetstream(timeout=_ANSWER_SECONDS)
    try:
        kept = await _streams_by_subject(js, events)
        if any(kept.values()) and not all(kept.values()):
            kept = await _streams_by_subject(js, events)  # another replica may have made it between two answers
        if not any(kept.values()):
            await _add_stream(js, limits, events)
            kept = dict.fromkeys(events.subjects, events.stream)
        streams = tuple(sorted({stream for stream in kept.values() if stream}))
        for stream in streams:
            consumed = [subject for subject in events.subjects if kept[subject] == stream]
            await _ensure_consumer(js, stream, events.consumer, consumed, limits.in_flight)
    except nats.js.errors.ServiceUnavailableError as error:
        return Plan((), events.subjects, error.description or "the server has no JetStream", events.consumer)
    except nats.js.errors.Error as error:
        return Plan((), events.subjects, f"JetStream refuses: {error.description}", events.consumer)
    except nats.errors.TimeoutError as error:
        if not client.is_connected:
            raise ConnectionError(_LOST) from error
        return Plan((), events.subjects, "JetStream does not answer (or this user may not ask it)", events.consumer)
    loose = tuple(subject for subject in events.subjects if not kept[subject])
    why = f"the stream {', '.join(streams)} does not keep them" if loose else ""
    return Plan(streams, loose, why, events.consumer)


async def _streams_by_subject(js: JetStreamContext, events: Events) -> dict[str, str | None]:
    """Map each subject to the stream that keeps it."""
    kept: dict[str, str | None] = dict.fromkeys(events.subjects)
    for subject in events.subjects:
        with contextlib.suppress(nats.js.errors.NotFoundError):
            kept[subject] = await js.find_stream_name_by_subject(subject)
    return kept


async def _add_stream(js: JetStreamContext, limits: StreamLimits, events: Events) -> None:
    await js.add_stream(
        StreamConfig(
            name=events.stream,
            description=events.description,
            subjects=[events.kept],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=limits.max_age_seconds,
            max_bytes=limits.max_bytes,
            num_replicas=limits.replicas,
        )
    )
    log.info("stream created", stream=events.stream)


async def _ensure_consumer(
    js: JetStreamContext, stream: str, consumer: str, subjects: list[str], in_flight: int
) -> None:
    """Create the consumer, or add missing subjects: it may date from when the stream kept fewer."""
    try:
        config: ConsumerConfig = (await js.consumer_info(stream, consumer)).config
    except nats.js.errors.NotFoundError:
        config = ConsumerConfig(
            durable_name=consumer,
            ack_policy=AckPolicy.EXPLICIT,
            deliver_policy=DeliverPolicy.ALL,
            ack_wait=ACK_WAIT_SECONDS,
            max_ack_pending=in_flight,
            filter_subjects=subjects,
        )
        await js.add_consumer(stream, config)
        log.info("consumer created", stream=stream, consumer=consumer)
        return
    consumed = config.filter_subjects or [config.filter_subject or ">"]
    missing = [subject for subject in subjects if not any(_covers(one, subject) for one in consumed)]
    if missing:
        await js.add_consumer(stream, replace(config, filter_subject=None, filter_subjects=[*consumed, *missing]))
        log.info("consumer widened", stream=stream, consumer=consumer, subjects=missing)


def _covers(pattern: str, subject: str) -> bool:
    """Whether a NATS pattern matches a subject: * is one part, > all that follow."""
    parts = subject.split(".")
    for index, part in enumerate(pattern.split(".")):
        if part == ">":
            return index < len(parts)
        if index >= len(parts) or part not in ("*", parts[index]):
            return False
    return len(parts) == len(pattern.split("."))
