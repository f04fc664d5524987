"""Only accepted configurations are served: which ones, how refusals are reported, and how long callers wait."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from model_registry.gateways.kind import Files
from model_registry.gateways.publishing import publisher
from model_registry.gateways.tensorzero.validation.checker import TensorZeroChecker
from model_registry.gateways.tensorzero.validation.validate import CRASHED, ValidationResult
from support.catalogue import add_mapping, add_model, add_provider, get, problem
from support.replica import Replica
from support.waiting import until

CONFIG = "/api/tensorzero/config"
STATUS = "/api/tensorzero/status"


async def catalogue(replica: Replica) -> None:
    await add_provider(replica.client)
    await add_model(replica.client, "good")
    await add_mapping(replica.client, "agents/chat/main", "good")


async def look(replica: Replica) -> None:
    await replica.client.get("/api/models", headers={"Cache-Control": "no-cache"})


async def spoil(replica: Replica, database: psycopg.Connection) -> Any:
    """A section that the gateway does not know, written past the guard; answers the status once it is refused."""
    database.execute("insert into config_sections (name, value) values ('nonsense', '{}')")
    await look(replica)

    async def refused() -> Any:
        status = await get(replica.client, STATUS)
        return status["refused"] and status

    return await until(refused)


@pytest.fixture
async def strict(start_replica: Any) -> Replica:
    """A service in which a mistake holds back the whole configuration."""
    replica: Replica = await start_replica(MODEL_REGISTRY_PUBLISH="strict")
    return replica


async def repair(replica: Replica, database: psycopg.Connection) -> None:
    database.execute("delete from config_sections")
    await look(replica)


async def test_a_write_is_in_the_next_answer(replica: Replica) -> None:
    await catalogue(replica)
    response = await replica.client.get(CONFIG)

    status = await get(replica.client, STATUS)
    assert "[models.good]" in response.text
    assert response.headers["x-registry-revision"] == str(status["newest_revision"])
    assert "x-registry-refused-revision" not in response.headers
    assert (status["judge"], status["served"]["judge"], status["pending"]) == ("rules", "rules", False)


async def test_a_refused_configuration_stays_in_and_says_why(strict: Replica, database: psycopg.Connection) -> None:
    await catalogue(strict)
    good = await strict.client.get(CONFIG)
    status = await spoil(strict, database)
    served = await strict.client.get(CONFIG)

    assert served.text == good.text
    assert served.headers["x-registry-revision"] == good.headers["x-registry-revision"]
    assert served.headers["x-registry-refused-revision"] == str(status["refused"]["revision"])
    assert status["refused"]["reasons"][0]["where"] == "nonsense"
    latest = await strict.client.get(CONFIG, params={"revision": "latest"})
    assert "[nonsense]" in latest.text
    assert latest.headers["x-registry-revision"] == str(status["newest_revision"])
    again = await strict.client.get(CONFIG, headers={"If-None-Match": good.headers["etag"]})
    assert (again.status_code, again.headers["x-registry-refused-revision"]) == (
        304,
        str(status["refused"]["revision"]),
    )


async def test_a_repaired_configuration_goes_out_again(strict: Replica, database: psycopg.Connection) -> None:
    await catalogue(strict)
    await spoil(strict, database)
    await repair(strict, database)
    await add_model(strict.client, "second")
    response = await strict.client.get(CONFIG)

    assert "[models.second]" in response.text
    assert "x-registry-refused-revision" not in response.headers


async def test_what_concerns_no_gateway_moves_the_revision_without_a_check(replica: Replica) -> None:
    await catalogue(replica)
    before = await replica.client.get(CONFIG)
    served = replica.state.publisher.delivery.served
    report = {"node_id": "n", "provider_type": "ollama", "model_id": "good", "status": "loaded"}
    answer = await replica.client.post("/api/deployments", json=report)
    assert answer.is_success, answer.text
    after = await replica.client.get(CONFIG)

    assert int(after.headers["x-registry-revision"]) > int(before.headers["x-registry-revision"])
    assert after.headers["etag"] == before.headers["etag"]
    now = replica.state.publisher.delivery.served
    assert served is not None
    assert now is not None
    assert now.at == served.at


async def test_after_a_restart_the_last_accepted_one_goes_out(
    start_replica: Any, database: psycopg.Connection, environment: dict[str, Any]
) -> None:
    kept = {"MODEL_REGISTRY_CACHE_DIR": environment["MODEL_REGISTRY_CACHE_DIR"], "MODEL_REGISTRY_PUBLISH": "strict"}
    first: Replica = await start_replica(**kept)
    await catalogue(first)
    good = await first.client.get(CONFIG)
    await until(lambda: asyncio.to_thread((environment["MODEL_REGISTRY_CACHE_DIR"] / "accepted.json").exists))
    await spoil(first, database)
    second: Replica = await start_replica(**kept)

    response = await second.client.get(CONFIG)

    assert response.text == good.text
    assert "x-registry-refused-revision" in response.headers


async def test_with_nothing_ever_accepted_nothing_is_served(start_replica: Any, database: psycopg.Connection) -> None:
    database.execute("insert into config_sections (name, value) values ('nonsense', '{}')")
    replica: Replica = await start_replica(MODEL_REGISTRY_PUBLISH="strict")

    response = await replica.client.get(CONFIG)

    assert "nonsense" in str(problem(response, 503, "E5031")["reasons"])
    assert response.headers["retry-after"]


async def test_a_refused_configuration_is_still_refused_after_what_concerns_no_gateway(
    strict: Replica, database: psycopg.Connection
) -> None:
    await catalogue(strict)
    await spoil(strict, database)
    deployment = {"node_id": "gpu-a", "provider_type": "ollama", "model_id": "good", "status": "loaded"}
    assert (await strict.client.post("/api/deployments", json=deployment)).status_code == 201

    status = await get(strict.client, STATUS)
    assert (status["refused"]["revision"], status["pending"]) == (status["newest_revision"], False)


async def test_an_answer_says_that_there_is_no_verdict_yet(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    await catalogue(replica)
    before = await replica.client.get(CONFIG)
    go_on, check = asyncio.Event(), TensorZeroChecker.check

    async def slowly(court: TensorZeroChecker, files: Files, *, loader: bool) -> ValidationResult:
        await go_on.wait()
        return await check(court, files, loader=loader)

    monkeypatch.setattr(TensorZeroChecker, "check", slowly)
    await replica.client.patch("/api/models/good", json={"model_id": "other"})
    meanwhile = await replica.client.get(CONFIG, params={"wait": 0})
    newest = (await get(replica.client, STATUS))["newest_revision"]
    go_on.set()
    after = await replica.client.get(CONFIG)

    assert meanwhile.headers["x-registry-revision"] == before.headers["x-registry-revision"]
    assert meanwhile.headers["x-registry-pending-revision"] == str(newest)
    assert "x-registry-pending-revision" not in after.headers
    assert after.headers["x-registry-revision"] == str(newest)


@pytest.mark.parametrize("publish", ["partial", "strict"])
async def test_a_check_that_came_to_no_end_is_tried_again_without_a_change(
    publish: str, start_replica: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica: Replica = await start_replica(MODEL_REGISTRY_PUBLISH=publish)
    await catalogue(replica)
    await replica.client.get(CONFIG)
    monkeypatch.setattr(publisher, "CRASHED_AGAIN_SECONDS", 0.2)

    async def hang(_: TensorZeroChecker, _files: Files, *, loader: bool) -> ValidationResult:  # noqa: ARG001
        return ValidationResult((CRASHED,))

    with monkeypatch.context() as overloaded:
        overloaded.setattr(TensorZeroChecker, "check", hang)
        answer = await replica.client.patch("/api/models/good", params={"wait": 30}, json={"model_id": "other"})

    assert answer.json()["publication"]["state"] == "refused"
    await until(lambda: _served_newest(replica))
    assert "other" in (await replica.client.get(CONFIG)).text


async def _served_newest(replica: Replica) -> bool:
    status = await get(replica.client, STATUS)
    return bool(status["refused"] is None and status["served"]["revision"] == status["newest_revision"])


async def waiting(replica: Replica, seconds: float) -> asyncio.Task[Any]:
    """A gateway that has the newest configuration, and waits for another."""
    etag = (await replica.client.get(CONFIG)).headers["etag"]
    asked = replica.client.get(CONFIG, params={"wait": seconds}, headers={"If-None-Match": etag})
    task = asyncio.ensure_future(asked)
    await asyncio.sleep(0)
    return task


async def test_a_wait_without_a_change_ends_with_304(replica: Replica) -> None:
    response = await (await waiting(replica, 0.2))

    assert response.status_code == 304
    assert response.headers["etag"]


async def test_a_wait_ends_with_the_change(replica: Replica) -> None:
    await catalogue(replica)
    tasks = [await waiting(replica, 60) for _ in range(50)]
    await replica.client.patch("/api/models/good", json={"model_id": "other"})
    responses = await asyncio.wait_for(asyncio.gather(*tasks), 20)

    assert {response.status_code for response in responses} == {200}
    assert {'model_name = "other"' in response.text for response in responses} == {True}


async def test_a_refused_change_ends_no_wait(strict: Replica, database: psycopg.Connection) -> None:
    await catalogue(strict)
    task = await waiting(strict, 60)
    await spoil(strict, database)
    assert not task.done()

    strict.state.publisher.release()
    assert (await asyncio.wait_for(task, 10)).status_code == 304


async def test_the_wait_has_bounds(replica: Replica) -> None:
    problem(await replica.client.get(CONFIG, params={"wait": 61}), 422, "E4005")
    problem(await replica.client.get(CONFIG, params={"wait": -1}), 422, "E4005")
    problem(await replica.client.get(CONFIG, params={"revision": "newest"}), 422, "E4005")


async def test_a_project_is_checked_over_http(replica: Replica) -> None:
    toml = (
        '[functions.f]\ntype = "chat"\n[functions.f.variants.v]\ntype = "chat_completion"\nmodel = "no"\nweight = 1\n'
    )
    answer = await replica.client.post("/api/tensorzero/check", json={"files": {"tensorzero.toml": toml}})
    found = answer.json()

    assert (answer.status_code, found["accepted"], found["revision"]) == (200, False, None)
    assert [fault["where"] for fault in found["faults"]] == ["functions.f.variants.v.model"]
    assert [entry["where"] for entry in found["deprecated"]] == ["functions.f.variants.v.weight"]
    assert "static" in found["deprecated"][0]["message"]
    assert found["gateway"]["asked"] is False


async def test_the_own_configuration_is_checked_when_none_is_sent(
    strict: Replica, database: psycopg.Connection
) -> None:
    await catalogue(strict)
    good = (await strict.client.post("/api/tensorzero/check")).json()
    assert (good["accepted"], good["faults"]) == (True, [])

    status = await spoil(strict, database)
    bad = (await strict.client.post("/api/tensorzero/check", json={})).json()
    assert (bad["accepted"], bad["revision"]) == (False, status["newest_revision"])
