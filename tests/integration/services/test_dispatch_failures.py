"""What callers get when instances fail, are full, or stop; and what instances never get twice."""

from __future__ import annotations

import asyncio

import pytest

from integration.services.conftest import StartStub
from support.dispatch import Dispatching, gated_server, problem, response, until_so, url_of
from support.scripted_server import Conversation, scripted_server

PREDICT = {"model_type": "LSTM", "data": [1]}
TRAIN = {"model_type": "LSTM", "config": {}}


async def test_a_request_that_may_be_repeated_is_sent_to_another_instance(
    registry: Dispatching, start_stub: StartStub
) -> None:
    failing, working = start_stub(mode="error"), start_stub()
    service = await registry.service("LSTM")
    await registry.instance(service, "failing", failing.url)
    await registry.instance(service, "working", working.url)

    for mode in ("error", "rate_limited", "close_early"):
        failing.set(mode=mode)
        answers = [await registry.client.post("/predict", json=PREDICT) for _ in range(2)]
        assert [answer.status_code for answer in answers] == [200, 200], mode
    training = [await registry.client.post("/train", json=TRAIN, headers={"x-call-id": str(n)}) for n in range(4)]

    assert sorted({answer.status_code for answer in training}) == [200, 502]
    assert all(problem(answer, 502, "E5023") for answer in training if answer.status_code == 502)
    executed = failing.seen().executed + working.seen().executed
    assert {executed[str(n)] for n in range(4)} == {1}


async def test_the_failure_of_the_only_instance_is_passed_on(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(mode="error")
    await registry.instance(await registry.service("LSTM", most_tries=1), "only", stub.url)
    await registry.instance(await registry.service("GRU"), "other", stub.url)

    failed = await registry.client.post("/predict", json=PREDICT)
    stub.set(mode="rate_limited", retry_after=7)
    limited = await registry.client.post("/predict", json={"model_type": "GRU"})
    stub.kill()
    away = await registry.client.post("/predict", json=PREDICT)

    assert (failed.status_code, failed.json()) == (500, {"detail": "out of order"})
    assert (limited.status_code, limited.headers["retry-after"]) == (429, "7")
    document = problem(away, 503, "E5034")
    assert document["reasons"][0]["where"] == "only"
    assert "no connection" in document["reasons"][0]["message"]
    assert int(away.headers["retry-after"]) >= 1


async def test_reasons_name_each_instance_once_and_no_header_says_that_one_answered(
    registry: Dispatching, start_stub: StartStub
) -> None:
    stub, service = start_stub(), await registry.service("LSTM")
    for name in ("a", "b"):
        await registry.instance(service, name, stub.url)
    stub.kill()

    away = await registry.client.post("/predict", json=PREDICT)

    assert sorted(reason["where"] for reason in problem(away, 503, "E5034")["reasons"]) == ["a", "b"]
    assert int(away.headers["x-registry-attempts"]) > 2
    assert "x-registry-service" not in away.headers


async def test_who_has_no_instance_or_not_the_selected_version_is_told_so(
    registry: Dispatching, start_stub: StartStub
) -> None:
    stub = start_stub()
    await registry.service("GRU")
    service = await registry.service("LSTM", selected_version="v9")
    await registry.instance(service, "a", stub.url, model_version="v1")

    none = problem(await registry.client.post("/predict", json={"model_type": "GRU"}), 503, "E5034")
    other = problem(await registry.client.post("/predict", json=PREDICT), 503, "E5034")

    assert none["detail"] == "GRU: no instance is registered."
    assert "no instance has the selected version 'v9'; those that are registered have: v1" in other["detail"]


async def test_who_takes_too_long_is_left_and_another_asked(registry: Dispatching) -> None:
    async with scripted_server() as server:
        hung: list[Conversation] = []

        async def hang_once(conversation: Conversation) -> None:
            await conversation.head()
            await conversation.exactly(10)
            if not hung:
                hung.append(conversation)
                await conversation.gone()
                return
            await conversation.say(response(b"{}"))
            await conversation.gone()

        server.handler = hang_once
        service = await registry.service("LSTM", timeouts={"prediction": 0.2, "training": 0.2})
        await registry.instance(service, "a", url_of(server))
        await registry.instance(service, "b", url_of(server))

        answer = await registry.client.post("/predict", json=PREDICT)
        hung.clear()
        training = await registry.client.post("/train", json={"model_type": "LSTM", "c": 1})

    assert (answer.status_code, answer.headers["x-registry-attempts"]) == (200, "2")
    assert "no answer in time" in problem(training, 502, "E5023")["detail"]


async def test_places_are_limited_and_others_wait_for_them(registry: Dispatching) -> None:
    async with gated_server() as gate:
        service = await registry.service("LSTM", queue_length=1, queue_seconds=30)
        await registry.instance(service, "small", url_of(gate.server), max_concurrent_requests=2)

        running = [asyncio.ensure_future(registry.client.post("/predict", json=PREDICT)) for _ in range(3)]
        waiting = registry.replica.state.dispatcher.waiting
        await until_so(lambda: gate.most == 2 and waiting.lengths() == {"LSTM": 1})
        refused = await registry.client.post("/predict", json=PREDICT)
        gate.opened.set()
        answers = await asyncio.gather(*running)

    assert problem(refused, 503, "E5035")["detail"].endswith("the queue is full.")
    assert int(refused.headers["retry-after"]) >= 1
    assert [answer.status_code for answer in answers] == [200] * 3
    assert gate.most == 2
    assert waiting.lengths() == {}


async def test_who_leaves_takes_the_upstreams_request_and_the_place_along(registry: Dispatching) -> None:
    async with gated_server() as gate:
        service = await registry.service("LSTM", queue_length=9, queue_seconds=30)
        await registry.instance(service, "one", url_of(gate.server), max_concurrent_requests=1)
        waiting = registry.replica.state.dispatcher.waiting

        tasks = [asyncio.ensure_future(registry.client.post("/predict", json=PREDICT)) for _ in range(2)]
        await until_so(lambda: gate.now == 1 and waiting.lengths() == {"LSTM": 1})
        for task in tasks:
            task.cancel()
        await until_so(lambda: gate.now == 0 and waiting.lengths() == {})
        gate.opened.set()
        answer = await registry.client.post("/predict", json=PREDICT)

    assert answer.status_code == 200
    assert registry.replica.state.model_services.balancer.view("instance:one", 0).in_flight == 0


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", b"junk\r\n\r\n", b""])
async def test_an_answer_that_breaks_off_is_no_answer(registry: Dispatching, head: bytes) -> None:
    async with scripted_server() as server:

        async def say(conversation: Conversation) -> None:
            await conversation.head()
            await conversation.say(head)

        server.handler = say
        await registry.instance(await registry.service("LSTM", most_tries=1), "bad", url_of(server))
        reader, writer = await asyncio.open_connection("127.0.0.1", registry.port)
        writer.write(registry.raw("POST", "/predict", b'{"model_type":"LSTM"}', connection="close"))
        received = await reader.read()
        writer.close()

    if head.endswith(b"half"):  # it had begun, so the caller sees that it is not whole
        assert received.startswith(b"HTTP/1.1 200")
        assert received.endswith(b"half")
    else:
        assert received.startswith(b"HTTP/1.1 502")
        assert b"E5021" in received
