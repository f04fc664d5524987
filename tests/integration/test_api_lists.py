"""Lists over HTTP as existing clients read them: filters with synonyms, paging, order, and what is never in them."""

from __future__ import annotations

from itertools import permutations

import httpx
import psycopg
import pytest

from support.catalogue import add, add_mapping, add_model, add_provider, get, names, places, problem
from support.replica import Replica


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    """A registry with two providers, one of which is off."""
    await add_provider(replica.client)
    await add_provider(replica.client, "cloud", type="openai", api_base=None, api_key_env_var="OPENAI_API_KEY")
    return replica.client


async def ids(client: httpx.AsyncClient, plural: str) -> dict[str, str]:
    """The ids of rows by name."""
    return {row["name"]: row["id"] for row in (await get(client, f"/api/{plural}"))["items"]}


async def test_an_empty_registry_answers_empty_lists(replica: Replica, subtests: pytest.Subtests) -> None:
    lists = (
        *("providers", "models", "aliases", "functions", "mappings", "services", "deployments", "deployments/nodes"),
        *("tensorzero/functions", "tensorzero/omitted"),
    )
    for path in lists:
        with subtests.test(path=path):
            assert await get(replica.client, f"/api/{path}") == {"items": [], "count": 0}


async def test_a_model_carries_what_clients_read(client: httpx.AsyncClient) -> None:
    await add_model(client, "m", "cloud", model_id="gpt-5-mini", capabilities=["chat", "vision"], metadata={"a": 1})
    await add(client, "aliases", alias="default", model="m", context="agents")
    await add(client, "aliases", alias="usual", model="m")

    row = (await get(client, "/api/models"))["items"][0]

    expected = {
        "name": "m",
        "model_id": "gpt-5-mini",
        "model_type": "chat",
        "capabilities": ["chat", "vision"],
        "vram_mb": None,
        "context_length": None,
        "description": None,
        "provider_name": "cloud",
        "provider_type": "openai",
        "api_base": None,
        "api_key_env_var": "OPENAI_API_KEY",
        "aliases": [{"alias": "default", "context": "agents"}, {"alias": "usual", "context": None}],
        "metadata": {"a": 1},
        "active": True,
    }
    assert expected.items() <= row.items()
    assert row["provider_id"] == (await get(client, "/api/providers/cloud"))["id"]


async def test_a_model_without_aliases_has_an_empty_list_of_them(client: httpx.AsyncClient) -> None:
    await add_model(client, "m")
    await add_mapping(client, "s/f/v", "m")

    assert (await get(client, "/api/models"))["items"][0]["aliases"] == []
    assert (await get(client, "/api/services/s/models"))["items"][0]["aliases"] == []


async def test_models_are_filtered_by_type_and_its_synonyms(client: httpx.AsyncClient) -> None:
    for model_type in ("chat", "vl", "embedding", "reranker", "tts"):
        await add_model(client, model_type, model_type=model_type)

    for asked, found in {
        "chat": "chat",
        "llm": "chat",
        "text": "chat",
        "LLM": "chat",
        "vl": "vl",
        "vision": "vl",
        "vlm": "vl",
        "embedding": "embedding",
        "embeddings": "embedding",
        "rerank": "reranker",
        "tts": "tts",
    }.items():
        assert await names(client, "/api/models", model_type=asked) == [found]
    assert await names(client, "/api/models", model_type="audio") == []


async def test_models_are_filtered_by_their_provider_in_any_way(client: httpx.AsyncClient) -> None:
    await add_provider(client, "openai", type="anthropic", api_base=None)
    await add_model(client, "a")
    await add_model(client, "b", "cloud")
    await add_model(client, "c", "openai")
    cloud = await get(client, "/api/providers/cloud")

    for asked in ("ollama_local", "ollama"):
        assert await names(client, "/api/models", provider=asked) == ["a"]
    for asked in ("cloud", cloud["id"], cloud["id"].upper()):
        assert await names(client, "/api/models", provider=asked) == ["b"]
    # A name that is also a type means both: clients ask with either, and a missing row is worse than one too many.
    assert await names(client, "/api/models", provider="openai") == ["b", "c"]
    assert await names(client, "/api/models", provider="groq") == []


async def test_filters_hold_together(client: httpx.AsyncClient) -> None:
    await add_model(client, "a", capabilities=["chat", "vision"], active=False)
    await add_model(client, "b", capabilities=["chat"])
    await add_model(client, "c", "cloud", capabilities=["vision", "chat"])
    await add_model(client, "a", "cloud")

    # Of equal priority, the order among rows that share a name is that of their providers' ids.
    providers = sorted(("cloud", "ollama_local"), key=(await ids(client, "providers")).__getitem__)

    assert await names(client, "/api/models", capability=["chat"]) == ["a", "b", "c"]
    assert await names(client, "/api/models", capability=["chat", "vision"]) == ["a", "c"]
    assert await names(client, "/api/models", capability=["chat", "vision"], provider="cloud") == ["c"]
    assert await names(client, "/api/models", capability="vision", active="false") == ["a"]
    assert await names(client, "/api/models", active="true", name="a") == ["a"]
    assert await names(client, "/api/models", field="provider_name", name="a") == providers
    assert await names(client, "/api/models", capability="none") == []


@pytest.mark.parametrize(
    ("path", "query", "value", "allowed"),
    [
        ("models", "model_type", "poem", {"chat", "vl", "llm", "vision"}),
        ("models", "model_type", "", {"chat"}),
        ("models", "provider", "nobody", {"cloud", "ollama_local", "openai", "ollama"}),
        ("providers", "type", "nobody", {"openai", "ollama", "custom"}),
        ("deployments", "status", "asleep", {"loading", "loaded", "unloaded", "error", "lost"}),
        ("changes", "table", "secrets", {"models", "model_providers"}),
    ],
)
async def test_a_value_that_means_nothing_is_refused_with_those_that_do(
    client: httpx.AsyncClient, path: str, query: str, value: str, allowed: set[str]
) -> None:
    found = problem(await client.get(f"/api/{path}", params={query: value}), 422, "E4005")

    assert places(found) == {query}
    assert allowed <= set(found["allowed"])
    assert all(word in found["detail"] for word in allowed)


async def test_other_lists_are_filtered(client: httpx.AsyncClient) -> None:
    await add_model(client, "m")
    await add_model(client, "n")
    await add(client, "aliases", alias="a", model="m", context="agents")
    await add(client, "aliases", alias="a", model="n")
    await add(client, "aliases", alias="b", model="n", context="agents")
    await add_mapping(client, "s/f/v", "m", fallback_model_id="n")
    await add_mapping(client, "s/g/v", "n")
    await add_mapping(client, "t/f/v", "n")
    await client.patch("/api/providers/cloud", json={"active": False})

    assert await names(client, "/api/providers", type="ollama") == ["ollama_local"]
    assert await names(client, "/api/providers", active="false") == ["cloud"]
    assert await names(client, "/api/aliases", "model_name", alias="a") == ["n", "m"]
    assert await names(client, "/api/aliases", "alias", context="agents") == ["a", "b"]
    assert await names(client, "/api/functions", service_name="s") == ["s_f", "s_g"]
    assert await names(client, "/api/mappings", "function", service_name="s") == ["s_f", "s_g"]
    assert await names(client, "/api/mappings", "function", function_name="f") == ["s_f", "t_f"]
    assert await names(client, "/api/mappings", "function", model="m") == ["s_f"]
    assert await names(client, "/api/mappings", "function", model="n") == ["s_f", "s_g", "t_f"]
    problem(await client.get("/api/mappings", params={"model": "nobody"}), 404, "E4001")


@pytest.mark.parametrize(
    ("plural", "key"),
    [
        ("providers", "name"),
        ("models", "name"),
        ("aliases", "alias"),
        ("functions", "name"),
        ("mappings", "variant_name"),
    ],
)
async def test_pages_add_up_to_the_whole_list_in_the_same_order(
    client: httpx.AsyncClient, plural: str, key: str
) -> None:
    await add_model(client, "m0")
    bodies = {
        "providers": {"type": "openai"},
        "models": {"model_id": "x", "provider": "cloud"},
        "aliases": {"model": "m0", "context": "agents"},
        "functions": {"service_name": "s"},
        "mappings": {"service_name": "s", "function_name": "f", "model": "m0"},
    }
    for i in (4, 1, 3, 0, 2):
        field = "function_name" if plural == "functions" else key
        await add(client, plural, **bodies[plural], **{field: f"n{i}"})
    whole = await get(client, f"/api/{plural}")

    for size in (1, 2, 3, 100_000):
        pages = [await get(client, f"/api/{plural}", limit=size, offset=i) for i in range(0, whole["count"], size)]
        assert [row for page in pages for row in page["items"]] == whole["items"]
        assert {page["count"] for page in pages} == {whole["count"]} == {len(whole["items"])}
    assert (await get(client, f"/api/{plural}", offset=1000)) == {"items": [], "count": whole["count"]}
    assert (await get(client, f"/api/{plural}", offset=1))["items"] == whole["items"][1:]


async def test_rows_that_share_a_name_are_in_routing_order(client: httpx.AsyncClient) -> None:
    await add_provider(client, "third", type="vllm")
    for provider, priority in (("third", 2), ("cloud", 0), ("ollama_local", -1)):
        await add_model(client, "shared", provider, routing_priority=priority)

    assert await names(client, "/api/models", field="provider_name", name="shared") == [
        "ollama_local",
        "cloud",
        "third",
    ]


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


async def test_numbers_that_only_jsonb_can_hold_are_shown_whole(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    database.execute("""update model_providers set metadata = '{"x": 123456789012345678901234567890}'""")

    answer = await client.get("/api/providers", headers={"Cache-Control": "no-cache"})

    assert [row["metadata"]["x"] for row in answer.json()["items"]] == [123456789012345678901234567890] * 2
