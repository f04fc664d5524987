"""How jobs end badly: the reason, in which phase, and what to do now."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import quote

from model_registry.entities.service_job import JobPhase
from model_registry.errors import DeadlineExceeded, RegistryError, UpstreamFailed
from model_registry.services.jobs.held import HeldJob, storable
from model_registry.services.jobs.service_requests import Reply

ASK_AGAIN = "Nothing was trained; ask again."


def end(held: HeldJob, phase: JobPhase, error: RegistryError, detail: str | None = None) -> None:
    """End a job badly, with the reason and what to do."""
    held.change(phase=phase, error={"code": error.code, "message": storable(error.message)}, detail=detail)


def age(at: str | None) -> float:
    """Seconds since a time; 0 when there is none."""
    return (datetime.now(UTC) - datetime.fromisoformat(at)).total_seconds() if at else 0.0


def left(held: HeldJob) -> float:
    """Seconds that a job may still take."""
    return held.job.total_seconds - age(held.job.started_at)


def refused(held: HeldJob, reply: Reply) -> UpstreamFailed:
    """The service answered, and not well."""
    return UpstreamFailed(f"{held.job.service_id} answered {reply.status}: see the job's result.")


def gone(held: HeldJob) -> UpstreamFailed:
    """The instance cannot be asked any more."""
    return UpstreamFailed(f"{held.job.service_id} is given up. {held.job.detail or 'It is not registered any more.'}")


def too_long(held: HeldJob, doing: str) -> DeadlineExceeded:
    """The time of the job is over."""
    return DeadlineExceeded(f"{held.job.service_id} {doing} when the job's {held.job.total_seconds:g} s were over.")


def what_to_do(held: HeldJob) -> str:
    """Of a job whose outcome is unknown."""
    where = f"/dispatch/{quote(held.job.model_type, safe='')}/training/models"
    return (
        f"Look at the models of {held.job.service_id} (GET {where}): one trained after {held.job.started_at} is this "
        "job's result. If there is none, ask again. The registry never sends a training twice."
    )
