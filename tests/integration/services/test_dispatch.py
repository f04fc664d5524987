"""Requests that are passed on to model services, which are real processes."""

from __future__ import annotations

import json

from integration.services.conftest import StartStub
from support.dispatch import Dispatching


async def test_a_prediction_is_passed_on_without_the_fields_of_the_registry(
    registry: Dispatching, start_stub: StartStub
) -> None:
    stub = start_stub(scale=2.0)
    await registry.instance(await registry.service("LSTM"), "lstm-1", stub.url)

    answer = await registry.client.post("/predict", json={"model_type": "lstm", "data": [1.0, 2.5]})

    assert (answer.status_code, answer.json()) == (200, {"result": [2.0, 5.0]})
    assert answer.headers["x-registry-service"] == "lstm-1"
    assert answer.headers["x-registry-attempts"] == "1"
    assert float(answer.headers["x-registry-overhead-ms"]) >= 0
    assert json.loads(stub.seen().body) == {"data": [1.0, 2.5]}


async def test_another_instance_is_asked_when_one_is_gone(registry: Dispatching, start_stub: StartStub) -> None:
    gone, there = start_stub(), start_stub()
    service = await registry.service("LSTM")
    await registry.instance(service, "gone", gone.url)
    await registry.instance(service, "there", there.url)
    gone.kill()

    answers = [await registry.client.post("/predict", json={"model_type": "LSTM", "data": [1]}) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200] * 4
    assert {answer.headers["x-registry-service"] for answer in answers} == {"there"}
    assert max(answer.headers["x-registry-attempts"] for answer in answers) == "2"
