"""What a route does not know is refused by name, on every route; and what is let through is on one list."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

from model_registry.api.unknown_input import OTHERS_QUERIES, REPORTS
from model_registry.entities.openai_paths import OPENAI_PATHS
from support.catalogue import add, add_mapping, add_model, add_provider, get, names, places, problem
from support.replica import Replica


@pytest.fixture
async def client(replica: Replica) -> httpx.AsyncClient:
    """A registry with a provider and a model."""
    await add_provider(replica.client)
    await add_model(replica.client, "m")
    return replica.client


OLD = {"/api/v1/registry/models", "/compat/api/models", "/models/list", "/api/v1/models/list"}
"""Lists of older programs, to which an empty value says nothing."""


async def operations(client: httpx.AsyncClient) -> list[tuple[str, str, dict[str, Any]]]:
    """Method, path and description of everything in the OpenAPI document."""
    paths = (await get(client, "/openapi.json"))["paths"]
    return [(method.upper(), path, what) for path, methods in paths.items() for method, what in methods.items()]


def address(template: str) -> str:
    """A path that fits a template."""
    if template in OTHERS_QUERIES:
        return template.replace("{name}", "get_service_models" if "/rpc/" in template else "models")
    return "/".join("x.txt" if part.startswith("{") else part for part in template.split("/"))


async def test_no_route_takes_a_parameter_that_it_does_not_know(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    everything = await operations(client)
    assert len(everything) > 80
    for method, path, _ in everything:
        if path.startswith("/dispatch/") or path in OPENAI_PATHS:  # the query is the service's own
            continue
        with subtests.test(method=method, path=path):
            body: dict[str, Any] | None = None if method == "GET" else {}
            answer = await client.request(method, address(path), params={"colour": "red"}, json=body)
            assert answer.status_code == 422, answer.text
            assert "colour" in places(answer.json())
            assert "colour" in answer.json()["detail"]


async def test_no_route_takes_a_field_that_it_does_not_know(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    lenient = {path.replace(":path", "") for path in REPORTS} | {"/api/v1/registry/document"}
    for method, path, what in await operations(client):
        if (
            "requestBody" not in what or path in lenient or "dispatch" in what.get("tags", ())
        ):  # fields are the service's own
            continue
        with subtests.test(method=method, path=path):
            answer = await client.request(method, address(path), json={"colour": "red"})
            assert answer.status_code == 422, answer.text
            assert "colour" in places(answer.json())


def parameters(what: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The query parameters of an operation, each with its schema without null."""
    for parameter in what.get("parameters", ()):
        if parameter["in"] == "query":
            schema = parameter["schema"]
            (some, *_) = [kind for kind in schema.get("anyOf", [schema]) if kind.get("type") != "null"]
            yield parameter["name"], some


async def test_no_filter_takes_an_empty_value_and_none_with_one_value_takes_two(
    client: httpx.AsyncClient, subtests: pytest.Subtests
) -> None:
    for method, path, what in await operations(client):
        for name, schema in parameters(what):
            with subtests.test(method=method, path=path, name=name):
                empty = await client.request(method, address(path), params={name: ""})
                # No word of a search need occur; old programs expect empty lists. 404: of a reference, and below a row
                # that is not there.
                assert name == "q" or path in OLD or empty.status_code in {400, 404, 422}, empty.text
                if schema.get("type") != "array":
                    twice = await client.request(method, address(path), params={name: ["1", "1"]})
                    fault = {"where": name, "message": "is given 2 times, and takes one value"}
                    assert (twice.status_code, fault in twice.json()["reasons"]) == (422, True)


@pytest.mark.parametrize(
    ("request_line", "body", "where", "message"),
    [
        ("GET /api/models?provder=openai", None, "provder", "did you mean 'provider'?"),
        ("GET /api/models?limt=1", None, "limt", "did you mean 'limit'?"),
        ("GET /api/history?aktor=bob", None, "aktor", "known here: before, limit"),
        ("GET /api/models/stats?tag=x", None, "tag", "this path takes none"),
        ("GET /v1/models?provider=x", None, "provider", "is not a known parameter"),
        ("POST /api/models/import?dryrun=true", {"source": "x", "offers": []}, "dryrun", "did you mean 'dry_run'?"),
        ("DELETE /api/nodes?status=lost&lable=zone", None, "lable", "did you mean 'label'?"),
        ("POST /api/v1/registry/validate/inference", {"model_id": "m", "vram": 2}, "vram", "did you mean 'vram_gb'?"),
        ("POST /api/v1/registry/validate/training", {"hardware": {"gpuss": 1}}, "hardware.gpuss", "'gpus'?"),
        ("POST /api/models/select", {"constraints": {"max_costs": 1}}, "constraints.max_costs", "'max_cost'?"),
        ("POST /api/costs/estimate", {"filter": {"tags": ["x"]}}, "filter.tags", "did you mean 'tag'?"),
        ("PATCH /api/models/m", {"price": 3}, "price", "known here: "),
        ("PATCH /api/models/m", {"requirements": {"vram_gb": 3}}, "requirements.vram_gb", "'min_vram_gb'?"),
        ("PATCH /api/models/m", {"benchmarks": {"a": {"scor": 3}}}, "benchmarks.a.scor", "did you mean 'score'?"),
        ("PUT /api/nodes/n", {"lables": {}}, "lables", "did you mean 'labels'?"),
        ("POST /api/models/import", {"offers": [{"modl_id": "m"}]}, "offers.0.modl_id", "did you mean 'model_id'?"),
        ("POST /api/rollback", {"revision": 1, "dry_run": True}, "dry_run", "known here: revision"),
        ("PUT /api/tensorzero/files/a.txt", {"content": "x", "contents": "y"}, "contents", "did you mean 'content'?"),
        ("PUT /api/tensorzero/sections/gateway", {"value": {}, "name": "x", "valeu": {}}, "valeu", "'value'?"),
    ],
)
async def test_what_is_misspelt_is_named_with_the_nearest(
    client: httpx.AsyncClient, request_line: str, body: Any, where: str, message: str
) -> None:
    method, url = request_line.split(" ")

    answer = await client.request(method, url, json=body)

    assert answer.status_code == 422, answer.text
    (reason,) = [reason for reason in answer.json()["reasons"] if reason["where"] == where]
    assert message in reason["message"]


async def test_a_method_that_a_path_does_not_know_is_refused_first(client: httpx.AsyncClient) -> None:
    for path in ("/api/models/m/versions", "/api/models/m/deployments"):
        assert (await client.put(f"{path}?colour=red", json={"colour": 1})).status_code == 405


async def test_everything_that_is_wrong_is_named_at_once(client: httpx.AsyncClient) -> None:
    body = {"name": "x", "vram_mb": -1, "contxt_window": 1, "metadata": {"free": 1}}

    found = problem(await client.post("/api/models?dryrun=1", json=body), 422, "E4003")

    assert places(found) == {"dryrun", "contxt_window", "vram_mb", "model_id"}


async def test_answers_of_what_is_no_resource_can_be_sent_back(client: httpx.AsyncClient) -> None:
    report = {"node_id": "gpu-1", "provider_type": "ollama", "model_id": "m", "gpu": "RTX 5090"}
    assert (await client.post("/api/deployments", json=report)).status_code == 201  # reports may say more
    assert (await client.put("/api/tensorzero/files/a.txt", json={"content": "x"})).status_code == 201
    assert (await client.put("/api/tensorzero/sections/gateway", json={"value": {}})).status_code == 201

    for path in ("/api/tensorzero/files/a.txt", "/api/tensorzero/sections/gateway"):
        again = await client.put(path, json=await get(client, path))
        assert again.status_code == 200, again.text


async def test_providers_are_asked_for_by_name_or_type_everywhere(client: httpx.AsyncClient) -> None:
    await add_provider(client, "ours", type="openai", api_base=None)
    await add_model(client, "gpt", "ours")
    report = {"node_id": "gpu-1", "provider_type": "ollama", "model_id": "m"}
    assert (await client.post("/api/deployments", json=report)).status_code == 201

    for parameter, value in (("provider", "openai"), ("provider", "OpenAI"), ("provider_type", "openai")):
        assert await names(client, "/api/models", **{parameter: value}) == ["gpt"]
    assert await names(client, "/api/models", provider_type="groq") == []
    assert await names(client, "/api/models", model_id="gpt") == ["gpt"]
    assert await names(client, "/api/providers", provider_type="openai") == ["ours"]
    assert await names(client, "/api/deployments", "node_id", provider_type="ollama") == ["gpu-1"]
    assert await names(client, "/api/deployments", "node_id", provider_type="vllm") == []
    assert (
        await names(client, "/api/deployments", node_id="never-seen", status="loaded") == []
    )  # existing clients ask so
    for path in ("models", "providers", "deployments"):
        found = problem(await client.get(f"/api/{path}?provider_type=olama"), 422, "E4005")
        assert "Did you mean 'ollama'?" in found["detail"]


@pytest.mark.parametrize(
    ("query", "nearest"),
    [
        ("models?capability=visoin", "vision"),
        ("models?name=nn", "n"),
        ("models?tag=smal", "small"),
        ("models?framework=vlm", "vllm"),
        ("compatibility?task_type=text-generaton", "text-generation"),
        ("aliases?alias=usaul", "usual"),
        ("aliases?context=agent", "agents"),
        ("functions?service_name=sevice", "service"),
        ("mappings?service_name=sevice", "service"),
        ("mappings?function_name=chatt", "chat"),
        ("deployments?model=nn", "n"),
        ("nodes?label=zon", "zone"),
        ("nodes?label=zone=celar", "zone=cellar"),
    ],
)
async def test_a_value_that_no_row_has_is_refused_with_the_nearest(
    client: httpx.AsyncClient, database: psycopg.Connection, query: str, nearest: str
) -> None:
    facts = {"tags": ["small"], "framework": "vllm", "task_types": ["text-generation"]}
    await client.patch("/api/models/m", json={"name": "n", **facts})
    await add(client, "aliases", alias="usual", model="n", context="agents")
    await add_mapping(client, "service/chat/v", "n")
    database.execute("""insert into gpu_nodes (node_id, labels) values ('a', '{"zone": "cellar"}')""")

    found = problem(await client.get(f"/api/{query}", headers={"Cache-Control": "no-cache"}), 422, "E4005")

    assert f"Did you mean {nearest!r}?" in found["detail"]
    assert places(found) == {query.partition("?")[2].partition("=")[0]}
    assert nearest in found["allowed"]


async def test_old_programs_keep_their_empty_lists(client: httpx.AsyncClient) -> None:
    for query in ("framework=vlm", "framework=", "task_type=x", "tag=", "capability=visoin", "name=nobody"):
        assert (await client.get(f"/compat/api/models?{query}")).json() == []
    assert (await client.get("/compat/api/models?provder=x")).status_code == 422
    assert (await client.get("/api/v1/registry/models?category=nothing")).json()["data"] == []


async def test_capabilities_that_nobody_knows_are_taken_with_a_warning(client: httpx.AsyncClient) -> None:
    made = await add_model(client, "a", capabilities=["visoin", "tools", "vision"])
    read = await client.get("/api/models/a")

    assert made.pop("warnings") == [
        "capabilities: 'visoin' is no known capability, and is kept as it is; did you mean 'vision'?"
    ]
    assert read.json() == made
    assert made["capabilities"] == ["visoin", "tools", "vision"]
    again = await client.patch("/api/models/a", json={"vram_mb": 1}, headers={"If-Match": read.headers["etag"]})
    assert (again.status_code, "warnings" in again.json()) == (200, False)
    put = await client.put("/api/models/a", json={**again.json(), "warnings": ["came back"], "publication": {}})
    assert (await client.get("/api/models/a")).headers["etag"] == put.headers["etag"]
    assert "'vision'" in put.json()["warnings"][0]
    assert "smell" in (await add_model(client, "b", capabilities=["smell"]))["warnings"][0]
    assert "warnings" not in await add_model(client, "c", capabilities=["Smell"])


async def test_imports_warn_of_capabilities_that_look_misspelt(client: httpx.AsyncClient) -> None:
    facts = [{"capabilities": ["visoin", "smell", "Tools"]}, {"capabilities": ["visoin"]}]
    offers = [{"provider": "ollama_local", "model_id": f"m{i}", "fields": fields} for i, fields in enumerate(facts)]

    imported = await client.post("/api/models/import", json={"source": "x", "offers": offers})

    warning = "capabilities: 'visoin' is no known capability, and is kept as it is; did you mean 'vision'?"
    assert imported.json()["warnings"] == [warning]
    document = await get(client, "/api/v1/registry/document")
    document["models"]["m1"]["capability_tags"] = ["visoin", "chatt"]
    again = await client.put("/api/v1/registry/document?dry_run=true", json=document)
    assert [text.split("'")[1] for text in again.json()["data"]["warnings"]] == ["chatt", "visoin"]
    nested = {"provider": "ollama_local", "model_id": "n", "fields": {"requirements": {"min_vram": 1}}}
    (entry,) = (await client.post("/api/models/import", json={"source": "x", "offers": [nested]})).json()["report"]
    assert (entry["action"], "did you mean 'min_vram_gb'?" in entry["reason"]) == ("skipped", True)


async def test_fields_that_are_shown_but_not_written_are_passed_over_with_a_warning(client: httpx.AsyncClient) -> None:
    changed = await client.patch("/api/models/m", json={"api_base": "http://x/v1", "offered": False})

    assert changed.json()["warnings"] == ["api_base: is shown with a model, and not written with it; passed over"]
    made = await add_model(client, "n", aliases=[{"alias": "fast"}])
    assert made["warnings"] == ["aliases: is shown with a model, and not written with it; passed over"]


async def test_a_services_row_of_a_model_can_be_sent_back(client: httpx.AsyncClient) -> None:
    await add_mapping(client, "s/f/v", "m", priority=3, weight=0.25)
    for query in ("", "?deployed=true"):
        rows = (await get(client, f"/api/services/s/models{query}"))["items"]
        for row in rows:
            for method in ("PUT", "PATCH"):
                sent = await client.request(method, "/api/models/m", json=row)
                assert (sent.status_code, "warnings" in sent.json()) == (200, False), sent.text
    (row,) = (await get(client, "/api/services/s/models"))["items"]
    changed = await client.patch("/api/models/m", json={**row, "weight": 1})
    assert changed.json()["warnings"] == ["weight: is shown with a model, and not written with it; passed over"]
    assert places(problem(await client.patch("/api/models/m", json={"weight": 1}), 422, "E4003")) == {"weight"}


async def test_what_leads_to_itself_is_refused_or_warned_about(client: httpx.AsyncClient) -> None:
    for model in ("m", (await get(client, "/api/models/m"))["id"]):
        found = problem(await client.post("/api/aliases", json={"alias": "m", "model": model}), 422, "E4005")
        assert places(found) == {"alias"}
    await add(client, "aliases", alias="usual", model="m")
    problem(await client.patch("/api/aliases/usual", json={"alias": "m"}), 422, "E4005")
    renamed = await client.patch("/api/models/m", json={"name": "usual"})
    assert "an alias of this model too" in renamed.json()["warnings"][0]
    mapping = await add_mapping(client, "s/f/v", "usual", fallback_model_id="usual")
    assert mapping["warnings"] == ["fallback_model_id: is the mapping's own model, and so no fallback"]


async def test_a_provider_at_every_address_is_taken_with_a_warning(client: httpx.AsyncClient) -> None:
    for name, url in (("a", "http://0.0.0.0:11434"), ("b", "http://[::]:8000/v1")):
        made = await add(client, "providers", name=name, type="ollama", api_base=url)
        assert "every address of a machine" in made["warnings"][0]
        assert "such as localhost" in made["warnings"][0]
        assert made["api_base"] == url
    assert "warnings" not in (await client.patch("/api/providers/a", json={"api_base": "http://gpu:11434"})).json()
    assert "warnings" not in await add(client, "providers", name="c", type="ollama", api_base="http://localhost:1")


async def test_an_alias_that_names_hide_is_taken_with_a_warning(client: httpx.AsyncClient) -> None:
    await add_model(client, "n", model_id="theirs")

    for alias in ("ollama_local/n", "theirs"):
        hidden = await add(client, "aliases", alias=alias, model="m")
        assert hidden["warnings"][0].startswith(f"alias: names count more, and {alias!r} is one of n (theirs at ollama")
    assert "warnings" not in await add(client, "aliases", alias="ollama_local/m", model="m")
    assert "warnings" not in await add(client, "aliases", alias="usual", model="m")


async def test_true_is_no_number(client: httpx.AsyncClient) -> None:
    wrong = {"vram_mb": True, "cost_per_1m_input_tokens": False, "routing_priority": True}
    found = problem(await client.patch("/api/models/m", json=wrong), 422, "E4003")

    assert places(found) == set(wrong)
    assert "vram_mb: must be a number, not true" in found["detail"]
    assert (await client.patch("/api/models/m", json={"active": True, "vram_mb": 1})).status_code == 200
    nested = await client.patch("/api/models/m", json={"requirements": {"min_vram_gb": True}})
    assert places(problem(nested, 422, "E4003")) == {"requirements.min_vram_gb"}


async def test_true_is_no_number_in_a_question_either(client: httpx.AsyncClient, subtests: pytest.Subtests) -> None:
    select, estimate, fits = "models/select", "costs/estimate", "v1/registry/validate/training"
    cases: tuple[tuple[str, dict[str, Any], str], ...] = (
        (select, {"weights": {"cost": True}}, "weights.cost"),
        (select, {"weights": {"cost": 1, "speed": False}}, "weights.speed"),
        (select, {"limit": True}, "limit"),
        (select, {"constraints": {"max_cost": True}}, "constraints.max_cost"),
        (select, {"constraints": {"min_quality": {"coding": True}}}, "constraints.min_quality.coding"),
        (select, {"tokens": {"counts": {"audio_seconds": True}}}, "tokens.counts.audio_seconds"),
        (estimate, {"requests": True}, "requests"),
        (estimate, {"input_tokens": False}, "input_tokens"),
        (estimate, {"filter": {"min_context": True}}, "filter.min_context"),
        (fits, {"model_id": "m", "vram_gb": True}, "vram_gb"),
        (fits, {"model_id": "m", "hardware": {"gpus": True}}, "hardware.gpus"),
        (fits, {"model_id": "m", "batch_size": True}, "batch_size"),
    )
    for path, body, place in cases:
        with subtests.test(path=path, body=body):
            found = problem(await client.post(f"/api/{path}", json=body), 422, "E4005")
            assert places(found) == {place}
            assert "must be a number, not " in found["detail"]


async def test_a_column_that_no_view_has_is_refused_with_the_nearest(client: httpx.AsyncClient) -> None:
    for query, meant in (("selct=name", "select"), ("contxt_length=eq.3", "context_length"), ("order=nme", "name")):
        found = problem(await client.get(f"/rest/v1/models?{query}"), 422, "E4005")
        assert f"did you mean {meant!r}?" in found["detail"]


async def test_a_view_and_a_body_that_cannot_be_read_are_named(client: httpx.AsyncClient) -> None:
    assert "did you mean 'models'?" in problem(await client.get("/rest/v1/modls"), 404, "E4004")["detail"]
    for body, message in (("9" * 5000, "a number of thousands of digits"), (b"\xff{", "is not valid JSON in UTF-8")):
        sent = await client.post("/api/models", content=body, headers={"Content-Type": "application/json"})
        assert message in problem(sent, 422, "E4003")["detail"]


async def test_two_names_of_one_reference_must_mean_the_same(client: httpx.AsyncClient) -> None:
    await add_provider(client, "other")
    await add_model(client, "n")
    row = await get(client, "/api/models/m")

    put = await client.put("/api/models/m", json={**row, "provider": "other"})
    assert places(problem(put, 422, "E4003")) == {"provider"}
    assert (await client.patch("/api/models/m", json={"provider": "other"})).json()["provider_name"] == "other"
    alias = await client.post("/api/aliases", json={"alias": "a", "model_id": "m", "model": "n"})
    assert places(problem(alias, 422, "E4005")) == {"model"}
    assert (await add(client, "aliases", alias="a", model_id="m", model="m"))["model_name"] == "m"


async def test_a_providers_description_is_kept(client: httpx.AsyncClient) -> None:
    made = await add(client, "providers", name="p", type="openai", description="Ours", metadata={"rack": 7})
    assert (made["description"], made["metadata"]) == ("Ours", {"rack": 7, "description": "Ours"})

    changed = await client.patch("/api/providers/p", json={"description": "Theirs"})
    assert changed.json()["metadata"] == {"rack": 7, "description": "Theirs"}
    again = await client.put("/api/providers/p", json=changed.json())
    assert again.json() == changed.json()
    other = await client.patch("/api/providers/p", json={"metadata": {"description": "New"}})
    assert other.json()["description"] == "New"
    both = {"metadata": {"description": "a"}, "description": "b"}
    problem(await client.patch("/api/providers/p", json=both), 422, "E4005")
    emptied = await client.patch("/api/providers/p", json={"description": None})
    assert (emptied.json()["description"], emptied.json()["metadata"]) == (None, {})
    too_long = await client.patch("/api/providers/p", json={"description": "x" * 70_000})
    problem(too_long, 422, "E4005")
