"""Who may request a check, how many run at once, and when they end."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from starlette.requests import Request
from structlog.testing import capture_logs

from model_registry import app
from model_registry.api import check_slots
from model_registry.api.check_slots import CheckJob, CheckSlots
from model_registry.api.routes import health
from model_registry.errors import TooManyRequests
from model_registry.gateways.tensorzero.validation.validator_process import ValidatorProcess
from support.catalogue import add_mapping, add_model, add_provider, get, problem
from support.replica import Replica
from support.waiting import until

CHECK, STATUS = "/api/tensorzero/check", "/api/tensorzero/status"
JOB = CheckJob({"t.toml": b""}, None, gateway=False, ours=False)
LOCK = [sys.executable, "-c", "import sys; print(sys.stdin.readline() and sys.stdin.read())"]
"""Reads the project to check, and never responds."""


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> list[ValidatorProcess]:
    """Checks that never end by themselves; yields those that have begun."""
    begun: list[ValidatorProcess] = []

    def start(**options: Any) -> ValidatorProcess:
        begun.append(ValidatorProcess(command=LOCK, **options))
        return begun[-1]

    monkeypatch.setattr(check_slots, "ValidatorProcess", start)
    return begun


@pytest.fixture
async def slots() -> AsyncIterator[CheckSlots]:
    found = CheckSlots()
    yield found
    found.close()


def request(left: asyncio.Event | None = None) -> Request:
    """A request whose body was read, and whose caller disconnects on demand."""

    async def receive() -> dict[str, Any]:
        await (left or asyncio.Event()).wait()
        return {"type": "http.disconnect"}

    return Request({"type": "http", "headers": []}, receive)


async def running(begun: list[ValidatorProcess], number: int) -> list[Any]:
    """The processes, as soon as this many are running."""

    async def look() -> Any:
        found = [process.child.process for process in begun if process.child.process is not None]
        return found if len(found) >= number else None

    return list(await until(look))


async def test_where_there_are_keys_a_check_needs_one(replica: Replica) -> None:
    async with replica.anonymous() as anonymous:
        problem(await anonymous.post(CHECK, json={"files": {"t.toml": ""}}), 401, "E4010")
        assert (await anonymous.get(STATUS)).status_code == 200
    assert (await replica.client.post(CHECK, json={"files": {"t.toml": ""}})).status_code == 200


async def test_where_there_are_none_it_needs_none(start_replica: Any) -> None:
    replica = await start_replica(MODEL_REGISTRY_API_KEY=None)
    async with replica.anonymous() as anonymous:
        assert (await anonymous.post(CHECK, json={"files": {"t.toml": ""}})).status_code == 200


async def test_names_that_leave_the_project_are_faults_and_half_characters_too(replica: Replica) -> None:
    for name in ("/proc/self/environ", "../x", "", "a\0", "\ud800"):
        body = json.dumps({"files": {name: ""}, "configuration": [name]})
        answer = await replica.client.post(CHECK, content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in {200, 422}, (name, answer.text)
        assert answer.status_code == 422 or answer.json()["faults"]


async def test_a_caller_has_at_most_two_checks_and_learns_when_to_retry(
    replica: Replica, hanging: list[ValidatorProcess]
) -> None:
    first = [asyncio.create_task(replica.client.post(CHECK, json={"files": {"t.toml": ""}})) for _ in range(2)]
    await running(hanging, 2)
    refused = await replica.client.post(CHECK, json={"files": {"t.toml": ""}})

    problem(refused, 429, "E4290")
    assert int(refused.headers["retry-after"]) > 0
    replica.state.release()
    assert [(await task).status_code for task in first] == [200, 200]


async def test_all_callers_together_have_a_limit(slots: CheckSlots, hanging: list[ValidatorProcess]) -> None:
    tasks = [
        asyncio.create_task(slots.check(request(), f"caller {number}", JOB)) for number in range(check_slots.IN_ALL)
    ]
    await running(hanging, check_slots.AT_ONCE)
    with pytest.raises(TooManyRequests):
        await slots.check(request(), "one more", JOB)

    assert len([process for process in hanging if process.child.process]) == check_slots.AT_ONCE
    slots.close()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert len([end for end in ended if isinstance(end, TooManyRequests)]) == len(tasks) - check_slots.AT_ONCE


async def test_a_check_ends_when_its_caller_leaves(slots: CheckSlots, hanging: list[ValidatorProcess]) -> None:
    left = asyncio.Event()
    task = asyncio.create_task(slots.check(request(left), "caller", JOB))
    (process,) = await running(hanging, 1)
    left.set()

    assert await task is None
    assert await asyncio.to_thread(process.wait, 10) < 0
    again = asyncio.create_task(slots.check(request(left), "caller", JOB))  # its place is free
    assert await again is None


async def test_a_check_ends_when_its_request_is_cancelled(slots: CheckSlots, hanging: list[ValidatorProcess]) -> None:
    task = asyncio.create_task(slots.check(request(), "caller", JOB))
    (process,) = await running(hanging, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await asyncio.to_thread(process.wait, 10) < 0


async def test_a_check_has_a_deadline(
    slots: CheckSlots, hanging: list[ValidatorProcess], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_slots, "SECONDS", 0.1)
    findings = await slots.check(request(), "caller", JOB)
    assert findings is not None
    assert "hangs" in findings.faults[0].message
    assert hanging


async def test_checks_of_callers_never_hold_up_what_goes_out(replica: Replica, hanging: list[ValidatorProcess]) -> None:
    tasks = [asyncio.create_task(replica.client.post(CHECK, json={"files": {"t.toml": ""}})) for _ in range(2)]
    await running(hanging, 2)
    await add_provider(replica.client)
    await add_model(replica.client, "good")
    await add_mapping(replica.client, "agents/chat/main", "good")

    assert "[models.good]" in (await replica.client.get("/api/tensorzero/config")).text
    replica.state.release()
    await asyncio.gather(*tasks)


async def test_a_kernel_without_walls_is_reported_and_the_service_stays_ready(
    start_replica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (app, health):
        monkeypatch.setattr(module, "missing_walls", lambda: ("files of this machine",))
    with capture_logs() as lines:
        replica = await start_replica()
    ready = await replica.client.get("/readyz")

    part = ready.json()["dependencies"]["confinement"]
    assert (ready.status_code, ready.json()["status"], part["status"]) == (200, "ready", "warning")
    assert "files of this machine" in part["detail"]
    assert [line["missing"] for line in lines if "NOT SHUT IN" in line["event"]] == [("files of this machine",)]


async def test_a_schema_of_the_registrys_own_project_opens_nothing_and_says_so(
    replica: Replica, database: psycopg.Connection, tmp_path: Any
) -> None:
    secret = tmp_path / "secrets.json"
    secret.write_text('{"api_key": "sk-canary-of-the-host"}')
    schema = json.dumps({"$ref": f"file://{secret}#/api_key"})
    database.execute("insert into config_files (path, content) values ('s.json', %s)", (schema,))
    database.execute(
        "insert into config_sections (name, value) values ('tools', %s)",
        (json.dumps({"t": {"description": "d", "parameters": "s.json"}}),),
    )
    await replica.client.get("/api/models", headers={"Cache-Control": "no-cache"})

    async def refused() -> Any:
        return (await get(replica.client, STATUS))["refused"]

    status = await until(refused)
    assert status["reasons"][0]["where"] == "tools.t.parameters"
    assert "leads out of this schema" in status["reasons"][0]["message"]
    assert "sk-canary" not in json.dumps(status)
