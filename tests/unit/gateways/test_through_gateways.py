"""Providers that are reached through an SMG: what other gateways see of them, and which mistakes are refused."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
import yaml

from model_registry.entities.change import Operation
from model_registry.entities.gateway import MOST_GATEWAYS, Gateway
from model_registry.errors import Conflict, InvalidConfiguration
from model_registry.gateways.litellm.rendering.render import LiteLLMRenderer
from model_registry.gateways.scope import Scopes, default_gateway
from model_registry.gateways.tensorzero.rendering.render import render
from model_registry.gateways.write_guard import WriteGuard
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue

AT = "http://smg:30000/v1"


def gateway(name: str = "edge", kind: str = "smg", address: str | None = AT, **columns: Any) -> Operation:
    settings = {"address": address} if address else {}
    row = {"name": name, "kind": kind, "content_of": "tensorzero", "settings": settings, **columns}
    return Operation("gateways", "insert", f"gateway-{name}", row)


def through(*gateways: Operation, **columns: Any) -> tuple[Catalogue, str]:
    """A provider reached through the gateway `edge`, with a model, and these gateways."""
    catalogue = Catalogue()
    catalogue.operations += gateways
    provider = catalogue.provider("p", "vllm", **{"api_base": None, "route_by": "gateway:edge", **columns})
    catalogue.model(provider, "m")
    return catalogue, provider


def rendered(snapshot: Snapshot, scopes: Scopes | None = None) -> tuple[dict[str, Any], list[str]]:
    """What TensorZero gets of the provider, and the reasons for what it does not."""
    result = render((scopes or Scopes()).of(snapshot, default_gateway()))
    models = tomllib.loads(result.text).get("models", {})
    return (models["m"]["providers"] if models else {}), [omission.reason for omission in result.omitted]


def test_it_is_rendered_once_at_the_address_of_the_gateway_whatever_nodes_do() -> None:
    catalogue, _ = through(gateway(), api_base="http://own:1/v1", tensorzero={"api_base": "http://other/v1"})
    bare = catalogue.snapshot()
    model = next(iter(bare.models))
    catalogue.deployment(model.id, "n", provider_type="vllm", endpoint="http://n:8000")

    assert rendered(bare)[0].keys() == {"p"}
    assert rendered(bare)[0]["p"]["api_base"] == AT
    assert rendered(bare)[0]["p"]["model_name"] == "m-id"
    assert rendered(catalogue.snapshot()) == rendered(bare)


def test_litellm_has_it_once_too() -> None:
    catalogue, _ = through(gateway())
    bare = catalogue.snapshot()
    catalogue.deployment(next(iter(bare.models)).id, "n", provider_type="vllm", endpoint="http://n:8000")
    lite = Gateway(id="l", name="lite", kind="litellm")
    texts = [
        LiteLLMRenderer().render(Scopes().of(snapshot, lite), lite).files["config.yaml"]
        for snapshot in (bare, catalogue.snapshot())
    ]

    (entry,) = yaml.safe_load(texts[0])["model_list"]
    assert entry["litellm_params"]["api_base"] == AT
    assert entry["litellm_params"]["model"].endswith("/m-id")
    assert texts[0] == texts[1]


def test_another_address_of_the_gateway_reaches_the_others() -> None:
    catalogue, _ = through(gateway())
    scopes = Scopes()
    before = catalogue.snapshot()
    assert rendered(before, scopes)[0]["p"]["api_base"] == AT

    moved = before.preview([Operation("gateways", "update", "gateway-edge", {"settings": {"address": "http://b/v1"}})])

    assert rendered(moved, scopes)[0]["p"]["api_base"] == "http://b/v1"
    gone = before.preview([Operation("gateways", "delete", "gateway-edge")])
    assert rendered(gone, scopes) == (
        {},
        [f"{at}nobody knows the address of the gateway that it is reached through (gateway:edge)"
         for at in ("", "at provider p: ")],
    )  # fmt: skip


def test_without_such_a_provider_the_snapshot_stays_the_same_object() -> None:
    catalogue, provider = through(gateway())
    scopes, snapshot = Scopes(), catalogue.snapshot()
    assert scopes.of(snapshot, default_gateway()) is not snapshot
    plain = snapshot.preview([Operation("model_providers", "update", provider, {"route_by": None})])
    assert scopes.of(plain, default_gateway()) is plain


@pytest.mark.parametrize(
    ("gateways", "columns", "reason"),
    [
        ([], {}, "there is no gateway 'edge'.*add one first: POST /api/gateways"),
        ([gateway("other")], {}, "there is no gateway 'edge'.*name one of other"),
        ([gateway(kind="litellm", address=None)], {}, "edge is a gateway of the kind litellm"),
        ([gateway(address=None)], {}, "nobody knows where the gateway edge is: set its settings.address"),
        ([gateway(address="http://smg:30000")], {}, "must end in /v1"),
        ([gateway(providers=[])], {}, "the gateway edge does not carry this provider: add p"),
        ([gateway(), gateway("far", address="http://far/v1")], {"api_base": "http://FAR:80/v1/"}, "a circle"),
        ([gateway(), gateway("far")], {}, "is that of the gateway edge too: give each its own"),
    ],
)  # fmt: skip
def test_each_mistake_is_refused_when_it_is_written_with_what_to_do(
    gateways: list[Operation], columns: dict[str, Any], reason: str
) -> None:
    catalogue, _ = through(*gateways, **columns)
    with pytest.raises(InvalidConfiguration, match=reason):
        WriteGuard().refuse(Snapshot.empty(), catalogue.operations)


@pytest.mark.parametrize(
    "change",
    [
        Operation("gateways", "delete", "gateway-edge"),
        Operation("gateways", "update", "gateway-edge", {"name": "renamed"}),
        Operation("gateways", "update", "gateway-edge", {"settings": {}}),
        Operation("gateways", "update", "gateway-edge", {"providers": ["q"]}),
    ],
)
def test_a_gateway_that_a_provider_is_reached_through_stays_within_reach(change: Operation) -> None:
    catalogue, _ = through(gateway())
    WriteGuard().refuse(Snapshot.empty(), catalogue.operations)
    with pytest.raises(InvalidConfiguration):
        WriteGuard().refuse(catalogue.snapshot(), [change])


def test_what_was_wrong_before_keeps_nobody_from_writing() -> None:
    catalogue, provider = through()
    described = Operation("model_providers", "update", provider, {"metadata": {"description": "x"}})
    WriteGuard().refuse(catalogue.snapshot(), [described])


def test_there_are_only_so_many_gateways() -> None:
    catalogue = Catalogue()
    catalogue.operations += [gateway(f"g{number}", "litellm", None) for number in range(MOST_GATEWAYS)]
    one_more, one_less = gateway("more", "litellm", None), Operation("gateways", "delete", "gateway-g0")
    with pytest.raises(Conflict, match="100 are the limit: delete those"):
        WriteGuard().refuse(catalogue.snapshot(), [one_more])
    WriteGuard().refuse(catalogue.snapshot(), [one_less, one_more])
