"""`/api/v1/registry`: requests of Model Garden's programs, with responses in their format; and the document."""

from __future__ import annotations

import copy
from typing import Any

import httpx
import jsonschema
import pytest

from support.catalogue import add, add_model, add_provider, encoded, get, places, problem
from support.documents import garden
from support.replica import Replica

BASE = "/api/v1/registry"
TINY = "unsloth/tinyllama-bnb-4bit"


async def put(client: httpx.AsyncClient, document: dict[str, Any], **params: Any) -> dict[str, Any]:
    response = await client.put(f"{BASE}/document", json=document, params=params)
    assert response.status_code == 200, response.text
    answer = response.json()
    assert answer.keys() == {"success", "data"}
    assert answer["success"] is True
    found: dict[str, Any] = answer["data"]
    return found


async def judged(client: httpx.AsyncClient, use: str, model_id: str, **hardware: Any) -> dict[str, Any]:
    response = await client.post(f"{BASE}/validate/{use}", json={"model_id": model_id, **hardware})
    assert response.status_code == 200, response.text
    assert response.json()["success"] is True
    found: dict[str, Any] = response.json()["data"]
    assert found.keys() == {"is_valid", "error_message", "errors", "warnings"}
    return found


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    done = await put(replica.client, garden())
    assert (done["created"], done["changed"], done["ignored"]) == (10, 2, 0)  # 7 models, 3 providers; 2 categories
    return replica.client


async def test_lists_have_the_envelope_and_the_columns_that_programs_read(client: httpx.AsyncClient) -> None:
    answer = await get(client, f"{BASE}/models")

    assert answer.keys() == {"success", "data", "total"}
    assert (answer["success"], answer["total"]) == (True, 7)
    assert next(row for row in answer["data"] if row["id"] == TINY) == {
        "id": TINY,
        "name": "TinyLlama 1.1B (4-bit)",
        "category": "text-llm",
        "provider": "unsloth",
        "base_architecture": "llama",
        "parameters": "1.1B",
        "description": "Tiny, for trying things out",
        "tags": ["small", "testing", "quantized"],
        "status": "stable",
        "is_vision": False,
        "is_quantized": True,
        "min_vram_gb": 4.0,
        "recommended_vram_gb": 6.0,
        "offered": True,
    }


async def test_the_list_and_the_document_are_in_the_documents_order(client: httpx.AsyncClient) -> None:
    document = garden()
    assert list(document["models"]) != sorted(document["models"]), "or this proves nothing"

    assert [row["id"] for row in (await get(client, f"{BASE}/models"))["data"]] == list(document["models"])
    assert list((await get(client, f"{BASE}/document"))["models"]) == list(document["models"])
    later = document["models"][TINY] | {"id": "aaa/later"}
    await put(client, document | {"models": {"aaa/later": later}})
    assert (await get(client, f"{BASE}/models"))["data"][-1]["id"] == "aaa/later"


async def test_a_category_chooses_and_one_that_is_not_there_has_no_models(client: httpx.AsyncClient) -> None:
    visions = await get(client, f"{BASE}/models", category="vision-vlm")
    assert visions["total"] == 3
    assert all(row["is_vision"] for row in visions["data"])

    unknown = await get(client, f"{BASE}/models", category="cars")
    assert (unknown["success"], unknown["data"], unknown["total"]) == (True, [], 0)


@pytest.mark.parametrize("path", [TINY, encoded(TINY)])
async def test_ids_with_slashes_come_raw_and_encoded(client: httpx.AsyncClient, path: str) -> None:
    answer = await get(client, f"{BASE}/models/{path}")

    assert answer.keys() == {"success", "data"}
    entry = garden()["models"][TINY]
    entry["requirements"]["min_gpus"] = 1
    assert entry.items() <= answer["data"].items()
    assert (answer["data"]["is_quantized"], answer["data"]["offered"]) == (True, True)


async def test_one_gpu_is_enough_where_nothing_else_is_said(client: httpx.AsyncClient) -> None:
    await add_provider(client)
    await add_model(client, "plain")

    bare = (await get(client, f"{BASE}/models/plain"))["data"]
    large = (await get(client, f"{BASE}/models/Qwen/Qwen2.5-VL-72B-Instruct"))["data"]

    assert [
        (m["requirements"]["min_gpus"], m["inference_defaults"]["tensor_parallel_size"]) for m in (bare, large)
    ] == [
        (1, 1),
        (2, 2),
    ]
    entry = (await get(client, f"{BASE}/document"))["models"]["plain"]
    assert "min_gpus" not in entry["requirements"], "what is not known is no fact"
    assert (await judged(client, "inference", "plain", gpus=0))["is_valid"]


async def test_a_model_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    problem(await client.get(f"{BASE}/models/nobody/nothing"), 404, "E4001")


async def test_categories_come_by_key(client: httpx.AsyncClient) -> None:
    answer = await get(client, f"{BASE}/categories")

    assert answer["success"] is True
    assert answer["data"]["text-llm"] == garden()["categories"]["text-llm"]
    assert answer["data"].keys() == {"text-llm", "vision-vlm"}
    await add_provider(client)
    await add_model(client, "vectors", model_type="embedding", category="embedding")
    used = await get(client, f"{BASE}/categories")
    assert used["data"].keys() == {"text-llm", "vision-vlm", "embedding"}, "the registry's others where they are used"


async def test_models_are_checked_by_capability_and_hardware(client: httpx.AsyncClient) -> None:
    assert await judged(client, "training", TINY) == {
        "is_valid": True,
        "error_message": None,
        "errors": [],
        "warnings": [],
    }
    assert "does not support training" in (await judged(client, "training", "acme/reader-1b"))["error_message"]
    assert (await judged(client, "inference", "acme/reader-1b", cuda_compute_capability=10.0))["is_valid"]
    assert not (await judged(client, "inference", "acme/reader-1b", cuda_compute_capability="9.0"))["is_valid"]
    assert "deprecated" in (await judged(client, "inference", "unsloth/llama-2-7b-bnb-4bit"))["error_message"]
    assert len((await judged(client, "training", TINY, vram_gb=4))["warnings"]) == 1
    large = await judged(client, "inference", "Qwen/Qwen2.5-VL-72B-Instruct", hardware={"vram_gb": 24, "gpus": 1})
    assert (large["is_valid"], len(large["errors"]), len(large["warnings"])) == (False, 2, 1)


async def test_a_model_that_replaces_another_is_named(client: httpx.AsyncClient) -> None:
    heir = {"replaced_by": "unsloth/llama-3-8b-bnb-4bit"}
    assert (await client.patch("/api/models/unsloth/llama-2-7b-bnb-4bit", json=heir)).status_code == 200

    assert heir["replaced_by"] in (await judged(client, "training", "unsloth/llama-2-7b-bnb-4bit"))["error_message"]


async def test_an_unknown_model_is_not_valid_and_a_missing_id_is_no_question(client: httpx.AsyncClient) -> None:
    assert "nobody/nothing" in (await judged(client, "training", "nobody/nothing"))["error_message"]
    for body in ({}, {"model_id": None}, {"model_id": ""}):
        for use in ("training", "inference"):
            refused = problem(await client.post(f"{BASE}/validate/{use}", json=body), 400, "E4009")
            assert places(refused) == {"model_id"}
    refused = problem(await client.post(f"{BASE}/validate/training", json={"model_id": TINY, "gpus": -1}), 422, "E4005")
    assert places(refused) == {"gpus"}


async def test_models_of_servers_need_no_tag_to_be_asked(client: httpx.AsyncClient) -> None:
    await add_provider(client)
    await add_model(client, "plain", capabilities=["chat"])

    assert (await judged(client, "inference", "plain"))["is_valid"]
    await client.patch("/api/providers/ollama_local", json={"active": False})
    assert "switched off" in (await judged(client, "inference", "plain"))["error_message"]


async def test_fitness_is_the_rule_of_selection(client: httpx.AsyncClient) -> None:
    await add_provider(client)
    tags = ["chat", "training"]
    await add_model(client, "loaded", capabilities=tags, vram_mb=18_432)
    await add_model(client, "large", capabilities=tags, parameters="30B")
    await add_model(
        client, "file", capabilities=tags, quantization={"method": "gguf", "type": "Q4_K_M"}, parameters="8B"
    )

    for memory in (12, 20):
        chosen = await client.post("/api/models/select", json={"constraints": {"vram_gb": memory}})
        fits = (await judged(client, "inference", "loaded", vram_gb=memory))["is_valid"]
        assert fits is ("loaded" in [item["model"]["name"] for item in chosen.json()["items"]]) is (memory == 20)
    assert "Nothing is known" in (await judged(client, "inference", "large", vram_gb=12))["warnings"][0]
    assert "GGUF" in (await judged(client, "training", "file", gpu="H100"))["error_message"]
    lora = await judged(client, "training", "large", gpu="RTX 4090", method="lora", sequence_length=4096)
    assert "4096 tokens" in lora["error_message"]
    both = await judged(client, "training", "large", gpu="RTX 4090", gpus=2, method="qlora", optimizer="adamw_8bit")
    assert (both["is_valid"], len(both["warnings"])) == (True, 1)
    for wrong in ({"gpu": "RTX 4900"}, {"hardware": {"gpu": "A100"}}, {"method": "magic"}):
        refused = await client.post(f"{BASE}/validate/training", json={"model_id": "large", **wrong})
        assert places(problem(refused, 422, "E4005")) == {"hardware.gpu" if "hardware" in wrong else next(iter(wrong))}
    refused = await client.post(f"{BASE}/validate/inference", json={"model_id": "large", "method": "lora"})
    assert places(problem(refused, 422, "E4005")) == {"method"}
    assert "'RTX 4090'" in (await client.post(f"{BASE}/validate/inference", json={"model_id": "x", "gpu": "4900"})).text


async def test_a_document_comes_out_as_it_went_in_and_keeps_to_its_schema(client: httpx.AsyncClient) -> None:
    answer = await client.get(f"{BASE}/document")
    document, schema = answer.json(), await get(client, f"{BASE}/schema")

    assert document["models"] == garden()["models"]
    assert garden()["categories"].items() <= document["categories"].items()
    assert document["version"] == "1.0.0"
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema)
    again = await client.get(f"{BASE}/document", headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status_code == 304


async def test_a_second_import_is_no_revision(client: httpx.AsyncClient) -> None:
    before = (await client.get(f"{BASE}/document")).headers["X-Registry-Revision"]

    for document in (garden(), await get(client, f"{BASE}/document")):
        done = await put(client, document)
        assert (done["created"], done["changed"], str(done["revision"])) == (0, 0, before)


async def test_an_import_is_one_transaction_and_a_rehearsal_writes_nothing(client: httpx.AsyncClient) -> None:
    document = copy.deepcopy(garden())
    document["models"] |= {
        f"lab/m{i}": garden()["models"][TINY] | {"id": f"lab/m{i}", "provider": "lab"} for i in range(5)
    }

    told = await put(client, document, dry_run=True)
    assert (told["dry_run"], told["created"]) == (True, 6)
    assert (await get(client, f"{BASE}/models"))["total"] == 7

    before = (await client.get(f"{BASE}/models")).headers["X-Registry-Revision"]
    await put(client, document)
    writes = await get(client, "/api/history")
    assert sum(write["revision"] > int(before) for write in writes["items"]) == 1


async def test_a_broken_document_changes_nothing_and_every_place_is_named(client: httpx.AsyncClient) -> None:
    document = copy.deepcopy(garden())
    document["models"]["acme/reader-1b"]["status"] = "brand new"
    document["models"][TINY] |= {"requirements": {"min_vram_gb": 9, "recommended_vram_gb": 8}}
    before = await get(client, f"{BASE}/document")

    refused = problem(await client.put(f"{BASE}/document", json=document), 422, "E4003")

    assert places(refused) == {
        "models.acme/reader-1b.status",
        f"models.{TINY}.requirements.recommended_vram_gb",
    }
    problem(await client.put(f"{BASE}/document", content=b"no json"), 422, "E4003")
    assert await get(client, f"{BASE}/document") == before


async def test_only_administrators_import(replica: Replica) -> None:
    async with replica.anonymous() as nobody:
        problem(await nobody.put(f"{BASE}/document", json=garden()), 401, "E4010")
        assert (await nobody.get(f"{BASE}/document")).status_code == 200


async def test_a_document_comes_back_when_a_model_was_given_the_name_of_its_alias(client: httpx.AsyncClient) -> None:
    await add_provider(client)
    await add_model(client, "qwen")
    await add(client, "aliases", alias="best", model="qwen")
    renamed = await client.patch("/api/models/qwen", json={"name": "best"})
    assert renamed.status_code == 200, renamed.text

    document = (await client.get("/api/v1/registry/document")).json()
    again = await client.put("/api/v1/registry/document", json=document)

    assert again.status_code == 200, again.text


async def test_the_card_and_the_aliases_of_a_model_are_in_the_document(client: httpx.AsyncClient) -> None:
    await add_provider(client)
    await add_model(client, "qwen", model_id="qwen3:8b", cost_per_1m_input_tokens=0.5, capabilities=["json_mode"])
    await add(client, "aliases", alias="best", model_id="qwen")

    entry = (await get(client, f"{BASE}/document"))["models"]["qwen3:8b"]

    assert (entry["registry_name"], entry["cost_per_1m_input_tokens"]) == ("qwen", 0.5)
    assert (entry["aliases"], entry["capability_tags"]) == ([{"alias": "best"}], ["json_mode"])


async def test_documents_do_not_touch_the_configuration(client: httpx.AsyncClient) -> None:
    await add_provider(client)
    await add_model(client, "qwen", model_id="qwen3:8b")
    before = (await client.get("/api/tensorzero/config")).text
    document = await get(client, f"{BASE}/document")
    for model in document["models"].values():
        model["cost_per_1m_input_tokens"] = 3.5

    await put(client, document)

    assert (await client.get("/api/tensorzero/config")).text == before
