"""`/training-status/{name}`: the events of a training, streamed from the service that has it to the caller.

A service that trains on its event loop may not even begin to answer until it has ended. The caller gets the head of the
stream at once all the same, and comments that keep it open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final
from urllib.parse import parse_qsl, quote, unquote

import orjson

from model_registry.api.dispatch.door import Door
from model_registry.api.dispatch.request import DispatchRequest
from model_registry.api.shared_headers import SECURITY_HEADERS
from model_registry.entities.model_service import ServiceInstance
from model_registry.entities.server_sent_events import HEARTBEAT, MEDIA_TYPE, event_bytes
from model_registry.entities.service_capabilities import TRAINING
from model_registry.entities.spelling import listed, suggestion
from model_registry.errors import DispatchError, Invalid, NoInstance, NotAllowed, NotFound, Reason, StorageError
from model_registry.services.dispatch.answer import Answer
from model_registry.services.instance_targets import target_of
from model_registry.services.jobs.following import TRAINING_STATUS
from model_registry.services.jobs.jobs import Jobs
from model_registry.services.jobs.service_requests import ServiceRequests, is_good
from model_registry.snapshot.lookup import find_model_service
from model_registry.store.registry import Registry

HEARTBEAT_SECONDS: Final = 15.0
_PATIENCE_SECONDS: Final = 2.0
"""For the head of the service's answer, before the stream begins without it."""
_IDLE_SECONDS: Final = 7 * 86400.0
_PARAMETERS: Final = ("model_type", "service_id")


class TrainingReports:
    """Passes the reports of trainings on."""

    def __init__(
        self, registry: Registry, jobs: Jobs, requests: ServiceRequests, *, heartbeat_seconds: float = HEARTBEAT_SECONDS
    ) -> None:
        self._registry = registry
        self._jobs = jobs
        self._requests = requests
        self._heartbeat_seconds = heartbeat_seconds

    def doors(self) -> dict[str, Door]:
        """The path, and what takes it."""
        return {TRAINING_STATUS: Door(self.stream, frozenset({"GET"}), f"{TRAINING_STATUS}{{name}}")}

    async def stream(self, request: DispatchRequest) -> None:
        """Stream the events of one training, until the service ends them or the caller leaves.

        Errors: Invalid, NotFound, NotAllowed, NoInstance; those of `Dispatcher.dispatch`, unless the stream has begun:
        then an event says why it ends.
        """
        name = unquote(request.scope["raw_path"].decode("latin-1").removeprefix(TRAINING_STATUS))
        given = _parameters(request)
        model_type = given.get("model_type") or self._only_type(request)
        if not request.caller.may_use(model_type):
            raise NotAllowed(f"API key {request.caller.name!r} may not send requests to {model_type!r}.")
        service = find_model_service(self._registry.snapshot, model_type)
        request.name, request.capability = service.model_type, TRAINING
        instance = await self._instance(self._instances(service.id), name, service.model_type, given.get("service_id"))
        target = target_of(service, instance)
        path = TRAINING_STATUS + quote(name, safe="")
        opening = asyncio.ensure_future(
            self._requests.open(service.model_type, target, path, idle_seconds=_IDLE_SECONDS)
        )
        try:
            await self._pass_on(request, opening)
        finally:
            opening.add_done_callback(_close)
            opening.cancel()

    async def _pass_on(self, request: DispatchRequest, opening: asyncio.Future[Answer]) -> None:
        await asyncio.wait([opening], timeout=_PATIENCE_SECONDS)
        if opening.done() and not is_good(opening.result().status):
            await request.respond(opening.result())
            return
        await _begin(request)
        if not await self._beat(request, opening, between=True):
            return
        answer = opening.result()
        if not is_good(answer.status):
            await _end(request, f"the service answers {answer.status}")
            return
        await self._pieces(request, answer)

    async def _pieces(self, request: DispatchRequest, answer: Answer) -> None:
        between = True
        while True:
            reading = asyncio.ensure_future(answer.read())
            try:
                if not await self._beat(request, reading, between=between):
                    return
            finally:
                reading.cancel()
            if not (piece := reading.result()):
                await request.send({"type": "http.response.body", "body": b""})
                return
            await request.send({"type": "http.response.body", "body": piece, "more_body": True})
            between = piece.endswith((b"\n\n", b"\r\n\r\n", b"\r\r"))

    async def _beat(
        self, request: DispatchRequest, waiting: asyncio.Future[Answer] | asyncio.Future[bytes], *, between: bool
    ) -> bool:
        """Send comments while something is waited for, `between` two events; False when it failed: the stream ended."""
        while not waiting.done():
            await asyncio.wait([waiting], timeout=self._heartbeat_seconds)
            if not waiting.done() and between:
                await request.send({"type": "http.response.body", "body": HEARTBEAT, "more_body": True})
        error = waiting.exception()
        if error is None:
            return True
        if not isinstance(error, DispatchError):
            raise error
        await _end(request, error.message)
        return False

    def _only_type(self, request: DispatchRequest) -> str:
        snapshot = self._registry.snapshot
        names = sorted(
            service.model_type for service in snapshot.model_services if request.caller.may_use(service.model_type)
        )
        if len(names) != 1:
            raise _invalid("model_type", f"is required; known here: {listed(names)}")
        return names[0]

    def _instances(self, service_id: str) -> list[ServiceInstance]:
        rows = self._registry.snapshot.instances.where("model_service", service_id)
        return [instance for instance in rows if TRAINING in instance.capabilities]

    async def _instance(
        self, instances: Sequence[ServiceInstance], name: str, model_type: str, asked: str | None
    ) -> ServiceInstance:
        """The instance that trains a model: the one that is asked for, that of the newest job, or the only one.

        Errors: NotFound, NoInstance, Invalid.
        """
        by_id = {instance.service_id: instance for instance in instances}
        if asked is not None and asked not in by_id:
            raise NotFound(f"{model_type} has no instance {asked!r} that trains; {suggestion(asked, by_id)}.")
        if not instances:
            raise NoInstance(f"{model_type} has no instance that trains.")
        chosen = asked or (next(iter(by_id)) if len(by_id) == 1 else await self._of_job(name, model_type))
        if chosen not in by_id:
            raise _invalid("service_id", f"is required: no job trains {name!r}; instances: {listed(sorted(by_id))}")
        return by_id[chosen]

    async def _of_job(self, name: str, model_type: str) -> str | None:
        """The instance of the newest job for a model."""
        try:
            page, _ = await self._jobs.page([model_type.lower()], None, 100, 0)
        except StorageError:
            return None
        return next((job.service_id for job in page.items if job.model_name == name and job.service_id), None)


async def _begin(request: DispatchRequest) -> None:
    request.status = 200
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no")]
    await request.send({"type": "http.response.start", "status": 200, "headers": [*headers, *SECURITY_HEADERS]})


async def _end(request: DispatchRequest, why: str) -> None:
    """End the stream with an event that says why there is no more."""
    event = event_bytes("training_status", orjson.dumps({"status": "unknown", "error": why}))
    await request.send({"type": "http.response.body", "body": event})


def _close(opened: asyncio.Future[Answer]) -> None:
    if not opened.cancelled() and opened.exception() is None:
        opened.result().close()


def _parameters(request: DispatchRequest) -> dict[str, str]:
    values: dict[str, list[str]] = {}
    for parameter, value in parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True):
        if parameter not in _PARAMETERS:
            raise _invalid(parameter, f"is not a known parameter; {suggestion(parameter, _PARAMETERS)}")
        values.setdefault(parameter, []).append(value)
    for parameter, found in values.items():
        if len(found) > 1:
            raise _invalid(parameter, f"is given {len(found)} times, and takes one value")
        if not found[0]:
            raise _invalid(parameter, "is empty: leave it out, or name one")
    return {parameter: value for parameter, (value,) in values.items()}


def _invalid(where: str, message: str) -> Invalid:
    return Invalid(f"{where}: {message}", reasons=[Reason(where, message)])
