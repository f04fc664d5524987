"""Sources over HTTP: made, asked, refreshed; and what is said of those that do not answer."""

from __future__ import annotations

from typing import Any

from structlog.testing import capture_logs

from support.catalogue import add, get, places, problem
from support.replica import Replica
from support.sources import add_source, models, refresh
from support.stub_sources import Listing, StubSource
from support.waiting import until


async def test_a_source_is_asked_by_itself_and_its_models_are_catalogued(replica: Replica, server: StubSource) -> None:
    await add_source(replica.client, server, active=True, interval_seconds=3600)

    async def answered() -> Any:
        source = await get(replica.client, "/api/sources/gpu_1")
        return source if source["state"] == "ok" else None

    source = await until(answered)
    assert (source["models"], source["skipped"], source["error"]) == (2, [], None)
    assert source["counts"]["created"] == 2
    assert source["last_good_at"] is not None
    found = await models(replica.client)
    assert found["small"]["provider_name"] == "gpu_1"
    assert found["small"]["field_sources"]["context_length"] == "gpu_1"
    assert found["small"]["active"] is False


async def test_a_refresh_answers_the_report_and_the_second_changes_nothing(
    replica: Replica, server: StubSource
) -> None:
    await add_source(replica.client, server)

    dry = await refresh(replica.client, dry_run=True)
    assert await models(replica.client) == {}
    first = await refresh(replica.client)
    second = await refresh(replica.client)

    assert [row["action"] for row in dry["report"]] == ["created"] * 3
    assert [row["action"] for row in first["report"]] == ["created"] * 3
    assert [row["action"] for row in second["report"]] == ["unchanged"] * 2
    assert second["revision"] == first["revision"]


async def test_a_model_that_disappears_is_marked_and_back_again_is_not(replica: Replica, server: StubSource) -> None:
    await add_source(replica.client, server)
    await refresh(replica.client)

    server.lists("small")
    with capture_logs() as lines:
        await refresh(replica.client)
    gone = (await models(replica.client))["large"]
    missing, others = [[*await models(replica.client, missing=wanted)] for wanted in (True, False)]
    server.lists("small", "large")
    await refresh(replica.client)

    assert gone["missing_since"] is not None
    assert (missing, others) == (["large"], ["small"])
    logged = [line for line in lines if line["event"] == "models are listed no more"]
    assert [(line["source"], line["number"], line["models"]) for line in logged] == [("gpu_1", 1, ("large",))]
    assert (await models(replica.client))["large"]["missing_since"] is None
    assert (await models(replica.client))["small"]["missing_since"] is None


async def test_a_source_that_fails_keeps_what_it_listed(replica: Replica, server: StubSource) -> None:
    await add_source(replica.client, server)
    await refresh(replica.client)

    server.listings["/v1/models"] = Listing({"error": "overloaded"}, status=500)
    refused = await replica.client.post("/api/sources/gpu_1/refresh")
    source = await get(replica.client, "/api/sources/gpu_1")

    assert "it answers 500" in problem(refused, 502, "E5005")["detail"]
    assert (source["state"], source["models"]) == ("failing", 2)
    assert source["failing_since"] is not None
    assert source["last_good_at"] < source["failing_since"]
    assert [m["missing_since"] for m in (await models(replica.client)).values()] == [None, None]
    server.lists("small", "large")
    await refresh(replica.client)
    assert (await get(replica.client, "/api/sources/gpu_1"))["state"] == "ok"


async def test_what_people_set_stays_and_is_reported(replica: Replica, server: StubSource) -> None:
    await add_source(replica.client, server)
    await refresh(replica.client)
    edited = await replica.client.patch("/api/models/small", json={"context_length": 9, "description": "ours"})
    assert edited.status_code == 200

    report = (await refresh(replica.client))["report"]

    (row,) = [row for row in report if row["name"] == "small"]
    assert row["kept"] == {"context_length": "set by hand"}
    assert (await models(replica.client))["small"]["context_length"] == 9


async def test_the_environment_makes_sources_that_people_do_not_write(start_replica: Any, server: StubSource) -> None:
    server.listings["/models/list"] = Listing(
        {"framework": "timm", "models": [{"model_name": "resnet", "tags": ["a"]}]}
    )
    first = await start_replica(TIMM_SERVICE_URL=server.url)

    async def listed() -> Any:
        return (await models(first.client)).get("resnet")

    model = await until(listed)
    refused = await first.client.patch("/api/sources/timm_service", json={"interval_seconds": 7})
    kept = await first.client.delete("/api/sources/timm_service")

    assert model["framework"] == "timm"
    assert (await get(first.client, "/api/sources/timm_service"))["environment_variable"] == "TIMM_SERVICE_URL"
    assert "TIMM_SERVICE_URL" in problem(refused, 409, "E4090")["detail"]
    assert "TIMM_SERVICE_URL" in problem(kept, 409, "E4092")["detail"]
    second = await start_replica()

    async def gone() -> bool:
        return bool((await get(second.client, "/api/sources"))["count"] == 0)

    await until(gone)


async def test_a_source_is_refused_with_every_fault(replica: Replica) -> None:
    async def faults(**body: Any) -> set[str]:
        return places(problem(await replica.client.post("/api/sources", json=body), 422, "E4005"))

    assert await faults(name="s", kind="ollama") == {"address"}
    assert await faults(name="s", kind="ollama", address="http://me:word@gpu:1") == {"address"}
    assert await faults(name="s", kind="file", address="../etc/passwd") == {"address"}
    assert await faults(name="s", kind="file", address="/etc/passwd") == {"address"}
    assert await faults(name="s", kind="module", address="os") == {"address"}
    assert await faults(name="hand", kind="carrier pigeon") == {"name", "kind"}
    assert await faults(name="s", kind="openai", address="http://gpu", api_key_env_var="SUPABASE_SERVICE_ROLE_KEY") == {
        "api_key_env_var"
    }
    assert await faults(name="s", kind="openai", address="http://gpu", options={"activ": True}) == {"options.activ"}


async def test_a_source_keeps_its_name_and_the_rest_changes(replica: Replica, server: StubSource) -> None:
    await add_source(replica.client, server)
    await refresh(replica.client)

    renamed = await replica.client.patch("/api/sources/gpu_1", json={"name": "gpu_2"})
    moved = await replica.client.patch("/api/sources/gpu_1", json={"interval_seconds": 7})
    deleted = await replica.client.delete("/api/sources/gpu_1")

    assert "marked with 'gpu_1'" in problem(renamed, 409, "E4090")["detail"]
    assert moved.json()["interval_seconds"] == 7
    assert deleted.status_code == 204
    assert set(await models(replica.client)) == {"small", "large"}


async def test_metrics_count_sources_by_kind_and_state(replica: Replica, server: StubSource) -> None:
    await add_source(replica.client, server, active=True, interval_seconds=3600)

    async def shown() -> bool:
        metrics = (await replica.client.get("/metrics")).text
        return 'model_registry_sources{kind="openai",state="ok"} 1.0' in metrics and (
            'model_registry_source_answer_seconds_count{kind="openai",outcome="changed"} 1.0' in metrics
        )

    await until(shown)


async def test_a_model_that_its_source_lists_no_more_is_warned_about(replica: Replica, server: StubSource) -> None:
    await add_source(replica.client, server)
    await refresh(replica.client)
    server.lists("small")
    await refresh(replica.client)

    mapping = {"service_name": "s", "function_name": "f", "variant_name": "v", "model": "large"}
    written = await add(replica.client, "mappings", **mapping)

    assert any("no source lists" in warning for warning in written["warnings"])
