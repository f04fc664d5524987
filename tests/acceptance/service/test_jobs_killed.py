"""The registry is killed (SIGKILL) at each step of a job: it is carried out at most once, and its end is true."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from support.model_services import StubModelService
from support.processes import Service, StartService, wait_until

pytestmark = pytest.mark.long

ASYNC = {"Prefer": "respond-async"}


def view_of(service: Service, job_id: str) -> dict[str, Any]:
    answer = service.client.get(f"/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


def reach(service: Service, job_id: str, is_so: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """Wait until the job is so, as this service shows it."""

    def look() -> dict[str, Any] | None:
        view = view_of(service, job_id)
        return view if is_so(view) else None

    view = wait_until(look)
    assert view is not None
    return view


@pytest.mark.parametrize(
    ("flow", "phase", "status"),
    [
        ("direct", "queued", "succeeded"),
        ("direct", "training_sent", "unknown"),
        ("prepared", "preparing", "succeeded"),
        ("prepared", "training_sent", "succeeded"),
    ],
)
def test_a_killed_registry_leaves_a_job_that_another_brings_to_a_true_end(
    start_service: StartService, database: psycopg.Connection, flow: str, phase: str, status: str
) -> None:
    killed, other = start_service(), start_service()
    # In `training_sent`, no answer has come yet: of the whole training, or that the training has begun.
    faults: dict[str, Any] = {"training_seconds": 30.0 if status == "unknown" else 1.0, "preparation_seconds": 2.0}
    if (flow, phase) == ("prepared", "training_sent"):
        faults = {"training_seconds": 4.0, "preparation_seconds": 0.0, "seconds": 30.0}
    with StubModelService(**faults, training_blocks=False) as stub:
        instance: dict[str, Any] = {"training_flow": flow, "capabilities": ["training"]}
        instance |= {"service_id": "lstm-1", "service_url": stub.url, "model_type": "LSTM"}
        if phase == "queued":  # until the instance is back, nothing can be sent
            assert killed.client.post("/api/model-services", json={"model_type": "LSTM"}).status_code == 201
        else:
            assert killed.client.post("/services/register", json=instance).status_code == 201
        job_id = killed.client.post("/train", json={"model_type": "LSTM", "config": {}}, headers=ASYNC).json()["job_id"]
        reach(killed, job_id, lambda view: bool(view["phase"] == phase))
        recorded = "select count(*) from service_jobs where phase = %s"
        wait_until(lambda: database.execute(recorded, [phase]).fetchone() == (1,))

        if phase == "training_sent":  # recorded first, and then sent
            path = "/train" if flow == "direct" else "/start-training"
            wait_until(lambda: stub.seen().paths[path] == 1)

        killed.program.stop(signal.SIGKILL)
        assert other.client.get("/services", headers={"Cache-Control": "no-cache"}).status_code == 200
        if phase == "queued":
            assert other.client.post("/services/register", json=instance).status_code == 201
        database.execute("update service_jobs set lease_until = now() - interval '1 second'")  # it takes 15 s
        view = reach(other, job_id, lambda view: bool(view["finished_at"]))

        assert view["status"] == status, json.dumps(view)
        paths = stub.seen().paths
        first = "/train" if flow == "direct" else "/get-training-data"
        assert (paths[first], paths["/start-training"]) == (1, int(flow == "prepared"))
        assert ("never sends a training twice" in (view["detail"] or "")) == (status == "unknown")
