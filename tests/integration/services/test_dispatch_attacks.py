"""Hostile callers and hostile services: nothing they say decides more than their own request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from support.dispatch import Dispatching, problem, response, url_of
from support.replica import ADMIN_KEY
from support.scripted_server import Conversation, ScriptedServer, scripted_server


def _answering(server: ScriptedServer, answer: bytes) -> list[bytes]:
    """Answer every request with this, and note what came."""
    seen: list[bytes] = []

    async def converse(conversation: Conversation) -> None:
        while True:
            head = await conversation.head()
            lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
            seen.append(head + await conversation.exactly(int(lengths[0].split(b":")[1]) if lengths else 0))
            await conversation.say(answer)

    server.handler = converse
    return seen


async def test_a_key_reaches_no_service_beside_another_authorisation(registry: Dispatching) -> None:
    async with scripted_server() as server:
        seen = _answering(server, response(b"{}"))
        await registry.instance(await registry.service("LSTM"), "one", url_of(server))
        headers = [
            ("x-api-key", ADMIN_KEY),
            ("authorization", "Basic theirs"),
            ("authorization", f"Bearer {ADMIN_KEY}"),
        ]
        await registry.client.post("/predict", json={"model_type": "LSTM"}, headers=headers)

    assert b"Basic theirs" in seen[0]
    assert ADMIN_KEY.encode() not in seen[0]


async def test_no_cache_between_us_and_a_caller_keeps_what_a_service_answers(registry: Dispatching) -> None:
    async with scripted_server() as server:
        _answering(server, response(b"{}", b"cache-control: public, max-age=60", b"x-accel-redirect: /secret"))
        await registry.instance(await registry.service("LSTM"), "one", url_of(server))

        read = await registry.client.get("/dispatch/LSTM/prediction/models")

    assert read.headers["cache-control"] == "private, public, max-age=60"
    assert "X-API-Key" in read.headers["vary"]
    assert "x-accel-redirect" not in read.headers


@pytest.mark.parametrize("segment", ["..", "%2e%2E", "..%2fx", "..%5cx", "..;/x", ".%2e;a=1/x"])
async def test_no_path_leaves_an_instances_address(registry: Dispatching, segment: str) -> None:
    await registry.service("LSTM")

    answer = await registry.client.get(f"/dispatch/LSTM/prediction/{segment}")

    assert problem(answer, 404, "E4004")


async def test_a_long_body_may_have_an_idempotency_key(registry: Dispatching) -> None:
    body = json.dumps({"data": "x" * 2_000_000, "model_type": "LSTM"}).encode()
    async with scripted_server() as server:
        seen = _answering(server, response(b"{}"))
        await registry.instance(await registry.service("LSTM"), "one", url_of(server))

        answers = [
            await registry.client.post("/predict", content=body, headers={"idempotency-key": "k"}) for _ in range(2)
        ]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert "x-registry-replayed" in answers[1].headers
    assert len(seen) == 1
    assert len(seen[0]) > 2_000_000


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b'{"result": [%s]}' % (b"9" * 30), "64-bit"),
        (b'{"result": "\\ud800"}', "surrogates"),
        (b'{"result": %s}' % (b"[" * 600 + b"]" * 600), "ecursion"),
        (b'{"result": [%s]}' % (b"1," * 2**21 + b"1"), "larger than 4 MiB"),
    ],
)
async def test_an_answer_that_cannot_be_passed_on_fails_alone(registry: Dispatching, answer: bytes, why: str) -> None:
    async with scripted_server() as server, scripted_server() as good:
        _answering(server, response(answer))
        _answering(good, response(b'{"result": [1]}'))
        await registry.instance(await registry.service("LSTM"), "odd", url_of(server))
        await registry.instance(await registry.service("GRU"), "good", url_of(good))

        several = await registry.client.post("/predict", json={"model_types": ["lstm", "gru"], "aggregate": "mean"})

    document: dict[str, Any] = several.json()
    assert (document["result"], document["failed"]) == ([1], 1)
    assert why in document["answers"][0]["error"]["detail"]


async def test_a_model_is_asked_once_however_often_it_is_named(registry: Dispatching) -> None:
    async with scripted_server() as server:
        seen = _answering(server, response(b'{"result": [1]}'))
        await registry.instance(await registry.service("LSTM"), "one", url_of(server))
        types = [f"{a}{b}{c}{d}" for a in "lL" for b in "sS" for c in "tT" for d in "mM"]

        several = await registry.client.post("/predict", json={"model_types": types, "aggregate": "all"})

    assert len(several.json()["answers"]) == 1
    assert len(seen) == 1
