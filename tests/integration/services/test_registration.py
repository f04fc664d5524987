"""`/services`: instances are registered, updated, drained and deleted, by those who may."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.types.json import Jsonb

from model_registry.entities.api_key import hash_of
from support.replica import Replica

URL = "http://10.1.2.3:8001"
DOCUMENTED = {
    "service_id": "lstm-1",
    "service_url": URL,
    "model_type": "LSTM",
    "capabilities": ["training", "prediction"],
}


@pytest.fixture
def key(database: psycopg.Connection, replica: Replica) -> Any:
    """Makes a key, and answers a client that shows it."""

    def make(name: str, *scopes: str, services: list[str] | None = None) -> httpx.AsyncClient:
        row = (name, hash_of(name), Jsonb(list(scopes)), None if services is None else Jsonb(services))
        database.execute("insert into api_keys (name, key_hash, scopes, services) values (%s, %s, %s, %s)", row)
        client = replica.anonymous()
        client.headers["X-API-Key"] = name
        return client

    return make


async def test_the_documented_body_registers_an_instance_and_its_model_service(replica: Replica) -> None:
    answer = await replica.client.post("/services/register", json=DOCUMENTED)

    assert answer.status_code == 201, answer.text
    assert answer.headers["location"] == "/services/lstm-1"
    assert answer.json().items() >= DOCUMENTED.items()
    listed = (await replica.client.get("/services")).json()
    assert (listed["count"], [i["service_id"] for i in listed["items"]]) == (1, ["lstm-1"])
    kinds = (await replica.client.get("/api/model-services")).json()["items"]
    assert [kind["model_type"] for kind in kinds] == ["LSTM"]


async def test_to_register_again_updates_and_nothing_new_is_no_revision(replica: Replica) -> None:
    body = {**DOCUMENTED, "weight": 2, "labels": {"zone": "cellar"}, "timeout": 60, "version": "v1"}
    await replica.client.post("/services/register", json=body)
    before = replica.state.registry.snapshot.revision

    same = await replica.client.post("/services/register", json={**DOCUMENTED, "model_type": "lstm"})

    assert (same.status_code, replica.state.registry.snapshot.revision) == (200, before)
    moved = await replica.client.post("/services/register", json={**DOCUMENTED, "service_url": "http://10.1.2.4:1/"})
    found = moved.json()
    assert (moved.status_code, found["service_url"]) == (200, "http://10.1.2.4:1")
    assert (found["weight"], found["labels"], found["timeout"], found["version"]) == (2, {"zone": "cellar"}, 60, "v1")
    reset = await replica.client.patch("/services/lstm-1", json={"weight": None, "labels": None, "version": None})
    assert (reset.json()["weight"], reset.json()["labels"], reset.json()["version"]) == (1, {}, None)
    assert (await replica.client.post("/services/register", json=found)).status_code == 200, "an answer comes back"
    assert (await replica.client.patch("/services/lstm-1", json=found)).status_code == 200
    renamed = await replica.client.patch("/services/lstm-1", json={"service_id": "lstm-2"})
    assert [reason["where"] for reason in renamed.json()["reasons"]] == ["service_id"]


async def test_two_who_register_a_new_type_at_once_both_succeed(replica: Replica, start_replica: Any) -> None:
    other = await start_replica()
    bodies = [{**DOCUMENTED, "service_id": f"lstm-{n}"} for n in range(6)]

    answers = await asyncio.gather(
        *((replica, other)[n % 2].client.post("/services/register", json=body) for n, body in enumerate(bodies))
    )

    assert [answer.status_code for answer in answers] == [201] * 6, [answer.text for answer in answers]
    await replica.state.registry.refresh()
    assert len(replica.state.registry.snapshot.model_services) == 1


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"service_id": "a/b"}, "service_id"),
        ({"service_id": ""}, "service_id"),
        ({"capabilities": []}, "capabilities"),
        ({"capabilities": ["a b"]}, "capabilities.0"),
        ({"weight": 0}, "weight"),
        ({"weight": True}, "weight"),
        ({"max_concurrent_requests": 0}, "max_concurrent_requests"),
        ({"timeout": -1}, "timeout"),
        ({"ttl_seconds": 0.5}, "ttl_seconds"),
        ({"labels": {"a": "x" * 201}}, "labels.a"),
        ({"health": {"path": "health"}}, "health.path"),
        ({"health": {"path": "/a b"}}, "health.path"),
        ({"health": {"check": "post"}}, "health.check"),
        ({"health": {"pth": "/x"}}, "health.pth"),
        ({"wieght": 2}, "wieght"),
        ({"version": "1", "model_version": "2"}, "body"),
    ],
)
async def test_what_cannot_be_is_refused_and_named(replica: Replica, change: dict[str, Any], where: str) -> None:
    answer = await replica.client.post("/services/register", json={**DOCUMENTED, **change})

    assert answer.status_code == 422, answer.text
    assert where in [reason["where"] for reason in answer.json()["reasons"]]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fe80::1]:8001",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://169.254.1.1:8001",
        "http://user:password@10.0.0.5:8001",
        "http://10.0.0.5:8001/?a=b",
        "http://10.0.0.5:8001/#a",
        "http://10.0.0.5:8001/ a",
        "http://10.0.0.5:99999",
        "http://a..b",
        "http://a%40b",
        "http://[fe80::1%25eth0]",
        "http://" + "a" * 64,
        "http://0.0.0.0:8001",
        "http://224.0.0.1:8001",
        "http://255.255.255.255:8001",
        "http://127.0.0.1:8110",
        "http://localhost:8110/x",
        "http://[::1]:8110",
        "ftp://10.0.0.5/",
        "file:///etc/passwd",
        "10.0.0.5:8001",
        "http://",
        "http://10.0.0.5:8001\r\nX: y",
    ],
)
async def test_an_address_that_the_registry_must_not_ask_is_refused(replica: Replica, url: str) -> None:
    answer = await replica.client.post("/services/register", json={**DOCUMENTED, "service_url": url})

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (422, "E4013"), answer.text
    assert [reason["where"] for reason in problem["reasons"]] == ["service_url"]
    assert "password" not in answer.text


async def test_who_may_only_register_may_not_write_the_catalogue(replica: Replica, key: Any) -> None:
    host = key("lstm-host", "service")
    await replica.state.registry.refresh()

    assert (await host.post("/services/register", json=DOCUMENTED)).status_code == 201
    assert (await host.post("/api/providers", json={"name": "a", "type": "openai"})).status_code == 403
    for scope in ("read", "node", "dispatch"):
        other = key(f"a key with scope {scope}", scope)
        await replica.state.registry.refresh()
        assert (await other.post("/services/register", json=DOCUMENTED)).status_code == 403
    assert (await replica.anonymous().post("/services/register", json=DOCUMENTED)).status_code == 401


async def test_an_instance_belongs_to_the_key_that_registered_it(replica: Replica, key: Any) -> None:
    owner, other = key("owner", "service"), key("other", "service")
    limited = key("limited", "service", services=["GRU"])
    await replica.state.registry.refresh()
    await owner.post("/services/register", json=DOCUMENTED)

    taken = await other.post("/services/register", json={**DOCUMENTED, "service_url": "http://10.6.6.6"})

    assert (taken.status_code, "'owner'" in taken.json()["detail"]) == (403, True)
    for method, path in (("POST", "/renew"), ("POST", "/drain"), ("POST", "/retire"), ("DELETE", ""), ("PATCH", "")):
        body = {"json": {"weight": 5}} if method == "PATCH" else {}
        assert (await other.request(method, f"/services/lstm-1{path}", **body)).status_code == 403, (method, path)
    refused = await limited.post("/services/register", json={**DOCUMENTED, "service_id": "lstm-2"})
    assert (refused.status_code, "gru" in refused.json()["detail"]) == (403, True)
    gru = {**DOCUMENTED, "service_id": "gru-1", "model_type": "gru"}
    assert (await limited.post("/services/register", json=gru)).status_code == 201
    # An administrator may change it, and it stays its owner's.
    assert (await replica.client.patch("/services/lstm-1", json={"weight": 3})).status_code == 200
    assert (await owner.post("/services/register", json=DOCUMENTED)).json()["weight"] == 3


async def test_drained_it_stays_so_until_it_is_activated(replica: Replica) -> None:
    await replica.client.post("/services/register", json=DOCUMENTED)

    drained = await replica.client.post("/services/lstm-1/drain", json={"reason": "new disk"})

    found = drained.json()
    assert (found["status"], found["state"], found["status_reason"]) == ("draining", "draining", "new disk")
    assert found["state_reason"].startswith("new disk")
    again = await replica.client.post("/services/register", json=DOCUMENTED)
    assert again.json()["status"] == "draining"
    back = (await replica.client.post("/services/lstm-1/activate")).json()
    assert (back["status"], back["status_reason"]) == ("active", None)


async def test_deleted_it_is_gone_and_its_model_service_stays(replica: Replica) -> None:
    await replica.client.post("/services/register", json=DOCUMENTED)

    in_use = await replica.client.delete("/api/model-services/LSTM")
    deleted = await replica.client.delete("/services/lstm-1")

    assert (in_use.status_code, deleted.status_code) == (409, 204)
    assert (await replica.client.get("/services/lstm-1")).status_code == 404
    assert (await replica.client.post("/services/lstm-1/renew")).status_code == 404
    assert (await replica.client.get("/services")).json() == {"items": [], "count": 0}
    assert (await replica.client.delete("/api/model-services/LSTM")).status_code == 204


async def test_lists_are_filtered_and_paged(replica: Replica) -> None:
    for name, kind in (("b-1", "B"), ("a-2", "A"), ("a-1", "A")):
        body = {**DOCUMENTED, "service_id": name, "model_type": kind, "health": {"check": "none"}}
        await replica.client.post("/services/register", json=body)

    async def names(query: str) -> list[str]:
        return [i["service_id"] for i in (await replica.client.get(f"/services?{query}")).json()["items"]]

    assert await names("") == ["a-1", "a-2", "b-1"]
    assert await names("model_type=a") == ["a-1", "a-2"]
    assert await names("limit=1&offset=1") == ["a-2"]
    assert await names("state=healthy") == ["a-1", "a-2", "b-1"]
    assert await names("state=offline") == []
    assert (await replica.client.get("/services?model_type=C")).status_code == 404
    assert (await replica.client.get("/services?state=sick")).status_code == 422


async def test_without_a_database_nothing_new_is_registered_and_what_is_known_is_told(
    replica: Replica, stack: Any
) -> None:
    await replica.client.post("/services/register", json={**DOCUMENTED, "ttl_seconds": 60})
    stack.postgrest.kill()
    try:
        new = await replica.client.post("/services/register", json={**DOCUMENTED, "service_id": "lstm-2"})
        renewed = await replica.client.post("/services/lstm-1/renew")
        known = await replica.client.get("/services/lstm-1")
    finally:
        stack.postgrest.start()

    assert (new.status_code, renewed.status_code, known.status_code) == (503, 200, 200)


async def test_replicas_that_register_and_delete_the_same_instances_refuse_no_registration(start_replica: Any) -> None:
    replicas: list[Replica] = [await start_replica(), await start_replica()]

    async def register(replica: Replica, service_id: str, weight: int) -> int:
        body = {**DOCUMENTED, "service_id": service_id, "weight": weight}
        registered = await replica.client.post("/services/register", json=body)
        if weight % 2:
            assert (await replica.client.delete(f"/services/{service_id}")).status_code in {204, 404}
        return registered.status_code

    done = await asyncio.gather(
        *(register(replica, name, weight) for name in "abcd" for weight in (1, 2, 3, 4) for replica in replicas)
    )

    # 404: it was registered, and deleted before it could be shown.
    assert set(done) <= {200, 201, 404}, done


async def test_what_is_not_there_is_looked_for_once(replica: Replica, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = 0
    refresh = replica.state.registry.refresh

    async def counted() -> None:
        nonlocal looks
        looks += 1
        await refresh()

    monkeypatch.setattr(replica.state.registry, "refresh", counted)
    assert (await replica.client.post("/services/nobody/drain")).status_code == 404
    assert looks == 1
