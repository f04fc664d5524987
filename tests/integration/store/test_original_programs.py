"""Programs of the original registry, which go to PostgREST with the service's key: what they send and read still works.

As the original's GPU orchestrator does (`supabase_client.py` there), and its catalogue sync.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest

CATALOGUE = """
    insert into model_providers (name, type, api_base) values
        ('ollama_local', 'ollama', 'http://ollama:11434/v1'), ('ollama_edge', 'ollama', 'http://edge:11434/v1');
    insert into models (provider_id, name, model_id)
        select id, 'qwen_' || name, 'qwen3:8b' from model_providers
        union all select id, 'phi', 'phi3' from model_providers where name = 'ollama_edge';
    insert into model_aliases (model_id, alias, context)
        select id, 'main', 'agent_zero' from models where name = 'qwen_ollama_edge'
        union all select id, 'main', null from models where name = 'qwen_ollama_local'
        union all select id, 'small', 'x' from models where name = 'phi';
    insert into service_model_mappings (
            service_name, function_name, variant_name, model_id, fallback_model_id, priority)
        select 's', 'f', m.name, m.id, f.id, case m.name when 'phi' then 2 else 1 end
        from models m, models f where f.name = 'phi' and m.name <> 'qwen_ollama_edge';
"""


@pytest.fixture
def http(stack: Any, database: psycopg.Connection) -> Iterator[httpx.Client]:
    """PostgREST with the service's key, and a catalogue."""
    database.execute(CATALOGUE.encode())
    environment = stack.environment()
    key = {"Authorization": f"Bearer {environment['POSTGREST_KEY']}", "Prefer": "return=representation"}
    with httpx.Client(base_url=environment["POSTGREST_URL"], headers=key, trust_env=False) as client:
        yield client


def register(http: httpx.Client, model_id: str, provider_id: str, **columns: Any) -> httpx.Response:
    """Look the model up, then its deployment on the node, then patch or post: as the orchestrator does."""
    wanted = {"model_id": f"eq.{model_id}", "provider_type": "eq.ollama", "provider_id": f"eq.{provider_id}"}
    (model,) = http.get("/v_active_models", params=wanted).json()
    existing = http.get(
        "/model_deployments", params={"model_id": f"eq.{model['id']}", "node_id": f"eq.{columns['node_id']}"}
    ).json()
    body = {
        "model_id": model["id"],
        "provider_type": "ollama",
        "vram_allocated_mb": None,
        "loaded_at": "2026-11-30T01:02:03.5",
        "last_used_at": "2026-11-30T01:02:03.5",
        "error_message": None,
        **columns,
    }
    if existing:
        return http.patch(f"/model_deployments?id=eq.{existing[0]['id']}", json=body)
    return http.post("/model_deployments", json=body)


def provider_id(http: httpx.Client, name: str) -> str:
    (row,) = http.get("/model_providers", params={"name": f"eq.{name}"}).json()
    return str(row["id"])


def test_an_orchestrator_registers_a_deployment_by_its_model_and_changes_it(http: httpx.Client) -> None:
    local = provider_id(http, "ollama_local")

    made = register(http, "qwen3:8b", local, node_id="gpu-1", status="loading")
    assert made.status_code == 201, made.text
    assert (made.json()[0]["announced_model"], made.json()[0]["provider_type"]) == ("qwen3:8b", "ollama")
    changed = register(http, "qwen3:8b", local, node_id="gpu-1", status="loaded", vram_allocated_mb=6000)
    assert (changed.status_code, changed.json()[0]["status"]) == (200, "loaded")
    assert [node["node_id"] for node in http.get("/gpu_nodes").json()] == ["gpu-1"]

    (active,) = http.get("/v_active_deployments").json()
    expected = {"model_id": "qwen3:8b", "model_name": "qwen_ollama_local", "model_type": "chat"}
    assert active["models"] == [expected | {"provider": "ollama_local"}]
    assert (active["node_id"], active["status"], active["vram_allocated_mb"]) == ("gpu-1", "loaded", 6000)


def test_a_deployment_that_the_node_has_announced_itself_is_updated_and_not_refused(
    http: httpx.Client, database: psycopg.Connection
) -> None:
    """The registry linked it to one row of the model, and the orchestrator means the other."""
    database.execute("""
        insert into model_deployments (node_id, provider_type, announced_model, model_id)
        select 'gpu-1', 'ollama', 'qwen3:8b', id from models where name = 'qwen_ollama_edge'""")

    answer = register(http, "qwen3:8b", provider_id(http, "ollama_local"), node_id="gpu-1", status="error")

    assert answer.status_code in (200, 201), answer.text
    (row,) = http.get("/model_deployments").json()
    assert (row["status"], row["announced_model"]) == ("error", "qwen3:8b")


def test_a_deployment_of_a_model_that_is_not_there_is_refused(http: httpx.Client) -> None:
    body = {"model_id": "7b9c1f7e-0000-4000-8000-000000000000", "node_id": "n", "provider_type": "ollama"}

    assert http.post("/model_deployments", json=body).json()["code"] in ("23502", "23503")
    assert http.post("/model_deployments", json={"node_id": "n"}).json()["code"] == "23502"


def test_its_views_have_the_columns_that_programs_name(http: httpx.Client) -> None:
    columns = (
        "name,model_id,model_type,capabilities,vram_mb,context_length,provider_name,provider_type,api_base,aliases"
    )
    aliases = {row["name"]: row["aliases"] for row in http.get(f"/v_active_models?select={columns}").json()}
    assert aliases == {
        "qwen_ollama_local": [{"alias": "main", "context": None}],
        "qwen_ollama_edge": [{"alias": "main", "context": "agent_zero"}],
        "phi": [{"alias": "small", "context": "x"}],
    }
    columns = "service_name,function_name,variant_name,priority,weight,model_id,model_name,fallback_model_name"
    mappings = http.get(f"/v_service_models?select={columns}&order=priority").json()
    assert [(row["model_name"], row["fallback_model_name"]) for row in mappings] == [
        ("qwen_ollama_local", "phi"),
        ("phi", "phi"),
    ]
    columns = "node_id,provider_type,status,vram_allocated_mb,loaded_at,last_used_at,models"
    assert http.get(f"/v_active_deployments?select={columns}").json() == []


def test_its_functions_answer(http: httpx.Client) -> None:
    def named(**arguments: Any) -> list[str]:
        return [row["model_name"] for row in http.post("/rpc/get_model_by_alias", json=arguments).json()]

    assert named(p_alias="main") == ["qwen_ollama_local"]
    assert named(p_alias="main", p_context="agent_zero") == ["qwen_ollama_edge"]
    assert named(p_alias="small") == ["phi"]
    assert named(p_alias="main", p_context="other") == named(p_alias="nobody") == []
    (row,) = http.post("/rpc/get_model_by_alias", json={"p_alias": "small"}).json()
    assert row.keys() == {"model_id", "model_name", "provider_name", "api_base"}
    models = http.post("/rpc/get_service_models", json={"p_service_name": "s"}).json()
    assert [(row["model_name"], row["priority"]) for row in models] == [("qwen_ollama_local", 1), ("phi", 2)]
    assert http.post("/rpc/get_service_models", json={"p_service_name": "s", "p_function_name": "g"}).json() == []
