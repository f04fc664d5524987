"""Lists over HTTP as existing clients read them: filters with synonyms, paging, order, and fields that never appear."""

from __future__ import annotations

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
            also = {"models": list[str]()} if path == "models" else {}
            assert await get(replica.client, f"/api/{path}") == {"items": [], "count": 0, **also}


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


async def test_numbers_that_only_jsonb_can_hold_are_shown_whole(
    client: httpx.AsyncClient, database: psycopg.Connection
) -> None:
    database.execute("""update model_providers set metadata = '{"x": 123456789012345678901234567890}'""")

    answer = await client.get("/api/providers", headers={"Cache-Control": "no-cache"})

    assert [row["metadata"]["x"] for row in answer.json()["items"]] == [123456789012345678901234567890] * 2
