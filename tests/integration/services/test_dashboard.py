"""Where the dashboard of the model manager looks: answered as its documents say, whatever the services do."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from integration.services.conftest import StartStub
from support.dispatch import Dispatching
from support.jobs import ASYNC, events_of, reached, with_instance
from support.waiting import until


async def test_health_says_running_while_the_database_is_away(registry: Dispatching, stack: Any) -> None:
    stack.postgrest.kill()
    try:
        answer = await registry.replica.anonymous().get("/health")
    finally:
        await asyncio.to_thread(stack.postgrest.start)

    assert (answer.status_code, answer.json()["status"]) == (200, "running")


async def test_a_type_runs_while_an_instance_gets_requests(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub()
    await with_instance(registry, stub.url, health={})

    async def running() -> dict[str, Any] | None:
        view: dict[str, Any] = (await registry.client.get("/status/lstm")).json()
        return view if view["running"] else None

    view = await until(running)
    assert view is not None
    assert (view["model_type"], view["instances"][0]["service_id"]) == ("LSTM", "lstm-1")
    stub.kill()

    async def stopped() -> bool:
        return not (await registry.client.get("/status/lstm")).json()["running"]

    assert await until(stopped)
    assert (await registry.client.get("/status/gru")).status_code == 404


async def test_a_key_that_is_limited_to_other_types_does_not_see_a_type(registry: Dispatching) -> None:
    for kind in ("LSTM", "GRU"):
        await registry.instance(await registry.service(kind), kind, "http://127.0.0.1:9/")

    async def status(path: str, secret: str) -> int:
        return (await registry.client.get(path, headers={"authorization": f"Bearer {secret}"})).status_code

    limited = await registry.key("dispatch", services=["lstm"])
    assert await status("/status/LSTM", limited) == 200
    assert await status("/status/GRU", limited) == 403
    assert await status("/status/nobody", limited) == 403, "nor whether it exists"
    assert await status("/services/LSTM", limited) == 200
    assert await status("/services/GRU", limited) == 403
    assert await status("/services/GRU/health", limited) == 403
    assert await status("/services?model_type=GRU", limited) == 403
    listed = (await registry.client.get("/services", headers={"authorization": f"Bearer {limited}"})).json()
    assert [instance["service_id"] for instance in listed["items"]] == ["LSTM"]
    assert await status("/status/GRU", await registry.key("read")) == 200


async def test_train_model_prepares_data_before_it_trains(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(training_seconds=0.1)
    await with_instance(registry, stub.url, training_flow="prepared")

    answer = await registry.client.post("/train_model", json={"config": {"epochs": 1}})

    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded"), answer.text
    paths = [call["path"] for call in stub.seen().calls]
    assert paths.index("/get-training-data") < paths.index("/start-training")


async def test_train_model_names_the_types_where_several_may_be_meant(registry: Dispatching) -> None:
    for kind in ("LSTM", "GRU"):
        await registry.instance(await registry.service(kind), kind, "http://127.0.0.1:9/")

    answer = await registry.client.post("/train_model", json={"config": {}})

    assert (answer.status_code, "GRU, LSTM" in answer.json()["detail"].replace("'", "")) == (422, True), answer.text
    unknown = await registry.client.post("/train_model", json={"model_type": "LSTN"})
    assert (unknown.status_code, "LSTM" in unknown.json()["detail"]) == (404, True)


@pytest.mark.parametrize("blocks", [False, True])
async def test_the_events_of_a_training_reach_the_caller(
    registry: Dispatching, start_stub: StartStub, *, blocks: bool
) -> None:
    """Also of a service whose event loop is blocked by the training: the stream begins all the same."""
    stub = start_stub(training_seconds=3.0 if blocks else 0.5, training_blocks=blocks, epochs=1 if blocks else 3)
    await with_instance(registry, stub.url, training_flow="prepared")
    begun = await registry.client.post("/train_model", json={}, headers=ASYNC)
    await reached(registry, begun.json()["job_id"], "training")

    async with registry.client.stream("GET", "/training-status/LSTM?model_type=lstm") as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        text = "".join([piece async for piece in answer.aiter_text()])

    events = events_of(text)
    assert {event.name for event in events} == {"training_status"}
    last = json.loads(events[-1].data)
    assert last["status"] == "completed"
    assert last.keys() >= {"current_epoch", "current_loss", "validation_loss", "epoch_progress", "progress_info"}


async def test_a_stream_that_cannot_begin_is_an_error(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub()
    service = await registry.service("LSTM")
    await registry.instance(service, "lstm-1", stub.url)
    await registry.instance(service, "lstm-2", stub.url)
    stub.kill()

    async def status(query: str) -> int:
        return (await registry.client.get(f"/training-status/m?{query}")).status_code

    assert await status("model_type=LSTM") == 422, "which instance?"
    assert await status("model_type=LSTM&service_id=lstm-3") == 404
    assert await status("model_type=LSTM&service_id=lstm-1") == 503
    assert await status("modeltype=LSTM") == 422
    assert (await registry.replica.anonymous().get("/training-status/m")).status_code == 401


async def test_who_leaves_a_stream_ends_it_at_the_service(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(training_seconds=30, training_blocks=False)
    await with_instance(registry, stub.url)
    for _ in range(3):
        async with registry.client.stream("GET", "/training-status/m") as answer:
            await anext(answer.aiter_bytes())

    async def left() -> bool:
        return await asyncio.to_thread(lambda: stub.seen().in_flight) == 0

    assert await until(left)
