"""The asynchronous client against a real service: every resource, refusals, and notifications of changes."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from model_registry.client import AsyncClient, Catalogue, RetryPolicy, instance_rows, rows
from model_registry.client.gateway_operations import GatewayFields
from model_registry.errors import (
    AlreadyExists,
    InUse,
    InvalidModel,
    ModelNotFound,
    NotAuthenticated,
    NotFound,
    PreconditionFailed,
)
from support.catalogue import add_model, add_provider
from support.documents import garden
from support.replica import ADMIN_KEY, Replica
from support.waiting import until

OLLAMA: dict[str, Any] = {"type": "ollama", "api_base": "http://localhost:11434/v1"}
QUICK = RetryPolicy(attempts=2, first_pause=0.01, longest_pause=0.05)


class Nobody(httpx.AsyncBaseTransport):
    """A registry that is away."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)


def client_of(replica: Replica, key: str | None = ADMIN_KEY, **more: Any) -> AsyncClient:
    transport = replica.client._transport  # noqa: SLF001 (the service has no socket)
    return AsyncClient("http://registry", key, transport=transport, patience=QUICK, **more)


@pytest.fixture
async def client(replica: Replica) -> AsyncIterator[AsyncClient]:
    async with client_of(replica) as made:
        yield made


async def test_every_noun_is_made_read_changed_and_deleted(client: AsyncClient) -> None:
    provider = await client.create_provider(OLLAMA, name="lab")
    category = await client.create_category(key="tiny", name="Tiny models")
    model = await client.create_model(name="qwen", model_id="a/b:c", provider="lab", category="tiny", tags=["x"])
    alias = await client.create_alias(alias="best", model="qwen")
    function = await client.create_function(service_name="svc", function_name="chat")
    mapping = await client.create_mapping(service_name="svc", function_name="chat", variant_name="v", model="qwen")

    assert (model.provider_name, model.category, model.tags, model.offered) == ("lab", "tiny", ["x"], True)
    assert (alias.model_name, mapping.model_name, function.name) == ("qwen", "qwen", "svc_chat")
    assert (await client.get_model("a/b:c")).id == model.id
    assert (await client.change_model("a/b:c", cost_per_1m_input_tokens=2.5)).cost_per_1m_input_tokens == 2.5
    replaced = await client.replace_provider("lab", {**OLLAMA, "name": "lab", "metadata": {"a": 1}})
    assert replaced.metadata == {"a": 1}
    assert [m.id for m in await client.models_for("svc")] == [model.id]
    assert [s.functions for s in await client.list_services()] == [["chat"]]
    assert "[models.qwen]" in await client.tensorzero_config()
    assert await client.list_deployments() == []

    await client.delete_mapping(mapping.id)
    await client.delete_function(function.id)
    await client.delete_alias("best")
    await client.delete_model("qwen")
    await client.delete_category(category.key)
    await client.delete_provider(provider.id)
    assert (await client.list_models(), await client.list_mappings()) == ([], [])


async def test_what_is_refused_is_the_registrys_own_error(client: AsyncClient, replica: Replica) -> None:
    await client.create_provider(OLLAMA, name="lab")
    await client.create_model(name="m", model_id="m", provider="lab")

    with pytest.raises(InvalidModel) as invalid:
        await client.create_model(name="n", model_id="n", provider="lab", latency_p50_ms=2, latency_p99_ms=1)
    assert [reason.where for reason in invalid.value.reasons] == ["latency_p99_ms"]
    with pytest.raises(InvalidModel, match="contxt_window: is not a known field; did you mean 'context_window'"):
        await client.create_model(name="n", model_id="n", provider="lab", contxt_window=4)  # type: ignore[call-arg]
    with pytest.raises(InvalidModel, match="price: is not a known field"):
        await client.change_model("m", price=3)  # type: ignore[call-arg]
    with pytest.raises(ModelNotFound):
        await client.get_model("nobody")
    with pytest.raises(AlreadyExists):
        await client.create_provider(OLLAMA, name="lab")
    with pytest.raises(InUse):
        await client.delete_provider("lab")
    with pytest.raises(PreconditionFailed):
        await client.change_model("m", etag='"old"', description="x")
    async with client_of(replica, key="wrong") as stranger:
        with pytest.raises(NotAuthenticated):
            await stranger.delete_model("m")


async def test_documents_and_verdicts(client: AsyncClient) -> None:
    told = await client.import_document(garden(), dry_run=True)
    assert (told["dry_run"], told["created"]) == (True, 10)
    await client.import_document(garden())

    assert (await client.export_document())["models"] == garden()["models"]
    verdict = await client.validate_model("unsloth/tinyllama-bnb-4bit", "training", vram_gb=1)
    assert (verdict.is_valid, len(verdict.errors)) == (False, 1)


async def test_the_whole_catalogue_in_one_answer(client: AsyncClient, replica: Replica) -> None:
    await add_provider(replica.client)
    await add_model(replica.client, "qwen", model_id="qwen3:8b")
    await client.create_alias(alias="best", model="qwen")
    await client.create_mapping(service_name="svc", function_name="chat", variant_name="v", model="qwen")

    catalogue = await client.catalogue()

    assert {catalogue.model(r).name for r in ("qwen", "qwen3:8b", "best", catalogue.models[0].id)} == {"qwen"}
    assert [m.name for m in catalogue.models_for("svc", "chat")] == ["qwen"]
    assert catalogue.models_for("svc", "other") == []
    assert catalogue.age_seconds() < 60
    with pytest.raises(ModelNotFound):
        catalogue.model("nobody")
    answer = await replica.client.get("/api/catalog")
    assert {kind: len(rows) for kind, rows in answer.json().items()} == {
        "providers": 1,
        "categories": 7,
        "models": 1,
        "aliases": 1,
        "functions": 1,
        "mappings": 1,
    }


async def test_a_waiting_question_is_answered_by_the_change(replica: Replica) -> None:
    tag = (await replica.client.get("/api/catalog")).headers["ETag"]
    asking = [
        asyncio.create_task(replica.client.get("/api/catalog", params={"wait": 30}, headers={"If-None-Match": tag}))
        for _ in range(5)
    ]
    await asyncio.sleep(0)

    await add_provider(replica.client)

    answers = await asyncio.gather(*asking)
    assert {(a.status_code, a.json()["providers"][0]["name"]) for a in answers} == {(200, "ollama_local")}
    still = await replica.client.get(
        "/api/catalog", params={"wait": 0.05}, headers={"If-None-Match": answers[0].headers["ETag"]}
    )
    assert still.status_code == 304


async def test_listeners_hear_of_every_change_and_of_nothing_else(client: AsyncClient, replica: Replica) -> None:
    heard: list[Catalogue] = []

    async def listen(catalogue: Catalogue) -> None:
        heard.append(catalogue)

    listening = client.on_change(listen, wait=5)
    await until(lambda: _is(len(heard) == 1))
    await add_provider(replica.client)
    await until(lambda: _is(len(heard) == 2))
    event = {"node_id": "n", "provider_type": "ollama", "model": "m", "status": "loaded"}
    await replica.client.post("/api/deployments", json=event)
    await client.change_provider("ollama_local", metadata={"a": 1})
    await until(lambda: _is(len(heard) == 3))

    listening.cancel()
    assert [len(c.providers) for c in heard] == [0, 1, 1]


async def test_a_listener_that_fails_does_not_end_the_listening(client: AsyncClient, replica: Replica) -> None:
    heard: list[int] = []

    def listen(catalogue: Catalogue) -> None:
        heard.append(len(catalogue.providers))
        raise ValueError(catalogue)

    listening = client.on_change(listen, wait=5)
    await until(lambda: _is(heard == [0]))
    await add_provider(replica.client)
    await until(lambda: _is(heard == [0, 1]))
    listening.cancel()


async def test_nats_tells_of_changes_too(start_replica: Any, nats_url: str) -> None:
    replica: Replica = await start_replica(NATS_URL=nats_url)
    heard: list[int] = []
    async with client_of(replica) as client:
        # Nothing is asked for an hour, unless NATS says so.
        listening = client.on_change(lambda c: heard.append(len(c.providers)), wait=3600, nats_url=nats_url)
        await until(lambda: _is(bool(heard)))
        numbers = iter(range(100))

        async def told() -> bool:
            # Until the subscription stands, announcements pass unheard.
            await add_provider(replica.client, f"p{next(numbers)}")
            await asyncio.sleep(0.1)
            return heard[-1] > 0

        await until(told)
        listening.cancel()


async def test_an_old_copy_is_told_of_before_the_registry_answers(replica: Replica, tmp_path: Path) -> None:
    await add_provider(replica.client)
    async with client_of(replica, cache_dir=tmp_path) as client:
        await client.catalogue()
    heard: list[Catalogue] = []

    async with AsyncClient("http://registry", cache_dir=tmp_path, patience=QUICK, transport=Nobody()) as offline:
        copy = await offline.catalogue()
        listening = offline.on_change(heard.append)
        await until(lambda: _is(bool(heard)))
        listening.cancel()

    assert [p.name for p in copy.providers] == ["ollama_local"]
    assert heard[0].providers == copy.providers
    assert 0 <= copy.age_seconds() < 60
    assert offline.stale_seconds is not None


async def _is(so: bool) -> bool:  # noqa: FBT001 (the value that `until` checks)
    return so


LISTS = {
    f"list_{plural}": f"/api/{plural}"
    for plural in ("providers", "categories", "models", "aliases", "functions", "mappings", "services", "deployments")
}
QUESTIONS = {
    "select_models": "SelectionRequest",
    "estimate_costs": "EstimateRequest",
    "validate_model": "ValidationRequest",
}
OLD = {"hardware"}
"""What Model Garden's clients sent; the same facts have names of their own."""


async def test_its_parameters_are_those_of_the_registry(replica: Replica) -> None:
    document = (await replica.client.get("/openapi.json")).json()
    shapes = document["components"]["schemas"]
    for noun in ("Provider", "Category", "Model", "Alias", "Function", "Mapping"):
        known = shapes[f"{noun}Body"]["properties"].keys()
        assert getattr(rows, f"{noun}Fields").__annotations__.keys() == known, noun
    assert GatewayFields.__annotations__.keys() == shapes["GatewayBody"]["properties"].keys()
    known = shapes["ModelServiceBody"]["properties"].keys()
    assert instance_rows.ModelServiceFields.__annotations__.keys() == known
    positional = {"service_id", "service_url", "model_type", "capabilities", "model_version"}
    known = shapes["Registration"]["properties"].keys() - positional
    assert instance_rows.RegistrationFields.__annotations__.keys() == known
    for method, path in LISTS.items():
        known = {parameter["name"] for parameter in document["paths"][path]["get"]["parameters"]}
        assert _parameters(method) - {"self"} == known, method
    for method, shape in QUESTIONS.items():
        assert _parameters(method) - {"self", "use"} == shapes[shape]["properties"].keys() - OLD, method


def _parameters(method: str) -> set[str]:
    return set(inspect.signature(getattr(AsyncClient, method)).parameters)


async def test_gateways_are_promoted(client: AsyncClient) -> None:
    await client.create_gateway(name="staging", kind="tensorzero")
    made = await client.create_gateway(name="prod", kind="tensorzero", pinned_revision=1)
    newest = (await client.gateway_status("staging"))["newest_revision"]

    assert made.pinned_revision == 1
    assert (await client.promote_gateway("prod", "latest", dry_run=True))["dry_run"]
    assert (await client.promote_gateway("prod", newest, reason="tested"))["pinned_revision"] == newest
    assert [move["promotion"]["reason"] for move in (await client.gateway_history("prod"))[:1]] == ["tested"]
    assert (await client.gateway_diff("prod", 1, newest))["items"] == []
    assert await client.gateway_config("prod") == await client.gateway_config("staging")
    assert (await client.promote_gateway("prod"))["pinned_revision"] is None
    assert [row.name for row in await client.list_gateways()] == ["prod", "staging", "tensorzero"]
    await client.delete_gateway("prod")
    with pytest.raises(NotFound):
        await client.get_gateway("prod")


async def test_model_services_and_their_instances(client: AsyncClient) -> None:
    made = await client.register_instance(
        "lstm-1", "http://10.1.2.3:8001", "LSTM", ["prediction"], ttl_seconds=60, health={"check": "none"}
    )
    assert (made.service_id, made.state, made.ttl_seconds) == ("lstm-1", "healthy", 60)

    assert (await client.change_instance("lstm-1", weight=2)).weight == 2
    assert (await client.renew_instance("lstm-1")).weight == 2
    assert (await client.drain_instance("lstm-1", reason="new disk")).status_reason == "new disk"
    assert [i.state for i in await client.list_instances(model_type="lstm", state="draining")] == ["draining"]
    assert (await client.instance_health("lstm-1")).state == "draining"
    assert (await client.retire_instance("lstm-1")).status == "retired"
    assert (await client.activate_instance("lstm-1")).status == "active"
    assert (await client.get_instance("lstm-1")).model_type == "LSTM"
    await client.create_model_service(model_type="GRU", strategy="least_loaded")
    assert (await client.change_model_service("gru", selected_version="v1")).selected_version == "v1"
    assert [s.model_type for s in await client.list_model_services()] == ["GRU", "LSTM"]
    with pytest.raises(InUse):
        await client.delete_model_service("LSTM")
    await client.delete_instance("lstm-1")
    await client.delete_model_service((await client.get_model_service("lstm")).id)
    with pytest.raises(NotFound):
        await client.renew_instance("lstm-1")
