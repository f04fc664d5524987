"""`/rest/v1`: requests of programs that read the registry's views from PostgREST, compared with PostgREST itself."""

from __future__ import annotations

from typing import Any

import httpx
import jwt
import psycopg
import pytest

from model_registry.catalog.rest_rows import TABLES, VIEWS
from support.catalogue import add, add_mapping, add_model, add_provider, problem
from support.replica import Replica

SELECT = (
    "service_name,function_name,variant_name,priority,weight,model_id,model_name,model_type,provider_name,"
    "provider_type,api_base"
)
OF_THE_SERVICE = {"heard_at", "status_digest", "model_given", "address"}
"""Columns of nodes and deployments that are no part of the catalogue."""
HEADERS = {"apikey": "any", "Authorization": "Bearer any", "Accept-Profile": "pmoves_core"}


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    administrator = replica.client
    await add_provider(administrator)
    await add_provider(administrator, "cloud", type="openai", api_base=None, api_key_env_var="OPENAI_API_KEY")
    await add_model(administrator, "small", model_id="small:1b", context_length=4096)
    await add_model(administrator, "large", "cloud", model_id="large", context_length=128_000)
    await add_model(administrator, "off", "cloud", model_id="off", active=False)
    await add_model(administrator, "vectors", model_id="embed:1", model_type="embedding")
    await add(administrator, "aliases", alias="best", model="large", context="agents")
    await add_mapping(administrator, "agents/chat/a", "small", priority=2, weight=0.5)
    await add_mapping(administrator, "agents/chat/b", "large", priority=2, weight=0.5)
    await add_mapping(administrator, "agents/chat/c", "small", priority=2, weight=0.75, fallback_model_id="large")
    await add_mapping(administrator, "zeta/chat/d", "vectors", priority=1)
    await add_mapping(administrator, "agents/chat/e", "off", priority=0)
    return administrator


async def read(client: httpx.AsyncClient, path: str, **headers: str) -> Any:
    answer = await client.get(f"/rest/v1/{path}", headers=HEADERS | headers)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_catalogue_synchronisation_reads_both_views_with_its_columns(client: httpx.AsyncClient) -> None:
    rows = await read(client, f"v_service_models?select={SELECT}")

    assert [row["variant_name"] for row in rows] == ["d", "c", "b", "a"], "priority, -weight, -context_length"
    assert list(rows[2]) == SELECT.split(",")
    assert (rows[2]["model_id"], rows[2]["model_name"], rows[2]["provider_type"]) == ("large", "large", "openai")
    columns = "model_id,model_type,provider_name,provider_type,context_length,vram_mb,capabilities"
    models = await read(client, f"v_active_models?select={columns}")
    assert [row["model_id"] for row in models] == ["large", "small:1b", "embed:1"]
    aliases = await read(client, "v_active_models?select=aliases&model_id=eq.large")
    assert aliases == [{"aliases": [{"alias": "best", "context": "agents"}]}]
    fallback = await read(client, "v_service_models?variant_name=eq.c")
    assert fallback[0]["fallback_model_name"] == "large"


async def test_the_readiness_check_counts(client: httpx.AsyncClient) -> None:
    assert await read(client, "model_providers?select=count") == [{"count": 2}]
    exact = await client.get("/rest/v1/models?select=id&limit=2", headers=HEADERS | {"Prefer": "count=exact"})
    assert (exact.headers["content-range"], len(exact.json())) == ("0-1/4", 2)
    head = await client.head("/rest/v1/models?active=is.true", headers=HEADERS | {"Prefer": "count=exact"})
    assert (head.status_code, head.headers["content-range"], head.content) == (200, "0-2/3", b"")
    assert (await client.get("/rest/v1/gpu_nodes", headers={"Prefer": "count=exact"})).headers["content-range"] == "*/0"


QUERIES = (
    "models?select=name&order=name",
    "models?select=name,vram_mb&order=context_length.desc.nullslast,name.desc",
    "models?select=name&order=context_length.desc,name",
    "models?select=name&context_length=gte.4096&order=name&limit=1&offset=1",
    "models?select=name&model_type=neq.chat",
    'models?select=label:name&name=in.(small,"large")&order=name.desc',
    "models?select=name&name=like.*ar*e&order=name",
    "models?select=name&name=ilike.L%&order=name",
    "models?select=name&context_length=is.null&order=name",
    "models?select=name&context_length=not.eq.4096&order=name",
    "models?select=name&context_length=not.is.null&order=name",
    "models?select=name&active=eq.false",
    "service_model_mappings?select=count",
    "v_active_models?select=name,provider_name&provider_type=eq.openai",
    "v_service_models?select=variant_name,model_id&priority=lt.2",
)


async def test_postgrest_answers_the_same(client: httpx.AsyncClient, stack: Any, subtests: pytest.Subtests) -> None:
    token = jwt.encode({"role": "registry_reader"}, stack.secret("postgrest_jwt"), algorithm="HS256")
    base = stack.environment()["POSTGREST_URL"]
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token}"}) as postgrest:
        for query in QUERIES:
            with subtests.test(query=query):
                theirs = await postgrest.get(f"/{query}")
                assert theirs.status_code == 200, theirs.text
                assert await read(client, query) == theirs.json()


CALLS: tuple[tuple[str, dict[str, Any], str], ...] = (
    ("get_model_by_alias", {"p_alias": "best"}, ""),
    ("get_model_by_alias", {"p_alias": "main"}, ""),
    ("get_model_by_alias", {"p_alias": "main", "p_context": "agents"}, ""),
    ("get_model_by_alias", {"p_alias": "main", "p_context": "other"}, ""),
    ("get_model_by_alias", {"p_alias": "hidden"}, ""),
    ("get_service_models", {"p_service_name": "agents"}, ""),
    ("get_service_models", {"p_service_name": "agents"}, "select=model_name,weight&order=weight&weight=lt.0.7"),
    ("get_service_models", {"p_service_name": "agents", "p_function_name": "other"}, ""),
)


async def test_the_functions_of_the_original_answer_as_in_the_database(
    client: httpx.AsyncClient, stack: Any, subtests: pytest.Subtests
) -> None:
    for alias, model, context in (("main", "small", "default"), ("main", "large", "agents"), ("hidden", "off", None)):
        await add(client, "aliases", alias=alias, model=model, context=context)
    token = jwt.encode({"role": "service_role"}, stack.secret("postgrest_jwt"), algorithm="HS256")
    base = stack.environment()["POSTGREST_URL"]
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token}"}) as postgrest:
        for name, arguments, query in CALLS:
            with subtests.test(name=name, arguments=arguments, query=query):
                theirs = await postgrest.post(f"/rpc/{name}?{query}", json=arguments)
                assert theirs.status_code == 200, theirs.text
                posted = await client.post(f"/rest/v1/rpc/{name}?{query}", json=arguments, headers=HEADERS)
                assert posted.json() == theirs.json()
                asked = f"{httpx.QueryParams(arguments)}&{query}".rstrip("&")
                assert await read(client, f"rpc/{name}?{asked}") == theirs.json()


async def test_a_call_that_is_not_understood_is_refused(client: httpx.AsyncClient) -> None:
    for method in ("GET", "POST"):
        body: dict[str, str] | None = {} if method == "POST" else None
        unknown = problem(await client.request(method, "/rest/v1/rpc/get_model_by_alas", json=body), 404, "E4004")
        assert "did you mean 'get_model_by_alias'?" in unknown["detail"]
        missing = problem(await client.request(method, "/rest/v1/rpc/get_model_by_alias", json=body), 422, "E4005")
        assert "p_alias: is missing" in missing["detail"]
    misspelt = await client.get("/rest/v1/rpc/get_model_by_alias?p_alias=a&p_contxt=b")
    assert "did you mean 'p_context'?" in problem(misspelt, 422, "E4005")["detail"]
    for column in ("colour=eq.red", "select=colour"):
        strange = await client.post(f"/rest/v1/rpc/get_model_by_alias?{column}", json={"p_alias": "nobody"})
        assert "colour" in problem(strange, 422, "E4005")["detail"]
    number = await client.post("/rest/v1/rpc/get_service_models", json={"p_service_name": 1})
    assert "p_service_name: must be text" in problem(number, 422, "E4005")["detail"]
    twice = await client.get("/rest/v1/rpc/get_model_by_alias?p_alias=a&p_alias=b")
    assert "p_alias: is given twice" in problem(twice, 422, "E4005")["detail"]


PAGE, COUNT = {"Range": "1-2", "Range-Unit": "items"}, {"Prefer": "count=exact"}
ONE = {"Accept": "application/vnd.pgrst.object+json"}
BY_HEADER = (
    ("models?select=name&order=name", PAGE),
    ("models?select=name&order=name", PAGE | COUNT),
    ("models?select=name&order=name", {"Range": "2-"}),
    ("models?select=name&order=name", {"Range": "bytes=0-1"}),
    ("models?select=name&name=eq.small", ONE),
    ("models?select=name&name=eq.none", ONE),
    ("models?select=name", ONE),
)


async def test_postgrest_answers_the_same_to_what_clients_say_in_headers(
    client: httpx.AsyncClient, stack: Any, subtests: pytest.Subtests
) -> None:
    """As `range` and `single` of Supabase's clients do."""
    token = jwt.encode({"role": "registry_reader"}, stack.secret("postgrest_jwt"), algorithm="HS256")
    base = stack.environment()["POSTGREST_URL"]
    async with httpx.AsyncClient(base_url=base, headers={"Authorization": f"Bearer {token}"}) as postgrest:
        for query, headers in BY_HEADER:
            with subtests.test(query=query, headers=headers):
                theirs = await postgrest.get(f"/{query}", headers=headers)
                ours = await client.get(f"/rest/v1/{query}", headers=HEADERS | headers)
                assert (ours.status_code == 406) == (theirs.status_code == 406)
                if theirs.is_success:
                    assert ours.json() == theirs.json()
                else:
                    alike = ("code", "details")
                    assert [ours.json()[name] for name in alike] == [theirs.json()[name] for name in alike]
                if "Prefer" in headers:
                    assert ours.headers["content-range"] == theirs.headers["content-range"]


async def test_columns_are_those_of_the_database(client: httpx.AsyncClient, stack: Any) -> None:
    await client.post("/api/deployments", json={"node_id": "n", "provider_type": "ollama", "model_id": "small:1b"})
    with psycopg.connect(stack.environment()["DATABASE_URL"]) as connection:
        for name in (*VIEWS, *TABLES):
            cursor = connection.execute(f"select * from model_registry.{name} limit 0")  # noqa: S608 (our own names)
            columns = {column.name for column in cursor.description or ()}
            rows = await read(client, name)
            assert not rows or columns - set(rows[0]) <= OF_THE_SERVICE, name


REFUSED = (
    ("models?colour=eq.red", "colour"),
    ("models?name=small", "name"),
    ("models?or=(a.eq.1)", "or"),
    ("models?select=name,model_providers(*)", "select"),
    ("models?select=colour", "select"),
    ("models?order=name.down", "order"),
    ("models?limit=-1", "limit"),
    ("models?offset=9999999999999999999999", "offset"),
    ("models?name=similar.x", "name"),
    ("models?name=not.not.eq.x", "name"),
    ("models?name=in.(a%0Db)", "name"),
    ("models?context_length=lt.many", "context_length"),
    ("models?context_length=not.eq.nan", "context_length"),
    (f"models?{'name=neq.x&' * 51}", "query"),
)


async def test_what_is_not_understood_is_refused(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    for query, place in REFUSED:
        with subtests.test(query=query):
            refused = problem(await client.get(f"/rest/v1/{query}"), 422, "E4005")
            assert refused["detail"].startswith(f"{place}: ")


async def test_nothing_but_the_catalogue_is_there(client: httpx.AsyncClient, replica: Replica) -> None:
    for name in ("api_keys", "registry_changes", "nothing"):
        assert "models" in problem(await client.get(f"/rest/v1/{name}"), 404, "E4004")["allowed"]
    assert (await client.post("/rest/v1/models", json={})).status_code == 405
    async with replica.anonymous() as nobody:
        assert (await nobody.get("/rest/v1/v_active_models")).status_code == 200
