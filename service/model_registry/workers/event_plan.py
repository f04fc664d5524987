"""How GPU events can be heard on this NATS server. Makes the stream and the consumer where they are missing.

What is there is used as it is, whatever its settings: an administrator made it.
"""

from __future__ import annotations

from dataclasses import dataclass

import nats.errors
import nats.js.errors
import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, RetentionPolicy, StorageType, StreamConfig

from model_registry.fleet.gpu_events import SUBJECTS
from model_registry.workers.event_sources import BATCH, QueueSource, Source, StreamSource

log = structlog.get_logger(__name__)

STREAM = "MESH_GPU"
STREAM_SUBJECTS = "mesh.gpu.>"
STREAM_MAX_AGE_SECONDS = 7 * 24 * 3600
STREAM_MAX_BYTES = 256 * 2**20
CONSUMER = "model-registry"
ACK_WAIT_SECONDS = 10
"""After this long without an acknowledgement an event comes again: its replica is dead, or was cut off."""
MAX_ACK_PENDING = 20 * BATCH

_ANSWER_SECONDS = 5


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


async def find_plan(client: Client) -> Plan:
    """Ask the server, and make what is missing. Takes up to 5 s an answer. Errors: OSError, when it is gone."""
    js = client.jetstream(timeout=_ANSWER_SECONDS)
    try:
        kept = {subject: await _stream_of(js, subject) for subject in SUBJECTS}
        if not any(kept.values()):
            await _add_stream(js)
            kept = dict.fromkeys(SUBJECTS, STREAM)
        streams = tuple(sorted({stream for stream in kept.values() if stream}))
        for stream in streams:
            await _ensure_consumer(js, stream, [subject for subject in SUBJECTS if kept[subject] == stream])
    except nats.js.errors.ServiceUnavailableError as error:
        return Plan((), SUBJECTS, error.description or "the server has no JetStream")
    except nats.js.errors.Error as error:
        return Plan((), SUBJECTS, f"JetStream refuses: {error.description}")
    except nats.errors.TimeoutError as error:
        if not client.is_connected:
            raise ConnectionError("the connection was lost") from error
        return Plan((), SUBJECTS, "JetStream does not answer (or this user may not ask it)")
    loose = tuple(subject for subject in SUBJECTS if not kept[subject])
    return Plan(streams, loose, f"the stream {', '.join(streams)} does not keep them" if loose else "")


async def _stream_of(js: JetStreamContext, subject: str) -> str | None:
    try:
        return await js.find_stream_name_by_subject(subject)
    except nats.js.errors.NotFoundError:
        return None


async def _add_stream(js: JetStreamContext) -> None:
    await js.add_stream(
        StreamConfig(
            name=STREAM,
            description="What GPU nodes say, and what the model registry could not understand of it.",
            subjects=[STREAM_SUBJECTS],
            retention=RetentionPolicy.LIMITS,
            storage=StorageType.FILE,
            max_age=STREAM_MAX_AGE_SECONDS,
            max_bytes=STREAM_MAX_BYTES,
        )
    )
    log.info("stream created", stream=STREAM)


async def _ensure_consumer(js: JetStreamContext, stream: str, subjects: list[str]) -> None:
    try:
        await js.consumer_info(stream, CONSUMER)
    except nats.js.errors.NotFoundError:
        await js.add_consumer(
            stream,
            ConsumerConfig(
                durable_name=CONSUMER,
                ack_policy=AckPolicy.EXPLICIT,
                deliver_policy=DeliverPolicy.ALL,
                ack_wait=ACK_WAIT_SECONDS,
                max_ack_pending=MAX_ACK_PENDING,
                filter_subjects=subjects,
            ),
        )
        log.info("consumer created", stream=stream, consumer=CONSUMER)
