"""Rows whose variable is not set where a gateway runs are left out, with what to do; nothing else is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_registry.entities.base import Row
from model_registry.entities.change import Operation
from model_registry.entities.gateway import Gateway
from model_registry.gateways.environment import Environments, Provided, provided
from model_registry.gateways.tensorzero.rendering.render import RenderCache, render
from model_registry.gateways.tensorzero.rendering.variables import row_needs
from model_registry.snapshot.snapshot import Snapshot
from support.catalogues import Catalogue, contents
from support.drawn import Drawn, catalogues


def gateway(environment: list[str] | None = None, **settings: Any) -> Gateway:
    return Gateway(id="g", name="edge", kind="tensorzero", environment=environment, settings=settings)


def of(catalogue: Catalogue, environment: list[str] | None = None, **settings: Any) -> Provided:
    return provided(catalogue.snapshot(), gateway(environment, **settings), row_needs)


def left_out(found: Provided) -> set[tuple[str, str]]:
    return {(omission.kind, omission.name) for omission in found.omissions}


def section(catalogue: Catalogue, name: str, value: dict[str, Any]) -> None:
    operation = Operation("config_sections", "insert", f"section-{name}", {"name": name, "value": value})
    catalogue.operations.append(operation)


@pytest.fixture
def catalogue() -> Catalogue:
    """A server without a key, a provider that is there only with its key, and one that has no such wish."""
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("local"), "free")
    catalogue.model(catalogue.provider("seeded", "openai", api_key_env_var="SEEDED", only_with_key=True), "hosted")
    catalogue.model(catalogue.provider("own", "anthropic", api_key_env_var="OWN"), "mine")
    return catalogue


def test_while_the_environment_is_not_known_only_what_wants_its_key_is_left_out(catalogue: Catalogue) -> None:
    found = of(catalogue)
    assert left_out(found) == {("provider", "seeded")}
    assert sorted(row.name for row in found.snapshot.providers) == ["local", "own"]


def test_in_a_known_environment_everything_whose_variable_is_missing_is_left_out(catalogue: Catalogue) -> None:
    assert left_out(of(catalogue, [])) == {("provider", "seeded"), ("provider", "own")}
    assert left_out(of(catalogue, ["OWN"])) == {("provider", "seeded")}


def test_nothing_is_left_out_where_every_variable_is_set(catalogue: Catalogue) -> None:
    snapshot = catalogue.snapshot()
    assert provided(snapshot, gateway(["OWN", "SEEDED"]), row_needs) == Provided(snapshot)
    assert provided(snapshot, gateway(["OWN", "SEEDED"]), row_needs).snapshot is snapshot


@pytest.mark.parametrize("environment", [None, ["OWN"]])
def test_the_reason_says_what_to_do(catalogue: Catalogue, environment: list[str] | None) -> None:
    (omission,) = of(catalogue, environment).omissions
    assert "SEEDED" in omission.reason
    assert "model-registry gateways env edge --add SEEDED" in omission.reason


def test_a_gateway_may_want_everything_held_back_instead(catalogue: Catalogue) -> None:
    """Except for what asks for its key: it is meant to come and go with it."""
    found = of(catalogue, [], missing_variable="refuse")
    assert left_out(found) == {("provider", "seeded")}
    assert [(reason.where, "OWN is not set" in reason.message) for reason in found.reasons] == [("provider own", True)]


PLACES: dict[str, tuple[dict[str, Any], set[str]]] = {
    "the default of its type": ({"type": "anthropic"}, {"ANTHROPIC_API_KEY"}),
    "a type that needs none": ({}, set()),
    "its own variable": ({"api_key_env_var": "X"}, {"X"}),
    "the gateway's own key": ({"tensorzero": {"api_key_location": "env::X"}}, {"X"}),
    "a key with a fallback": (
        {"tensorzero": {"api_key_location": {"default": "env::X", "fallback": "env::Y"}}},
        {"X", "Y"},
    ),
    "of each request": ({"tensorzero": {"api_key_location": "dynamic::x"}}, set()),
    "none": ({"api_key_env_var": "X", "tensorzero": {"api_key_location": "none"}}, set()),
    "no credential": ({"tensorzero": {"api_key_location": "none", "extra_body": "env::X"}}, set()),
    "not active": ({"api_key_env_var": "X", "active": False}, set()),
    "a server of one's own": ({"type": "vllm"}, set()),
    "the key of a server": ({"type": "vllm", "api_key_env_var": "X"}, {"X"}),
    "a file": (
        {"type": "gcp_vertex_gemini", "tensorzero": {"location": "l", "project_id": "p"}},
        {"GCP_VERTEX_CREDENTIALS_PATH"},
    ),
    "an address": ({"type": "azure", "api_key_env_var": "X", "tensorzero": {"endpoint": "env::Y"}}, {"X", "Y"}),
    "a cloud": (
        {"type": "aws_bedrock", "tensorzero": {"region": "r", "access_key_id": "env::X", "session_token": "sdk"}},
        {"X"},
    ),
}


@pytest.mark.parametrize(("columns", "variables"), PLACES.values(), ids=PLACES.keys())
def test_a_provider_needs_what_its_table_names(columns: dict[str, Any], variables: set[str]) -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("p", **{"type": "openai", **columns}), "m")
    snapshot = catalogue.snapshot()
    (provider,) = snapshot.providers
    assert set(row_needs(snapshot, provider)) == variables
    assert {variable.name for variable in render(snapshot).variables} == variables


def test_settings_of_a_type_name_another_variable() -> None:
    catalogue = Catalogue()
    catalogue.model(catalogue.provider("p", "anthropic"), "m")
    section(catalogue, "provider_types", {"anthropic": {"defaults": {"api_key_location": "env::OTHER"}}})
    assert left_out(of(catalogue, ["ANTHROPIC_API_KEY"])) == {("provider", "p")}
    assert left_out(of(catalogue, ["OTHER"])) == set()


def test_a_model_with_a_key_of_its_own_is_left_out_alone() -> None:
    catalogue = Catalogue()
    provider = catalogue.provider("p", "openai", api_key_env_var="X")
    catalogue.model(provider, "a")
    own = catalogue.model(provider, "b", tensorzero={"provider": {"api_key_location": "env::Y"}})
    catalogue.mapping(own)
    found = of(catalogue, ["X"])
    assert left_out(found) == {("model", "b")}
    rendered = render(found.snapshot)
    assert {variable.name for variable in rendered.variables} == {"X"}
    assert ("variant", "svc_chat.v") in {(omission.kind, omission.name) for omission in rendered.omitted}


def test_a_variant_that_embeds_by_a_shorthand_is_left_out() -> None:
    """The gateway does not start without its key; a shorthand that only answers fails when it is used."""
    catalogue = Catalogue()
    model = catalogue.model(catalogue.provider("local"), "free")
    dicl = {"type": "experimental_dynamic_in_context_learning", "k": 2, "embedding_model": "openai::e"}
    catalogue.mapping(model, "examples", tensorzero=dicl)
    catalogue.mapping(model, "plain")
    found = of(catalogue, [])
    assert left_out(found) == {("variant", "svc_chat.examples")}
    assert render(found.snapshot).variables == ()


def test_settings_that_name_a_missing_variable_hold_everything_back() -> None:
    """Without its relay a gateway would ask the providers itself."""
    catalogue = Catalogue()
    section(catalogue, "gateway", {"relay": {"gateway_url": "http://h", "api_key_location": "env::RELAY"}})
    assert [reason.where for reason in of(catalogue, []).reasons] == ["section gateway"]
    assert of(catalogue, ["RELAY"]).reasons == of(catalogue).reasons == ()


@given(drawn=catalogues(), there=st.none() | st.sets(st.sampled_from(["K", "SOME_KEY", "OPENAI_API_KEY"])))
def test_what_came_before_changes_nothing(drawn: Drawn, there: set[str] | None) -> None:
    here = gateway(None if there is None else sorted(there))
    environments, cache = Environments(row_needs), RenderCache()
    for snapshot in (*drawn.history, drawn.history[0]):
        found = environments.of(snapshot, here)
        anew = provided(snapshot, here, row_needs)
        assert (found.omissions, found.reasons) == (anew.omissions, anew.reasons)
        text = render(found.snapshot, cache).text
    assert contents(found.snapshot) == contents(anew.snapshot)
    assert text == render(anew.snapshot).text


@given(drawn=catalogues(guarded=False), there=st.sets(st.sampled_from(["K", "SOME_KEY", "OPENAI_API_KEY"])))
def test_providers_name_no_variable_that_is_missing(drawn: Drawn, there: set[str]) -> None:
    found = provided(drawn.snapshot, gateway(sorted(there)), row_needs)
    for variable in render(found.snapshot).variables:
        assert variable.name in there or all(by.startswith("function ") for by in variable.needed_by)


def test_a_change_costs_what_changed(catalogue: Catalogue) -> None:
    provider = catalogue.provider("many", "openai", api_key_env_var="OWN")
    models = [catalogue.model(provider, f"m{number}") for number in range(1000)]
    asked: list[str] = []

    def counting(snapshot: Snapshot, row: Row) -> Iterable[str]:
        asked.append(row.id)
        return row_needs(snapshot, row)

    environments, here = Environments(counting), gateway(["OWN"])
    base = catalogue.snapshot()
    before = environments.of(base, here)
    asked.clear()
    changed = base.preview([Operation("models", "update", models[500], {"description": "new"})])
    after = environments.of(changed, here)
    assert asked == [models[500]]
    assert after.omissions == before.omissions
    assert after.snapshot.tables["model_providers"] is before.snapshot.tables["model_providers"]
