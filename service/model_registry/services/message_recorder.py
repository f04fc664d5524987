"""Does what model services publish: registers, deregisters, renews. One after the other, in the order of arrival.

Messages are kept by NATS until they are done, so they survive outages of the registry and of the database. What is
old by then is left: an instance whose time to live has passed since has announced itself again, or is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

import structlog

from model_registry.entities.node import NodeReportBatch
from model_registry.errors import InvalidEvent, NotFound, RegistryError, StorageError, StorageUnavailable
from model_registry.fleet.event_sources import Delivery
from model_registry.fleet.jetstream_setup import Events
from model_registry.fleet.rejected import publish_rejections, rejected_event
from model_registry.messaging.connection import NatsConnection
from model_registry.messaging.subjects import SERVICE_REJECTED, SERVICE_SUBJECTS
from model_registry.services.author import Author
from model_registry.services.model_services import ModelServices
from model_registry.services.service_messages import TTL_SECONDS, ServiceMessage, read_service_message
from model_registry.store.registry import Registry

log = structlog.get_logger(__name__)

SERVICE_EVENTS = Events(
    SERVICE_SUBJECTS,
    "MESH_SERVICE",
    "mesh.service.>",
    "model-registry-services",
    "Model services that register and deregister, and the model registry's rejections of their messages.",
)
AUTHOR = Author("service messages", "nats")
_MOST_REMEMBERED = 20_000


class MessageRecorder:
    """What the consumer does with each batch."""

    def __init__(
        self,
        registry: Registry,
        link: NatsConnection,
        services: ModelServices,
        count: Callable[[str, int], None],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._registry = registry
        self._link = link
        self._registrar = services.registrar
        self._liveness = services.liveness
        self._count = count
        self._clock = clock
        self._unknown: set[str] = set()
        """Instances whose status was rejected because they are not registered: once is enough."""

    def read(self, delivery: Delivery) -> Delivery:
        """Leave it as it is: it is parsed where it is done."""
        return delivery

    async def record(self, read: Iterable[Delivery]) -> tuple[list[Delivery], list[Delivery]]:
        """Return the messages that are done, and those to deliver again: all after the database was gone."""
        done: list[Delivery] = []
        left = list(read)
        while left:
            try:
                outcome = await self._do(left[0])
            except StorageError as error:
                log.warning("messages not recorded; they will come again", left=len(left), error=error.message)
                break
            except RegistryError as error:
                outcome, left[0].reasons = "rejected", [error.message]
            self._count(outcome, 1)
            done.append(left.pop(0))
        rejected = [one for one in done if one.reasons]
        if rejected:
            await self._keep(rejected)
            unsent = await publish_rejections(self._link, rejected, SERVICE_REJECTED)
            left += [one for one in done if id(one) in unsent]
            done = [one for one in done if id(one) not in unsent]
        return done, left

    async def _do(self, delivery: Delivery) -> str:
        """Do one message, and answer the outcome for the count."""
        if delivery.message.subject not in SERVICE_SUBJECTS:
            return "ignored"  # an administrator's consumer may deliver our own rejections
        message = read_service_message(delivery.message.subject, delivery.message.data)
        if message is None or self._is_over(message, delivery.received_at):
            return "ignored"
        return await self._act(message)

    def _is_over(self, message: ServiceMessage, received_at: datetime) -> bool:
        if message.kind == "unregistered":
            return False
        ttl = message.registration.ttl_seconds if message.registration else TTL_SECONDS
        return ttl is not None and received_at + timedelta(seconds=ttl) < self._clock()

    async def _act(self, message: ServiceMessage) -> str:
        if message.kind == "unregistered":
            try:
                await self._registrar.remove(message.service_id, AUTHOR)
            except NotFound:
                return "ignored"  # it is gone, which is what was asked for
            return "recorded"
        if message.registration is not None:
            instance, is_new = await self._registrar.register(message.registration, AUTHOR)
            self._unknown.discard(message.service_id)
        else:
            try:
                instance, is_new = await self._registrar.renewable(message.service_id, AUTHOR), False
            except NotFound:
                return self._not_registered(message.service_id)
        if instance.status != "retired":
            self._liveness.renewed(instance.service_id)
        return "recorded" if is_new or message.kind == "registered" else "renewed"

    def _not_registered(self, service_id: str) -> str:
        if service_id in self._unknown:
            return "ignored"
        if len(self._unknown) >= _MOST_REMEMBERED:
            self._unknown.clear()
        self._unknown.add(service_id)
        raise InvalidEvent(
            f"No instance {service_id!r} is registered. Repeat the registration in the status message, or publish "
            "mesh.service.registered.v1 again. Further messages like this one are not rejected again, but ignored."
        )

    async def _keep(self, rejected: Iterable[Delivery]) -> None:
        batch = NodeReportBatch()
        for one in rejected:
            batch.add_rejected(*rejected_event(one))
        try:
            await self._registry.record_reports(batch, actor=AUTHOR.name)
        except StorageUnavailable as error:
            log.warning("rejections are only published, not kept", error=error.message)
