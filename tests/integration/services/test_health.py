"""How instances are, as probes of real processes find them; which versions they list; and how they go."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from model_registry.services.dispatch.targets import Outcome
from support.model_services import StubModelService
from support.replica import Replica
from support.waiting import until

QUICK = {"HEALTH_CHECK_INTERVAL": 0.2, "SERVICE_DISCOVERY_INTERVAL": 0.2}


@pytest.fixture
def stub() -> Iterator[StubModelService]:
    with StubModelService() as service:
        yield service


@pytest.fixture
async def quick(start_replica: Any) -> Replica:
    """A service that probes five times a second."""
    replica: Replica = await start_replica(**QUICK)
    return replica


async def register(replica: Replica, url: str, *capabilities: str, **more: Any) -> httpx.Response:
    body = {"service_id": "a", "service_url": url, "model_type": "LSTM", "capabilities": capabilities or ["prediction"]}
    answer = await replica.client.post("/services/register", json={**body, **more})
    assert answer.is_success, answer.text
    return answer


async def state(replica: Replica, *wanted: str, name: str = "a") -> dict[str, Any]:
    """Wait until the instance is in one of these states, and answer its health."""

    async def look() -> dict[str, Any]:
        answer = (await replica.client.get(f"/services/{name}/health")).json()
        return answer if answer.get("state") in wanted else {}

    return await until(look)


async def test_it_is_warming_until_it_is_probed_and_then_it_is_well(quick: Replica, stub: StubModelService) -> None:
    new = (await register(quick, stub.url)).json()
    assert (new["state"], new["state_reason"], new["checked_seconds_ago"]) == ("warming", "it was not probed yet", None)

    found = await state(quick, "healthy")

    assert (found["status"], found["healthy"], found["reason"]) == ("healthy", True, "")
    assert (found["probe"]["kind"], found["probe"]["status"], found["probe"]["detail"]) == ("ok", 200, "ok")
    assert found["replica"] == quick.state.registry.origin
    listed = (await quick.client.get("/services")).json()["items"][0]
    assert (listed["state"], listed["in_flight"]) == ("healthy", 0)
    assert listed["checked_seconds_ago"] >= 0
    assert set(stub.seen().paths) <= {"/health", "/models"}


async def test_what_fails_is_out_after_two_probes_with_the_reason_and_back_by_itself(
    quick: Replica, stub: StubModelService
) -> None:
    await register(quick, stub.url)
    await state(quick, "healthy")

    for faults, word, reason in (
        ({"health_status": 500}, "offline", "its health check answers 500"),
        ({"health_word": "loading"}, "offline", "it says 'loading'"),
        ({"health_status": 401}, "misconfigured", "its health check answers 401"),
    ):
        stub.set(**faults)
        found = await state(quick, word)
        assert reason in found["reason"], found
        assert not found["healthy"]
        stub.set(health_status=200, health_word="ok")
        await state(quick, "healthy")

    stub.kill()
    assert "it refuses connections" in (await state(quick, "offline"))["reason"]
    stub.start()
    await state(quick, "healthy")
    metrics = (await quick.client.get("/metrics")).text
    assert 'model_registry_state_changes_total{kind="instance",state="offline"} 3.0' in metrics
    assert 'model_registry_instances{model_type="LSTM",state="healthy"} 1.0' in metrics


async def test_a_trainer_that_answers_no_probe_stays_in_although_it_cannot_renew(
    quick: Replica, stub: StubModelService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_registry.services.prober.PROBE_SECONDS", 0.1)
    monkeypatch.setattr("model_registry.services.liveness.GAP_SECONDS", 0.5)
    monkeypatch.setattr("model_registry.services.liveness.WRITE_SECONDS", 0.1)
    await register(quick, stub.url, "training", "prediction", ttl_seconds=1)
    await state(quick, "healthy")

    stub.freeze()
    try:
        found = await state(quick, "busy")
        assert (found["healthy"], "no answer within" in found["reason"]) == (True, True), found
        await register(quick, stub.url, "prediction", service_id="no-trainer", ttl_seconds=1)

        async def the_other_is_gone() -> bool:
            return (await quick.client.get("/services/no-trainer")).status_code == 404

        await until(the_other_is_gone)
        assert (await quick.client.get("/services/a")).json()["state"] == "busy"
    finally:
        stub.thaw()
    await state(quick, "healthy")


async def test_the_path_and_the_words_are_its_own_and_none_means_never(quick: Replica, stub: StubModelService) -> None:
    await register(quick, f"{stub.url}/models", health={"path": "/20261101_0900", "words": []})
    await state(quick, "healthy")
    assert stub.seen().paths["/models/20261101_0900"] >= 1

    await register(quick, stub.url, health={"check": "none"})
    before = stub.seen().paths
    never = (await quick.client.get("/services/a/health?probe=true")).json()

    assert (never["state"], never["probe"]) == ("healthy", None)
    assert stub.seen().paths == before


async def test_a_probe_can_be_asked_for_with_a_key(start_replica: Any, stub: StubModelService) -> None:
    seldom = await start_replica(HEALTH_CHECK_INTERVAL=3600)
    await register(seldom, stub.url)
    await state(seldom, "healthy")
    stub.set(health_status=500)

    assert (await seldom.client.get("/services/a/health")).json()["state"] == "healthy"
    assert (await seldom.anonymous().get("/services/a/health?probe=true")).status_code == 401
    asked = (await seldom.client.get("/services/a/health?probe=true")).json()

    assert (asked["state"], asked["probe"]["status"]) == ("degraded", 500)


async def test_what_an_instance_lists_are_its_versions_and_the_newest_is_named(
    quick: Replica, stub: StubModelService
) -> None:
    await register(quick, stub.url)

    async def listed() -> list[str]:
        names: list[str] = (await quick.client.get("/services/a")).json()["versions"]
        return names

    assert await until(listed) == ["20261101_0900"]
    services, snapshot = quick.state.model_services, quick.state.registry.snapshot
    (target,) = services.directory.find(snapshot, "lstm")[1].targets("latest")
    assert target.version == "20261101_0900"
    async with httpx.AsyncClient() as client:
        await client.post(f"{stub.url}/train", json={}, timeout=30)

    async def newest() -> bool:
        versions = services.directory.find(quick.state.registry.snapshot, "LSTM")[1]
        return versions.targets()[0].version not in (None, "20261101_0900")

    await until(newest)
    await quick.client.patch("/api/model-services/LSTM", json={"selected_version": "20261101_0900"})
    (target,) = services.directory.find(quick.state.registry.snapshot, "LSTM")[1].targets()
    assert target.version == "20261101_0900"


async def test_the_registrys_own_answers_are_not_those_of_a_model_service(quick: Replica) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b'HTTP/1.1 200 OK\r\nX-Registry-Revision: 3\r\nContent-Length: 20\r\n\r\n{"status":"running"}')
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        await register(quick, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        found = await state(quick, "offline")

    assert "a model registry answers there" in found["reason"]


async def test_redirects_are_not_followed_and_long_answers_not_read(quick: Replica, stub: StubModelService) -> None:
    answers = [f"HTTP/1.1 302 Found\r\nLocation: {stub.url}/health\r\nContent-Length: 0\r\n\r\n".encode()]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers[-1])
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        await register(quick, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        assert "redirects are not followed" in (await state(quick, "offline"))["reason"]
        assert stub.seen().paths["/health"] == 0
        answers.append(b"HTTP/1.1 200 OK\r\n\r\n" + b"ok" * 2**20)

        async def too_long() -> bool:
            reason: str = (await quick.client.get("/services/a/health")).json()["reason"]
            return "more than 64 KiB" in reason

        await until(too_long)


async def test_retired_it_goes_when_its_last_request_has_ended(
    quick: Replica, stub: StubModelService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_registry.services.liveness.RETIRED_SECONDS", 0.5)
    await register(quick, stub.url)
    services, snapshot = quick.state.model_services, quick.state.registry.snapshot
    target = services.directory.find(snapshot, "LSTM")[1].targets()[0]
    lease = services.balancer.pick([target], "prediction", strategy="round_robin", now=0.0)

    retired = (await quick.client.post("/services/a/retire")).json()

    assert (retired["state"], retired["in_flight"]) == ("retired", 1)
    assert retired["state_reason"] == "1 requests are running"
    for _ in range(3):
        await services.liveness.write()
    assert (await quick.client.get("/services/a")).status_code == 200
    assert (await quick.client.post("/services/a/renew")).status_code == 409
    again = services.directory.find(quick.state.registry.snapshot, "LSTM")[1].targets()
    assert [t.accepts for t in again] == [False]
    lease.finish(Outcome("ok"), 1.0)  # type: ignore[union-attr]

    async def gone() -> bool:
        return (await quick.client.get("/services/a")).status_code == 404

    await until(gone)


async def test_who_stops_renewing_is_gone_and_an_outage_of_the_database_is_no_silence(
    quick: Replica, stub: StubModelService, stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("model_registry.services.liveness.GAP_SECONDS", 0.5)
    monkeypatch.setattr("model_registry.services.liveness.WRITE_SECONDS", 0.1)
    for name in ("renewed", "silent"):
        await register(quick, stub.url, service_id=name, ttl_seconds=1)
    stack.postgrest.kill()
    try:
        end = asyncio.get_running_loop().time() + 1.6

        async def outlasted() -> bool:
            assert (await quick.client.post("/services/renewed/renew")).status_code == 200
            return asyncio.get_running_loop().time() > end

        await until(outlasted)
        assert (await quick.client.get("/services")).json()["count"] == 2
    finally:
        stack.postgrest.start()

    async def names() -> set[str]:
        await quick.client.post("/services/renewed/renew")
        return {item["service_id"] for item in (await quick.client.get("/services")).json()["items"]}

    await quick.state.registry.refresh()
    assert await names() == {"renewed", "silent"}

    async def silent_is_gone() -> bool:
        return await names() == {"renewed"}

    await until(silent_is_gone)
