"""Registers, changes and removes instances: one way for HTTP, NATS and the services file.

A plan is pure: the operations that a registration becomes, given a snapshot. A registration that changes nothing has
none, and so no revision.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

from pydantic import ValidationError

from model_registry.entities.change import Operation
from model_registry.entities.field_errors import reasons_of
from model_registry.entities.model_service import InstanceStatus, ModelService, ServiceInstance
from model_registry.errors import Conflict, Invalid, NotAllowed, NotFound, Reason, UnknownReference
from model_registry.services.author import Author
from model_registry.services.registration import Registration
from model_registry.services.service_address import checked_url
from model_registry.snapshot.lookup import find_instance
from model_registry.snapshot.snapshot import Snapshot
from model_registry.store.registry import Registry

MOST_INSTANCES = 10_000
"""Of all model services together. Every replica probes each of them."""
_TRIES = 10
"""Of a plan, while others register and delete the same instances."""
_STALE = (NotFound, UnknownReference, Conflict, NotAllowed)
"""What a look at the database may settle: somebody else may have registered a moment ago."""

NewId = Callable[[], str]
Plan = Callable[[Snapshot], Sequence[Operation]]


class Registrar:
    """Does what registrants ask for, in the database."""

    def __init__(self, registry: Registry, new_id: NewId, own_port: int) -> None:
        """`own_port` is where the registry itself listens."""
        self._registry = registry
        self._new_id = new_id
        self._own_port = own_port

    async def register(self, registration: Registration, author: Author) -> tuple[ServiceInstance, bool]:
        """Register an instance, or update it; answers it, and whether it is new.

        Errors: UnsafeAddress; NotAllowed; Conflict when there are too many; those of `Registry.write`.
        """
        url = await self._checked(registration)
        operations = await self._write(
            lambda snapshot: plan_registration(snapshot, registration, url, author, self._new_id), author
        )
        is_new = any((o.table, o.action) == ("service_instances", "insert") for o in operations)
        return find_instance(self._registry.snapshot, registration.service_id), is_new

    async def change(self, reference: str, fields: dict[str, Any], author: Author) -> ServiceInstance:
        """Change some fields of an instance, as `Registration` has them. Errors: as `register`; NotFound, Invalid."""
        url = await checked_url(fields["service_url"], self._own_port) if "service_url" in fields else None

        def plan(snapshot: Snapshot) -> Sequence[Operation]:
            instance = find_instance(snapshot, reference)
            registration = _changed(snapshot, instance, fields)
            return plan_registration(snapshot, registration, url or instance.service_url, author, self._new_id)

        await self._write(plan, author)
        return find_instance(self._registry.snapshot, reference)

    async def set_status(
        self, reference: str, status: InstanceStatus, author: Author, reason: str | None = None
    ) -> ServiceInstance:
        """Drain, retire or activate an instance. Errors: NotFound, NotAllowed; those of `Registry.write`."""

        def plan(snapshot: Snapshot) -> Sequence[Operation]:
            instance = _own(snapshot, reference, author)
            wanted = {"status": status, "status_reason": reason}
            if wanted == {"status": instance.status, "status_reason": instance.status_reason}:
                return []
            # `now` is the database's own: what is retired goes a while after it was last renewed, so not at once.
            return [Operation("service_instances", "update", instance.id, wanted | {"renewed_at": "now"})]

        await self._write(plan, author)
        return find_instance(self._registry.snapshot, reference)

    async def remove(self, reference: str, author: Author) -> None:
        """Delete an instance, whatever is going on at it. Errors: NotFound, NotAllowed; those of `Registry.write`."""
        await self._write(
            lambda snapshot: [Operation("service_instances", "delete", _own(snapshot, reference, author).id)], author
        )

    async def keep_only(self, service_ids: Collection[str], author: Author) -> list[str]:
        """Delete what the author registered, but these; answers what is gone. Errors: those of `Registry.write`."""
        gone: list[str] = []

        def plan(snapshot: Snapshot) -> Sequence[Operation]:
            owner = author.over, author.name
            theirs = (i for i in snapshot.instances if (i.registered_over, i.registered_by) == owner)
            others = [instance for instance in theirs if instance.service_id not in service_ids]
            gone[:] = [instance.service_id for instance in others]
            return [Operation("service_instances", "delete", instance.id) for instance in others]

        await self._write(plan, author)
        return gone

    async def renewable(self, reference: str, author: Author) -> ServiceInstance:
        """The instance that its registrant renews. Errors: NotFound, NotAllowed, Conflict when it is retired."""
        instance = await self._found(lambda snapshot: _own(snapshot, reference, author))
        if instance.status == "retired":
            raise Conflict(
                f"{instance.service_id!r} is retired, and gone as soon as its last request has ended. "
                f"POST /services/{instance.service_id}/activate brings it back."
            )
        return instance

    async def _checked(self, registration: Registration) -> str:
        """The address, looked at unless it is the one that the instance has. Errors: UnsafeAddress."""
        url = registration.service_url.rstrip("/")
        known = self._registry.snapshot.instances.where("service_id", registration.service_id)
        if known and known[0].service_url == url:
            return url
        return await checked_url(registration.service_url, self._own_port)

    async def _found(self, look: Callable[[Snapshot], ServiceInstance]) -> ServiceInstance:
        try:
            return look(self._registry.snapshot)
        except _STALE:
            await self._registry.refresh()
            return look(self._registry.snapshot)

    async def _write(self, plan: Plan, author: Author) -> Sequence[Operation]:
        """Plan and write; plan again on what the database has when somebody was quicker."""
        for _ in range(_TRIES - 1):
            revision = self._registry.snapshot.revision
            try:
                return await self._write_once(plan, author)
            except _STALE:
                await self._registry.refresh()
                if self._registry.snapshot.revision == revision:
                    raise  # nobody was quicker
        return await self._write_once(plan, author)

    async def _write_once(self, plan: Plan, author: Author) -> Sequence[Operation]:
        operations = plan(self._registry.snapshot)
        await self._registry.write(operations, actor=author.name)
        return operations


def plan_registration(
    snapshot: Snapshot, registration: Registration, url: str, author: Author, new_id: NewId
) -> list[Operation]:
    """What a registration writes: the instance, and its model service where that is new. `url` was checked.

    Errors: NotAllowed, Conflict.
    """
    author.expect_type(registration.model_type)
    known = snapshot.model_services.where("type", registration.model_type.lower())
    operations = []
    if known:
        service_id = known[0].id
    else:
        service_id = new_id()
        row = {"model_type": registration.model_type}
        operations.append(Operation("model_services", "insert", service_id, row))
    columns = registration.columns() | {"model_service_id": service_id, "service_url": url}
    found = snapshot.instances.where("service_id", registration.service_id)
    if found:
        author.expect_own(found[0], model_service_of(snapshot, found[0]).model_type)
        changed = {name: value for name, value in columns.items() if getattr(found[0], name) != value}
        if changed:
            operations.append(Operation("service_instances", "update", found[0].id, changed))
        return operations
    if len(snapshot.instances) >= MOST_INSTANCES:
        raise Conflict(
            f"The registry has {MOST_INSTANCES:,} instances, the most that it keeps. Delete those that are gone "
            "(DELETE /services/<service_id>), or register with ttl_seconds, so that they go by themselves."
        )
    columns |= {"registered_by": author.name, "registered_over": author.over}
    return [*operations, Operation("service_instances", "insert", new_id(), columns)]


def _changed(snapshot: Snapshot, instance: ServiceInstance, fields: dict[str, Any]) -> Registration:
    kept = {
        "service_id": instance.service_id,
        "service_url": instance.service_url,
        "model_type": model_service_of(snapshot, instance).model_type,
        "capabilities": instance.capabilities,
    }
    if fields.get("service_id", instance.service_id) != instance.service_id:
        message = "service_id is what an instance is known by. Register another one, and delete this one."
        raise Invalid(message, reasons=[Reason("service_id", message)])
    try:
        return Registration.model_validate(kept | fields)
    except ValidationError as error:
        reasons = reasons_of(error)
        message = f"The change would make the instance invalid: {'; '.join(map(str, reasons))}."
        raise Invalid(message, reasons=reasons) from error


def model_service_of(snapshot: Snapshot, instance: ServiceInstance) -> ModelService:
    """The model service of an instance. The database has no instance without one."""
    service = snapshot.model_services.get(instance.model_service_id)
    if service is None:
        raise NotFound(f"The model service of {instance.service_id!r} is gone.")
    return service


def _own(snapshot: Snapshot, reference: str, author: Author) -> ServiceInstance:
    instance = find_instance(snapshot, reference)
    author.expect_own(instance, model_service_of(snapshot, instance).model_type)
    return instance
