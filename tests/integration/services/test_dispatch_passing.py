"""What of a request and of its answer passes, and how: headers, bodies in both directions, paths."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from integration.services.conftest import StartStub
from model_registry.api.http_protocol import Arrivals
from support.dispatch import Dispatching, dispatching, gated_server, problem, response, until_so, url_of
from support.raw_http import read_answer
from support.replica import ADMIN_KEY
from support.scripted_server import Conversation, ScriptedServer, scripted_server


def _recording(server: ScriptedServer, *headers: bytes) -> list[bytes]:
    """Answer every request, and note its head."""
    heads: list[bytes] = []

    async def answer(conversation: Conversation) -> None:
        while True:
            head = await conversation.head()
            heads.append(head)
            length = next((line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")), b": 0")
            await conversation.exactly(int(length.split(b":")[1]))
            await conversation.say(response(b"{}", *headers))

    server.handler = answer
    return heads


async def test_neither_keys_nor_cookies_pass_in_either_direction(registry: Dispatching) -> None:
    async with scripted_server() as server:
        heads = _recording(server, b"set-cookie: a=1", b"access-control-allow-origin: *", b"x-model: a")
        await registry.instance(await registry.service("LSTM"), "one", url_of(server))
        answer = await registry.client.post(
            "/predict",
            json={"model_type": "LSTM"},
            headers={"cookie": "session=1", "x-api-key": ADMIN_KEY, "x-own": "passed", "user-agent": "me"},
        )

    sent = heads[0].decode().lower()
    assert "x-own: passed" in sent
    assert "user-agent: me" in sent
    assert "traceparent: 00-" in sent
    assert f"host: 127.0.0.1:{server.port}" in sent
    assert "session" not in sent
    assert ADMIN_KEY not in heads[0].decode()
    assert answer.headers["x-model"] == "a"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers.keys().isdisjoint({"set-cookie", "access-control-allow-origin"})


async def test_any_request_reaches_any_path_below_an_instance(registry: Dispatching) -> None:
    async with scripted_server() as server:
        heads = _recording(server)
        url = f"{url_of(server)}/base"
        await registry.instance(await registry.service("LSTM"), "one", url, capabilities=["prediction", "explain"])
        client = registry.client

        await client.get("/dispatch/lstm/explain/models/a%2Fb?x=1&y=%20")
        await client.request("PATCH", "/dispatch/LSTM/explain/x", content=b"abc")
        await client.post("/dispatch/LSTM/prediction", content=b"{}")
        away = await client.get("/dispatch/LSTM/explain/%2e%2e/secret")
        unknown = await client.get("/dispatch/LSTN/explain/x")
        unable = await client.get("/dispatch/LSTM/training/x")

    assert [head.split(b" HTTP")[0] for head in heads] == [
        b"GET /base/models/a%2Fb?x=1&y=%20",
        b"PATCH /base/x",
        b"POST /base/predict",
    ]
    assert problem(away, 404, "E4004")
    assert "Did you mean 'LSTM'?" in problem(unknown, 404, "E4004")["detail"]
    detail = problem(unable, 404, "E4004")["detail"]
    assert detail.startswith("LSTM: no instance has the capability 'training'; those that are registered have: ")
    assert "explain, prediction" in detail
    assert "retry-after" not in unable.headers


async def test_bodies_stream_in_both_directions_at_once(registry: Dispatching, start_stub: StartStub) -> None:
    stub = start_stub(piece_seconds=0.01)
    await registry.instance(await registry.service("LSTM"), "one", stub.url, capabilities=["prediction", "echo"])
    reader, writer = await asyncio.open_connection("127.0.0.1", registry.port)
    try:
        head = registry.raw("POST", "/dispatch/LSTM/echo/echo", transfer_encoding="chunked", content_length="")
        first = b"x" * 100_000
        writer.write(head + b"%x\r\n" % len(first) + first + b"\r\n")
        received = await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(20):
            while received.count(b"x") < len(first):  # comes back before the request has ended
                received += await reader.read(2**16)
        writer.write(b"4\r\nlast\r\n0\r\n\r\n")
        rest = await reader.readuntil(b"0\r\n\r\n")
    finally:
        writer.close()
    events = await registry.client.get("/dispatch/LSTM/prediction/events/3")

    assert received.startswith(b"HTTP/1.1 200")
    assert b"last" in rest
    assert events.headers["content-type"] == "text/event-stream"
    assert events.text.count("\n\n") == 3


async def test_a_key_is_asked_for_before_the_body_comes(registry: Dispatching) -> None:
    await registry.instance(await registry.service("LSTM"), "one", "http://127.0.0.1:9")
    reader, writer = await asyncio.open_connection("127.0.0.1", registry.port)
    writer.write(registry.raw("POST", "/predict", content_length="1000000", authorization="Bearer nobody's"))

    answer = await read_answer(reader)
    writer.close()

    assert answer.problem(401, "E4010")


async def test_a_key_may_dispatch_only_what_it_is_limited_to(registry: Dispatching) -> None:
    async with scripted_server() as server:
        _recording(server)
        for model_type in ("LSTM", "GRU"):
            await registry.instance(await registry.service(model_type), model_type, url_of(server))
        limited = {"authorization": f"Bearer {await registry.key('dispatch', services=['lstm'])}"}
        reading = {"authorization": f"Bearer {await registry.key('read')}"}
        client = registry.client

        allowed = await client.post("/predict", json={"model_type": "LSTM"}, headers=limited)
        other = await client.post("/predict", json={"model_type": "GRU"}, headers=limited)
        path = await client.get("/dispatch/GRU/prediction/models", headers=limited)
        reader = await client.post("/predict", json={"model_type": "LSTM"}, headers=reading)
        nobody = await client.post("/predict", json={"model_type": "LSTM"}, headers={"authorization": ""})

    assert allowed.status_code == 200
    assert "may not send requests to 'GRU'" in problem(other, 403, "E4030")["detail"]
    assert problem(path, 403, "E4030")
    assert "lacks the scope 'dispatch'" in problem(reader, 403, "E4030")["detail"]
    assert problem(nobody, 401, "E4010")


async def test_an_address_that_leads_back_here_is_no_endless_loop(registry: Dispatching) -> None:
    service = await registry.service("LSTM", most_tries=1)
    await registry.instance(service, "self", f"http://127.0.0.1:{registry.port}/dispatch/LSTM/prediction")

    answer = await registry.client.post("/predict", json={"model_type": "LSTM"})

    assert problem(answer, 508, "E5080")


async def test_a_request_with_a_key_of_its_own_is_carried_out_once(
    registry: Dispatching, start_stub: StartStub
) -> None:
    stub = start_stub(training_seconds=0.2)
    await registry.instance(await registry.service("LSTM"), "one", stub.url)
    headers = {"idempotency-key": "k1", "x-call-id": "a"}

    async def train(config: int) -> Any:
        return await registry.client.post("/train", json={"model_type": "LSTM", "config": config}, headers=headers)

    together = await asyncio.gather(train(1), train(1))
    later, another = await train(1), await train(2)

    assert {answer.content for answer in (*together, later)} == {later.content}
    assert sorted("x-registry-replayed" in answer.headers for answer in together) == [False, True]
    assert problem(another, 409, "E4096")
    assert stub.seen().executed == {"a": 1}


async def test_a_repetition_of_what_was_never_sent_is_sent(registry: Dispatching, start_stub: StartStub) -> None:
    service = await registry.service("LSTM")
    headers = {"idempotency-key": "k1"}
    none = await registry.client.post("/train", json={"model_type": "LSTM"}, headers=headers)
    await registry.instance(service, "one", start_stub(training_seconds=0).url)

    trained = await registry.client.post("/train", json={"model_type": "LSTM"}, headers=headers)

    assert problem(none, 503, "E5034")
    assert trained.status_code == 200


async def test_several_models_are_asked_at_once(registry: Dispatching, start_stub: StartStub) -> None:
    one, two = start_stub(scale=1), start_stub(scale=3)
    lstm, gru = await registry.service("LSTM"), await registry.service("GRU", most_tries=1)
    await registry.instance(lstm, "a", one.url, model_version="1")
    await registry.instance(lstm, "b", two.url, model_version="2")
    await registry.instance(gru, "c", "http://127.0.0.1:9")

    async def ask(**fields: Any) -> Any:
        return await registry.client.post("/predict", json={"model_type": "LSTM", "data": [2], **fields})

    everything = (await ask(aggregate="all", model_types=["lstm", "gru"])).json()
    mean = (await ask(aggregate="mean", versions=["1", "2"])).json()
    first = (await ask(aggregate="first")).json()
    majority = (await ask(aggregate="majority", model_version="2")).json()
    none = await ask(aggregate="all", model_types=["GRU"])
    wrong = await ask(aggregate="average")

    assert [(a["model_type"], a["model_version"], a["service"]) for a in everything["answers"]] == [
        ("LSTM", "2", "b"),
        ("LSTM", "1", "a"),
        ("GRU", None, None),  # nobody was reached
    ]
    assert [a.get("answer") for a in everything["answers"]] == [{"result": [6]}, {"result": [2]}, None]
    assert everything["answers"][2]["error"]["code"] == "E5034"
    assert everything["failed"] == 1
    assert mean["result"] == [4]
    assert first["result"] in ([2], [6])
    assert (majority["result"], majority["votes"]) == ([6], 1)
    assert problem(none, 503, "E5034")
    assert problem(wrong, 422, "E4005")


async def test_a_version_is_asked_where_it_is_and_nowhere_else(registry: Dispatching) -> None:
    async with scripted_server() as server:
        _recording(server)
        service = await registry.service("LSTM")
        for version in ("20261101_0900", "20261130_0900"):
            await registry.instance(service, version, url_of(server), model_version=version)

        async def who(version: str) -> str:
            body = {"data": [1], "model_version": version, "model_type": "LSTM"}
            answer = await registry.client.post("/predict", json=body)
            return str(answer.headers["x-registry-service"])

        pinned, latest = await who("20261101_0900"), await who("latest")
        unknown = await registry.client.post("/predict", json={"model_type": "LSTM", "model_version": "20261101"})

    assert (pinned, latest) == ("20261101_0900", "20261130_0900")
    assert "did you mean '20261101_0900'" in problem(unknown, 404, "E4004")["detail"]


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "is empty"),
        (b'{"data": [1}', "not valid JSON at line 1"),
        (b'{"data": 1}', "model_type: is required; known here: LSTM"),
        (b'{"model_type": 1}', "must be a text"),
        (b'{"model_type": "LSTN"}', "Did you mean 'LSTM'?"),
    ],
)
async def test_what_is_wrong_with_a_body_is_said(registry: Dispatching, body: bytes, detail: str) -> None:
    await registry.service("LSTM")

    answer = await registry.client.post("/predict", content=body)

    assert detail in answer.json()["detail"]


async def test_a_large_body_names_its_model_first_and_is_passed_on_as_it_comes(registry: Dispatching) -> None:
    async with scripted_server() as server:
        received: list[bytes] = []

        async def answer(conversation: Conversation) -> None:
            head = await conversation.head()
            size = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            received.append(await conversation.exactly(size))
            await conversation.say(response(b"{}"))

        server.handler = answer
        await registry.instance(await registry.service("LSTM"), "one", url_of(server))
        large = b'"data": "' + b"x" * 9 * 2**20 + b'"}'

        passed = await registry.client.post("/predict", content=b'{"model_type": "LSTM", ' + large)
        late = await registry.client.post("/predict", content=b"{" + large[:-1] + b', "model_type": "LSTM"}')

    assert passed.status_code == 200
    assert received == [b"{" + large]
    assert "/dispatch/{model_type}/prediction" in problem(late, 413, "E4130")["detail"]


async def test_a_body_that_ends_early_reaches_nobody_whole(registry: Dispatching) -> None:
    async with scripted_server() as server:
        ended: list[bool] = []

        async def answer(conversation: Conversation) -> None:
            await conversation.head()
            await conversation.exactly(100_000)
            ended.append(await conversation.gone())

        server.handler = answer
        await registry.instance(await registry.service("LSTM"), "one", url_of(server))
        reader, writer = await asyncio.open_connection("127.0.0.1", registry.port)
        writer.write(registry.raw("POST", "/dispatch/LSTM/prediction/x", content_length="200000") + b"x" * 100_000)
        await until_so(lambda: len(server.connections) == 1)
        writer.close()
        await until_so(lambda: ended != [])
        del reader

    assert ended == [True]


async def test_a_slow_body_takes_as_long_as_it_likes_and_a_silent_one_does_not(start_replica: Any) -> None:
    arrivals = Arrivals(100, idle_seconds=0.3, whole_seconds=0.5, unread_seconds=1.0, look_seconds=0.05)
    async with dispatching(await start_replica(), arrivals) as registry, gated_server() as gate:
        gate.opened.set()
        await registry.instance(await registry.service("LSTM"), "one", url_of(gate.server))
        reader, writer = await asyncio.open_connection("127.0.0.1", registry.port)
        writer.write(registry.raw("POST", "/predict", content_length="40"))
        body = json.dumps({"model_type": "LSTM"}).encode().ljust(40)
        for byte in range(0, 40, 4):
            writer.write(body[byte : byte + 4])
            due = time.monotonic() + 0.1  # in all twice as long as a whole request may take elsewhere
            await until_so(lambda due=due: time.monotonic() > due)  # type: ignore[misc]
        slow = await read_answer(reader)
        writer.write(registry.raw("POST", "/predict", content_length="40"))
        silent = await read_answer(reader)
        writer.close()

    assert slow.status == 200
    assert silent.problem(408, "E4080")


async def test_headers_of_64_kb_are_passed_on_or_refused(registry: Dispatching) -> None:
    async with scripted_server() as server:
        heads = _recording(server)
        await registry.instance(await registry.service("LSTM"), "one", url_of(server))
        body = {"model_type": "LSTM"}

        large = await registry.client.post("/predict", json=body, headers={"x-large": "x" * 60_000})
        too_large = await registry.client.post("/predict", json=body, headers={"x-large": "x" * 70_000})

    assert large.status_code == 200
    assert b"x" * 60_000 in heads[0]
    assert too_large.status_code == 431


async def test_dispatch_is_measured_without_a_callers_words_in_labels(
    registry: Dispatching, start_stub: StartStub
) -> None:
    await registry.instance(await registry.service("LSTM"), "one", start_stub().url)
    await registry.client.post("/predict", json={"model_type": "lstm", "data": [1]})
    await registry.client.post("/predict", json={"model_type": "made-up", "data": [1]})

    shown = (await registry.client.get("/metrics")).text

    assert 'dispatch_request_seconds_count{capability="prediction",model="LSTM",status="2xx"} 1.0' in shown
    assert 'model="unknown",status="4xx"' in shown
    assert "made-up" not in shown
    assert 'model_registry_dispatch_in_flight{kind="instance"} 0.0' in shown
