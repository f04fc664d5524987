"""A job: a training that a model service was asked for, and that outlives the request for it: `service_jobs`."""

from __future__ import annotations

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from model_registry.entities.model_service import TrainingFlow

JobPhase = Literal[
    "queued",
    "preparation_sent",
    "preparing",
    "prepared",
    "training_sent",
    "training",
    "succeeded",
    "failed",
    "unknown",
    "cancelled",
]
JobStatus = Literal["queued", "running", "succeeded", "failed", "unknown", "cancelled"]

JOB_STATUSES: Final[tuple[JobStatus, ...]] = ("queued", "running", "succeeded", "failed", "unknown", "cancelled")
ENDED: Final[tuple[JobStatus, ...]] = ("succeeded", "failed", "unknown", "cancelled")

STATUS_OF: Final[dict[JobPhase, JobStatus]] = {
    "queued": "queued",
    "preparation_sent": "running",
    "preparing": "running",
    "prepared": "running",
    "training_sent": "running",
    "training": "running",
    "succeeded": "succeeded",
    "failed": "failed",
    "unknown": "unknown",
    "cancelled": "cancelled",
}
"""What callers see of each phase."""

MOST_REQUEST_BYTES: Final = 2**20
MOST_ANSWER_BYTES: Final = 2**20
MOST_PROGRESS_BYTES: Final = 16 * 2**10


class ServiceJob(BaseModel):
    """A job, at one moment."""

    model_config = ConfigDict(frozen=True, extra="ignore", protected_namespaces=())

    id: str
    model_type: str
    model_name: str | None = None
    phase: JobPhase = "queued"
    training_flow: TrainingFlow | None = None
    """None: no instance is chosen yet."""
    service_id: str | None = None
    """The instance that was asked."""
    request: str | None = None
    """The JSON object that the service gets. None: the job has ended."""
    total_seconds: float
    """For how long it may run, from its first request to a service on."""
    idempotency_key: str | None = None
    request_digest: str
    progress: dict[str, Any] | None = None
    detail: str | None = None
    """What it waits for, or what to do now."""
    error: dict[str, str] | None = None
    """`code` and `message`."""
    answer: dict[str, Any] | None = None
    """Of the service's last answer: `status`, `content_type`, `bytes`, `kept`."""
    answer_body: str | None = None
    created_by: str
    owner: str | None = None
    sender: str | None = None
    """The replica that sent the newest request to a service."""
    version: int = 1
    created_at: str | None = None
    started_at: str | None = None
    finished_at: str | None = None

    @property
    def status(self) -> JobStatus:
        """What callers see of its phase."""
        return STATUS_OF[self.phase]

    @property
    def ended(self) -> bool:
        """Whether it has come to an end, good or bad."""
        return self.status in ENDED
