"""Trainings as jobs: begun, looked up, cancelled; and the events of one, followed to its end. Nothing is sent here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import httpx

from model_registry.client.core import Core
from model_registry.client.requests import Call, Json, error_of, json_object, operation, quoted
from model_registry.client.retries import RetryPolicy
from model_registry.entities.server_sent_events import EventReader
from model_registry.entities.service_job import ENDED
from model_registry.errors import RegistryUnreachable

_IDLE_SECONDS = 60.0
"""Longest silence of a stream: the registry sends something every 15 s."""


class JobOperations:
    """What a client can do with jobs."""

    @operation
    def train(
        self, model_type: str, fields: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
    ) -> Call[Json]:
        """Begin a training as a job: `fields` is what the service gets. Returns the job at once.

        With an `idempotency_key` it is safe to call again, however the first call ended: the job is the same.
        Errors: NotFound, NotAllowed, RepeatedRequest.
        """
        headers = {"Prefer": "respond-async"} | ({"Idempotency-Key": idempotency_key} if idempotency_key else {})
        body = {**(fields or {}), "model_type": model_type}
        return Call("POST", "/train", json_object, body=body, headers=headers, repeatable=idempotency_key is not None)

    @operation
    def list_jobs(
        self,
        *,
        status: str | None = None,
        model_type: str | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Call[list[Json]]:
        """List jobs, the newest first. Errors: Invalid, for an unknown status."""
        filters = {"status": status, "model_type": model_type, "limit": limit, "offset": offset}
        return Call("GET", "/jobs", lambda content: list(json_object(content)["items"]), filters)

    @operation
    def get_job(self, job_id: str) -> Call[Json]:
        """Get a job. Errors: NotFound."""
        return Call("GET", f"/jobs/{quoted(job_id)}", json_object)

    @operation
    def cancel_job(self, job_id: str) -> Call[Json]:
        """Cancel a job whose training was not sent. Errors: NotFound; Conflict when it was."""
        return Call("DELETE", f"/jobs/{quoted(job_id)}", json_object)


class JobFollower:
    """Reads the events of one job, over as many connections as it takes."""

    def __init__(self, core: Core, job_id: str, patience: RetryPolicy) -> None:
        self._core = core
        self._path = f"/jobs/{quoted(job_id)}/events"
        self._patience = patience
        self._job: Json = {}
        self._last_id: str | None = None
        self._failures = 0
        self._events = EventReader()

    @property
    def ended(self) -> bool:
        """Whether the job has come to its end."""
        return self._job.get("status") in ENDED

    def request(self) -> httpx.Request:
        """Ask for the events from where the last connection ended."""
        headers = {} if self._last_id is None else {"Last-Event-ID": self._last_id}
        self._events = EventReader()
        return self._core.stream_request(Call("GET", self._path, json_object, headers=headers), _IDLE_SECONDS)

    def jobs(self, piece: bytes) -> Iterator[Json]:
        """The job after each event that ends in this piece of the stream."""
        for event in self._events.read(piece):
            self._failures = 0
            self._last_id = event.id
            self._job = {**self._job, **json.loads(event.data)}
            yield self._job

    def pause(self, problem: httpx.HTTPError | httpx.Response | None) -> float:
        """Seconds until the next connection. Errors: what the registry answered; RegistryUnreachable, in the end."""
        if isinstance(problem, httpx.Response) and problem.status_code < 500:  # noqa: PLR2004
            raise error_of(problem)
        self._failures += 1
        if self._failures >= self._patience.attempts:
            if isinstance(problem, httpx.Response):
                raise error_of(problem)
            raise RegistryUnreachable(
                f"The events of the job broke off: {problem or 'the stream ends again and again'}"
            )
        return float(min(self._patience.first_pause * 2**self._failures, self._patience.longest_pause))
