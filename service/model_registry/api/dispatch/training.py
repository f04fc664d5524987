"""Trainings that become jobs: `/train` with `Prefer: respond-async`, or of prepared data, and `/train_model`."""

from __future__ import annotations

import time
import uuid

from starlette.responses import Response

from model_registry.api.cached_responses import json_response
from model_registry.api.dispatch.door import Door
from model_registry.api.dispatch.fields import MODEL_TYPE, MODEL_VERSION, Fields, read_fields, with_version
from model_registry.api.dispatch.request import DispatchRequest
from model_registry.api.preferences import Preferences, read_preferences
from model_registry.api.shared_headers import SECURITY_HEADERS
from model_registry.entities.service_capabilities import TRAINING
from model_registry.entities.service_job import MOST_REQUEST_BYTES, ServiceJob
from model_registry.entities.spelling import listed
from model_registry.errors import (
    BodyTooLarge,
    Conflict,
    DispatchError,
    Invalid,
    NotAllowed,
    OutcomeUnknown,
    Reason,
    RegistryError,
    UpstreamFailed,
    UpstreamTimeout,
)
from model_registry.services.directory import InstanceDirectory
from model_registry.services.jobs.instances import training_targets
from model_registry.services.jobs.jobs import Jobs, SeenJob, digest_of
from model_registry.services.jobs.views import job_view
from model_registry.services.request_limits import request_limits
from model_registry.settings import Settings
from model_registry.snapshot.lookup import find_model_service
from model_registry.store.registry import Registry

TRAIN_MODEL = "/train_model"
TRAIN_MODEL_SECONDS = 600.0
"""For how long `/train_model` waits for the end: as the document's dashboard does."""
_IDEMPOTENCY_KEY = b"idempotency-key"
_LONGEST_KEY = 255


class TrainingJobs:
    """Makes jobs of trainings, and answers for them."""

    def __init__(self, settings: Settings, registry: Registry, directory: InstanceDirectory, jobs: Jobs) -> None:
        self._settings = settings
        self._registry = registry
        self._directory = directory
        self._jobs = jobs

    def doors(self) -> dict[str, Door]:
        """The path of the document's dashboard."""
        return {TRAIN_MODEL: Door(self.train_model, frozenset({"POST"}), TRAIN_MODEL)}

    def takes(self, request: DispatchRequest, model_type: str) -> bool:
        """Whether a training of `/train` becomes a job: at the caller's wish, or because its data is prepared first."""
        if read_preferences(request.headers).respond_async:
            return True
        return training_targets(self._registry.snapshot, self._directory, model_type)[0] == "prepared"

    async def train(self, request: DispatchRequest, model_type: str, fields: Fields | None) -> None:
        """Answer `/train` with a job; without `Prefer: respond-async`, with its end. `fields` None: the body is long.

        Errors: BodyTooLarge, Invalid; those of `Jobs.create`; how the job ended, if not well.
        """
        if fields is None or len(fields.rest) > MOST_REQUEST_BYTES:
            raise BodyTooLarge(
                "A training that becomes a job may have 1 MiB: give the service the address of its data."
            )
        job = self._job(request, model_type, fields)
        await self._answer(request, await self._jobs.create(job), job.total_seconds)

    async def train_model(self, request: DispatchRequest) -> None:
        """Prepare the data where the service needs that, then train, as one job; wait 600 s for its end.

        Errors: those of `train`, NotFound, NotAllowed.
        """
        request.refuse_parameters()
        body, whole = await request.read(MOST_REQUEST_BYTES)
        fields = read_fields(body) if whole else None
        given = fields.text(MODEL_TYPE) if fields is not None else None
        model_type = given or self._only_type(request)
        if not request.caller.may_use(model_type):
            raise NotAllowed(f"API key {request.caller.name!r} may not send requests to {model_type!r}.")
        row = find_model_service(self._registry.snapshot, model_type)
        request.name, request.capability = row.model_type, TRAINING
        if fields is None:
            await self.train(request, row.model_type, None)
            return
        seen = await self._jobs.create(self._job(request, row.model_type, fields))
        await self._answer(request, seen, TRAIN_MODEL_SECONDS)

    def _only_type(self, request: DispatchRequest) -> str:
        """The model type where only one can be meant. Errors: Invalid."""
        snapshot = self._registry.snapshot
        names = sorted({
            service.model_type
            for instance in snapshot.instances
            if TRAINING in instance.capabilities
            and (service := snapshot.model_services.get(instance.model_service_id)) is not None
            and request.caller.may_use(service.model_type)
        })  # fmt: skip
        if len(names) != 1:
            raise _invalid(MODEL_TYPE, f"is required; those that train: {listed(names)}")
        return names[0]

    def _job(self, request: DispatchRequest, model_type: str, fields: Fields) -> ServiceJob:
        service = find_model_service(self._registry.snapshot, model_type)
        instances = self._registry.snapshot.instances.where("model_service", service.id)
        version = fields.text(MODEL_VERSION)
        body = fields.rest if version is None else with_version(fields.rest, version)
        text = _text(body)
        return ServiceJob(
            id=str(uuid.uuid4()),
            model_type=service.model_type,
            request=text,
            request_digest=digest_of(text),
            total_seconds=request_limits(service, instances, self._settings).seconds(TRAINING),
            idempotency_key=_idempotency_key(request),
            created_by=request.caller.name,
        )

    async def _answer(self, request: DispatchRequest, seen: SeenJob, seconds: float) -> None:
        """At once where the caller prefers that, else with the job's end."""
        preferences = read_preferences(request.headers)
        wait = (preferences.wait or 0.0) if preferences.respond_async else seconds
        if wait:
            began = time.perf_counter()
            seen = await self._jobs.wait(seen, wait)
            request.waited += time.perf_counter() - began
        if not seen.job.ended and not preferences.respond_async:
            raise UpstreamTimeout(f"Not ended after {wait:g} s. It goes on: GET /jobs/{seen.job.id}.")
        if seen.job.ended and wait and seen.job.status != "succeeded":
            raise _failure(seen)
        await _send(request, _accepted(seen, preferences) if not seen.job.ended or not wait else _done(seen))


def _accepted(seen: SeenJob, preferences: Preferences) -> Response:
    headers = {
        "Location": f"/jobs/{seen.job.id}",
        "Preference-Applied": preferences.applied,
        "Cache-Control": "no-store",
    }
    return json_response(job_view(seen), 202, headers)


def _done(seen: SeenJob) -> Response:
    return json_response(job_view(seen), 200, {"Location": f"/jobs/{seen.job.id}", "Cache-Control": "no-store"})


def _failure(seen: SeenJob) -> RegistryError:
    """How a job ended that did not succeed."""
    job = seen.job
    kinds: dict[str, type[DispatchError | Conflict]] = {"unknown": OutcomeUnknown, "cancelled": Conflict}
    why = (job.error or {}).get("message") or job.status
    detail = f" {job.detail}" if job.detail else ""
    return kinds.get(job.status, UpstreamFailed)(f"Job {job.id}: {why}{detail}")


async def _send(request: DispatchRequest, response: Response) -> None:
    request.status = response.status_code
    head = {"type": "http.response.start", "status": response.status_code}
    await request.send({**head, "headers": [*response.raw_headers, *SECURITY_HEADERS]})
    await request.send({"type": "http.response.body", "body": bytes(response.body)})


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise _invalid("body", f"is no UTF-8: {error.reason}") from error


def _idempotency_key(request: DispatchRequest) -> str | None:
    key = request.asked.get(_IDEMPOTENCY_KEY, b"").decode("latin-1").strip()
    if len(key) > _LONGEST_KEY:
        raise _invalid("Idempotency-Key", f"may have {_LONGEST_KEY} characters")
    return key or None


def _invalid(where: str, message: str) -> Invalid:
    return Invalid(f"{where}: {message}", reasons=[Reason(where, message)])
