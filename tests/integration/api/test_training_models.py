"""The lists of models that can be trained: the ten real entries in, and out equal in every shape that programs know."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from model_registry.imports.sources.training_service import SOURCE, read_training_models
from support.catalogue import get, problem
from support.replica import Replica
from support.training_entries import DOCUMENTS, ENTRIES

LISTED = (
    *("framework", "model_name", "display_name", "description", "params", "input_size", "task_types"),
    *("pretrained_available", "recommended_batch_size", "recommended_lr", "tags", "priority"),
)
GUIDE: dict[str, Any] = {
    **{part: {} for part in ("benchmark", "recommended_settings")},
    **{part: [] for part in ("use_cases", "pros", "cons", "alternatives", "real_world_examples")},
    "when_to_use": "",
    **dict.fromkeys(("when_not_to_use", "special_features")),
}
SEGFORMER = "nvidia/segformer-b0-finetuned-ade-512-512"


async def bring_in(client: httpx.AsyncClient, document: Any, provider: str) -> dict[str, Any]:
    content = read_training_models(document, framework=None, provider=provider, api_base=f"http://{provider}:8001")
    assert content.unread == ()
    offers = [offer.model_dump(exclude_defaults=True) for offer in content.offers]
    response = await client.post("/api/models/import", json={"source": SOURCE, "offers": offers})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    assert "skipped" not in {row["action"] for row in answer["report"]}
    return answer


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    for framework, document in DOCUMENTS.items():
        await bring_in(replica.client, document, framework)
    return replica.client


async def test_whole_entries_come_out_as_a_training_service_lists_them(client: httpx.AsyncClient) -> None:
    answer = await get(client, "/models/list")
    one = await get(client, "/models/list", framework="timm")

    assert {(e["framework"], e["model_name"]): e for e in answer.pop("models")} == ENTRIES
    assert answer == {"framework": "all", "model_count": 10}
    assert (one["framework"], one["model_count"]) == ("timm", 3)
    assert sorted(one) == sorted(DOCUMENTS["timm"])


async def test_every_name_that_is_listed_is_found(client: httpx.AsyncClient) -> None:
    for (framework, name), entry in ENTRIES.items():
        for path in (f"/models/{name}", f"/models/{name.replace('/', '%2F')}", f"/models/{framework}/{name}"):
            assert await get(client, path) == entry
        for path in (f"/api/v1/models/{framework}/{name}", f"/api/v1/models/{framework}/{name.replace('/', '%2F')}"):
            assert await get(client, path) == entry
        assert await get(client, "/api/v1/models/get", framework=framework, model_name=name) == entry


async def test_the_merged_list_is_a_bare_array_of_the_common_fields(client: httpx.AsyncClient) -> None:
    rows = await get(client, "/api/v1/models/list")

    assert [set(row) for row in rows] == [set(LISTED)] * 10
    for row in rows:
        entry = ENTRIES[row["framework"], row["model_name"]]
        assert row == {name: entry.get(name, 2 if name == "priority" else None) for name in LISTED}
    order = [(row["framework"], row["priority"], row["model_name"]) for row in rows]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ({"framework": "ultralytics"}, 5),
        ({"framework": "nobody"}, 0),
        ({"task_type": "image_classification"}, 3),
        ({"task_type": "nothing"}, 0),
        ({"tags": "yolo11, ade20k,nothing"}, 4),
        ({"tags": "nothing"}, 0),
        ({"priority": 0}, len([e for e in ENTRIES.values() if e["priority"] == 0])),
        ({"framework": "timm", "priority": 1}, 2),
    ],
)
async def test_filters(client: httpx.AsyncClient, query: dict[str, Any], count: int) -> None:
    if "tags" in query:
        wanted = {tag.strip() for tag in query["tags"].split(",")}
        count = sum(not wanted.isdisjoint(entry["tags"]) for entry in ENTRIES.values())

    assert len(await get(client, "/api/v1/models/list", **query)) == count
    assert (await get(client, "/models/list", **query))["model_count"] == count


@pytest.mark.parametrize("priority", ["7", "-1", "high"])
async def test_a_priority_that_there_is_not_is_refused(replica: Replica, priority: str) -> None:
    problem(await replica.client.get("/api/v1/models/list", params={"priority": priority}), 422, "E4005")


async def test_a_guide_has_its_parts_by_query_and_by_path(client: httpx.AsyncClient) -> None:
    fields = ("framework", "model_name", "display_name", "description", "params", "input_size", "task_types", "tags")
    for (framework, name), entry in ENTRIES.items():
        expected = {"model": {field: entry[field] for field in fields}}
        expected |= {part: entry.get(part, missing) for part, missing in GUIDE.items()}
        assert await get(client, "/api/v1/models/guide", framework=framework, model_name=name) == expected
        assert await get(client, f"/api/v1/models/{framework}/{name}/guide") == expected


async def test_models_stand_side_by_side(client: httpx.AsyncClient) -> None:
    response = await client.get(
        "/api/v1/models/compare", params={"models": f"ultralytics:yolo11n, huggingface:{SEGFORMER},timm:no"}
    )

    fields = ("framework", "model_name", "display_name", "params", "task_types", "tags")
    entries = [ENTRIES["ultralytics", "yolo11n"], ENTRIES["huggingface", SEGFORMER]]
    assert response.json() == {
        "models": [{f: e[f] for f in fields} | {"benchmark": e.get("benchmark", {})} for e in entries],
        "count": 2,
    }
    assert response.headers["X-Registry-Not-Found"] == '"timm:no"'


@pytest.mark.parametrize(
    ("models", "status", "code"),
    [("yolo11n", 400, "E4009"), ("a:b:c", 400, "E4009"), ("", 400, "E4009"), ("timm:no", 404, "E4001")],
)
async def test_what_cannot_be_compared_is_refused(replica: Replica, models: str, status: int, code: str) -> None:
    problem(await replica.client.get("/api/v1/models/compare", params={"models": models}), status, code)


async def test_a_model_that_is_not_there_is_named_in_the_detail(client: httpx.AsyncClient) -> None:
    paths = (
        "/api/v1/models/timm/no",
        "/api/v1/models/timm/no/guide",
        "/api/v1/models/get?framework=timm&model_name=no",
    )
    for path in (*paths, "/api/v1/models/guide?framework=timm&model_name=no", "/models/no?framework=timm"):
        assert problem(await client.get(path), 404, "E4001")["detail"].startswith(
            "Model 'no' not found in framework 'timm'"
        )
    assert "Did you mean 'convnext_tiny'?" in (await client.get("/api/v1/models/timm/convnext_tny")).json()["detail"]


async def test_answers_carry_an_etag(client: httpx.AsyncClient) -> None:
    for path in ("/models/list", "/api/v1/models/list", "/models/yolo11n"):
        etag = (await client.get(path)).headers["ETag"]
        assert (await client.get(path, headers={"If-None-Match": etag})).status_code == 304


async def test_what_people_edit_wins_in_the_list_and_stays_after_the_next_answer(client: httpx.AsyncClient) -> None:
    edit = {"display_name": "Ours", "description": None, "tags": ["mine"], "metadata": {"owner": "me"}}
    response = await client.patch("/api/models/yolo11n", json=edit)
    assert response.status_code == 200, response.text
    await bring_in(client, DOCUMENTS["ultralytics"], "ultralytics")

    entry = await get(client, "/models/yolo11n")
    original = ENTRIES["ultralytics", "yolo11n"]
    assert entry == original | {"display_name": "Ours", "description": None, "tags": ["mine"]}
    row = await get(client, "/api/models/yolo11n")
    assert (row["metadata"], row["training_entry"]) == ({"owner": "me"}, original)
    assert [r["model_name"] for r in await get(client, "/api/v1/models/list", tags="mine")] == ["yolo11n"]


async def test_an_entry_that_people_write_stays_whole(client: httpx.AsyncClient) -> None:
    entry = ENTRIES["ultralytics", "yolo11n"] | {"priority": 2, "note": "ours"}
    assert (await client.patch("/api/models/yolo11n", json={"training_entry": entry})).status_code == 200
    answer = await bring_in(client, DOCUMENTS["ultralytics"], "ultralytics")

    assert await get(client, "/models/yolo11n") == entry
    kept = next(row["kept"] for row in answer["report"] if row["name"] == "yolo11n")
    assert kept["training_entry"] == "set by hand"


async def test_a_model_that_people_disable_is_not_listed(client: httpx.AsyncClient) -> None:
    assert (await client.patch("/api/models/yolo11n", json={"status": "disabled"})).status_code == 200

    assert len(await get(client, "/api/v1/models/list", framework="ultralytics")) == 4
    assert "No source lists it" in (await client.get("/api/v1/models/ultralytics/yolo11n")).json()["detail"]


async def test_clients_of_openais_interface_are_not_offered_them(client: httpx.AsyncClient) -> None:
    for path in ("/api/providers/ultralytics", "/api/models/yolo11n"):
        assert (await client.patch(path, json={"active": True})).status_code == 200

    assert (await get(client, "/api/models", model_type="other", offered=True))["count"] == 1
    assert (await get(client, "/v1/models"))["data"] == []


async def test_one_name_in_two_frameworks_is_asked_for_with_the_framework(client: httpx.AsyncClient) -> None:
    await bring_in(client, {"framework": "mine", "models": [{"model_name": "yolo11n"}]}, "mine")

    found = problem(await client.get("/models/yolo11n"), 409, "E4091")
    assert found["allowed"] == ["mine/yolo11n", "ultralytics/yolo11n"]
    assert await get(client, "/models/mine/yolo11n") == {"framework": "mine", "model_name": "yolo11n"}


async def test_an_entry_with_two_fields_is_listed_with_what_is_unknown(client: httpx.AsyncClient) -> None:
    await bring_in(
        client,
        {"framework": "mine", "models": {"vit-base": {"task_types": ["a"], "input_size": "224x224", "priority": "p0"}}},
        "mine",
    )

    unknown = dict.fromkeys(
        ("params", "input_size", "pretrained_available", "recommended_batch_size", "recommended_lr")
    )
    assert await get(client, "/api/v1/models/list", framework="mine") == [
        {"framework": "mine", "model_name": "vit-base", "display_name": "vit-base", "description": "", **unknown}
        | {"task_types": ["a"], "tags": [], "priority": 2}
    ]
    assert (await get(client, "/models/vit-base"))["input_size"] == "224x224"
