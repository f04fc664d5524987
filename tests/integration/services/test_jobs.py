"""Trainings as jobs, at model services that are real processes and count what they carry out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from integration.services.conftest import StartStub
from model_registry.entities.api_key import hash_of
from support.dispatch import Dispatching
from support.jobs import ASYNC, begin, ended, events_of, job, reached, with_instance
from support.waiting import until


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
    ("faults", "flow", "end"),
    [
        ({"training_fails": True}, "direct", ("failed", "answered 500", False)),
        ({"preparation_fails": True}, "prepared", ("failed", "no data", True)),
        ({"training_fails": True}, "prepared", ("failed", "the training failed", False)),
        ({"mode": "error"}, "prepared", ("failed", "answered 500", True)),
        ({"mode": "close_early"}, "direct", ("unknown", "gave no answer", True)),
    ],
)
async def test_each_step_fails_clearly(
    registry: Dispatching, start_stub: StartStub, faults: dict[str, Any], flow: str, end: tuple[str, str, bool]
) -> None:
    status, words, says_what_to_do = end
    stub = start_stub(training_seconds=0.1, **faults)
    await with_instance(registry, stub.url, training_flow=flow)

    view = await ended(registry, await begin(registry))

    assert (view["status"], bool(view["detail"])) == (status, says_what_to_do)
    assert words in view["error"]["message"]
    assert stub.seen().paths["/train"] + stub.seen().paths["/get-training-data"] == 1


async def test_a_job_waits_for_an_instance_and_can_be_cancelled_until_it_is_sent(
    registry: Dispatching, start_stub: StartStub
) -> None:
    service = await registry.service("LSTM")
    waiting, cancelled = await begin(registry), await begin(registry)
    assert (await job(registry, waiting))["status"] == "queued"

    answer = await registry.client.delete(f"/jobs/{cancelled}")
    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled"), answer.text
    stub = start_stub(training_seconds=1.0)
    await registry.instance(service, "lstm-1", stub.url)
    await reached(registry, waiting, "training_sent")
    refused = await registry.client.delete(f"/jobs/{waiting}")

    assert (refused.status_code, "cannot stop it" in refused.json()["detail"]) == (409, True)
    assert (await ended(registry, waiting))["status"] == "succeeded"
    assert (await job(registry, cancelled))["status"] == "cancelled"
    assert stub.seen().paths["/train"] == 1


async def test_a_preparation_is_cancelled_before_training(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(preparation_seconds=0.5)
    await with_instance(registry, stub.url, training_flow="prepared")
    job_id = await begin(registry)
    await reached(registry, job_id, "preparing")

    assert (await registry.client.delete(f"/jobs/{job_id}")).status_code == 200
    other = await begin(registry)

    assert (await ended(registry, other))["status"] == "succeeded"
    assert stub.seen().paths["/start-training"] == 1


async def test_one_key_is_one_training(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(training_seconds=0.1)
    await with_instance(registry, stub.url)
    headers = {**ASYNC, "Idempotency-Key": "monday"}

    async def train(config: dict[str, Any]) -> httpx.Response:
        return await registry.client.post("/train", json={"model_type": "LSTM", "config": config}, headers=headers)

    first = (await train({"a": 1})).json()["job_id"]
    await ended(registry, first)

    assert (await train({"a": 1})).json()["job_id"] == first
    assert (await train({"a": 2})).status_code == 409
    assert stub.seen().paths["/train"] == 1


async def test_who_waits_a_moment_may_have_the_end_at_once(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(training_seconds=0.1)
    await with_instance(registry, stub.url)
    body = {"model_type": "LSTM"}

    answer = await registry.client.post("/train", json=body, headers={"Prefer": "respond-async, wait=30"})

    assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")


async def test_events_tell_every_phase_and_end_with_the_job(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(training_seconds=0.6, epochs=3)
    await with_instance(registry, stub.url, training_flow="prepared")
    job_id = await begin(registry)

    answer = await registry.client.get(f"/jobs/{job_id}/events")

    assert answer.headers["content-type"].startswith("text/event-stream")
    events = events_of(answer.text)
    phases = [json.loads(event.data)["phase"] for event in events if event.name == "job"]
    assert list(dict.fromkeys(phases))[-3:] == ["training_sent", "training", "succeeded"]
    epochs = [json.loads(event.data)["progress"]["current_epoch"] for event in events if event.name == "progress"]
    assert epochs == sorted(epochs)
    assert [int(event.id or 0) for event in events] == sorted({int(event.id or 0) for event in events})

    again = await registry.client.get(f"/jobs/{job_id}/events", headers={"Last-Event-ID": "1"})
    assert [json.loads(event.data)["status"] for event in events_of(again.text)] == ["succeeded"]


async def test_a_follower_who_leaves_leaves_nothing_behind(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(training_seconds=30, training_blocks=False)
    await with_instance(registry, stub.url, training_flow="prepared")
    job_id = await begin(registry)
    before = len(asyncio.all_tasks())

    for _ in range(20):
        async with registry.client.stream("GET", f"/jobs/{job_id}/events") as following:
            assert (await anext(following.aiter_bytes())).startswith(b"event: job")

    async def gone() -> bool:
        return len(asyncio.all_tasks()) <= before + 2

    assert await until(gone)
    assert stub.seen().paths["/get-training-data"] == 1


async def test_lists_are_filtered(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(training_seconds=0.1)
    await with_instance(registry, stub.url)
    await registry.service("GRU")
    done = await begin(registry)
    await ended(registry, done)
    waiting = await begin(registry, model_type="gru")

    async def listed(**filters: str) -> list[str]:
        answer = await registry.client.get("/jobs", params=filters)
        assert answer.status_code == 200, answer.text
        assert answer.json()["complete"]
        return [item["job_id"] for item in answer.json()["items"]]

    assert await listed() == [waiting, done]
    assert await listed(status="queued") == [waiting]
    assert await listed(model_type="lstm") == [done]
    assert (await registry.client.get("/jobs", params={"status": "runing"})).status_code == 422
    assert (await registry.client.get("/jobs/none-such")).status_code == 404


async def test_a_key_sees_the_jobs_of_its_own_types_alone(registry: Dispatching, database: psycopg.Connection) -> None:
    for name in ("LSTM", "GRU"):
        await registry.service(name)
    lstm, gru = await begin(registry), await begin(registry, model_type="GRU")
    row = [hash_of("a key of tests"), Jsonb(["dispatch"]), Jsonb(["lstm"])]
    database.execute("insert into api_keys (name, key_hash, scopes, services) values ('own', %s, %s, %s)", row)
    await registry.client.get("/api/models", headers={"Cache-Control": "no-cache"})
    own = {"Authorization": "Bearer a key of tests"}

    assert [item["job_id"] for item in (await registry.client.get("/jobs", headers=own)).json()["items"]] == [lstm]
    for path in (f"/jobs/{gru}", f"/jobs/{gru}/events"):
        assert (await registry.client.get(path, headers=own)).status_code == 404
    assert (await registry.client.delete(f"/jobs/{gru}", headers=own)).status_code == 404
    assert (await registry.client.get(f"/jobs/{lstm}", headers=own)).status_code == 200
    assert (await registry.replica.anonymous().get("/jobs")).status_code == 401


async def test_a_large_answer_is_counted_and_not_kept(registry: Dispatching) -> None:
    answer = json.dumps({"status": "completed", "log": "x" * 2**21}).encode()
    async with answering(answer) as url:
        await with_instance(registry, url)
        view = await ended(registry, await begin(registry))

    assert (view["status"], view["result"], view["result_kept"]) == ("succeeded", None, False)
    assert view["result_bytes"] == len(answer)


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (b"\xff" * 2**20, "succeeded"),
        (b"\0 no json \0", "succeeded"),
        (json.dumps({"status": "failed", "error": "\0" * 99_000}).encode(), "failed"),
    ],
)
async def test_whatever_a_service_answers_the_end_is_recorded(
    registry: Dispatching, database: psycopg.Connection, answer: bytes, status: str
) -> None:
    async with answering(answer) as url:
        await with_instance(registry, url)
        await ended(registry, await begin(registry))

    async def recorded() -> bool:
        return database.execute("select phase from service_jobs").fetchone() == (status,)

    assert await until(recorded)


async def test_a_service_that_explains_itself_at_length_is_cut(
    registry: Dispatching, database: psycopg.Connection
) -> None:
    answer = json.dumps({"status": "failed", "error": "\0" + "x" * 99_000, "model_name": "\0"}).encode()
    async with answering(answer, first=b'{"status": "data_preparation_started"}') as url:
        await with_instance(registry, url, training_flow="prepared")
        view = await ended(registry, await begin(registry))

    assert (view["status"], len(view["error"]["message"]) < 2100) == ("failed", True)

    async def recorded() -> bool:
        return database.execute("select phase from service_jobs").fetchone() == ("failed",)

    assert await until(recorded)


@asynccontextmanager
async def answering(body: bytes, first: bytes | None = None) -> AsyncIterator[str]:
    """A service that answers everything with this, but what is sent first."""
    answers = [first] if first is not None else []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        given = answers.pop() if answers else body
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(given))
        writer.write(given)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
