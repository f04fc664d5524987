"""The phases of a job, and what follows from each: what may be sent, what must never be sent again. Pure.

    direct:    queued -> training_sent -> succeeded | failed | unknown
    prepared:  queued -> preparation_sent -> preparing -> prepared -> training_sent -> training -> succeeded | ...

A phase that ends in `_sent` is recorded before the request leaves. So a replica that takes a job over knows what may
have been sent, and never sends it again: it asks the service what became of it, or reports that this is unknown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Literal

from model_registry.entities.base import LONG_NAME_LENGTH
from model_registry.entities.model_service import TrainingFlow
from model_registry.entities.service_job import JobPhase, ServiceJob

Step = Literal["send_first", "follow_preparation", "start_training", "follow_training", "give_up", "none"]
"""What is done next with a job. `give_up`: what was sent cannot be found out about, so its outcome is unknown."""

Report = Literal["going_on", "done", "failed", "nothing"]
"""What a service says of a preparation or a training. `nothing`: it knows of none."""

UNSENT: Final[tuple[JobPhase, ...]] = ("queued", "preparation_sent", "preparing", "prepared")
"""Phases in which no training was sent: a job in one of them can be cancelled."""

_AFTER: Final[dict[JobPhase, Step]] = {
    "queued": "send_first",
    "preparation_sent": "follow_preparation",
    "preparing": "follow_preparation",
    "prepared": "start_training",
    "training_sent": "follow_training",
    "training": "follow_training",
}

_DONE: Final = frozenset({"ready", "completed", "complete", "succeeded", "success", "finished", "done", "trained"})
_FAILED: Final = frozenset({"failed", "error", "stopped", "cancelled", "canceled", "aborted"})
_NOTHING: Final = frozenset({"unknown", "not_found", "idle", "none"})
_NAME: Final = "model_name"


def next_step(job: ServiceJob) -> Step:
    """What to do with a job that this replica has just got, or has brought so far."""
    if job.training_flow == "direct" and job.phase in ("training_sent", "training"):
        return "give_up"  # its answer was bound to a connection that is gone
    return _AFTER.get(job.phase, "none")


def first_phase(flow: TrainingFlow) -> JobPhase:
    """The phase that is recorded before the first request of a job."""
    return "preparation_sent" if flow == "prepared" else "training_sent"


def unsent(job: ServiceJob) -> JobPhase:
    """The phase to return to when it is certain that the request about to be sent was not sent."""
    is_second = job.phase == "training_sent" and job.training_flow == "prepared"
    return "prepared" if is_second else "queued"


def report_of(reported: Mapping[str, Any]) -> Report:
    """What a status means, in whichever of the services' words."""
    word = str(reported.get("status", "")).strip().lower().replace(" ", "_").replace("-", "_")
    if word in _DONE:
        return "done"
    if word in _FAILED:
        return "failed"
    return "nothing" if word in _NOTHING else "going_on"


def preparation_phase(job: ServiceJob, report: Report) -> JobPhase:
    """The phase after a service reported on the preparation of a job's data.

    What an earlier preparation left may be what is ready, unless the service has confirmed this one. No training was
    sent, so every bad end is `failed`, never `unknown`.
    """
    if report == "going_on":
        return "preparing"
    return "prepared" if report == "done" and job.phase == "preparing" else "failed"


def training_phase(job: ServiceJob, report: Report) -> JobPhase:
    """The phase after a service reported on the training of a job.

    An end counts as this training's only if the service has confirmed it, or was seen at it.
    """
    if report == "going_on":
        return "training"
    if job.phase != "training" or report == "nothing":
        return "unknown"
    return "succeeded" if report == "done" else "failed"


def model_name(request: Mapping[str, Any], answer: Mapping[str, Any], model_type: str) -> str:
    """What the service calls the model that it trains, the `{m}` of its paths.

    Its own answer decides, then the request (`model_name`, or that of its `config`); a service that names none has one
    model, and goes by the model type.
    """
    config = request.get("config")
    for given in (answer, request, config if isinstance(config, Mapping) else {}):
        name = given.get(_NAME)
        if isinstance(name, str) and 0 < len(name) <= LONG_NAME_LENGTH and name.isprintable():
            return name
    return model_type
