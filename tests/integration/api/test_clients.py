"""Existing programs for registries of this kind, with their requests and parsers (docs/reference/http.md)."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import httpx
import pytest

from support.catalogue import add, add_mapping, add_model, add_provider, problem
from support.replica import Replica


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    """A small catalogue: local and hosted models of several types, a service, aliases, a node. Read without a key."""
    administrator = replica.client
    await add_provider(administrator)
    await add_provider(administrator, "cloud", type="openai", api_base=None, api_key_env_var="OPENAI_API_KEY")
    await add_model(administrator, "qwen3_8b_local", model_id="qwen3:8b")
    await add_model(administrator, "gpt_mini", "cloud", model_id="gpt-5-mini", capabilities=["chat"])
    await add_model(administrator, "retired", "cloud", model_id="gpt-3", active=False)
    await add_model(administrator, "embed_local", model_id="qwen3-embedding:8b", model_type="embedding")
    await add_model(administrator, "eyes", "cloud", model_id="gpt-5-vision", model_type="vl")
    await add(administrator, "aliases", alias="default_chat", model="qwen3_8b_local", context="agents")
    await add_mapping(administrator, "agent_zero/chat/spare", "gpt_mini", priority=2)
    await add_mapping(administrator, "agent_zero/chat/local", "qwen3_8b_local", priority=1)
    await add_mapping(administrator, "agent_zero/chat/old", "retired", priority=0)
    report = {"node_id": "5090", "provider_type": "ollama", "model_id": "qwen3:8b", "vram_allocated_mb": 6144}
    assert (await administrator.post("/api/deployments", json=report)).status_code == 201
    return replica.anonymous()


@pytest.fixture(autouse=True)
async def _close(client: httpx.AsyncClient) -> Any:
    yield
    await client.aclose()


def listed(document: Any) -> list[dict[str, Any]]:
    """Unwrap a list like a tolerant client."""
    if isinstance(document, dict):
        document = next(document[key] for key in ("items", "models", "data") if key in document)
    assert isinstance(document, list)
    return document


async def test_the_look_up_library_takes_the_first_active_row_of_its_service(client: httpx.AsyncClient) -> None:
    rows = listed((await client.get("/api/services/agent_zero/models")).json())

    fitting = [row for row in rows if row.get("active", True) and row["model_type"] == "chat"]

    assert [row["model_id"] for row in fitting] == ["qwen3:8b", "gpt-5-mini"]


async def test_the_look_up_library_goes_on_to_all_models_where_a_service_is_unknown(client: httpx.AsyncClient) -> None:
    unknown = await client.get("/api/services/nobody/models")
    rows = listed((await client.get("/api/models", params={"model_type": "embedding"})).json())

    assert unknown.status_code == 404
    assert [row["model_id"] for row in rows if row.get("active", True)] == ["qwen3-embedding:8b"]


async def test_the_synchronisation_tool_finds_aliases_and_addresses(client: httpx.AsyncClient) -> None:
    items = (await client.get("/api/models")).json()["items"]

    found = {item["model_id"]: (item["aliases"], item["api_base"]) for item in items}

    assert found["qwen3:8b"] == ([{"alias": "default_chat", "context": "agents"}], "http://localhost:11434/v1")
    assert found["gpt-5-mini"] == ([], None)


async def test_the_older_synchronisation_tool_finds_tables_by_their_unquoted_headers(client: httpx.AsyncClient) -> None:
    answer = await client.get("/api/tensorzero/config")

    headers = re.findall(r"^\[([A-Za-z0-9_.\-]+)\]", answer.text, re.MULTILINE)

    assert answer.headers["content-type"].startswith("application/toml")
    assert {"models.qwen3_8b_local", "embedding_models.embed_local", "functions.agent_zero_chat"} <= set(headers)
    assert "qwen3_8b_local" in tomllib.loads(answer.text)["models"]


async def test_the_model_picker_has_something_to_show(client: httpx.AsyncClient) -> None:
    rows = listed((await client.get("/api/models")).json())

    shown = {
        row.get("model_id") or row.get("id") or row.get("name"): row.get("provider_type") or row.get("provider")
        for row in rows
    }

    assert shown["qwen3:8b"] == "ollama"
    assert shown["gpt-5-mini"] == "openai"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("model_type=llm", ["qwen3_8b_local", "gpt_mini", "retired"]),
        ("model_type=vision", ["eyes"]),
        ("provider=openai", ["eyes", "gpt_mini", "retired"]),
        ("provider=cloud&active=true&model_type=chat", ["gpt_mini"]),
    ],
)
async def test_operators_ask_in_their_own_words(client: httpx.AsyncClient, query: str, found: list[str]) -> None:
    answer = (await client.get(f"/api/models?{query}")).json()

    assert [row["name"] for row in answer["items"]] == found
    assert answer["count"] == len(found)


async def test_who_takes_the_first_model_of_a_type_gets_one_that_is_loaded(
    client: httpx.AsyncClient, replica: Replica
) -> None:
    administrator = replica.client
    await add_model(administrator, "another_local", model_id="phi4")
    await add_model(administrator, "zeta_local", model_id="zeta")

    async def order(**params: str) -> list[str]:
        return [row["name"] for row in (await client.get("/api/models", params=params)).json()["items"]]

    assert await order(model_type="chat") == ["qwen3_8b_local", "another_local", "zeta_local", "gpt_mini", "retired"]
    loaded = {"node_id": "5091", "provider_type": "ollama", "model_id": "zeta", "status": "loaded"}
    assert (await administrator.post("/api/deployments", json=loaded)).status_code == 201
    gone = {"node_id": "5090", "provider_type": "ollama", "model_id": "qwen3:8b", "status": "unloaded"}
    assert (await administrator.post("/api/deployments", json=gone)).status_code == 200
    assert await order(model_type="chat") == ["zeta_local", "another_local", "qwen3_8b_local", "gpt_mini", "retired"]
    by_name = ["another_local", "gpt_mini", "qwen3_8b_local", "retired", "zeta_local"]
    assert [name for name in await order() if name in by_name] == by_name
    assert (await order(model_type="chat", sort="vram_mb"))[0] == "another_local"


async def test_programs_that_read_models_find_them(client: httpx.AsyncClient) -> None:
    whole, part = (await client.get("/api/models")).json(), (await client.get("/api/models?limit=2")).json()

    assert (whole["models"], whole["count"]) == (whole["items"], 5)
    assert ([row["name"] for row in part["items"]], part.keys()) == (["embed_local", "eyes"], {"items", "count"})
    once = (await client.get("/api/models?offset=0")).json()
    assert once == {"items": whole["items"], "count": 5}


async def test_programs_that_expect_a_bare_list_have_a_prefix(client: httpx.AsyncClient) -> None:
    for path in (
        *("/api/models?model_type=chat", "/api/models?limit=1"),
        *("/api/services/agent-zero/models", "/api/services/agent_zero/models?deployed=true"),
    ):
        enveloped, bare = await client.get(path), await client.get(f"/compat{path}")

        assert bare.status_code == 200
        assert bare.json() == enveloped.json()["items"]
    assert (await client.get("/compat/api/models?model_type=cars")).status_code == 422
    assert (await client.get("/compat/api/services/nobody/models")).status_code == 404


@pytest.mark.parametrize("name", ["agent_zero", "agent-zero", "agentzero", "Agent Zero", "AGENT.ZERO"])
async def test_a_service_is_found_by_every_spelling_of_its_name(client: httpx.AsyncClient, name: str) -> None:
    rows = (await client.get(f"/api/services/{name}/models")).json()["items"]

    assert [row["model_id"] for row in rows] == ["qwen3:8b", "gpt-5-mini"]
    assert {row["service_name"] for row in rows} == {"agent_zero"}
    assert (await client.get(f"/api/mappings/{name}")).json()["count"] == 3


async def test_a_service_that_is_not_there_names_those_that_are_near(
    client: httpx.AsyncClient, replica: Replica
) -> None:
    near = problem(await client.get("/api/services/agent_zeros/models"), 404, "E4004")
    assert (near["allowed"], "'agent_zero'" in near["detail"]) == (["agent_zero"], True)
    far = problem(await client.get("/api/mappings/nobody"), 404, "E4004")
    assert far["allowed"] == ["agent_zero"]

    await add_mapping(replica.client, "agent-zero/chat/v", "gpt_mini")
    exact = (await client.get("/api/services/agent-zero/models")).json()["items"]
    assert [row["service_name"] for row in exact] == ["agent-zero"]
    several = problem(await client.get("/api/services/agentzero/models"), 404, "E4004")
    assert several["allowed"] == ["agent-zero", "agent_zero"]


async def test_operators_look_at_what_a_node_has_loaded(client: httpx.AsyncClient) -> None:
    answer = (await client.get("/api/deployments?node_id=5090&status=loaded")).json()

    assert [(row["model_name"], row["vram_allocated_mb"]) for row in answer["items"]] == [("qwen3_8b_local", 6144)]


async def test_compose_asks_whether_it_lives(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
