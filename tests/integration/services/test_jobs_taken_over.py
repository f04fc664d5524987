"""Jobs of replicas that were killed or stopped, or that the database has left: sent once, and their end is true."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import dataclass
from typing import Any

import httpx
import psycopg
import pytest

from integration.services.conftest import StartStub
from support.dispatch import Dispatching, dispatching
from support.jobs import begin, ended, events_of, job, reached, with_instance
from support.replica import running_replica
from support.waiting import until


@dataclass(frozen=True)
class Left:
    """What a killed replica left of a job, and what is to become of it."""

    phase: str
    status: str
    sent: dict[str, int]
    """Path -> how often it is sent after that."""
    flow: str = "prepared"
    trained_before: bool = False
    """Whether the service reports a training that has ended."""


LEFT = [
    Left("queued", "succeeded", {"/train": 1}, flow="direct"),
    Left("training_sent", "unknown", {"/train": 0}, flow="direct"),
    Left("preparation_sent", "failed", {"/get-training-data": 0, "/start-training": 0}),
    Left("prepared", "succeeded", {"/get-training-data": 0, "/start-training": 1}),
    Left("training_sent", "unknown", {"/start-training": 0}, trained_before=True),
    Left("training", "succeeded", {"/start-training": 0}, trained_before=True),
]


@pytest.mark.parametrize("left", LEFT, ids=lambda left: f"{left.flow}-{left.phase}")
async def test_what_a_killed_replica_left_is_finished_and_nothing_sent_again(
    registry: Dispatching, start_stub: StartStub, database: psycopg.Connection, left: Left
) -> None:
    stub = start_stub(training_seconds=0.1)
    if left.trained_before:
        async with httpx.AsyncClient(trust_env=False) as client:
            (await client.post(f"{stub.url}/train", json={})).raise_for_status()
    before = stub.seen().paths
    await with_instance(registry, stub.url, training_flow=left.flow)
    job_id = str(uuid.uuid4())
    database.execute(
        """insert into service_jobs (
            id, model_type, model_name, phase, training_flow, service_id, request, total_seconds, request_digest,
            created_by, owner, sender, lease_until, started_at)
        values (%s, 'LSTM', 'LSTM', %s, %s, 'lstm-1', '{}', 60, 'd', 'c', 'killed', 'killed', now(), now())""",
        [job_id, left.phase, None if left.phase == "queued" else left.flow],
    )

    view = await ended(registry, job_id)

    assert view["status"] == left.status, view
    paths = stub.seen().paths
    assert {path: paths[path] - before[path] for path in left.sent} == left.sent
    assert (view["detail"] is None) == (left.status == "succeeded")


async def test_two_replicas_show_one_job_and_send_it_once(
    registry: Dispatching, start_replica: Any, start_stub: StartStub
) -> None:
    stub = start_stub(training_seconds=0.5)
    await with_instance(registry, stub.url)
    async with dispatching(await start_replica()) as other:
        job_id = await begin(registry)
        elsewhere = await other.client.get(f"/jobs/{job_id}/events")
        assert (await job(other, job_id))["result"] == (await ended(registry, job_id))["result"]

    assert [json.loads(event.data)["status"] for event in events_of(elsewhere.text)][-1] == "succeeded"
    assert stub.seen().paths["/train"] == 1


async def test_a_replica_that_lost_its_lease_still_reports_what_it_sent(
    registry: Dispatching, start_stub: StartStub, database: psycopg.Connection
) -> None:
    stub = start_stub(training_seconds=1.0)
    await with_instance(registry, stub.url)
    job_id = await begin(registry)
    await reached(registry, job_id, "training_sent")
    database.execute(
        "update service_jobs set owner = 'another', phase = 'unknown', finished_at = now(), lease_until = null"
    )

    async def succeeded() -> bool:
        return bool((await job(registry, job_id))["status"] == "succeeded")

    assert await until(succeeded)
    assert database.execute("select phase from service_jobs").fetchone() == ("succeeded",)
    assert stub.seen().paths["/train"] == 1


async def test_a_training_goes_on_while_the_database_is_away_and_a_new_one_begins(
    registry: Dispatching, start_stub: StartStub, stack: Any
) -> None:
    stub = start_stub(training_seconds=1.5, training_blocks=False)
    await with_instance(registry, stub.url)
    first = await begin(registry)
    await reached(registry, first, "training_sent")
    stack.postgres.kill()
    try:

        async def known_to_be_away() -> bool:
            return registry.replica.state.registry.last_error is not None

        await until(known_to_be_away)
        second = await begin(registry)
        assert not (await job(registry, second))["durable"]
        assert [(await ended(registry, one))["status"] for one in (first, second)] == ["succeeded"] * 2
        listed = (await registry.client.get("/jobs")).json()
        assert {item["job_id"] for item in listed["items"]} >= {second}
        assert not listed["complete"]
    finally:
        await asyncio.to_thread(stack.postgres.start)

    async def recorded() -> bool:
        return all([(await job(registry, one))["durable"] for one in (first, second)])

    assert await until(recorded)
    with psycopg.connect(stack.environment()["DATABASE_URL"]) as connection:
        rows = connection.execute("select id::text, phase from model_registry.service_jobs").fetchall()
    assert dict(rows) == {first: "succeeded", second: "succeeded"}
    assert stub.seen().paths["/train"] == 2


async def test_a_stopped_replica_leaves_no_job_that_waits_for_ever(
    environment: dict[str, Any], start_stub: StartStub, database: psycopg.Connection
) -> None:
    stub = start_stub(training_seconds=30, training_blocks=False)
    async with running_replica(environment) as replica, dispatching(replica) as registry:
        await with_instance(registry, stub.url)
        sent = await begin(registry)
        await reached(registry, sent, "training_sent")
        await registry.service("GRU")
        waiting = await begin(registry, model_type="GRU")

    rows = database.execute("select id::text, phase, lease_until from service_jobs").fetchall()
    assert {row[0]: row[1:] for row in rows} == {sent: ("unknown", None), waiting: ("queued", None)}
