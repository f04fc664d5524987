"""Services, their functions and their models over HTTP: in routing order, and created on first use."""

from __future__ import annotations

from itertools import permutations

import httpx
import pytest

from support.catalogue import add, add_mapping, add_model, add_provider, get, names, problem
from support.replica import Replica


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    """A registry with two providers."""
    await add_provider(replica.client)
    await add_provider(replica.client, "cloud", type="openai", api_base=None, api_key_env_var="OPENAI_API_KEY")
    return replica.client


async def test_the_models_of_a_service_are_in_routing_order_however_they_were_made(client: httpx.AsyncClient) -> None:
    mappings = {"f/light": (1, 0.25), "f/heavy": (1, 0.75), "f/next": (2, 9.0), "e/heavy": (1, 0.75), "f/a": (3, 1.0)}
    expected = [("e", "heavy"), ("f", "heavy"), ("f", "light"), ("f", "next"), ("f", "a")]
    await add_model(client, "m")

    for i, order in enumerate(list(permutations(mappings))[::29]):
        for path in order:
            priority, weight = mappings[path]
            await add_mapping(client, f"s{i}/{path}", "m", priority=priority, weight=weight)
        found = (await get(client, f"/api/services/s{i}/models"))["items"]
        assert [(row["function_name"], row["variant_name"]) for row in found] == expected


async def test_a_service_has_no_models_that_are_off_or_whose_provider_is(client: httpx.AsyncClient) -> None:
    await add_model(client, "off")
    await add_model(client, "of a provider that is off", "cloud")
    await add_model(client, "on")
    for i, model in enumerate(("off", "of a provider that is off", "on")):
        await add_mapping(client, f"s/f/v{i}", model, priority=i)
    await client.patch("/api/models/off", json={"active": False})
    await client.patch("/api/providers/cloud", json={"active": False})

    found = await get(client, "/api/services/s/models")

    assert [row["name"] for row in found["items"]] == ["on"]
    assert found["count"] == 1
    assert (await get(client, "/api/mappings/s"))["count"] == 3


async def test_the_models_of_a_service_carry_the_model_and_the_mapping(client: httpx.AsyncClient) -> None:
    model = await add_model(client, "m", model_id="qwen3:8b")
    spare = await add_model(client, "spare")
    mapping = await add_mapping(client, "s/f/v", "m", priority=2, weight=0.5, fallback_model_id="spare")

    row = (await get(client, "/api/services/s/models"))["items"][0]

    of_mapping = {
        "mapping_id": mapping["id"],
        "service_name": "s",
        "function_name": "f",
        "variant_name": "v",
        "priority": 2,
        "weight": 0.5,
        "fallback_model_id": spare["id"],
    }
    assert row == {**model, **of_mapping}


async def test_the_models_of_one_function_of_a_service(client: httpx.AsyncClient) -> None:
    await add_model(client, "m")
    await add_mapping(client, "s/f/v", "m")
    await add_mapping(client, "s/g/w", "m")

    assert await names(client, "/api/services/s/models", "variant_name", function="g") == ["w"]
    assert problem(await client.get("/api/services/s/models?function=h"), 404, "E4004")["allowed"] == ["f", "g"]
    problem(await client.get("/api/services/nobody/models"), 404, "E4004")
    assert await get(client, "/api/services") == {"items": [{"service_name": "s", "functions": ["f", "g"]}], "count": 1}


async def test_a_mapping_makes_its_function_on_first_use(client: httpx.AsyncClient) -> None:
    await add_model(client, "m")

    first = await add_mapping(client, "agent_zero/chat/a", "m")
    second = await add_mapping(client, "agent_zero/chat/b", "m")
    function = await get(client, "/api/functions/agent_zero_chat")

    assert (first["function"], first["function_id"]) == ("agent_zero_chat", function["id"])
    assert second["function_id"] == function["id"]
    assert (function["type"], function["service_name"], function["function_name"]) == ("chat", "agent_zero", "chat")


async def test_a_mapping_uses_a_function_that_is_there(client: httpx.AsyncClient) -> None:
    await add_model(client, "m")
    made = await add(
        client, "functions", service_name="s", function_name="f", name="mine", type="json", description="d"
    )

    mapping = await add_mapping(client, "s/f/v", "m", tensorzero={"json_mode": "strict"})

    assert (mapping["function"], mapping["function_id"]) == ("mine", made["id"])
    assert await get(client, "/api/functions/mine") == made


@pytest.mark.parametrize(
    ("service", "function", "name"),
    [("agent_zero", "chat", "agent_zero_chat"), ("tensorzero", "chat", "chat"), ("a.b", "c/d", "a.b_c/d")],
)
async def test_a_functions_name_is_made_of_its_service_and_its_own(
    client: httpx.AsyncClient, service: str, function: str, name: str
) -> None:
    made = await add(client, "functions", service_name=service, function_name=function)
    assert made["name"] == name

    renamed = await client.patch(f"/api/functions/{made['id']}", json={"name": "other"})
    assert renamed.json()["name"] == "other"
    back = await client.patch(f"/api/functions/{made['id']}", json={"name": None})
    assert back.json()["name"] == name


async def test_a_renamed_function_takes_its_mappings_along(client: httpx.AsyncClient) -> None:
    await add_model(client, "m")
    mapping = await add_mapping(client, "s/f/v", "m")

    renamed = await client.patch("/api/functions/s_f", json={"service_name": "t", "function_name": "g"})
    moved = await get(client, f"/api/mappings/{mapping['id']}")

    assert renamed.status_code == 200, renamed.text
    assert (moved["service_name"], moved["function_name"], moved["function_id"]) == ("t", "g", mapping["function_id"])
    assert (await get(client, "/api/functions"))["count"] == 1
