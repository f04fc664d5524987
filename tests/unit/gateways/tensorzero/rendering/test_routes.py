"""Which deployments become providers of the gateway's model, with which keys, and in which order."""

from __future__ import annotations

import itertools
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.change import Change, Operation
from model_registry.errors import InvalidConfiguration
from model_registry.gateways.tensorzero.importing.plan import plan_import
from model_registry.gateways.tensorzero.reading.parse import parse_project
from model_registry.gateways.tensorzero.rendering.render import RenderCache, concerns_routes, render
from model_registry.gateways.tensorzero.rules.write_guard import refuse_bad_configuration
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

OWN = "http://own.example/v1"


def routed(catalogue: Catalogue, name: str = "p", **columns: Any) -> str:
    """A provider that is routed by deployments."""
    return catalogue.provider(name, "ollama", **{"api_base": OWN, "route_by": "deployments", **columns})


def model(snapshot: Snapshot, name: str = "m") -> dict[str, Any]:
    table: dict[str, Any] = tomllib.loads(render(snapshot).text)["models"][name]
    return table


def bases(snapshot: Snapshot, name: str = "m") -> dict[str, str]:
    """Provider key -> base URL, in routing order."""
    table = model(snapshot, name)
    return {key: table["providers"][key]["api_base"] for key in table["routing"]}


def left_out(snapshot: Snapshot) -> dict[str, str]:
    return {o.name: o.reason for o in render(snapshot).omitted if o.kind == "deployment"}


def test_live_deployments_come_before_the_providers_own_address_the_most_free_memory_first() -> None:
    catalogue = Catalogue()
    m = catalogue.model(routed(catalogue, tensorzero={"api_type": "chat_completions"}), "m")
    for node_id, total in (("a", 8_000), ("b", 24_000), ("c", 24_000), ("unknown", None)):
        catalogue.node(node_id, vram_total_mb=total, vram_free_mb=1)
        catalogue.deployment(m, node_id, vram_allocated_mb=6_000)
    catalogue.deployment(None, "b", announced_model="other", vram_allocated_mb=4_000, status="loading")
    catalogue.deployment(None, "b", announced_model="gone", vram_allocated_mb=9_000, status="unloaded")

    snapshot = catalogue.snapshot()

    assert list(bases(snapshot)) == ["p@c", "p@b", "p@a", "p@unknown", "p"]
    assert bases(snapshot)["p@c"] == "http://c:11434/v1"
    own, route = model(snapshot)["providers"]["p"], model(snapshot)["providers"]["p@a"]
    assert route == {**own, "api_base": "http://a:11434/v1"}


def test_only_what_is_loaded_on_a_node_that_takes_work_is_a_route() -> None:
    catalogue = Catalogue()
    m = catalogue.model(routed(catalogue), "m")
    for status in ("loading", "unloaded", "error", "lost"):
        catalogue.deployment(m, f"is {status}", status=status)
    nodes: dict[str, dict[str, Any]] = {"lost": {"status": "lost"}, "cordoned": {"cordoned": True}, "fine": {}}
    for node_id, columns in nodes.items():
        catalogue.node(node_id, **columns)
        catalogue.deployment(m, node_id)
    catalogue.deployment(m, "unheard")

    assert list(bases(catalogue.snapshot())) == ["p@fine", "p@unheard", "p"]


@pytest.mark.parametrize(
    ("endpoint", "base"),
    [
        ("http://h:11434", "http://h:11434/v1"),
        ("http://h:11434/", "http://h:11434/v1"),
        ("http://h:8000/v1", "http://h:8000/v1"),
        ("https://h/openai/", "https://h/openai/"),
        ("http://[::1]:8000", "http://[::1]:8000/v1"),
        ("http://h?key=1", "http://h?key=1"),
    ],
)
def test_an_endpoint_without_a_path_gets_v1(endpoint: str, base: str) -> None:
    catalogue = Catalogue()
    catalogue.deployment(catalogue.model(routed(catalogue), "m"), provider_type="vllm", endpoint=endpoint)

    assert bases(catalogue.snapshot())["p@n"] == base


@pytest.mark.parametrize("endpoint", ["http://h:1/x", "http://h:1/x/api", "http://h:1/x/api/generate/"])
def test_an_ollama_is_asked_below_v1_also_where_it_announces_its_own_protocol(endpoint: str) -> None:
    catalogue = Catalogue()
    m = catalogue.model(routed(catalogue), "m")
    catalogue.deployment(m, "n", provider_type="ollama", endpoint=endpoint)
    catalogue.deployment(m, "other", provider_type="vllm", endpoint="http://h/api")

    assert bases(catalogue.snapshot()) == {"p@n": "http://h:1/x/v1", "p@other": "http://h/api", "p": OWN}


@pytest.mark.parametrize("endpoint", ["http://localhost:8000/v1", "http://0.0.0.0:8000", "http://[::1]:8000/v1"])
def test_what_a_node_calls_its_loopback_is_at_the_node(endpoint: str) -> None:
    catalogue = Catalogue()
    m = catalogue.model(routed(catalogue), "m")
    for node_id, at in {"n": "https://gpu-1:9000/agent", "here": "http://127.0.0.1:9000"}.items():
        catalogue.node(node_id, endpoint=at)
    catalogue.deployment(m, "n", provider_type="vllm", endpoint=endpoint)
    catalogue.deployment(m, "here", provider_type="vllm", endpoint="http://localhost:8000")

    assert bases(catalogue.snapshot()) == {"p@n": "http://gpu-1:8000/v1", "p@here": "http://localhost:8000/v1"} | {
        "p": OWN
    }


@pytest.mark.parametrize(
    ("endpoint", "says"),
    [
        (None, "has no endpoint"),
        ("", "has no endpoint"),
        ("localhost:8000", "whole http:// or https:// URL"),
        ("ws://h", "whole http:// or https:// URL"),
        ("http://user:hunter2@h", "must not hold a user or password"),
        ("http://h/v1/chat/completions", "which the gateway adds itself"),
        ("http://0.0.0.0:11434", "every address of its own machine"),
        ("http://0:11434", "every address of its own machine"),
        ("http://[::]:11434/v1", "every address of its own machine"),
        ("http://h/" + "x" * 2000, "longer than"),
    ],
)
def test_an_endpoint_that_no_gateway_can_use_is_left_out_with_the_reason(endpoint: str | None, says: str) -> None:
    catalogue = Catalogue()
    catalogue.deployment(catalogue.model(routed(catalogue), "m"), endpoint=endpoint)
    snapshot = catalogue.snapshot()

    assert list(bases(snapshot)) == ["p"]
    assert says in left_out(snapshot)["n/ollama/m-id"]
    assert "hunter2" not in str(left_out(snapshot))
    assert "n/ollama" not in render(snapshot).text  # or gateways would reload an equal configuration


def test_no_more_than_a_hundred_are_asked_those_with_the_most_free_memory() -> None:
    catalogue = Catalogue()
    m = catalogue.model(routed(catalogue), "m")
    for number in range(103):
        catalogue.node(f"n{number:03}", vram_total_mb=number)
        catalogue.deployment(m, f"n{number:03}", **({"endpoint": "nonsense"} if number == 102 else {}))

    found = list(bases(catalogue.snapshot()))

    assert found == [*(f"p@n{number:03}" for number in range(101, 1, -1)), "p"]
    reasons = left_out(catalogue.snapshot())
    assert [name.partition("/")[0] for name, reason in reasons.items() if "100" in reason] == ["n001", "n000"]
    assert len(reasons) == 3


def test_a_deployment_without_an_endpoint_is_reached_at_its_nodes() -> None:
    catalogue = Catalogue()
    m = catalogue.model(routed(catalogue), "m")
    catalogue.node("n", endpoint="http://n:8000")
    catalogue.deployment(m, endpoint=None)
    catalogue.deployment(m, "n", provider_type="vllm", endpoint="http://n:9000/v1")

    assert bases(catalogue.snapshot()) == {
        "p@n": "http://n:8000/v1",
        "p@n/vllm/m-id": "http://n:9000/v1",
        "p": OWN,
    }


def test_a_node_is_asked_for_the_name_it_announced() -> None:
    catalogue = Catalogue()
    catalogue.deployment(catalogue.model(routed(catalogue), "m"), announced_model="m")

    providers = model(catalogue.snapshot())["providers"]
    assert (providers["p@n"]["model_name"], providers["p"]["model_name"]) == ("m", "m-id")


def test_routes_stand_where_their_provider_stands_and_aliases_have_them_too() -> None:
    catalogue = Catalogue()
    hosted = catalogue.provider("hosted", "mistral")
    catalogue.model(hosted, "m", routing_priority=0)
    m = catalogue.model(routed(catalogue), "m", routing_priority=1, tensorzero={"provider_key": "key"})
    catalogue.model(hosted, "other")
    catalogue.alias(m, "x")
    catalogue.deployment(m)
    snapshot = catalogue.snapshot()

    assert model(snapshot)["routing"] == ["hosted", "key@n", "key"]
    assert model(snapshot, "x") == model(snapshot)


def test_a_route_never_takes_the_key_of_a_row() -> None:
    catalogue = Catalogue()
    m = catalogue.model(routed(catalogue), "m")
    catalogue.model(catalogue.provider("p@n"), "m", routing_priority=1)
    catalogue.deployment(m)
    snapshot = catalogue.snapshot()

    assert list(bases(snapshot)) == ["p", "p@n"]
    assert left_out(snapshot) == {"n/ollama/m-id": "another provider has the key p@n already"}


def test_a_key_stays_while_other_deployments_of_the_node_come_and_go() -> None:
    catalogue = Catalogue()
    m = catalogue.model(routed(catalogue), "m")
    first = catalogue.deployment(m)
    catalogue.deployment(m, provider_type="vllm", endpoint="http://n:8000")
    snapshot = catalogue.snapshot()
    gone = snapshot.preview([Operation("model_deployments", "update", first, {"status": "lost"})])

    assert list(bases(snapshot)) == ["p@n", "p@n/vllm/m-id", "p"]
    assert list(bases(gone)) == ["p@n/vllm/m-id", "p"]


def test_embedding_models_have_routes_too() -> None:
    catalogue = Catalogue()
    catalogue.deployment(catalogue.model(routed(catalogue), "m", model_type="embedding"))
    found = tomllib.loads(render(catalogue.snapshot()).text)["embedding_models"]["m"]

    assert found["routing"] == ["p@n", "p"]


@pytest.mark.parametrize("kind", ["mistral", "azure", "aws_bedrock", "custom"])
def test_only_types_that_take_an_api_base_can_be_routed_by_deployments(kind: str) -> None:
    catalogue = Catalogue()
    columns = {"tensorzero": {"region": "sdk"}} if kind == "aws_bedrock" else {}
    catalogue.provider("p", kind, route_by="deployments", active=False, **columns)
    with pytest.raises(InvalidConfiguration) as caught:
        refuse_bad_configuration(Snapshot.empty(), catalogue.operations)
    assert [reason.where for reason in caught.value.reasons] == ["model_providers.p.route_by"]
    assert "anthropic, ollama, openai, openai_compatible, sglang, tgi, vllm" in str(caught.value)


def test_a_provider_that_nodes_run_keeps_an_address_of_last_resort() -> None:
    catalogue = Catalogue()
    routed(catalogue, api_base=None)
    with pytest.raises(InvalidConfiguration, match="has no api_base"):
        refuse_bad_configuration(Snapshot.empty(), catalogue.operations)


def test_a_shorthand_has_no_routes() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", "openai", route_by="deployments")
    catalogue.model(provider, "openai::gpt", model_id="gpt")
    with pytest.raises(InvalidConfiguration, match="knows no nodes"):
        refuse_bad_configuration(Snapshot.empty(), catalogue.operations)


def test_a_project_with_routes_comes_back_as_the_rows_it_was_made_of() -> None:
    catalogue = Catalogue()
    m = catalogue.model(routed(catalogue), "m")
    catalogue.alias(m, "x")
    catalogue.deployment(m)
    before = catalogue.snapshot()
    text = render(before).text
    later = before.preview([Operation("model_deployments", "update", catalogue.operations[-1].id, {"status": "lost"})])

    for snapshot, replace in itertools.product((before, later), (False, True)):
        plan = plan_import(parse_project({"tensorzero.toml": text}), snapshot, lambda: "new", replace=replace)
        assert plan.operations == ()
        assert [e.name for e in plan.report if e.kind == "route"] == ["m.p@n", "x.p@n"]


def test_what_only_looks_like_a_route_is_imported() -> None:
    catalogue = Catalogue()
    m = catalogue.model(routed(catalogue), "m")
    catalogue.deployment(m)
    text = render(catalogue.snapshot()).text.replace('"none"', '"env::MINE"', 1)
    ids = map(str, itertools.count())

    plan = plan_import(parse_project({"tensorzero.toml": text}), catalogue.snapshot(), ids.__next__)

    assert [o.table for o in plan.operations if o.action == "insert"] == ["model_providers", "models"]


# Any fleet ------------------------------------------------------------------------------------------------------------

NODES = ("a", "b", "c")
_STATUSES = st.sampled_from(["loaded", "loaded", "loaded", "loading", "unloaded", "lost"])
_ENDPOINTS = st.sampled_from([None, "http://h:1", "http://h:2/v1", "nonsense"])
_MB = st.none() | st.integers(0, 3)

_DEPLOYMENTS = st.fixed_dictionaries({}, optional={
    "status": _STATUSES, "endpoint": _ENDPOINTS, "vram_allocated_mb": _MB,
    "model_id": st.sampled_from([None, "m1", "m2", "m3"]),
})  # fmt: skip
_NODES = st.fixed_dictionaries({}, optional={
    "vram_total_mb": st.none() | st.integers(0, 9), "endpoint": _ENDPOINTS, "cordoned": st.booleans(),
    "status": st.sampled_from(["ready", "lost"]),
})  # fmt: skip
_PROVIDERS = st.fixed_dictionaries({"route_by": st.sampled_from([None, "api_base", "deployments"])})
_PLACES = [(n, k, a) for n in NODES for k in ("ollama", "vllm") for a in ("x", "y")]
_STEPS = st.one_of(
    st.tuples(st.just("model_deployments"), st.sampled_from(_PLACES), _DEPLOYMENTS),
    st.tuples(st.just("model_deployments"), st.sampled_from(_PLACES), _DEPLOYMENTS),
    st.tuples(st.just("gpu_nodes"), st.sampled_from(NODES), _NODES),
    st.tuples(st.just("model_providers"), st.sampled_from(["p1", "p2"]), _PROVIDERS),
    st.tuples(st.sampled_from(["model_deployments", "gpu_nodes"]), st.sampled_from([*_PLACES, *NODES]), st.none()),
)


def start() -> Snapshot:
    """Two providers, one with two models; the last model is an embedding model."""
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("model_providers", "p1", {"name": "p1", "type": "ollama", "api_base": OWN}),
        ("model_providers", "p2", {"name": "p2", "type": "vllm", "api_base": OWN, "route_by": "deployments"}),
        ("models", "m1", {"provider_id": "p1", "name": "shared", "model_id": "x"}),
        ("models", "m2", {"provider_id": "p2", "name": "shared", "model_id": "x", "routing_priority": 1}),
        ("models", "m3", {"provider_id": "p2", "name": "alone", "model_id": "y"}),
        ("model_aliases", "x", {"model_id": "m3", "alias": "also"}),
    ]
    return Snapshot.empty().preview([Operation(table, "insert", row_id, row) for table, row_id, row in rows])


def after(snapshot: Snapshot, step: tuple[str, Any, dict[str, Any] | None]) -> Snapshot:
    table, key, columns = step
    row_id = "/".join(key) if isinstance(key, tuple) else key
    known = snapshot.tables[table].get(row_id)
    if columns is None:
        return snapshot.preview([Operation(table, "delete", row_id)]) if known else snapshot
    if known is None and table == "model_deployments":
        columns = {"node_id": key[0], "provider_type": key[1], "announced_model": key[2], **columns}
    elif known is None:
        columns = {"node_id": key, **columns}
    return snapshot.preview([Operation(table, "update" if known else "insert", row_id, columns)])


def naive(snapshot: Snapshot, model_id: str) -> list[str]:
    """The provider keys of one row, straight from the words of the documentation."""
    row = snapshot.models[model_id]
    provider = snapshot.providers[row.provider_id]
    nodes = {node.node_id: node for node in snapshot.nodes}
    found = []
    for d in snapshot.deployments:
        node = nodes.get(d.node_id)
        endpoint = d.endpoint or (node.endpoint if node else None)
        takes_work = node is None or (node.status == "ready" and not node.cordoned)
        usable = provider.route_by == "deployments" and d.status == "loaded" and takes_work
        if d.model_id != model_id or not usable or endpoint in {None, "nonsense"}:
            continue
        same_node = [e for e in snapshot.deployments if e.node_id == d.node_id]
        used = sum(e.vram_allocated_mb or 0 for e in same_node if e.status in {"loading", "loaded"})
        total = node.vram_total_mb if node else None
        free = float("-inf") if total is None else total - used
        twins = sorted((e.provider_type, e.announced_model) for e in same_node if e.model_id == model_id)
        me = (d.provider_type, d.announced_model)
        key = f"{provider.name}@{d.node_id}" + ("" if twins[0] == me else f"/{me[0]}/{me[1]}")
        found.append((-free, d.node_id, me, key))
    return [*(key for _, _, _, key in sorted(found)), provider.name]


@given(steps=st.lists(_STEPS, max_size=20))
def test_the_routes_of_any_fleet_are_those_of_the_documentation_also_with_a_cache(steps: list[Any]) -> None:
    cache, snapshot = RenderCache(), start()
    for step in [None, *steps]:
        before, snapshot = snapshot, after(snapshot, step) if step else snapshot
        rendered = render(snapshot, cache)
        assert rendered == render(snapshot)
        models = tomllib.loads(rendered.text)["models"]
        assert models["shared"]["routing"] == naive(snapshot, "m1") + naive(snapshot, "m2")
        assert models["alone"]["routing"] == models["also"]["routing"] == naive(snapshot, "m3")
        if step and step[0] != "model_providers" and render(before).text != rendered.text:
            row_id = "/".join(step[1]) if isinstance(step[1], tuple) else step[1]
            change = Change(1, "", "", None, step[0], row_id, "update", None)
            assert concerns_routes(before, snapshot, [change])


def test_what_happens_elsewhere_concerns_no_route() -> None:
    catalogue = Catalogue()
    m, other = catalogue.model(routed(catalogue), "m"), catalogue.model(catalogue.provider("q"), "o")
    catalogue.deployment(m, "a")
    before = catalogue.snapshot()
    elsewhere = catalogue.deployment(other, "b")
    beside = catalogue.deployment(other, "a")
    now = catalogue.snapshot()

    def changed(row_id: str) -> list[Change]:
        return [Change(1, "", "", None, "model_deployments", row_id, "insert", None)]

    assert not concerns_routes(before, now, changed(elsewhere))
    assert concerns_routes(before, now, changed(beside))  # it takes memory of a node with a route
