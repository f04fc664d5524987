"""Versions are switched, and instances drained and retired, while requests run: none is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from support.model_services import StubModelService
from support.replica import Replica
from support.waiting import until

ASK = {"model_type": "LSTM", "data": [1.0]}


@pytest.fixture
def stubs() -> Iterator[dict[str, StubModelService]]:
    """v1 answers what it is given, v2 twice that."""
    with StubModelService(scale=1.0) as one, StubModelService(scale=2.0) as two:
        yield {"v1": one, "v2": two}


async def register(replica: Replica, stubs: dict[str, StubModelService]) -> None:
    for version, stub in stubs.items():
        body = {
            "service_id": version,
            "service_url": stub.url,
            "model_type": "LSTM",
            "capabilities": ["prediction"],
            "version": version,
            "health": {"check": "none"},
        }
        answer = await replica.client.post("/services/register", json=body)
        assert answer.status_code == 201, answer.text


async def predict(replica: Replica, **more: Any) -> float:
    answer = await replica.client.post("/predict", json={**ASK, **more})
    assert answer.status_code == 200, answer.text
    result: float = answer.json()["result"][0]
    return result


async def test_a_switch_of_the_version_loses_no_request(replica: Replica, stubs: dict[str, StubModelService]) -> None:
    await register(replica, stubs)
    assert {await predict(replica) for _ in range(4)} == {2.0}, "the newest"
    assert await predict(replica, model_version="v1") == 1.0
    answers: list[float] = []

    async def ask_on() -> None:
        while len(answers) < 200 or answers[-1] != 1.0:
            answers.append(await predict(replica, model_version="latest"))

    async with asyncio.TaskGroup() as group:
        for _ in range(4):
            group.create_task(ask_on())
        await until(lambda: _enough(answers, 100))
        switched = await replica.client.patch("/api/model-services/LSTM", json={"selected_version": "v1"})
        assert switched.status_code == 200

    assert set(answers) == {1.0, 2.0}
    assert await predict(replica) == 1.0


async def test_drained_and_retired_with_requests_in_flight(
    replica: Replica, stubs: dict[str, StubModelService], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_registry.services.liveness.RETIRED_SECONDS", 0.2)
    await register(replica, {"v1": stubs["v1"]})
    stubs["v1"].set(seconds=3.0)
    running = asyncio.create_task(predict(replica))

    async def in_flight() -> bool:
        return bool((await replica.client.get("/services/v1")).json()["in_flight"] == 1)

    await until(in_flight)
    retired = (await replica.client.post("/services/v1/retire")).json()
    assert (retired["state"], retired["in_flight"]) == ("retired", 1)
    refused = await replica.client.post("/predict", json=ASK)
    assert refused.status_code == 503, refused.text

    assert await running == 1.0

    async def gone() -> bool:
        return (await replica.client.get("/services/v1")).status_code == 404

    await until(gone)


async def _enough(answers: list[float], number: int) -> bool:
    return len(answers) >= number
