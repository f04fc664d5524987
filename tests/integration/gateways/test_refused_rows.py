"""Rows that validation refuses are left out of what is published, and that is said wherever somebody looks."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest

from model_registry.gateways.kind import Files
from model_registry.gateways.tensorzero.validation.checker import TensorZeroChecker
from model_registry.gateways.tensorzero.validation.validate import ValidationResult
from support.catalogue import add_mapping, add_model, add_provider, get
from support.replica import Replica
from support.waiting import until

CONFIG = "/api/tensorzero/config"
STATUS = "/api/tensorzero/status"
MAPPING = "agents/spoilt/main"


@pytest.fixture
async def spoilt(replica: Replica, database: psycopg.Connection) -> Replica:
    """A service with a good mapping, and one whose mistake was written past the guard."""
    await add_provider(replica.client)
    await add_model(replica.client, "good")
    await add_mapping(replica.client, "agents/chat/main", "good")
    await add_mapping(replica.client, MAPPING, "good")
    await spoil(replica, database)
    return replica


async def spoil(replica: Replica, database: psycopg.Connection) -> None:
    database.execute("""update service_model_mappings set tensorzero = '{"zzz": 1}' where function_name = 'spoilt'""")
    await look(replica)
    await until(lambda: _excluded(replica))


async def look(replica: Replica) -> None:
    await replica.client.get("/api/models", headers={"Cache-Control": "no-cache"})


async def _excluded(replica: Replica) -> Any:
    return (await get(replica.client, STATUS))["excluded"]


async def test_all_other_rows_go_out_and_later_changes_too(spoilt: Replica) -> None:
    await add_model(spoilt.client, "later")
    served = await spoilt.client.get(CONFIG)
    status = await get(spoilt.client, STATUS)

    assert "[models.later]" in served.text
    assert "[functions.agents_chat.variants.main]" in served.text
    assert "zzz" not in served.text
    assert served.headers["x-registry-revision"] == str(status["newest_revision"]) == str(status["served"]["revision"])
    assert (served.headers["x-registry-excluded-rows"], status["publish"]) == ("1", "partial")


async def test_it_is_said_wherever_somebody_looks(spoilt: Replica) -> None:
    status = await get(spoilt.client, STATUS)
    (row,) = status["excluded"]
    ready = await get(spoilt.client, "/readyz")
    omitted = {
        (o["kind"], o["name"]): o["reason"] for o in (await get(spoilt.client, "/api/tensorzero/omitted"))["items"]
    }
    metrics = (await spoilt.client.get("/metrics")).text

    assert (row["kind"], row["name"], row["table"]) == ("mapping", MAPPING, "service_model_mappings")
    assert "is not a key of this table" in row["reasons"][0]["message"]
    assert row["reasons"][0]["where"] == "functions.agents_spoilt.variants.main.zzz"
    assert row["reasons"] == status["refused"]["reasons"]
    assert row["since_revision"] == status["refused"]["revision"] == status["newest_revision"]
    assert (ready["status"], ready["dependencies"]["publishing"]["status"]) == ("ready", "warning")
    assert MAPPING in ready["dependencies"]["publishing"]["detail"]
    assert "zzz" in omitted["mapping", MAPPING]
    assert omitted["function", "agents_spoilt"] == "it has no variant"
    assert "model_registry_configuration_excluded_rows 1.0" in metrics
    assert "model_registry_configuration_refused 1.0" in metrics
    assert 'configuration_check_seconds_count{outcome="partial"}' in metrics


async def test_a_row_that_never_went_out_makes_no_gateway_restart(spoilt: Replica) -> None:
    before = await spoilt.client.get(CONFIG)
    row = {"service_name": "agents", "function_name": "spoilt", "variant_name": "other", "model": "good"}
    await spoilt.client.post("/api/mappings", json=row)
    await spoilt.client.patch(f"/api/mappings/{MAPPING}", params={"wait": 30}, json={"weight": 2})
    await spoilt.client.delete("/api/mappings/agents/spoilt/other")
    again = await spoilt.client.get(CONFIG)
    gone = await spoilt.client.delete(f"/api/mappings/{MAPPING}", params={"wait": 30})

    assert before.headers["etag"] == again.headers["etag"]
    assert (gone.headers["x-registry-publication"], await _excluded(spoilt)) == ("published", [])
    assert (await spoilt.client.get(CONFIG)).headers["etag"] == before.headers["etag"]


async def test_a_new_function_that_is_refused_changes_no_byte(replica: Replica, database: psycopg.Connection) -> None:
    await add_provider(replica.client)
    await add_model(replica.client, "good")
    before = await replica.client.get(CONFIG)
    database.execute(
        """insert into service_model_mappings (service_name, function_name, variant_name, model_id, tensorzero)
        select 'agents', 'spoilt', 'main', id, '{"zzz": 1}' from models"""
    )
    await look(replica)
    await until(lambda: _excluded(replica))

    assert (await replica.client.get(CONFIG)).headers["etag"] == before.headers["etag"]


async def test_once_mended_it_is_back_at_once(spoilt: Replica) -> None:
    answer = await spoilt.client.patch(f"/api/mappings/{MAPPING}", params={"wait": 30}, json={"tensorzero": {}})
    served = await spoilt.client.get(CONFIG)

    assert answer.json()["publication"]["state"] == "published"
    assert "[functions.agents_spoilt.variants.main]" in served.text
    assert "x-registry-refused-revision" not in served.headers
    assert await get(spoilt.client, "/api/tensorzero/omitted") == {"items": [], "count": 0}
    assert (await get(spoilt.client, "/readyz"))["dependencies"]["publishing"]["status"] == "ok"
    assert "model_registry_configuration_excluded_rows 0.0" in (await spoilt.client.get("/metrics")).text


async def test_a_write_that_waits_answers_what_became_of_it(spoilt: Replica) -> None:
    model = {"name": "other", "model_id": "other", "provider": "ollama_local"}
    unrelated = await spoilt.client.post("/api/models", params={"wait": 30}, json=model)
    still = await spoilt.client.patch(f"/api/mappings/{MAPPING}", params={"wait": 30}, json={"weight": 2})
    silent = await spoilt.client.patch(f"/api/mappings/{MAPPING}", json={"weight": 3})
    gone = await spoilt.client.delete(f"/api/mappings/{MAPPING}", params={"wait": 30})

    assert unrelated.status_code == 201
    assert unrelated.json()["publication"]["state"] == unrelated.headers["x-registry-publication"] == "published"
    assert unrelated.json()["publication"]["excluded"] == []
    found = still.json()["publication"]
    assert (found["state"], [row["name"] for row in found["excluded"]]) == ("excluded", [MAPPING])
    assert "publication" not in silent.json()
    assert "x-registry-publication" not in silent.headers
    assert (gone.status_code, gone.content, gone.headers["x-registry-publication"]) == (204, b"", "published")
    row = await spoilt.client.get("/api/models/other")
    assert row.headers["etag"] == unrelated.headers["etag"]
    assert (await spoilt.client.post("/api/models", params={"wait": 61}, json=model)).status_code == 422


async def test_a_write_is_not_blamed_for_a_mistake_made_meanwhile(
    replica: Replica, database: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_provider(replica.client)
    await add_model(replica.client, "good")
    await add_model(replica.client, "gone")
    await add_mapping(replica.client, MAPPING, "good")
    await replica.client.get(CONFIG)
    begun, go_on, check = asyncio.Event(), asyncio.Event(), TensorZeroChecker.check

    async def slowly(validator: TensorZeroChecker, files: Files, *, loader: bool) -> ValidationResult:
        begun.set()
        await go_on.wait()
        return await check(validator, files, loader=loader)

    monkeypatch.setattr(TensorZeroChecker, "check", slowly)
    await add_model(replica.client, "first")
    await begun.wait()  # all that follows is validated together
    row = {"name": "other", "model_id": "other", "provider": "ollama_local"}
    writes = [
        asyncio.ensure_future(replica.client.post("/api/models", params={"wait": 30}, json=row)),
        asyncio.ensure_future(replica.client.patch("/api/models/good", params={"wait": 30}, json={"model_id": "g"})),
        asyncio.ensure_future(replica.client.delete("/api/models/gone", params={"wait": 30})),
    ]
    await until(lambda: _are_written(replica))
    database.execute("""update service_model_mappings set tensorzero = '{"zzz": 1}' where function_name = 'spoilt'""")
    await look(replica)
    go_on.set()
    unrelated, needed, deleted = await asyncio.gather(*writes)

    assert [row["name"] for row in await _excluded(replica)] == [MAPPING]
    assert unrelated.headers["x-registry-publication"] == deleted.headers["x-registry-publication"] == "published"
    assert needed.headers["x-registry-publication"] == "excluded"  # the mapping names its model


async def _are_written(replica: Replica) -> bool:
    models = replica.state.registry.snapshot.models
    names = {row.name for row in models}
    return "other" in names and "gone" not in names and any(row.model_id == "g" for row in models)


async def test_an_import_that_waits_answers_what_became_of_it(spoilt: Replica) -> None:
    toml = '[models.m]\nrouting = ["p"]\n[models.m.providers.p]\ntype = "openai"\nmodel_name = "x"\n'
    body = {"files": {"tensorzero.toml": toml}}
    tried = await spoilt.client.post("/api/tensorzero/import", params={"wait": 30, "dry_run": True}, json=body)
    done = await spoilt.client.post("/api/tensorzero/import", params={"wait": 30}, json=body)
    again = await spoilt.client.post("/api/tensorzero/import", params={"wait": 30}, json=body)

    assert "publication" not in tried.json()
    assert done.json()["publication"]["state"] == again.json()["publication"]["state"] == "published"
    assert done.json()["publication"]["served_revision"] == done.json()["revision"]


async def test_a_restart_keeps_what_was_published(
    start_replica: Any, database: psycopg.Connection, environment: dict[str, Any]
) -> None:
    kept = {"MODEL_REGISTRY_CACHE_DIR": environment["MODEL_REGISTRY_CACHE_DIR"]}
    first: Replica = await start_replica(**kept)
    await add_provider(first.client)
    await add_model(first.client, "good")
    await add_mapping(first.client, MAPPING, "good")
    await spoil(first, database)
    before = await first.client.get(CONFIG)
    second: Replica = await start_replica(**kept)
    other: Replica = await start_replica()
    restarted = second.state.publisher.delivery
    after, elsewhere = await second.client.get(CONFIG), await other.client.get(CONFIG)

    assert [row.name for row in restarted.excluded] == [MAPPING]
    assert before.headers["etag"] == after.headers["etag"] == elsewhere.headers["etag"]
    assert before.text == after.text == elsewhere.text
    assert [row["name"] for row in (await get(second.client, STATUS))["excluded"]] == [MAPPING]


async def test_strict_holds_everything_back(start_replica: Any, database: psycopg.Connection) -> None:
    strict: Replica = await start_replica(MODEL_REGISTRY_PUBLISH="strict")
    await add_provider(strict.client)
    await add_model(strict.client, "good")
    good = await strict.client.get(CONFIG)
    database.execute("insert into config_sections (name, value) values ('nonsense', '{}')")
    await strict.client.get("/api/models", headers={"Cache-Control": "no-cache"})
    model = {"name": "later", "model_id": "later", "provider": "ollama_local"}
    answer = await strict.client.post("/api/models", params={"wait": 30}, json=model)
    served, status = await strict.client.get(CONFIG), await get(strict.client, STATUS)
    ready = await get(strict.client, "/readyz")

    assert served.text == good.text
    assert (status["publish"], status["excluded"]) == ("strict", [])
    assert answer.headers["x-registry-publication"] == "refused"
    assert "nonsense" in str(answer.json()["publication"]["reasons"])
    assert answer.json()["publication"]["served_revision"] == status["served"]["revision"]
    assert ready["status"] == "ready"
    assert "nonsense" in ready["dependencies"]["publishing"]["detail"]
