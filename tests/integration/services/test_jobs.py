"""Trainings as jobs, at model services that are real processes and count what they carry out."""

from __future__ import annotations

from typing import Any

import pytest

from integration.services.conftest import StartStub
from support.dispatch import Dispatching
from support.waiting import until

ASYNC = {"Prefer": "respond-async"}


async def begin(registry: Dispatching, **more: Any) -> str:
    """Begin a training, and return its job's id."""
    body = {"model_type": "LSTM", "config": {"epochs": 2}, **more}
    answer = await registry.client.post("/train", json=body, headers=ASYNC)
    assert answer.status_code == 202, answer.text
    assert answer.headers["preference-applied"] == "respond-async"
    job_id: str = answer.json()["job_id"]
    assert answer.headers["location"] == f"/jobs/{job_id}"
    return job_id


async def job(registry: Dispatching, job_id: str) -> dict[str, Any]:
    answer = await registry.client.get(f"/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    view: dict[str, Any] = answer.json()
    return view


async def ended(registry: Dispatching, job_id: str) -> dict[str, Any]:
    """The job at its end."""

    async def look() -> dict[str, Any] | None:
        view = await job(registry, job_id)
        return view if view["finished_at"] else None

    view = await until(look)
    assert view is not None
    return view


async def reached(registry: Dispatching, job_id: str, *phases: str) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        view = await job(registry, job_id)
        return view if view["phase"] in phases else None

    view = await until(look)
    assert view is not None
    return view


async def with_instance(registry: Dispatching, url: str, **fields: Any) -> None:
    await registry.instance(await registry.service("LSTM"), "lstm-1", url, **fields)


async def test_a_training_returns_at_once_and_its_result_is_kept(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(training_seconds=0.2)
    await with_instance(registry, stub.url)

    view = await ended(registry, await begin(registry))

    assert (view["status"], view["service_id"], view["result_status"]) == ("succeeded", "lstm-1", 200)
    assert view["result"]["status"] == "completed"
    assert stub.seen().paths["/train"] == 1
    assert stub.seen().body == '{"config":{"epochs":2}}'


async def test_data_is_prepared_before_training_begins(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(training_seconds=0.3, preparation_seconds=0.2, epochs=3)
    await with_instance(registry, stub.url, training_flow="prepared")

    view = await ended(registry, await begin(registry, model_name="close"))

    assert (view["status"], view["model_name"]) == ("succeeded", "close")
    assert view["progress"]["status"] == "completed"
    seen = stub.seen()
    assert (seen.paths["/get-training-data"], seen.paths["/start-training"], seen.paths["/train"]) == (1, 1, 0)
    order = [call["path"] for call in seen.calls]
    assert order.index("/get-training-data") < order.index("/data-preparation-status/close")
    assert order.index("/data-preparation-status/close") < order.index("/start-training")


async def test_prepared_data_is_waited_for_without_a_preference_too(
    registry: Dispatching, start_stub: StartStub
) -> None:
    stub = start_stub(training_seconds=0.1)
    await with_instance(registry, stub.url, training_flow="prepared")

    answer = await registry.client.post("/train", json={"model_type": "LSTM", "config": {}})

    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded"), answer.text


@pytest.mark.parametrize(
    ("faults", "flow", "status", "words"),
    [
        ({"training_fails": True}, "direct", "failed", "answered 500"),
        ({"preparation_fails": True}, "prepared", "failed", "no data"),
        ({"training_fails": True}, "prepared", "failed", "the training failed"),
        ({"mode": "error"}, "prepared", "failed", "answered 500"),
        ({"mode": "close_early"}, "direct", "unknown", "gave no answer"),
    ],
)
async def test_each_step_fails_clearly(
    registry: Dispatching, start_stub: StartStub, faults: dict[str, Any], flow: str, status: str, words: str
) -> None:
    stub = start_stub(training_seconds=0.1, **faults)
    await with_instance(registry, stub.url, training_flow=flow)

    view = await ended(registry, await begin(registry))

    assert view["status"] == status
    assert words in view["error"]["message"]
    assert bool(view["detail"]) == (status == "unknown" or "train" not in words)
    assert stub.seen().paths["/train"] + stub.seen().paths["/get-training-data"] == 1
