"""Brings a job from its phase to its end: the flows of trainings, `direct` and `prepared`.

Each request is recorded before it is sent, and sent once. What was sent is asked about, where the service answers that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from model_registry.entities.model_service import TrainingFlow
from model_registry.entities.service_capabilities import CAPABILITIES, TRAINING
from model_registry.errors import (
    NoInstance,
    NotFound,
    OutcomeUnknown,
    QueueFull,
    RegistryError,
    StorageError,
    UpstreamFailed,
    UpstreamTimeout,
)
from model_registry.services.directory import InstanceDirectory
from model_registry.services.dispatch.targets import Target
from model_registry.services.jobs.book import JobBook
from model_registry.services.jobs.endings import ASK_AGAIN, age, end, gone, left, refused, too_long, what_to_do
from model_registry.services.jobs.following import Following
from model_registry.services.jobs.held import HeldJob
from model_registry.services.jobs.instances import target_of_job, training_targets
from model_registry.services.jobs.pauses import Pauses
from model_registry.services.jobs.service_requests import Reply, ServiceRequests
from model_registry.services.jobs.states import Step, first_phase, model_name, next_step, report_of, unsent
from model_registry.store.registry import Registry

PREPARE: Final = "/get-training-data"
START: Final = "/start-training"
LONGEST_WAIT_SECONDS: Final = 24 * 3600.0
"""For an instance that can take a job; then it has failed."""
_PROXY_STATUSES: Final = frozenset({502, 504})
"""What a proxy in front of a service answers when it does not know what became of the request."""
_FROM_A_PROXY: Final = "A proxy in front of the service gave up waiting for it; the service is asked what it does."


class TrainingFlows:
    """Carries trainings out, for one replica."""

    def __init__(
        self,
        book: JobBook,
        registry: Registry,
        directory: InstanceDirectory,
        requests: ServiceRequests,
        pauses: Pauses,
    ) -> None:
        self._book = book
        self._registry = registry
        self._directory = directory
        self._requests = requests
        self._pauses = pauses
        following = Following(registry, requests, pauses)
        self._steps: dict[Step, Callable[[HeldJob], Awaitable[None]]] = {
            "send_first": self._send_first,
            "follow_preparation": following.preparation,
            "start_training": self._start_training,
            "follow_training": following.training,
            "give_up": _give_up,
        }

    async def carry_out(self, held: HeldJob) -> None:
        """Work on a job until it has ended. Errors: JobLost."""
        while not held.job.ended:
            await self._steps[next_step(held.job)](held)
            with contextlib.suppress(StorageError):
                await self._book.record(held)  # at once: who takes it over now goes on from here

    async def _send_first(self, held: HeldJob) -> None:
        """The first request of a job, as soon as an instance can take it."""
        tries = 0
        while held.job.phase == "queued":
            flow, targets = self._targets(held.job.model_type)
            path = PREPARE if flow == "prepared" else CAPABILITIES[TRAINING].path
            reply = await self._send(held, targets, path, flow)
            if reply is not None:
                _take_first(held, reply)
            elif _is_sent(held):
                return
            elif age(held.job.created_at) > LONGEST_WAIT_SECONDS:
                end(held, "failed", NoInstance("No instance could take the training within 24 hours."), ASK_AGAIN)
            else:
                await asyncio.sleep(self._pauses.after(tries))
                tries += 1

    async def _start_training(self, held: HeldJob) -> None:
        """The second request of a prepared training, to the instance that prepared its data."""
        tries = 0
        while held.job.phase == "prepared":
            target = target_of_job(self._registry.snapshot, held.job)
            if target is None:
                end(held, "failed", gone(held), ASK_AGAIN)
            elif left(held) <= 0:
                end(held, "failed", too_long(held, "had not taken the training"), ASK_AGAIN)
            elif (reply := await self._send(held, [target], START, "prepared")) is not None:
                _take_second(held, reply)
            elif not _is_sent(held):
                await asyncio.sleep(self._pauses.after(tries))
                tries += 1

    async def _send(self, held: HeldJob, targets: Sequence[Target], path: str, flow: TrainingFlow) -> Reply | None:
        """Send a request of a job. None: it was not sent, or there is no answer; the job's phase tells which."""

        async def about_to_send(target: Target) -> None:
            held.change(**_about(path, flow), service_id=target.key.partition(":")[2], sender=self._book.records.owner)
            await self._book.before_sending(held)

        seconds = left(held) if path == START else held.job.total_seconds
        body = (held.job.request or "{}").encode()
        before = held.job.phase
        try:
            return await self._requests.post(
                held.job.model_type, targets, path, body, seconds=max(1.0, seconds), about_to_send=about_to_send
            )
        except (NoInstance, QueueFull) as error:
            if held.job.phase != before:
                held.change(phase=unsent(held.job))
            held.explain(f"Waits for an instance. {error.message}")
            with contextlib.suppress(StorageError):
                await self._book.record(held)  # at once: who takes it over now may send it
        except (OutcomeUnknown, UpstreamFailed, UpstreamTimeout) as error:
            if flow == "direct":
                end(held, "unknown", error, what_to_do(held))
            else:
                held.explain(f"{error.message} The service is asked what it does.")
        except RegistryError as error:
            end(held, "failed", error)
        return None

    def _targets(self, model_type: str) -> tuple[TrainingFlow, Sequence[Target]]:
        try:
            return training_targets(self._registry.snapshot, self._directory, model_type)
        except NotFound:
            return "direct", ()  # its instances may be registered again in a moment


def _is_sent(held: HeldJob) -> bool:
    """Whether the request that was just tried may have reached the service, or the job has ended."""
    return held.job.phase not in {"queued", "prepared"}


async def _give_up(held: HeldJob) -> None:
    message = f"The training was sent to {held.job.service_id}, and the replica that waited for its answer is gone."
    end(held, "unknown", OutcomeUnknown(message), what_to_do(held))


def _about(path: str, flow: TrainingFlow) -> dict[str, Any]:
    """What is recorded before a request."""
    if path == START:
        return {"phase": "training_sent", "detail": None}
    now = datetime.now(UTC).isoformat()
    return {"phase": first_phase(flow), "training_flow": flow, "started_at": now, "detail": None}


def _take_first(held: HeldJob, reply: Reply) -> None:
    report, is_direct = report_of(reply.fields), held.job.training_flow == "direct"
    held.change(answer=reply.summary(), answer_body=reply.text())
    if not is_direct:
        request = json.loads(held.job.request or "{}")
        held.change(model_name=model_name(request, reply.fields, held.job.model_type))
    if reply.status in _PROXY_STATUSES and not is_direct:
        held.explain(_FROM_A_PROXY)
    elif reply.status in _PROXY_STATUSES:
        end(held, "unknown", refused(held, reply), what_to_do(held))
    elif not reply.is_good or report == "failed":
        end(held, "failed", refused(held, reply), None if is_direct else ASK_AGAIN)
    elif is_direct:
        held.change(phase="succeeded")
    else:
        held.change(phase="prepared" if report == "done" else "preparing")


def _take_second(held: HeldJob, reply: Reply) -> None:
    report = report_of(reply.fields)
    held.change(answer=reply.summary(), answer_body=reply.text())
    if reply.status in _PROXY_STATUSES:
        held.explain(_FROM_A_PROXY)
    elif not reply.is_good or report == "failed":
        end(held, "failed", refused(held, reply))
    else:
        held.change(phase="succeeded" if report == "done" else "training")
