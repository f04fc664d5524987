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
STREAM_SUBJECTS = "mesh.gpu.>"
CONSUMER = "model-registry"
ACK_WAIT_SECONDS = 10
"""Without an acknowledgement for this long an event is delivered again: its replica is dead or cut off."""

_ANSWER_SECONDS = 5
_LOST = "the connection was lost"


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

    def sources(self, client: Client) -> list[Source]:
        """Make the sources to consume; not opened yet."""
        sources: list[Source] = [StreamSource(client, stream, CONSUMER) for stream in self.streams]
        return [*sources, QueueSource(client, self.loose, CONSUMER)] if self.loose else sources


async def find_plan(client: Client, limits: StreamLimits) -> Plan:
    """Ask the server, and create what is missing. At most 5 s per answer. Errors: OSError, when it is unreachable."""
    if not client.is_connected:
        raise ConnectionError(_LOST)
    js = client.jetstream(timeout=_ANSWER_SECONDS)
    try:
        kept = await _streams_by_subject(js)
        if any(kept.values()) and not all(kept.values()):
            kept = await _streams_by_subject(js)  # another replica may have made the stream between two answers
        if not any(kept.values()):
            await _add_stream(js, limits)
            kept = dict.fromkeys(EVENT_SUBJECTS, STREAM)
        streams = tuple(sorted({stream for stream in kept.values() if stream}))
        for stream in streams:
            consumed = [subject for subject in EVENT_SUBJECTS if kept[subject] == stream]
            await _ensure_consumer(js, stream, consumed, limits.in_flight)
    except nats.js.errors.ServiceUnavailableError as error:
        return Plan((), EVENT_SUBJECTS, error.description or "the server has no JetStream")
    except nats.js.errors.Error as error:
        return Plan((), EVENT_SUBJECTS, f"JetStream refuses: {error.description}")
    except nats.errors.TimeoutError as error:
        if not client.is_connected:
            raise ConnectionError(_LOST) from error
        return Plan((), EVENT_SUBJECTS, "JetStream does not answer (or this user may not ask it)")
    loose = tuple(subject for subject in EVENT_SUBJECTS if not kept[subject])
    return Plan(streams, loose, f"the stream {', '.join(streams)} does not keep them" if loose else "")


async def _streams_by_subject(js: JetStreamContext) -> dict[str, str | None]:
    """Map each subject to the stream that keeps it."""
    kept: dict[str, str | None] = dict.fromkeys(EVENT_SUBJECTS)
    for subject in EVENT_SUBJECTS:
        with contextlib.suppress(nats.js.errors.NotFoundError):
            kept[subject] = await js.find_stream_name_by_subject(subject)
    return kept


async def _add_stream(js: JetStreamContext, limits: StreamLimits) -> None:
    await js.add_stream(
        StreamConfig(
            name=STREAM,
            description="Events of GPU nodes, and the model registry's rejections of them.",
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
    """Create the consumer, or add missing subjects: it may date from when the stream kept fewer."""
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
    consumed = config.filter_subjects or [config.filter_subject or ">"]
    missing = [subject for subject in subjects if not any(_covers(one, subject) for one in consumed)]
    if missing:
        await js.add_consumer(stream, replace(config, filter_subject=None, filter_subjects=[*consumed, *missing]))
        log.info("consumer widened", stream=stream, consumer=CONSUMER, subjects=missing)


def _covers(pattern: str, subject: str) -> bool:
    """Whether a NATS pattern matches a subject: * is one part, > all that follow."""
    parts = subject.split(".")
    for index, part in enumerate(pattern.split(".")):
        if part == ">":
            return index < len(parts)
        if index >= len(parts) or part not in ("*", parts[index]):
            return False
    return len(parts) == len(pattern.split("."))
