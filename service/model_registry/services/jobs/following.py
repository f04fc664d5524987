"""Asks a service how far it is: with the preparation of data, and with a training. Nothing here starts anything.

A service that trains on its event loop answers nothing meanwhile: no answer is no failure. One that refuses
connections, or knows of no training, for a minute is gone.
"""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final
from urllib.parse import quote

import orjson

from model_registry.entities.base import json_problem
from model_registry.entities.server_sent_events import EventReader
from model_registry.entities.service_job import MOST_PROGRESS_BYTES, ServiceJob
from model_registry.errors import DispatchError, NoInstance, OutcomeUnknown, UpstreamFailed
from model_registry.services.dispatch.answer import Answer
from model_registry.services.dispatch.targets import Target
from model_registry.services.jobs.endings import ASK_AGAIN, end, gone, left, too_long, what_to_do
from model_registry.services.jobs.held import HeldJob
from model_registry.services.jobs.instances import target_of_job
from model_registry.services.jobs.pauses import Pauses
from model_registry.services.jobs.service_requests import Reply, ServiceRequests, is_good, whole
from model_registry.services.jobs.states import Report, model_name, preparation_phase, report_of, training_phase
from model_registry.store.registry import Registry

PREPARATION_STATUS: Final = "/data-preparation-status/"
TRAINING_STATUS: Final = "/training-status/"
_NOT_FOUND: Final = 404
_EVENTS: Final = b"text/event-stream"


class Following:
    """Asks services, for the jobs of one replica."""

    def __init__(self, registry: Registry, requests: ServiceRequests, pauses: Pauses) -> None:
        self._registry = registry
        self._requests = requests
        self._pauses = pauses

    async def preparation(self, held: HeldJob) -> None:
        """Ask until the data is ready, or cannot be any more: then nothing was trained, and the job has failed."""
        watch = _Watch(self._pauses)
        path = PREPARATION_STATUS + _named(held)
        while held.job.phase in {"preparation_sent", "preparing"}:
            target = target_of_job(self._registry.snapshot, held.job)
            if target is None or watch.is_gone():
                end(held, "failed", gone(held), ASK_AGAIN)
            elif left(held) <= 0:
                end(held, "failed", too_long(held, "was still preparing data"), ASK_AGAIN)
            elif not await self._ask_preparation(held, target, path, watch):
                await watch.pause()

    async def _ask_preparation(self, held: HeldJob, target: Target, path: str, watch: _Watch) -> bool:
        """Ask once; whether that brought the job on."""
        before = held.job.phase
        try:
            reply = await self._requests.get(held.job.model_type, target, path)
        except NoInstance as error:
            watch.refused()
            held.explain(f"The service does not accept connections: {error.message}")
        except (DispatchError, TimeoutError):
            held.explain("The service gives no answer; it may be busy preparing the data.")
        else:
            watch.answered()
            _take_preparation(held, reply)
        return held.job.phase != before

    async def training(self, held: HeldJob) -> None:
        """Read events until the training has ended, or what became of it cannot be learned: then that is unknown."""
        watch = _Watch(self._pauses)
        path = TRAINING_STATUS + _named(held)
        while held.job.phase in {"training_sent", "training"}:
            target = target_of_job(self._registry.snapshot, held.job)
            if target is None or watch.is_gone():
                end(held, "unknown", gone(held), what_to_do(held))
            elif left(held) <= 0:
                end(held, "unknown", too_long(held, "was still training"), what_to_do(held))
            else:
                await self._read_training(held, target, path, watch)
                if not held.job.ended:
                    await watch.pause()

    async def _read_training(self, held: HeldJob, target: Target, path: str, watch: _Watch) -> None:
        """One stream of events, to its end."""
        seconds = max(1.0, left(held))
        try:
            async with asyncio.timeout(seconds):
                with await self._requests.open(held.job.model_type, target, path, idle_seconds=seconds) as answer:
                    await self._take_stream(held, answer, watch)
        except NoInstance as error:
            watch.refused()
            held.explain(f"The service does not accept connections: {error.message}")
        except (DispatchError, TimeoutError, ValueError) as error:
            held.explain(f"The service broke off its reports of the training: {error}")

    async def _take_stream(self, held: HeldJob, answer: Answer, watch: _Watch) -> None:
        if not is_good(answer.status):
            if answer.status == _NOT_FOUND:
                _take_report(held, {}, "nothing", watch)
            else:
                held.explain(f"The service answers {answer.status} to the question how far it is.")
            return
        if not any(name == b"content-type" and value.startswith(_EVENTS) for name, value in answer.headers):
            fields = (await whole(answer)).fields
            _take_report(held, fields, report_of(fields), watch)
            return
        reader = EventReader()
        async for piece in answer.body():
            for event in reader.read(piece):
                fields = _object(event.data)
                if not _take_report(held, fields, report_of(fields), watch):
                    return


class _Watch:
    """For how long a service has been of no help."""

    def __init__(self, pauses: Pauses) -> None:
        self._pauses = pauses
        self._tries = 0
        self._since: float | None = None
        self._loop = asyncio.get_running_loop()

    def refused(self) -> None:
        """It refused a connection, or knows of nothing."""
        self._since = self._since or self._loop.time()

    def answered(self) -> None:
        """It is there."""
        self._since = None

    def is_gone(self) -> bool:
        """Whether it has been of no help for too long."""
        return self._since is not None and self._loop.time() - self._since >= self._pauses.gone

    async def pause(self) -> None:
        """Wait before the next question, longer each time."""
        await asyncio.sleep(self._pauses.after(self._tries))
        self._tries += 1


def _take_preparation(held: HeldJob, reply: Reply) -> None:
    if not reply.is_good and reply.status != _NOT_FOUND:
        held.explain(f"The service answers {reply.status} to the question how far it is.")
        return
    report: Report = "nothing" if reply.status == _NOT_FOUND else report_of(reply.fields)
    phase = preparation_phase(held.job, report)
    if phase == "failed":
        end(held, "failed", UpstreamFailed(_why_not_prepared(held.job, reply, report)), ASK_AGAIN)
    elif phase != held.job.phase or held.job.detail:
        held.change(phase=phase, detail=None)


def _why_not_prepared(job: ServiceJob, reply: Reply, report: Report) -> str:
    if report == "failed":
        return f"{job.service_id} could not prepare the data: {reply.fields.get('error') or 'it gives no reason'}."
    if report == "done":
        return f"{job.service_id} has data that is ready, but it may be that of an earlier job: its answer was lost."
    return f"{job.service_id} knows of no preparation of data for {job.model_name!r}: it may have been restarted."


def _take_report(held: HeldJob, fields: dict[str, Any], report: Report, watch: _Watch) -> bool:
    """Take what the service reports; False when there is no use in reading on."""
    if report == "nothing" and not watch.is_gone():
        watch.refused()  # right after the start it may not know of the training yet
        held.explain(f"The service reports no training of {held.job.model_name!r}.")
        return False
    watch.answered()
    phase = training_phase(held.job, report)
    progress = _progress(fields) if fields else held.job.progress
    if phase == "unknown":
        word = fields.get("status", "nothing")
        message = f"{held.job.service_id} reports {word!r}; whether that is this job's training is unknown."
        held.change(progress=progress)
        end(held, "unknown", OutcomeUnknown(message), what_to_do(held))
    elif phase == "failed":
        held.change(progress=progress)
        why = fields.get("error") or fields.get("progress_info") or "it gives no reason"
        end(held, "failed", UpstreamFailed(f"{held.job.service_id}: the training failed: {why}."))
    else:
        held.change(phase=phase, progress=progress, detail=None)
    return not held.job.ended


def _progress(fields: dict[str, Any]) -> dict[str, Any]:
    """What is kept of an event: all of it, unless the database cannot hold it."""
    problem = json_problem(fields)
    size = len(orjson.dumps(fields))
    if problem is None and size <= MOST_PROGRESS_BYTES:
        return fields
    return {"status": str(fields.get("status", ""))[:100].replace("\0", ""), "left_out": problem or f"{size:,} bytes"}


def _object(data: str) -> dict[str, Any]:
    try:
        content = orjson.loads(data)
    except orjson.JSONDecodeError:
        return {}
    return content if isinstance(content, dict) else {}


def _named(held: HeldJob) -> str:
    """What the service calls the model, for a path."""
    if held.job.model_name is None:
        held.change(model_name=model_name(json.loads(held.job.request or "{}"), {}, held.job.model_type))
    return quote(str(held.job.model_name), safe="")
