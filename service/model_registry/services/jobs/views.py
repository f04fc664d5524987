"""Jobs as callers see them. The request is not shown: it may hold what only the service is to know."""

from __future__ import annotations

from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field

from model_registry.entities.service_job import ServiceJob
from model_registry.services.jobs.jobs import SeenJob


class JobError(BaseModel):
    """Why a job failed."""

    code: str
    message: str


class JobSummary(BaseModel):
    """A job of a model service, in a list."""

    model_config = ConfigDict(protected_namespaces=())

    job_id: str
    status: str = Field(
        description="`queued`: nothing was sent yet. `running`. `succeeded`, `failed`, `cancelled`. `unknown`: the "
        "training was sent, and what became of it cannot be learned; `detail` says what to do."
    )
    phase: str = Field(
        description="Of a running job: `preparation_sent`, `preparing`, `prepared`, `training_sent` or `training`."
    )
    model_type: str
    model_name: str | None = Field(description="What the service calls the model that it trains, if it is known.")
    service_id: str | None = Field(description="The instance that was asked.")
    training_flow: str | None = Field(description="`direct` or `prepared`; null: no instance is chosen yet.")
    detail: str | None = Field(description="What it waits for, or what to do now.")
    error: JobError | None
    progress: dict[str, Any] | None = Field(description="The newest progress that the service reported.")
    total_seconds: float = Field(description="For how long it may run.")
    created_by: str
    created_at: str | None
    started_at: str | None
    finished_at: str | None
    version: int = Field(description="Rises with every change: the id of the job's events.")


class JobView(JobSummary):
    """A job of a model service."""

    result: Any = Field(None, description="The service's last answer: JSON, or text.")
    result_status: int | None = Field(None, description="Its HTTP status.")
    result_bytes: int | None = Field(None, description="Its size; one over 1 MiB is not kept.")
    result_kept: bool | None = None
    durable: bool = Field(
        description="Whether it is recorded. False while the database is away: it is lost if this replica ends before."
    )


def job_summary(job: ServiceJob) -> dict[str, Any]:
    """A job in a list."""
    return {
        "job_id": job.id,
        "status": job.status,
        "phase": job.phase,
        "model_type": job.model_type,
        "model_name": job.model_name,
        "service_id": job.service_id,
        "training_flow": job.training_flow,
        "detail": job.detail,
        "error": job.error,
        "progress": job.progress,
        "total_seconds": job.total_seconds,
        "created_by": job.created_by,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "version": job.version,
    }


def job_view(seen: SeenJob) -> dict[str, Any]:
    """A job with its result."""
    job = seen.job
    answer = job.answer or {}
    return {
        **job_summary(job),
        "result": _result(job.answer_body, str(answer.get("content_type", ""))),
        "result_status": answer.get("status"),
        "result_bytes": answer.get("bytes"),
        "result_kept": answer.get("kept"),
        "durable": seen.durable,
    }


def _result(body: str | None, content_type: str) -> Any:  # noqa: ANN401 (any JSON)
    if body is None or "json" not in content_type:
        return body
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
