"""How callers refer to rows: by id, by name, by the provider's name, by alias; in paths and in bodies."""

from __future__ import annotations

from uuid import UUID

import httpx
import pytest

from support.catalogue import add, add_mapping, add_model, add_provider, encoded, get, places, problem
from support.replica import Replica

UNKNOWN_ID = "6f3a27d4-0000-4000-8000-000000000000"


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    """A registry that holds two providers."""
    await add_provider(replica.client)
    await add_provider(replica.client, "vllm_box", type="vllm", api_base="http://gpu:8000/v1")
    return replica.client


NAMES = (
    "qwen3:8b",
    "Qwen/Qwen3-Embedding-8B",
    "gpt-4.1-mini",
    "org/sub/model:tag.v2",
    "a b+c",
    "ü/日本",
    "%",
    "?b#c",
    "%2F",
)


async def test_names_with_any_characters_are_found_raw_and_encoded(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for name in NAMES:
        with subtests.test(name=name):
            made = await add_model(client, name)
            assert await get(client, f"/api/models/{encoded(name)}") == made
            if not set(name) & set("?#%"):
                assert await get(client, f"/api/models/{name}") == made
            changed = await client.patch(f"/api/models/{encoded(name)}", json={"description": "d"})
            assert changed.json()["description"] == "d"
            assert (await client.delete(f"/api/models/{encoded(name)}")).status_code == 204


async def test_a_model_is_found_by_id_name_the_providers_name_and_alias(client: httpx.AsyncClient) -> None:
    made = await add_model(client, "small", model_id="qwen3:8b")
    await add(client, "aliases", alias="default_small", model="small", context="agents")
    made["aliases"] = [{"alias": "default_small", "context": "agents"}]

    for reference in (made["id"], made["id"].upper(), "small", "qwen3:8b", "default_small"):
        assert await get(client, f"/api/models/{reference}") == made


async def test_a_name_counts_more_than_a_providers_name_and_that_more_than_an_alias(client: httpx.AsyncClient) -> None:
    by_alias = await add_model(client, "one", model_id="1")
    await add(client, "aliases", alias="x", model="one", context="agents")
    assert (await get(client, "/api/models/x"))["id"] == by_alias["id"]

    by_provider = await add_model(client, "two", model_id="x")
    assert (await get(client, "/api/models/x"))["id"] == by_provider["id"]

    by_name = await add_model(client, "x", model_id="3")
    assert (await get(client, "/api/models/x"))["id"] == by_name["id"]


async def test_a_name_that_fits_several_rows_is_refused_with_all_of_them(client: httpx.AsyncClient) -> None:
    rows = [await add_model(client, "shared", provider) for provider in ("ollama_local", "vllm_box")]

    for method in ("GET", "PATCH", "DELETE"):
        found = problem(await client.request(method, "/api/models/shared", json={}), 409, "E4091")
        assert {match["id"] for match in found["matches"]} == {row["id"] for row in rows}
        assert {match["label"] for match in found["matches"]} == {
            "shared (shared at ollama_local)",
            "shared (shared at vllm_box)",
        }


async def test_an_alias_in_several_contexts_is_refused_with_all_of_them(client: httpx.AsyncClient) -> None:
    await add_model(client, "m")
    rows = [await add(client, "aliases", alias="a", model="m", context=context) for context in (None, "agents")]

    found = problem(await client.get("/api/aliases/a"), 409, "E4091")

    assert {match["id"] for match in found["matches"]} == {row["id"] for row in rows}


async def test_a_reference_that_fits_several_rows_needs_the_provider(client: httpx.AsyncClient) -> None:
    for provider in ("ollama_local", "vllm_box"):
        await add_model(client, "shared", provider)
    body = {
        "service_name": "s",
        "function_name": "f",
        "variant_name": "v",
        "model": "shared",
        "fallback_model_id": "shared",
    }

    problem(await client.post("/api/mappings", json=body), 409, "E4091")
    problem(await client.post("/api/mappings", json={**body, "provider": "vllm_box"}), 409, "E4091")
    made = await add(client, "mappings", **body, provider="vllm_box", fallback_provider="ollama_local")

    assert (made["provider_name"], made["fallback_model_name"]) == ("vllm_box", "shared")
    assert made["model_id"] != made["fallback_model_id"]


@pytest.mark.parametrize("field", ["provider_id", "provider", "provider_name"])
async def test_a_model_names_its_provider_by_name_or_id_in_any_field(client: httpx.AsyncClient, field: str) -> None:
    provider = await get(client, "/api/providers/vllm_box")

    for name, reference in {"by_id": provider["id"], "by_name": "vllm_box"}.items():
        made = await add(client, "models", name=name, model_id=name, **{field: reference})
        assert (made["provider_id"], made["provider_name"]) == (provider["id"], "vllm_box")


@pytest.mark.parametrize("field", ["model_id", "model"])
async def test_mappings_and_aliases_name_their_model_in_any_way(client: httpx.AsyncClient, field: str) -> None:
    model = await add_model(client, "small", model_id="qwen3:8b")
    await add(client, "aliases", alias="usual", model="small")

    for i, reference in enumerate((model["id"], "small", "qwen3:8b", "usual")):
        alias = await add(client, "aliases", alias=f"a{i}", **{field: reference})
        mapping = await add(
            client, "mappings", service_name="s", function_name="f", variant_name=f"v{i}", **{field: reference}
        )
        assert (alias["model_id"], mapping["model_id"]) == (model["id"], model["id"])


async def test_what_a_body_refers_to_can_be_changed_in_any_way(client: httpx.AsyncClient) -> None:
    await add_model(client, "old")
    new = await add_model(client, "new", model_id="the-new-one")
    await add_mapping(client, "s/f/v", "old", weight=0.5)
    vllm = await get(client, "/api/providers/vllm_box")

    mapping = await client.patch("/api/mappings/s/f/v", json={"model": "the-new-one"})
    moved = await client.patch("/api/models/old", json={"provider": "vllm_box"})

    assert (mapping.json()["model_id"], mapping.json()["weight"]) == (new["id"], 0.5)
    assert (moved.json()["provider_id"], moved.json()["provider_type"]) == (vllm["id"], "vllm")


@pytest.mark.parametrize("reference", ["nobody", UNKNOWN_ID, ""])
async def test_references_to_nothing_are_refused_with_the_field(client: httpx.AsyncClient, reference: str) -> None:
    await add_model(client, "m")
    names = {"service_name": "s", "function_name": "f", "variant_name": "v"}

    for path, body, field in (
        ("models", {"name": "x", "model_id": "x", "provider_id": reference}, "provider_id"),
        ("aliases", {"alias": "x", "model_id": reference}, "model_id"),
        ("mappings", {**names, "model_id": reference}, "model_id"),
        ("mappings", {**names, "model_id": "m", "fallback_model_id": reference}, "fallback_model_id"),
    ):
        answer = await client.post(f"/api/{path}", json=body)
        assert answer.status_code == 422, (path, answer.text)
        assert places(answer.json()) == {field}, answer.text


async def test_functions_are_found_by_name_and_by_service_and_function(client: httpx.AsyncClient) -> None:
    made = await add(client, "functions", service_name="a/b", function_name="c/d", name="nice")

    for reference in (made["id"], "nice", "a/b/c/d"):
        assert await get(client, f"/api/functions/{reference}") == made


async def test_mappings_are_found_by_service_function_and_variant_with_slashes_in_all(
    client: httpx.AsyncClient,
) -> None:
    await add_model(client, "m")
    body = {"service_name": "a/b", "function_name": "c/d", "variant_name": "e/f", "model": "m"}

    made = await add(client, "mappings", **body)

    for reference in (made["id"], "a/b/c/d/e/f", encoded("a/b/c/d/e/f")):
        assert await get(client, f"/api/mappings/{reference}") == made
    assert (await get(client, "/api/mappings/a/b"))["items"] == [made]
    assert [row["mapping_id"] for row in (await get(client, "/api/services/a/b/models"))["items"]] == [made["id"]]


async def test_rows_that_are_not_there_are_not_found(replica: Replica, subtests: pytest.Subtests) -> None:
    for plural in ("providers", "models", "aliases", "functions", "mappings", "deployments"):
        for reference in ("nobody", UNKNOWN_ID, "a/b/c/d", "%00", "%FF", "..%2F..%2Fetc", "%20", "/"):
            with subtests.test(plural=plural, reference=reference):
                answer = await replica.client.get(f"/api/{plural}/{reference}")
                problem(answer, 404, "E4001" if plural == "models" else "E4004")


async def test_ids_are_uuids(client: httpx.AsyncClient) -> None:
    made = await add_model(client, "m")

    assert str(UUID(made["id"])) == made["id"]


async def test_paths_and_methods_that_do_not_exist_are_problems_too(client: httpx.AsyncClient) -> None:
    problem(await client.get("/api/nothing"), 404, "E4004")
    answer = await client.delete("/api/models")
    problem(answer, 405, "E4050")
    assert "GET" in answer.headers["allow"]


async def test_provider_slash_name_works_wherever_an_id_does(client: httpx.AsyncClient) -> None:
    one = await add_model(client, "shared", model_id="a/1", provider="vllm_box")
    other = await add_model(client, "shared", model_id="b:2", provider="ollama_local")

    assert (await get(client, "/api/models/vllm_box/shared"))["id"] == one["id"]
    assert (await get(client, "/api/models/vllm_box/a/1"))["id"] == one["id"], "the provider's own name too"
    assert (await client.patch("/api/models/ollama_local/shared", json={"description": "d"})).status_code == 200
    mapping = await add_mapping(client, "agents/chat/v", "ollama_local/shared")
    assert mapping["model_id"] == other["id"]

    several = problem(await client.get("/api/models/shared"), 409, "E4091")
    assert {match["id"] for match in several["matches"]} == {one["id"], other["id"]}
    assert "provider/name" in several["detail"]


@pytest.mark.parametrize(
    ("path", "close", "code"),
    [
        ("models/smal", "small", "E4001"),
        ("models/SMALL", "small", "E4001"),
        ("providers/vllm_bx", "vllm_box", "E4004"),
        ("aliases/defaults", "default", "E4004"),
        ("categories/text-lm", "text-llm", "E4004"),
    ],
)
async def test_what_is_not_found_is_answered_with_the_nearest_name(
    client: httpx.AsyncClient, path: str, close: str, code: str
) -> None:
    await add_model(client, "small", model_id="qwen3:8b")
    await add(client, "aliases", alias="default", model="small")
    assert f"Did you mean '{close}'?" in problem(await client.get(f"/api/{path}"), 404, code)["detail"]


async def test_a_dangling_reference_in_a_body_is_answered_with_the_nearest_name(client: httpx.AsyncClient) -> None:
    await add_model(client, "small", model_id="qwen3:8b")
    body = {"service_name": "a", "function_name": "chat", "variant_name": "v", "model_id": "smal"}
    refused = problem(await client.post("/api/mappings", json=body), 422, "E4006")
    assert refused["reasons"] == [{"where": "model_id", "message": "There is no model 'smal'. Did you mean 'small'?"}]
    refused = problem(
        await client.post("/api/models", json={"name": "x", "model_id": "y", "provider": "vllm"}), 422, "E4006"
    )
    assert "Did you mean 'vllm_box'?" in refused["detail"]


async def test_a_duplicate_of_what_has_one_name_is_changed_by_it(client: httpx.AsyncClient) -> None:
    body = {"name": "gpu_1", "kind": "ollama", "address": "http://127.0.0.1:9", "active": False}
    assert (await client.post("/api/sources", json=body)).status_code == 201
    detail = problem(await client.post("/api/sources", json=body), 409, "E4002")["detail"]
    assert detail == "A source with name 'gpu_1' already exists. Change it with PATCH /api/sources/gpu_1."


async def test_a_duplicate_names_its_key_and_how_to_change_the_row(client: httpx.AsyncClient) -> None:
    made = await add_model(client, "small", model_id="qwen3:8b")
    refused = await client.post("/api/models", json={"name": "small", "model_id": "x", "provider": "ollama_local"})
    detail = problem(refused, 409, "E4002")["detail"]
    assert detail.startswith("A model with name 'small' and provider 'ollama_local' already exists")
    assert f"PATCH /api/models/{made['id']}" in detail
    await add_mapping(client, "agents/chat/v", "small")
    again = await client.post(
        "/api/mappings",
        json={"service_name": "agents", "function_name": "chat", "variant_name": "v", "model_id": "small"},
    )
    assert (
        "service_name 'agents' and function_name 'chat' and variant_name 'v'" in problem(again, 409, "E4002")["detail"]
    )


async def test_a_reference_to_nothing_names_the_nearest_alias_or_providers_name(client: httpx.AsyncClient) -> None:
    await add_model(client, "qwen")
    await add(client, "aliases", alias="fast_chat", model="qwen")

    for reference, meant in (("fsat_chat", "fast_chat"), ("ollama_local/qwne", "ollama_local/qwen")):
        found = problem(await client.get(f"/api/models/{reference}"), 404, "E4001")
        assert f"Did you mean {meant!r}?" in found["detail"]
        found = problem(await client.post("/api/aliases", json={"alias": "x", "model": reference}), 422, "E4006")
        assert f"Did you mean {meant!r}?" in found["detail"]
