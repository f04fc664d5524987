"""Which deployments SMG gets as workers, under which address and name, and that a change costs only itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.change import Operation
from model_registry.entities.gateway import Gateway
from model_registry.gateways.kind import Rendered
from model_registry.gateways.smg.render import MAIN_FILE, SmgRenderer
from model_registry.gateways.smg.rules import doubts, faults
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

EDGE = Gateway(id="g", name="edge", kind="smg")


def render(snapshot: Snapshot, renderer: SmgRenderer | None = None) -> Rendered:
    rendered = (renderer or SmgRenderer()).render(snapshot, EDGE)
    assert list(faults(rendered.files[MAIN_FILE], 1)) == []
    return rendered


def workers(snapshot: Snapshot) -> list[tuple[str, str]]:
    """Address and model of each."""
    document = json.loads(render(snapshot).files[MAIN_FILE])
    assert document["version"] == 1
    return [(worker["url"], worker["model_id"]) for worker in document["workers"]]


def left_out(snapshot: Snapshot) -> dict[str, str]:
    """What of the nodes."""
    return {o.name: o.reason for o in render(snapshot).omitted if o.kind == "deployment"}


def vllm(catalogue: Catalogue, model: str | None, node_id: str = "n", **columns: Any) -> str:
    said = {"provider_type": "vllm", "endpoint": f"http://{node_id}:8000", **columns}
    return catalogue.deployment(model, node_id, **said)


def test_a_live_deployment_is_a_worker_under_the_name_that_its_server_knows() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("p", "vllm"), "m")
    vllm(catalogue, m, "b")
    vllm(catalogue, m, "a", endpoint="http://[FE80::1]:8000/v1/")

    text = render(catalogue.snapshot()).files[MAIN_FILE]

    assert text.decode().splitlines() == [
        '{"version": 1, "workers": [',
        '{"id": "a/vllm/m-id", "url": "http://[fe80::1]:8000", "model_id": "m-id"},',
        '{"id": "b/vllm/m-id", "url": "http://b:8000", "model_id": "m-id"}',
        "]}",
    ]


def test_without_any_the_list_is_empty_and_valid() -> None:
    assert render(Snapshot.empty()).files[MAIN_FILE] == b'{"version": 1, "workers": []}\n'


def test_only_what_is_loaded_on_a_node_that_takes_work_is_a_worker() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("p", "vllm"), "m")
    for status in ("loading", "unloaded", "error", "lost"):
        vllm(catalogue, m, f"is-{status}", status=status)
    nodes: dict[str, dict[str, Any]] = {"lost": {"status": "lost"}, "cordoned": {"cordoned": True}, "fine": {}}
    for node_id, columns in nodes.items():
        catalogue.node(node_id, **columns)
        vllm(catalogue, m, node_id)
    vllm(catalogue, m, "unheard")

    assert [url for url, _ in workers(catalogue.snapshot())] == ["http://fine:8000", "http://unheard:8000"]
    assert left_out(catalogue.snapshot()) == {}


def test_a_server_with_several_models_has_a_worker_for_each_at_an_address_that_leads_back_to_it() -> None:
    catalogue = Catalogue()
    p = catalogue.provider("p", "vllm")
    for name in ("Qwen/Qwen3-8B", "..", "a b"):
        vllm(catalogue, catalogue.model(p, name, model_id=name), announced_model=name)

    assert workers(catalogue.snapshot()) == [
        ("http://n:8000", ".."),
        ("http://n:8000/as-Qwen%2FQwen3-8B/..", "Qwen/Qwen3-8B"),
        ("http://n:8000/as-a%20b/..", "a b"),
    ]


def test_two_nodes_at_one_server_are_one_worker_and_the_other_is_said() -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("p", "vllm"), "m")
    vllm(catalogue, m, "a", endpoint="http://lb")
    vllm(catalogue, m, "b", endpoint="HTTP://LB:80/v1")

    assert workers(catalogue.snapshot()) == [("http://lb:80", "m-id")]
    assert left_out(catalogue.snapshot()) == {"b/vllm/m-id": "its server is there as m-id already: a/vllm/m-id"}


def test_an_ollama_is_asked_by_the_catalogues_name_and_others_by_the_one_they_announced() -> None:
    catalogue = Catalogue()
    p, q = catalogue.provider("p", "ollama"), catalogue.provider("q", "openai_compatible")
    m = catalogue.model(p, "m", model_id="qwen3:latest")
    n = catalogue.model(q, "n", model_id="Qwen/Qwen3-8B")
    catalogue.deployment(m, "o", announced_model="Qwen3")
    vllm(catalogue, n, "v", announced_model="qwen/qwen3-8b")

    snapshot = catalogue.snapshot()

    assert workers(snapshot) == [("http://o:11434", "qwen3:latest"), ("http://v:8000", "qwen/qwen3-8b")]
    assert left_out(snapshot)["v/vllm/qwen/qwen3-8b"].startswith("it is not there as Qwen/Qwen3-8B, which gateways ask")
    (doubt,) = doubts(render(snapshot).files[MAIN_FILE])
    assert doubt.where == "o/ollama/Qwen3/qwen3:latest"
    assert "GET /health" in doubt.message


@pytest.mark.parametrize(
    ("endpoint", "reason"),
    [
        (None, "it has no endpoint"),
        ("http://h:8000/api", "does not end in /v1"),
        ("http://h:8000/v1?x=1", "has a query"),
        ("http://h:0/v1", "port 0"),
        ("http://h:9/@2/v1", "no @"),
        ("http://0.0.0.0:8000", "is every address of its own machine"),
        ("ftp://h", "must be a whole http"),
    ],
)
def test_an_endpoint_that_smg_cannot_use_is_left_out_with_the_reason(endpoint: str | None, reason: str) -> None:
    catalogue = Catalogue()
    m = catalogue.model(catalogue.provider("p", "vllm"), "m")
    vllm(catalogue, m, "bad", endpoint=endpoint)
    vllm(catalogue, m, "good")

    assert workers(catalogue.snapshot()) == [("http://good:8000", "m-id")]
    assert reason in left_out(catalogue.snapshot())["bad/vllm/m-id"]


def test_what_is_not_offered_is_left_out_with_the_reason_and_what_is_not_carried_is_not_mentioned() -> None:
    catalogue = Catalogue()
    off = catalogue.provider("off", "vllm", active=False)
    p, azure = catalogue.provider("p", "vllm"), catalogue.provider("az", "azure")
    vllm(catalogue, catalogue.model(off, "a"), "a")
    vllm(catalogue, catalogue.model(p, "b", active=False), "b")
    vllm(catalogue, catalogue.model(p, "c", model_type="tts"), "c")
    vllm(catalogue, catalogue.model(azure, "d"), "d")
    vllm(catalogue, None, "e", announced_model="stranger")
    vllm(catalogue, "a row of another gateway", "f")

    snapshot = catalogue.snapshot()

    assert workers(snapshot) == []
    assert left_out(snapshot) == {
        "a/vllm/m-id": "its provider off is not active",
        "b/vllm/m-id": "its model b is not active",
        "c/vllm/m-id": "SMG has no requests for models of type tts",
        "d/vllm/m-id": "servers of the type azure have no base URL for OpenAI's protocol",
        "e/vllm/stranger": "no model of the catalogue has the model_id 'stranger': add it with POST /api/models, or "
        "with `model-registry knowledge import`",
    }


def test_no_smg_is_a_worker_of_another() -> None:
    catalogue = Catalogue()
    vllm(catalogue, catalogue.model(catalogue.provider("p", "vllm"), "m"), "n", endpoint="http://smg:30000/v1")
    settings = {"address": "http://SMG:30000/v1"}
    row = {"name": "edge", "kind": "smg", "content_of": "tensorzero", "settings": settings}
    catalogue.operations.append(Operation("gateways", "insert", "g", row))

    assert workers(catalogue.snapshot()) == []
    assert left_out(catalogue.snapshot())["n/vllm/m-id"].startswith("it is a gateway itself")


_NODES = st.sampled_from(["a", "b", "a/b", "b%2F"])
_STEPS = st.lists(
    st.tuples(
        st.sampled_from(["deployment", "unload", "node", "model", "provider"]), _NODES, st.sampled_from(["m", "n"])
    ),
    max_size=12,
)


def _steps(steps: list[tuple[str, str, str]]) -> Iterator[Snapshot]:
    catalogue = Catalogue()
    provider = catalogue.provider("p", "vllm")
    models = {name: catalogue.model(provider, name, model_id=name) for name in ("m", "n")}
    snapshot = catalogue.snapshot()
    known: dict[tuple[str, str], str] = {}
    active = True
    for number, (what, node, name) in enumerate(steps):
        row_id, table = f"row-{number}", "gpu_nodes"
        columns: dict[str, Any]
        if what in {"deployment", "unload"}:
            row_id = known.setdefault((node, name), row_id)
            status = "loaded" if what == "deployment" else "unloaded"
            said = {"node_id": node, "provider_type": "b/vllm" if node == "a" else "vllm", "announced_model": name}
            table, columns = "model_deployments", {**said, "model_id": models[name], "status": status}
            columns["endpoint"] = "http://shared:1" if node == "b" else f"http://{len(node)}:1"
        elif what == "node":
            columns = {"node_id": node, "cordoned": number % 2 == 0}
        elif what == "model":
            table, row_id, columns = "models", models[name], {"active": number % 2 == 0}
        else:
            active = not active
            table, row_id, columns = "model_providers", provider, {"active": active}
        there = snapshot.tables[table].get(row_id) is not None
        snapshot = snapshot.preview([Operation(table, "update" if there else "insert", row_id, columns)])
        yield snapshot


@given(_STEPS)
def test_a_renderer_that_saw_every_step_renders_what_one_does_that_saw_none(steps: list[tuple[str, str, str]]) -> None:
    renderer = SmgRenderer()
    for snapshot in _steps(steps):
        assert render(snapshot, renderer) == render(snapshot)
        assert render(snapshot, renderer) is render(snapshot, renderer)
