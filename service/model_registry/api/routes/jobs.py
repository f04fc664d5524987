"""`/jobs`: trainings that outlive the request for them: how far they are, their events, their end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from pydantic import BaseModel, Field
from starlette.responses import Response, StreamingResponse

from model_registry.api.app_state import AppState, CurrentApp
from model_registry.api.auth import DispatchCaller
from model_registry.api.cached_responses import NOT_KEPT, json_response
from model_registry.api.caller import Caller
from model_registry.api.guarded_route import GuardedRoute
from model_registry.api.problems import responses
from model_registry.entities.server_sent_events import HEARTBEAT, MEDIA_TYPE, event_bytes
from model_registry.entities.service_job import JOB_STATUSES, STATUS_OF, JobPhase
from model_registry.errors import NotFound
from model_registry.selection.filter_values import known
from model_registry.services.jobs.jobs import SeenJob
from model_registry.services.jobs.views import JobSummary, JobView, job_summary, job_view
from model_registry.store.json_bytes import json_bytes

router = APIRouter(prefix="/jobs", tags=["jobs"], route_class=GuardedRoute)

HEARTBEAT_SECONDS = 15.0
_SHAPE: Any = {200: {"model": JobView}, **responses(401, 403, 404, 503)}


class JobList(BaseModel):
    """A page of jobs."""

    items: list[JobSummary]
    count: int
    complete: bool = Field(description="False while the database is away: then only this replica's jobs are listed.")
    reason: str | None = Field(None, description="Why the list is not complete.")


@router.get(
    "",
    summary="List jobs, the newest first",
    operation_id="list_jobs",
    responses={200: {"model": JobList}, **responses(401, 403, 422)},
)
async def list_jobs(
    state: CurrentApp,
    caller: DispatchCaller,
    status: Annotated[str | None, Query(description="Only jobs in this state.", examples=["running"])] = None,
    model_type: Annotated[
        str | None, Query(min_length=1, description="Only jobs of this model type, without case.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Annotated[int, Query(ge=0, le=1_000_000)] = 0,
) -> Response:
    """The jobs of the model types that the key may use. All that run, and the newest 1,000 that ended."""
    phases: list[JobPhase] | None = None
    if status is not None:
        known("status", status, JOB_STATUSES)
        phases = [phase for phase, of in STATUS_OF.items() if of == status]
    page, missing = await state.jobs.page(_types(caller, model_type), phases, limit, offset)
    body = {"items": [job_summary(job) for job in page.items], "count": page.count, "complete": missing is None}
    return json_response(body | ({"reason": missing} if missing else {}), headers=NOT_KEPT)


@router.get("/{job_id}", summary="Get a job", operation_id="get_job", responses=_SHAPE)
async def get_job(job_id: str, state: CurrentApp, caller: DispatchCaller) -> Response:
    """How far it is, and what the service answered."""
    return json_response(job_view(await _found(state, caller, job_id)), headers=NOT_KEPT)


@router.delete(
    "/{job_id}",
    summary="Cancel a job whose training was not sent",
    operation_id="cancel_job",
    responses={**_SHAPE, **responses(409)},
)
async def cancel_job(job_id: str, state: CurrentApp, caller: DispatchCaller) -> Response:
    """409 once the training was sent: it cannot be stopped from here, so this does not claim to."""
    await _found(state, caller, job_id)
    return json_response(job_view(await state.jobs.cancel(job_id)), headers=NOT_KEPT)


@router.get(
    "/{job_id}/events",
    summary="Follow a job as server-sent events",
    operation_id="follow_job",
    response_class=StreamingResponse,
    responses={
        200: {"content": {MEDIA_TYPE: {}}, "description": "Events `job` and `progress`"},
        **responses(401, 403, 404, 503),
    },
)
async def follow_job(
    job_id: str,
    state: CurrentApp,
    caller: DispatchCaller,
    last_event_id: Annotated[str | None, Header(description="The id of the last event seen; none is lost.")] = None,
) -> Response:
    """`job`: the job, at first, whenever its phase changes, and at its end. `progress`: what the service reports.

    Every event is the whole state of its kind, so one that is missed is made good by the next. Ends with the job.
    """
    await _found(state, caller, job_id)
    headers = {**NOT_KEPT, "X-Accel-Buffering": "no"}
    return StreamingResponse(_events(state, job_id, last_event_id), media_type=MEDIA_TYPE, headers=headers)


async def _events(state: AppState, job_id: str, last_seen: str | None) -> AsyncIterator[bytes]:
    before: SeenJob | None = None
    following = state.jobs.follow(job_id)
    async with contextlib.aclosing(following):
        waiting = asyncio.ensure_future(anext(following, None))
        try:
            while True:
                await asyncio.wait([waiting], timeout=HEARTBEAT_SECONDS)
                if not waiting.done():
                    yield HEARTBEAT
                    continue
                seen = waiting.result()
                if seen is None:
                    return
                if before is not None or str(seen.job.version) != last_seen or seen.job.ended:
                    yield _event(before, seen)
                before = seen
                waiting = asyncio.ensure_future(anext(following, None))
        finally:
            waiting.cancel()
            await asyncio.wait([waiting])


def _event(before: SeenJob | None, seen: SeenJob) -> bytes:
    job = seen.job
    if before is not None and (before.job.phase, before.job.detail) == (job.phase, job.detail):
        progress = {"job_id": job.id, "progress": job.progress}
        return event_bytes("progress", json_bytes(progress), str(job.version))
    return event_bytes("job", json_bytes(job_view(seen)), str(job.version))


async def _found(state: AppState, caller: Caller, job_id: str) -> SeenJob:
    """A job that the caller may see. One of another model type does not exist for them. Errors: NotFound."""
    seen = await state.jobs.get(job_id)
    if not caller.may_use(seen.job.model_type):
        raise NotFound(f"There is no job {job_id!r}. The newest 1,000 that ended are kept.")
    return seen


def _types(caller: Caller, model_type: str | None) -> list[str] | None:
    """The model types to list, in small letters; None: all."""
    if model_type is not None:
        return [model_type.lower()] if caller.may_use(model_type) else []
    return None if caller.may_use("") else sorted(caller.services or ())
